// Files that are missing, cut, damaged or unreadable.
import fs from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import type { FileSystem } from '../../../src/file-system.js';
import { Reading } from '../../helpers/file-source.js';
import { gatedFileSystem, systemError, wrapFileSystem } from '../../helpers/file-system.js';
import { Lumberjack } from '../../helpers/lumberjack.js';

t.test('a path that does not exist is told once and waited for, with its directory', async (t) => {
  const path = join(t.testdir(), 'not', 'yet', 'audit.log');
  const reading = await Reading.start(path);
  for (let i = 0; i < 10; i++) await reading.drain();
  t.match(
    reading.logs.filter((line) => line.code === 'SOURCE_PATH_MISSING'),
    { length: 1, 0: { level: 40, path } },
  );
  t.same(reading.path(), {
    path,
    current: null,
    finishedThrough: null,
    finished: [],
    gaps: [],
    gapCount: 0,
  });
  const writer = new Lumberjack(path);
  writer.write('first');
  await reading.readUntil(t, 'first\n');
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('a directory that is replaced is followed anew', async (t) => {
  const root = t.testdir({ log: {} });
  const path = join(root, 'log', 'audit.log');
  const writer = new Lumberjack(path);
  writer.write('old');
  const reading = await Reading.start(path);
  await reading.readUntil(t, 'old\n');
  writer.close();
  fs.renameSync(join(root, 'log'), join(root, 'moved'));
  fs.mkdirSync(join(root, 'log'));
  await reading.drain();
  writer.write('new');
  await reading.readUntil(t, 'old\nnew\n');
  await reading.stop();
});

t.test('a file that is still written to long after its path is gone is an error', async (t) => {
  const path = join(t.testdir({ 'audit.log': 'a\n' }), 'audit.log');
  let nowMs = 0;
  t.intercept(performance, 'now', { value: () => nowMs });
  const reading = await Reading.start(path, { pollIntervalMs: 0 });
  await reading.drain();
  const fd = fs.openSync(path, 'a');
  fs.unlinkSync(path);
  const append = async (text: string): Promise<void> => {
    fs.writeSync(fd, text);
    await reading.drain();
  };
  await append('b\n');
  nowMs += 9_000;
  await append('c\n');
  t.notOk(reading.codes().includes('SOURCE_PATH_MISSING'), 'not at once');
  nowMs += 2_000;
  await append('d\n');
  await append('e\n');
  t.match(
    reading.logs.filter((line) => line.code === 'SOURCE_PATH_MISSING'),
    { length: 1, 0: { level: 50, path } },
  );
  nowMs += 11_000;
  await append('f\n');
  t.match(
    reading.logs.filter((line) => line.code === 'SOURCE_PATH_MISSING'),
    { length: 2, 1: { left_out: 1 } },
  );
  t.equal(reading.text, 'a\nb\nc\nd\ne\nf\n', 'and every line is returned');
  fs.closeSync(fd);
  await reading.stop();
});

t.test('a file that is deleted and created anew is read to its end first', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  writer.write('a');
  const reading = await Reading.start(path);
  await reading.readUntil(t, 'a\n');
  writer.write('b');
  fs.unlinkSync(path);
  writer.create();
  writer.write('c');
  await reading.readUntil(t, 'a\nb\nc\n');
  await reading.stop();
});

t.test(
  'truncation is a gap; what was read of the last line is given out, then the file from its beginning',
  async (t) => {
    const path = join(t.testdir({ 'audit.log': 'one\ntwo\nhal' }), 'audit.log');
    const reading = await Reading.start(path);
    await reading.readUntil(t, 'one\ntwo\n');
    fs.truncateSync(path);
    fs.appendFileSync(path, 'x\n');
    await reading.readUntil(t, 'one\ntwo\nhalx\n');
    t.same(
      reading.chunks.map((chunk) => [chunk.data.toString(), chunk.offset]),
      [
        ['one\ntwo\n', 0],
        ['hal', 8],
        ['x\n', 0],
      ],
    );
    t.match(reading.path().gaps, [{ reason: 'truncated', file: 'audit.log', offset: 11 }]);
    t.ok(reading.codes().includes('SOURCE_GAP'));
    t.equal(reading.metrics.gaps, 1);
    t.equal(reading.metrics.bytesRead, 13);
    await reading.stop();
  },
);

t.test('a file that was truncated and is longer again is found out by its content', async (t) => {
  const path = join(t.testdir({ 'audit.log': 'one\ntwo\n' }), 'audit.log');
  const reading = await Reading.start(path);
  await reading.readUntil(t, 'one\ntwo\n');
  await reading.drain();
  fs.writeFileSync(path, 'three\nfour\nfive\n');
  await reading.readUntil(t, 'one\ntwo\nthree\nfour\nfive\n');
  t.match(reading.path().gaps, [{ reason: 'replaced', offset: 8 }]);
  await reading.stop();
});

t.test('of the gaps the newest hundred are kept and all are counted', async (t) => {
  const path = join(t.testdir({ 'audit.log': 'x\n' }), 'audit.log');
  const reading = await Reading.start(path);
  await reading.drain();
  let text = 'x\n';
  for (let i = 0; i < 103; i++) {
    fs.truncateSync(path);
    await reading.drain();
    fs.writeFileSync(path, `${i}\n`);
    text += `${i}\n`;
    await reading.readUntil(t, text);
  }
  t.equal(reading.path().gaps.length, 100);
  t.equal(reading.path().gapCount, 103);
  await reading.stop();
});

t.test('a line that is too long is quarantined, and the file goes on', async (t) => {
  const long = 'y'.repeat(200_000);
  const path = join(t.testdir({ 'audit.log': `a\n${long}\nb\n` }), 'audit.log');
  const reading = await Reading.start(path, { maxLineBytes: 1_000 });
  await reading.readUntil(t, 'a\nb\n');
  const quarantined = reading.chunks.flatMap((chunk) => chunk.quarantined);
  t.match(quarantined, [{ reason: 'too_long', path, offset: 2, length: 200_000 }]);
  t.equal(quarantined[0]?.raw.toString(), long.slice(0, 65_536));
  t.equal(reading.metrics.bytesRead, fs.statSync(path).size);
  t.equal(reading.source.remainingBytes(), 0);
  const again = await Reading.start(path, { position: await reading.stop(), maxLineBytes: 1_000 });
  await again.drain();
  t.same(again.chunks, []);
  t.equal(again.metrics.gaps, 0);
  await again.stop();
});

t.test('a hole of NUL bytes is quarantined apart from the event behind it', async (t) => {
  const path = join(t.testdir({ 'audit.log': '' }), 'audit.log');
  fs.writeFileSync(path, Buffer.concat([Buffer.alloc(5_000), Buffer.from('{"a":1}\n{"a":2}\n')]));
  const reading = await Reading.start(path, { maxLineBytes: 1_000 });
  await reading.readUntil(t, '{"a":1}\n{"a":2}\n');
  t.match(
    reading.chunks.flatMap((chunk) => chunk.quarantined),
    [{ reason: 'torn', offset: 0, length: 5_000 }],
  );
  await reading.stop();
});

t.test('a gzip file that breaks off gives what inflates, then a gap, then the next file', async (t) => {
  const text = Array.from({ length: 5_000 }, (_, i) => `line ${i} ${(i * 7919) % 10_007}\n`).join('');
  const compressed = gzipSync(text);
  const directory = t.testdir({ 'audit.log': 'live\n' });
  const name = 'audit-2026-11-21T09-36-03.287.log.gz';
  fs.writeFileSync(join(directory, name), compressed.subarray(0, compressed.length / 2));
  const reading = await Reading.start(join(directory, 'audit.log'));
  await reading.readWhile('the live file was read', () => !reading.text.endsWith('live\n'));
  const got = reading.text.slice(0, -5);
  t.ok(text.startsWith(got) && got.length > 10_000, `${got.length} of ${text.length}`);
  t.match(reading.path().gaps, [
    { reason: 'damaged', file: name, offset: got.length, detail: /unexpected end/ },
  ]);
  const again = await Reading.start(join(directory, 'audit.log'), { position: await reading.stop() });
  await again.drain();
  t.equal(again.text, '');
  t.equal(again.metrics.gaps, 0);
  await again.stop();
});

t.test('an empty gzip file holds nothing up', async (t) => {
  const directory = t.testdir({ 'audit.log': 'live\n', 'audit-2026-11-21T09-36-03.287.log.gz': '' });
  const reading = await Reading.start(join(directory, 'audit.log'));
  await reading.readUntil(t, 'live\n');
  t.match(reading.path().gaps, [{ reason: 'damaged', offset: 0 }]);
  const again = await Reading.start(join(directory, 'audit.log'), { position: await reading.stop() });
  await again.drain();
  t.equal(again.metrics.gaps, 0);
  await again.stop();
});

t.test('a read error is told once, and reading goes on at the same place', async (t) => {
  const path = join(t.testdir({ 'audit.log': 'a\nb\n' }), 'audit.log');
  let failing = true;
  const files = gatedFileSystem((operation) => {
    if (failing && operation === 'read') throw systemError('EIO');
  });
  const reading = await Reading.start(path, { fs: files });
  for (let i = 0; i < 20; i++) await reading.drain();
  t.match(
    reading.logs.filter((line) => line.code === 'SOURCE_READ'),
    { length: 1, 0: { level: 50, path } },
  );
  failing = false;
  await reading.readUntil(t, 'a\nb\n');
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('a descriptor that went stale is replaced by a new one of the same file', async (t) => {
  const path = join(t.testdir({ 'audit.log': 'a\nb' }), 'audit.log');
  const stale = new Set<unknown>();
  const opened: number[] = [];
  const files = gatedFileSystem((operation, fd) => {
    if (operation === 'read' && stale.has(fd)) throw systemError('ESTALE');
    if (operation === 'fstat') opened.push(Number(fd));
  });
  const reading = await Reading.start(path, { fs: files });
  await reading.readUntil(t, 'a\n');
  for (const fd of opened) stale.add(fd);
  fs.appendFileSync(path, 'c\n');
  await reading.readUntil(t, 'a\nbc\n');
  await reading.stop();
});

t.test('a file that may not be opened is tried again, and nothing newer is read before it', async (t) => {
  const directory = t.testdir({ 'audit.log': 'live\n' });
  const name = 'audit-2026-11-21T09-36-03.287.log';
  fs.writeFileSync(join(directory, name), 'backup\n');
  let denied = true;
  const files = gatedFileSystem((operation, path) => {
    if (denied && operation === 'open' && path === join(directory, name)) throw systemError('EACCES');
  });
  const reading = await Reading.start(join(directory, 'audit.log'), { fs: files });
  for (let i = 0; i < 5; i++) await reading.drain();
  t.same(reading.chunks, []);
  t.same(reading.source.position(), { paths: [] }, 'no position says that anything was begun');
  t.equal(reading.codes().filter((code) => code === 'SOURCE_READ').length, 1);
  denied = false;
  await reading.readUntil(t, 'backup\nlive\n');
  await reading.stop();
});

t.test('a stored position survives a run in which nothing could be opened', async (t) => {
  const path = join(t.testdir({ 'audit.log': 'a\nb\n' }), 'audit.log');
  const first = await Reading.start(path);
  await first.readUntil(t, 'a\nb\n');
  const position = await first.stop();
  const files = gatedFileSystem((operation) => {
    if (operation === 'open') throw systemError('EACCES');
  });
  const second = await Reading.start(path, { position, fs: files });
  await second.drain();
  t.same(await second.stop(), position);
});

t.test('a new file that may not be opened does not let the old one be given up', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  writer.write('a');
  let denied = false;
  const files = gatedFileSystem((operation, name) => {
    if (denied && operation === 'open' && name === path) throw systemError('EACCES');
  });
  const reading = await Reading.start(path, { fs: files });
  await reading.readUntil(t, 'a\n');
  denied = true;
  writer.write('b');
  writer.rotate();
  writer.write('c');
  for (let i = 0; i < 5; i++) await reading.drain();
  denied = false;
  await reading.readUntil(t, 'a\nb\nc\n');
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('a directory in the place of the file is a fault that is waited for', async (t) => {
  const path = join(t.testdir({ 'audit.log': {} }), 'audit.log');
  const reading = await Reading.start(path);
  await reading.drain();
  t.match(
    reading.logs.filter((line) => line.code === 'SOURCE_READ'),
    { length: 1, 0: { msg: /not a regular file/ } },
  );
  fs.rmdirSync(path);
  fs.writeFileSync(path, 'a\n');
  await reading.readUntil(t, 'a\n');
  await reading.stop();
});

t.test('after a stop, a directory that appears later is waited for, and nothing is read twice', async (t) => {
  const root = t.testdir({ log: {} });
  const path = join(root, 'log', 'audit.log');
  const writer = new Lumberjack(path);
  writer.write('a');
  writer.rotate();
  writer.write('b');
  const first = await Reading.start(path);
  await first.readUntil(t, 'a\nb\n');
  const position = await first.stop();
  writer.write('c');
  writer.close();
  fs.renameSync(join(root, 'log'), join(root, 'unmounted'));
  const second = await Reading.start(path, { position });
  for (let i = 0; i < 5; i++) await second.drain();
  t.same(second.source.position(), position, 'the place is kept');
  t.match(
    second.logs.filter((line) => line.code === 'SOURCE_PATH_MISSING'),
    { length: 1, 0: { level: 40, path } },
  );
  t.equal(second.metrics.pathsMissing, 1);
  fs.renameSync(join(root, 'unmounted'), join(root, 'log'));
  await second.readUntil(t, 'c\n');
  t.equal(second.metrics.gaps, 0);
  await second.readNothingWhile('the path counts as there', () => second.metrics.pathsMissing > 0);
  await second.stop();
});

/** Descriptors that are open when `go` is called are stale from then on. */
function staleable(): { files: FileSystem; go: () => void } {
  const opened = new Set<unknown>();
  const stale = new Set<unknown>();
  const files = wrapFileSystem(async (name, args, run) => {
    if ((name === 'read' || name === 'fstat') && stale.has(args[0])) throw systemError('ESTALE');
    const result = await run(args);
    if (name === 'open') opened.add(result);
    if (name === 'close') for (const set of [opened, stale]) set.delete(args[0]);
    return result;
  });
  const go = (): void => {
    for (const fd of opened) stale.add(fd);
  };
  return { files, go };
}

t.test('a stale file whose path leads to another one is a gap, and reading goes on with that', async (t) => {
  const path = join(t.testdir({ 'audit.log': 'a\nb' }), 'audit.log');
  const { files, go } = staleable();
  const reading = await Reading.start(path, { fs: files });
  await reading.readUntil(t, 'a\n');
  fs.unlinkSync(path);
  go();
  for (let i = 0; i < 3; i++) await reading.drain();
  fs.writeFileSync(path, 'new\n');
  await reading.readUntil(t, 'a\nnew\n');
  t.match(reading.path().gaps, [{ reason: 'pruned', offset: 2, detail: /ESTALE/ }]);
  await reading.stop();
});

t.test('a stale file whose content is at its path again is gone on with there', async (t) => {
  const path = join(t.testdir({ 'audit.log': 'a\nb\n' }), 'audit.log');
  const { files, go } = staleable();
  const reading = await Reading.start(path, { fs: files });
  await reading.readUntil(t, 'a\nb\n');
  fs.copyFileSync(path, `${path}.new`);
  fs.renameSync(`${path}.new`, path);
  go();
  fs.appendFileSync(path, 'c\n');
  await reading.readUntil(t, 'a\nb\nc\n');
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});
