// Going on after a stop, whatever happened to the files meanwhile. What the decision is, is in resume.test.ts.
import fs from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import t from 'tap';
import type { Test } from 'tap';
import { Reading } from '../../helpers/file-source.js';
import type { ReadingOptions } from '../../helpers/file-source.js';
import { Lumberjack } from '../../helpers/lumberjack.js';
import type { LumberjackOptions } from '../../helpers/lumberjack.js';

let serial = 0;
function lines(count: number, length = 100): string {
  let text = '';
  for (let i = 0; i < count; i++)
    text += `{"auditID":"${String(++serial).padStart(8, '0')}"}`.padEnd(length - 1, ' ') + '\n';
  return text;
}

interface Scene {
  directory: string;
  path: string;
  writer: Lumberjack;
  /** Adds whole lines to the live file. */
  write: (count: number) => string;
}
function scene(t: Test, options: LumberjackOptions = {}): Scene {
  const directory = t.testdir({ log: {} });
  const path = join(directory, 'log', 'audit.log');
  const writer = new Lumberjack(path, options);
  const write = (count: number): string => {
    const text = lines(count);
    writer.append(text);
    return text;
  };
  return { directory: join(directory, 'log'), path, writer, write };
}

/** Reads one chunk, so that the file is left in its middle, and returns a reading that is stopped. */
async function readPart(path: string, options: ReadingOptions = {}) {
  const reading = await Reading.start(path, { ...options, maxLineBytes: 3_000 });
  await reading.next();
  await reading.next();
  const position = await reading.stop();
  return { text: reading.text, position };
}

t.test('nothing is returned twice after a stop in the middle, at any line', async (t) => {
  const { path, write, writer } = scene(t);
  const text = write(500);
  writer.rotate();
  const all = text + write(500);
  let read = '';
  let position;
  for (let i = 0; i < 60; i++) {
    const reading = await Reading.start(path, { position, maxLineBytes: 3_000 });
    await reading.next();
    position = await reading.stop();
    read += reading.text;
  }
  t.equal(read, all);
});

