import t from 'tap';
import { readFileSync, writeFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { PositionStore, positionPath, readRecord, storedPipelines } from '../../src/position/store.js';
import { decodeRecord } from '../../src/position/record-file.js';
import { nodeFileSystem } from '../../src/file-system.js';
import type { FileSystem } from '../../src/file-system.js';
import type { SourcePosition } from '../../src/position/position.js';
import { createMetrics } from '../../src/metrics.js';
import { silentLogger } from '../../src/log.js';
import { gatedFileSystem, systemError, wrapFileSystem } from '../helpers/file-system.js';
import { until } from '../helpers/until.js';

async function open(directory: string, fs: FileSystem = nodeFileSystem) {
  return PositionStore.open({
    directory,
    pipeline: 'p',
    fs,
    log: silentLogger(),
    metrics: createMetrics(),
    clock: { now: () => 0 },
    signal: new AbortController().signal,
  });
}

function positionAt(offset: number): SourcePosition {
  const none = { length: 0, hash: '' };
  return {
    paths: [
      {
        path: '/a',
        current: { name: 'a', dev: 1, ino: 2, offset, head: none, before: none },
        finishedThrough: null,
        finished: [],
        gaps: [],
        gapCount: 0,
      },
    ],
  };
}

const segment = { id: 1, sink: 'out', path: '/out/x', key: 'x', length: 0, ino: 0, openedAtMs: 5 };
const receipt = { id: 1, length: 10, ino: 77, closed: false, isRenamed: false };

t.test('a position is saved together with the receipts of its marker', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  t.equal(store.position, undefined, 'a new pipeline has none');
  await store.begin([segment]);
  await store.commit(positionAt(100), [receipt]);
  const again = await open(dir);
  t.same(again.position, positionAt(100));
  t.match(again.segments, [{ id: 1, length: 10, ino: 77 }]);
});

t.test('beginning a segment keeps the position and every receipt as they were', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  await store.begin([segment]);
  await store.commit(positionAt(100), [receipt]);
  await store.begin([
    { ...segment, path: '/out/x~000001', from: '/out/x' },
    { ...segment, id: 2 },
  ]);
  const again = await open(dir);
  t.same(again.position, positionAt(100));
  t.match(again.segments, [
    { id: 1, length: 10, ino: 77, path: '/out/x~000001', from: '/out/x' },
    { id: 2, length: 0, ino: 0 },
  ]);
});

t.test('a receipt with a rename done takes the old name out; a closed one says so', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  await store.begin([{ ...segment, path: '/out/x~000001', from: '/out/x' }]);
  await store.commit(positionAt(1), [{ ...receipt, closed: true, isRenamed: true }]);
  const found = (await open(dir)).segments[0];
  t.equal(found?.from, undefined);
  t.equal(found?.closed, true);
});

t.test('a receipt for an unknown segment is a bug', async (t) => {
  const store = await open(t.testdir());
  await t.rejects(store.commit(positionAt(1), [receipt]), /impossible/);
});

t.test('segment ids are never used twice, also after a restart', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  const id = store.nextSegmentId();
  await store.begin([{ ...segment, id }]);
  store.forget([id]);
  await store.markClean();
  t.ok((await open(dir)).nextSegmentId() > id);
});

t.test('a damaged file falls back to the previous one', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  await store.commit(positionAt(1), []);
  await store.commit(positionAt(2), []);
  const path = positionPath(dir, 'p');
  for (const damage of [
    '',
    '\0'.repeat(500),
    readFileSync(path, 'utf8').slice(0, -20),
    readFileSync(path, 'utf8').replace('"offset": 2', '"offset": 3'),
  ]) {
    writeFileSync(path, damage);
    t.same((await open(dir)).position, positionAt(1), `damage: ${JSON.stringify(damage.slice(0, 20))}`);
  }
});

