// Far more outputs than are kept open: what is held is bounded, and every line is in its own file once, in order.
import t from 'tap';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { FileSystem } from '../../../src/file-system.js';
import { Finisher } from '../../../src/sink/files/finish.js';
import { FilesSink } from '../../../src/sink/files/index.js';
import type { FilesOptions } from '../../../src/sink/files/options.js';
import { batchOf } from '../../helpers/batch.js';
import { sinkContext } from '../../helpers/context.js';
import type { TestContext } from '../../helpers/context.js';
import { systemError, wrapFileSystem } from '../../helpers/file-system.js';
import { inWriteOrder, linesOf, readOutputs } from '../../helpers/outputs.js';
import { until } from '../../helpers/until.js';

const MAX_OPEN_OUTPUTS = 50;
const MAX_OPEN_FILES = 8;
const USERS = 500;
/** Each user comes back long after its file was closed. */
const ROUNDS = 3;
const PER_BATCH = 100;

/** The real file system, and how many descriptors are open at the same time. */
function countingFileSystem(): { fs: FileSystem; most: () => number } {
  let open = 0;
  let most = 0;
  const fs = wrapFileSystem(async (name, args, run) => {
    const result = await run(args);
    if (name === 'open') most = Math.max(most, ++open);
    if (name === 'close') open--;
    return result;
  });
  return { fs, most: () => most };
}

function optionsOf(directory: string, path: string, more: Partial<FilesOptions> = {}): FilesOptions {
  return {
    base_dir: join(directory, 'out'),
    path,
    rotate: { max_bytes: '100MiB' },
    compress: 'none',
    mode: '0640',
    durability: 'write',
    flush_interval: '1ms',
    grace: '5m',
    max_open_files: MAX_OPEN_FILES,
    ...more,
  };
}

async function commit(sink: FilesSink, { store }: TestContext): Promise<void> {
  const receipts = await sink.settle();
  await store.commit({ paths: [] }, receipts);
  sink.committed(receipts);
}

for (const path of ['{{ tag }}/audit.log', '{{ tag }}.log']) {
  t.test(`with ${USERS} users in ${path}, open files, descriptors and the record stay small`, async (t) => {
    const directory = t.testdir();
    const { fs, most } = countingFileSystem();
    const context = await sinkContext({ directory, fs });
    const sink = new FilesSink(optionsOf(directory, path), context, MAX_OPEN_OUTPUTS);
    await sink.open({ segments: [], isReread: true, isClean: true });
    let mostSegments = 0;
    for (let first = 0; first < USERS * ROUNDS; first += PER_BATCH) {
      const lines = Array.from({ length: PER_BATCH }, (_, i) => {
        const tag = `u${(first + i) % USERS}`;
        return { tag, line: `${tag} ${first + i}` };
      });
      await sink.write(batchOf(lines));
      await commit(sink, context);
      mostSegments = Math.max(mostSegments, context.store.segments.length);
    }
    await sink.close(true);
    // What is open, and what closed in the last batches and is not finished yet.
    t.ok(mostSegments <= MAX_OPEN_OUTPUTS + 5 * PER_BATCH, `${mostSegments} segments in the record`);
    t.ok(context.store.segments.length <= MAX_OPEN_OUTPUTS, `${context.store.segments.length} at the end`);
    // Besides the outputs: the position file, and the directories that are made durable.
    t.ok(most() <= MAX_OPEN_FILES + 8, `${most()} descriptors at once`);
    const outputs = readOutputs(join(directory, 'out'));
    t.equal(outputs.size, USERS * ROUNDS, 'each was closed early and begun anew');
    const byUser = new Map<string, string[]>();
    for (const name of inWriteOrder(outputs.keys(), true)) {
      const user = /^u\d+/.exec(name)?.[0] ?? '';
      byUser.set(user, [...(byUser.get(user) ?? []), ...linesOf(outputs.get(name) ?? Buffer.alloc(0))]);
    }
    const wrong = Array.from({ length: USERS }, (_, i) => i).filter((i) => {
      const expected = Array.from({ length: ROUNDS }, (_, round) => `u${i} ${round * USERS + i}`);
      return byUser.get(`u${i}`)?.join() !== expected.join();
    });
    t.same(wrong, [], 'the lines of every user, once and in order');
  });
}