t.test('a file that was rotated while stopped is gone on with, then the next ones', async (t) => {
  const { path, write, writer } = scene(t);
  let text = write(100);
  const { text: read, position } = await readPart(path);
  for (let i = 0; i < 3; i++) {
    writer.rotate();
    text += write(i);
  }
  const reading = await Reading.start(path, { position });
  await reading.readUntil(t, text.slice(read.length));
  t.ok(read.length > 0 && read.length < text.length);
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('a file that was compressed while stopped is gone on with in its compressed form', async (t) => {
  const { path, write, writer } = scene(t, { compress: true });
  let text = write(100);
  const { text: read, position } = await readPart(path);
  writer.rotate();
  text += write(100);
  writer.rotate();
  text += write(3);
  const reading = await Reading.start(path, { position });
  await reading.readUntil(t, text.slice(read.length));
  t.equal(reading.chunks[0]?.offset, read.length, 'offsets are those of the content');
  t.match(reading.chunks[0]?.file, /\.gz$/);
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('a stop in the middle of a compressed file is gone on with', async (t) => {
  const { path, write, writer } = scene(t, { compress: true });
  const text = write(3_000);
  writer.rotate();
  let read = '';
  let position;
  for (let i = 0; i < 10; i++) {
    const part = await readPart(path, { position });
    read += part.text;
    position = part.position;
  }
  t.ok(read.length < text.length);
  const reading = await Reading.start(path, { position });
  await reading.readUntil(t, text.slice(read.length));
  await reading.stop();
});

t.test('finished backups are not read again, plain, compressed or restored as copies', async (t) => {
  const { path, directory, write, writer } = scene(t);
  let text = write(10);
  writer.rotate();
  text += write(100);
  writer.rotate();
  text += write(10);
  const first = await Reading.start(path);
  await first.readUntil(t, text);
  let position = await first.stop();
  writer.compress(writer.backups()[0] ?? '');

  const second = await Reading.start(path, { position });
  const more = write(1);
  await second.readUntil(t, more);
  position = await second.stop();

  // As after restoring a snapshot: the same names and contents, other inodes.
  for (const name of fs.readdirSync(directory)) {
    fs.copyFileSync(join(directory, name), join(directory, `${name}.copy`));
    fs.renameSync(join(directory, `${name}.copy`), join(directory, name));
  }
  writer.close();
  const third = await Reading.start(path, { position });
  const evenMore = write(1);
  await third.readUntil(t, evenMore);
  t.equal(third.metrics.gaps, 0);
  await third.stop();
});

t.test('the last backup was compressed after it had been finished', async (t) => {
  const { path, write, writer } = scene(t);
  let text = write(100);
  const first = await Reading.start(path);
  await first.readUntil(t, text);
  const name = writer.rotate();
  const more = write(5);
  text += more;
  await first.readUntil(t, text);
  const position = await first.stop();
  writer.compress(name);
  const second = await Reading.start(path, { position });
  await second.drain();
  t.equal(second.text, '');
  await second.stop();
});

t.test('the inode of the file that was read belongs to a new live file', async (t) => {
  const { path, directory, write, writer } = scene(t);
  const old = write(20);
  const first = await Reading.start(path);
  await first.readUntil(t, old);
  const position = await first.stop();
  const { ino } = fs.statSync(path);
  const rest = write(5);
  // A rotation in which the inodes go as they did on a genuine server: the content moves to a compressed file, and
  // the new live file gets the inode that became free.
  writer.close();
  const content = fs.readFileSync(path);
  fs.writeFileSync(join(directory, 'audit-2026-11-21T09-36-03.287.log.gz'), gzipSync(content));
  fs.truncateSync(path);
  const fresh = lines(40);
  fs.writeFileSync(path, fresh);
  t.equal(fs.statSync(path).ino, ino);
  const second = await Reading.start(path, { position });
  await second.readUntil(t, rest + fresh);
  t.equal(second.metrics.gaps, 0);
  await second.stop();
});

t.test(
  'a backup that was pruned while stopped is a gap, and reading goes on with the oldest one left',
  async (t) => {
    const { path, directory, write, writer } = scene(t);
    write(100);
    const { text: read, position } = await readPart(path);
    writer.rotate();
    write(10);
    writer.rotate();
    const kept = write(10);
    writer.rotate();
    const last = write(10);
    for (const name of writer.backups().slice(0, 2)) fs.unlinkSync(join(directory, name));
    const reading = await Reading.start(path, { position });
    await reading.readUntil(t, kept + last);
    const { gaps, gapCount } = reading.path();
    t.match(gaps, [
      { reason: 'pruned', file: 'audit.log', offset: read.length, detail: /audit-/, time: /^2.*Z$/ },
    ]);
    t.equal(gapCount, 1);
    t.equal(reading.metrics.gaps, 1);
    t.match(
      reading.logs.filter((line) => line.code === 'SOURCE_GAP'),
      [{ level: 50, reason: 'pruned', path }],
    );
    const again = await Reading.start(path, { position: await reading.stop() });
    t.equal(again.path().gapCount, 1, 'the gap is kept, and not found again');
    t.equal(again.metrics.gaps, 0);
    await again.stop();
  },
);

t.test('a live file that was truncated while stopped is a gap, and is read from its beginning', async (t) => {
  const { path, write, writer } = scene(t);
  const text = write(100);
  const { position } = await readPart(path);
  writer.close();
  fs.truncateSync(path);
  const fresh = write(1);
  const reading = await Reading.start(path, { position });
  await reading.readUntil(t, fresh);
  t.match(reading.path().gaps, [{ reason: 'truncated', file: 'audit.log' }]);
  t.ok(text.length > 0);
  await reading.stop();
});

t.test('files shorter than a fingerprint are told apart', async (t) => {
  const { path, writer } = scene(t);
  writer.write('1');
  const first = await Reading.start(path);
  await first.readUntil(t, '1\n');
  const position = await first.stop();
  writer.rotate();
  writer.write('2');
  writer.rotate();
  writer.write('3');
  const second = await Reading.start(path, { position });
  await second.readUntil(t, '2\n3\n');
  t.equal(second.metrics.gaps, 0);
  t.equal(second.path().finished.length, 2);
  await second.stop();
});

t.test(
  'an unfinished last line is returned after a restart, once it is complete or its file is rotated',
  async (t) => {
    const { path, writer } = scene(t);
    writer.append('whole\n{"begun":');
    const first = await Reading.start(path);
    await first.readUntil(t, 'whole\n');
    let position = await first.stop();
    writer.append('1}\n{"again":');
    const second = await Reading.start(path, { position });
    await second.readUntil(t, '{"begun":1}\n');
    position = await second.stop();
    writer.rotate();
    const third = await Reading.start(path, { position });
    await third.readUntil(t, '{"again":');
    t.equal(third.chunks[0]?.offset, 18);
    await third.stop();
  },
);

t.test('the clock was set back while stopped: what was rotated since is read', async (t) => {
  let now = Date.UTC(2026, 10, 21, 12);
  const { path, writer, write } = scene(t, { now: () => (now += 1000) });
  let text = write(3);
  writer.rotate();
  text += write(3);
  const first = await Reading.start(path);
  await first.readUntil(t, text);
  const position = await first.stop();
  now -= 3_600_000;
  const rest = write(2);
  writer.rotate();
  const next = write(3);
  writer.rotate();
  const last = write(3);
  const second = await Reading.start(path, { position });
  await second.readUntil(t, rest + next + last);
  await second.stop();
  t.equal(second.metrics.gaps, 0);
});

t.test('a live file that is missing at the start, in the middle of a rotation, is waited for', async (t) => {
  const { path, writer, write } = scene(t);
  const text = write(10);
  const first = await Reading.start(path);
  await first.readUntil(t, text);
  const rest = write(1);
  const position = await first.stop();
  writer.rename();
  const second = await Reading.start(path, { position });
  await second.readUntil(t, rest);
  writer.create();
  const next = write(2);
  await second.readUntil(t, rest + next);
  await second.stop();
  t.equal(second.metrics.gaps, 0);
});

t.test(
  'a compressed backup that broke off before the place where reading stopped is a gap, and not read again',
  async (t) => {
    const { path, directory, writer, write } = scene(t);
    const text = write(2_000);
    const first = await Reading.start(path);
    await first.readUntil(t, text);
    const position = await first.stop();
    const name = writer.rotate();
    writer.compress(name);
    const last = write(2);
    const compressed = fs.readFileSync(join(directory, `${name}.gz`));
    t.equal(gunzipSync(compressed).toString(), text);
    fs.writeFileSync(join(directory, `${name}.gz`), compressed.subarray(0, compressed.length / 2));
    const second = await Reading.start(path, { position });
    await second.readUntil(t, last);
    t.match(second.path().gaps, [{ reason: 'damaged' }]);
    const third = await Reading.start(path, { position: await second.stop() });
    await third.drain();
    t.equal(third.text, '');
    await third.stop();
  },
);

t.test('what is held on a first start but not begun is read after a restart', async (t) => {
  const { path, writer, write } = scene(t);
  let text = '';
  for (let i = 0; i < 5; i++) {
    text += write(30);
    writer.rotate();
  }
  text += write(30);
  const { text: read, position } = await readPart(path);
  const reading = await Reading.start(path, { position });
  await reading.readUntil(t, text.slice(read.length));
  await reading.stop();
  t.ok(read.length > 0);
});

t.test('more backups than descriptors are held are all read', { timeout: 60_000 }, async (t) => {
  const { path, writer, write } = scene(t);
  let text = '';
  for (let i = 0; i < 600; i++) {
    text += write(1);
    writer.rotate();
  }
  const reading = await Reading.start(path);
  const held = fs.readdirSync('/proc/self/fd').length;
  t.ok(held < 320, `${held} descriptors`);
  await reading.next();
  // Those that are not held may still be compressed.
  for (const name of writer.backups().slice(-50)) writer.compress(name);
  await reading.readUntil(t, text);
  const { finished, finishedThrough } = reading.path();
  t.equal(finished.length, 256);
  t.type(finishedThrough, 'string');
  const again = await Reading.start(path, { position: await reading.stop() });
  await again.drain();
  t.equal(again.text, '');
  await again.stop();
});

t.test('a backup beyond those that are held is a gap when it is pruned', async (t) => {
  const { path, directory, writer, write } = scene(t);
  let text = '';
  for (let i = 0; i < 259; i++) {
    text += write(1);
    writer.rotate();
  }
  const reading = await Reading.start(path);
  fs.unlinkSync(join(directory, writer.backups()[257] ?? ''));
  const lost = 257 * 100;
  await reading.readUntil(t, text.slice(0, lost) + text.slice(lost + 100));
  t.match(reading.path().gaps, [{ reason: 'pruned', offset: 0 }]);
  await reading.stop();
});

t.test('a copy of the live file under the name of a backup is a file of its own', async (t) => {
  const { path, directory, write, writer } = scene(t);
  let text = write(10);
  fs.copyFileSync(path, join(directory, 'audit-2026-11-21T09-36-03.287.log'));
  const first = await Reading.start(path);
  await first.readUntil(t, text + text);
  text += text + write(2);
  await first.readUntil(t, text);
  writer.rotate();
  text += write(2);
  await first.readUntil(t, text);
  const position = await first.stop();
  const second = await Reading.start(path, { position });
  const last = write(1);
  await second.readUntil(t, last);
  await second.stop();
});

t.test('of two files with the content, the one with the inode is gone on with', async (t) => {
  const { path, directory, write, writer } = scene(t);
  const text = write(100);
  const { text: read, position } = await readPart(path);
  const rest = text.slice(read.length);
  const name = writer.rotate();
  fs.copyFileSync(join(directory, name), join(directory, 'audit-2020-11-21T09-36-03.287.log'));
  const reading = await Reading.start(path, { position });
  await reading.readUntil(t, rest + text);
  t.equal(reading.chunks[0]?.file, name);
  t.equal(reading.chunks[0]?.offset, read.length);
  await reading.stop();
});