t.test('when both are damaged it refuses to start over, and says what to do', async (t) => {
  const dir = t.testdir({ 'p.position.json': 'x', 'p.position.json.1': 'y' });
  await t.rejects(open(dir), { code: 'POSITION_DAMAGED', message: /headgate positions reset/ });
});

t.test('a newer version is refused in words', async (t) => {
  const dir = t.testdir({ 'p.position.json': '{"version":2}' });
  await t.rejects(open(dir), { code: 'POSITION_VERSION', message: /newer Headgate/ });
});

t.test('a save that fails is tried again until it works', async (t) => {
  const dir = t.testdir();
  let failures = 3;
  const fs = gatedFileSystem((operation) => {
    if (operation === 'write' && failures-- > 0) throw systemError('ENOSPC');
  });
  const store = await open(dir, fs);
  await store.commit(positionAt(7), []);
  t.same((await open(dir)).position, positionAt(7));
});

t.test('however many saves are asked for at once, the last state is what is on disk', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  const saves = Array.from({ length: 50 }, (_, i) => store.begin([{ ...segment, id: i + 1 }]));
  await Promise.all(saves);
  t.equal((await open(dir)).segments.length, 50);
  const generation = (await readRecord(nodeFileSystem, positionPath(dir, 'p')))?.record.generation ?? 0;
  t.ok(generation < 10, `joined into ${generation} saves`);
});

t.test('a save is durable before it resolves: file first, then its directory', async (t) => {
  const done: string[] = [];
  const fs = gatedFileSystem((operation) => done.push(operation));
  const store = await open(t.testdir(), fs);
  done.length = 0;
  await store.commit(positionAt(1), []);
  const order = done.filter((each) => ['write', 'fdatasync', 'rename', 'fsync'].includes(each));
  t.same(order, ['write', 'fdatasync', 'rename', 'fsync']);
});

t.test('the clean mark survives until something begins', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  await store.commit(positionAt(1), []);
  await store.markClean();
  t.equal((await open(dir)).isClean, true);
  const next = await open(dir);
  await next.markRunning();
  t.equal((await open(dir)).isClean, false);
});

t.test('a position file is readable JSON of mode 0600, and lists its pipeline', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  await store.commit(positionAt(1), []);
  t.match(JSON.parse(readFileSync(positionPath(dir, 'p'), 'utf8')), {
    version: 1,
    pipeline: 'p',
    generation: 1,
  });
  t.equal((await nodeFileSystem.stat(positionPath(dir, 'p'))).mode, 0o600);
  t.same(await storedPipelines(nodeFileSystem, dir), ['p']);
  t.same(await storedPipelines(nodeFileSystem, join(dir, 'missing')), []);
  t.notOk(readdirSync(dir).some((name) => name.endsWith('.tmp')));
});

t.test('any single changed byte is noticed', async (t) => {
  const dir = t.testdir();
  const store = await open(dir);
  await store.begin([segment]);
  const data = readFileSync(positionPath(dir, 'p'));
  for (let i = 0; i < data.length; i++) {
    const changed = Buffer.from(data);
    changed[i] = (changed[i] ?? 0) ^ 1;
    t.equal(decodeRecord(changed, 'x'), undefined, `byte ${i}`);
  }
});

t.test('a save that a life left behind never replaces what the next life has saved', async (t) => {
  const dir = t.testdir();
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  let isHeld = false;
  const slow = wrapFileSystem(async (name, args, run) => {
    if (name === 'rename') {
      isHeld = true;
      await held;
    }
    return run(args);
  });
  const store = await open(dir, slow);
  const left = store.commit(positionAt(1), []);
  await until('the save is under way', () => isHeld);
  let isClosed = false;
  const closing = store.close().then(() => (isClosed = true));
  await t.rejects(store.commit(positionAt(2), []), { code: 'PIPELINE_HALTED' });
  t.notOk(isClosed, 'the next life has to wait');
  letGo();
  await closing;
  await left;
  t.same((await open(dir)).position, positionAt(1));
});