t.test('a batch of tiny events for as many files is held back like one of large events', async (t) => {
  const directory = t.testdir();
  const held: (() => void)[] = [];
  const stop = new AbortController();
  const fs = wrapFileSystem(async (name, args, run) => {
    if (name === 'lstat') {
      await new Promise<void>((resolve) => held.push(resolve));
      throw systemError('EIO');
    }
    return run(args);
  });
  const context = await sinkContext({ directory, fs, signal: stop.signal });
  const sink = new FilesSink(optionsOf(directory, '{{ tag }}.log'), context);
  await sink.open({ segments: [], isReread: true, isClean: true });
  let accepted = 0;
  let isHeldBack = false;
  while (!isHeldBack && accepted < 100_000) {
    const lines = Array.from({ length: 1_000 }, (_, i) => ({ tag: `u${accepted + i}`, line: 'x' }));
    const written = sink.write(batchOf(lines)).then(
      () => true,
      () => true, // It was broken off at the end of this test.
    );
    // The disk does nothing, so a write that has room resolves without it.
    isHeldBack = !(await Promise.race([written, turn(false)]));
    accepted += 1_000;
  }
  t.ok(isHeldBack, `held back after ${accepted} outputs`);
  t.ok(accepted <= 13_000, `held back after ${accepted} outputs`);
  stop.abort();
  for (const go of held.splice(0)) go();
  await sink.close(false);
});

async function heldFinisher(t: { testdir(): string }, drain: AbortController) {
  const held: (() => void)[] = [];
  const fs = wrapFileSystem(async (name, args, run) => {
    if (name === 'lstat') await new Promise<void>((resolve) => held.push(resolve));
    return run(args);
  });
  const context = await sinkContext({ directory: t.testdir(), fs });
  const finisher = new Finisher({
    ...context,
    drain: drain.signal,
    isCompressed: false,
    mode: 0o640,
    retention: { keep: Infinity, keepBytes: Infinity, keepAgeMs: Infinity, keepTotalBytes: Infinity },
    catalog: undefined,
    now: () => 0,
  });
  for (let id = 1; id <= 2_500; id++) finisher.add({ id, path: '/none', length: 0, ino: 0, group: '' });
  return { finisher, context, release: () => held.splice(0).forEach((go) => go()) };
}

t.test('closed files that wait to be finished hold the input back until enough of them are', async (t) => {
  const { finisher, context, release } = await heldFinisher(t, new AbortController());
  let hasRoom = false;
  const room = finisher.room().then(() => (hasRoom = true));
  await turn();
  t.equal(hasRoom, false);
  await until('there is room', () => {
    release();
    return hasRoom;
  });
  await room;
  t.ok(context.metrics.segmentsClosed < 2_500, 'before all are finished');
  const stopped = finisher.stop();
  release();
  await stopped;
});

t.test('when the pipeline drains, nobody waits for files that are not finished', async (t) => {
  const drain = new AbortController();
  const { finisher, release } = await heldFinisher(t, drain);
  const room = finisher.room();
  drain.abort();
  await room;
  await finisher.room();
  t.pass('neither before nor after');
  const stopped = finisher.stop();
  release();
  await stopped;
});

t.test('users with names of a megabyte leave nothing of that size behind', async (t) => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const directory = t.testdir();
  const context = await sinkContext({ directory });
  const sink = new FilesSink(optionsOf(directory, '{{ tag }}/{{ tag }}.log'), context);
  await sink.open({ segments: [], isReread: true, isClean: true });
  let usedBytes = 0;
  for (let i = 0; i < 150; i++) {
    await sink.write(batchOf([{ tag: `${i}${'x'.repeat(1024 * 1024)}`, line: 'x' }]));
    await commit(sink, context);
    if (i === 20) {
      collect();
      usedBytes = process.memoryUsage().heapUsed;
    }
  }
  collect();
  const grownBytes = process.memoryUsage().heapUsed - usedBytes;
  await sink.close(true);
  t.ok(grownBytes < 20 * 1024 * 1024, `130 users left ${grownBytes} bytes`);
  t.equal(readOutputs(join(directory, 'out')).size, 150);
});
