// Rotation while the source runs.
import fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { Lumberjack } from '../../helpers/lumberjack.js';
import { Reading } from '../../helpers/file-source.js';
import { gatedFileSystem } from '../../helpers/file-system.js';

let serial = 0;
/** A line that was never written before. */
function line(length = 60): string {
  return `{"kind":"Event","auditID":"${String(++serial).padStart(8, '0')}"}`.padEnd(length, ' ');
}
/** Writes so many new lines and returns them as text. */
function write(writer: Lumberjack, count = 1, length = 60): string {
  let text = '';
  for (let i = 0; i < count; i++) {
    const next = line(length);
    writer.write(next);
    text += `${next}\n`;
  }
  return text;
}

t.test('lines are returned as they are written', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = write(writer, 3);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  for (let i = 0; i < 5; i++) {
    text += write(writer);
    await reading.readUntil(t, text);
  }
  t.equal(reading.metrics.bytesRead, text.length);
  t.match(reading.chunks[0], { kind: 'chunk', path, file: 'audit.log', offset: 0, quarantined: [] });
  t.ok(Math.abs((reading.chunks[0]?.readAtMs ?? 0) - Date.now()) < 60_000);
  await reading.stop();
});

t.test('the file is finished after a rotation, then the next one is read', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = write(writer, 3);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  text += write(writer, 2);
  const name = writer.rotate();
  text += write(writer, 2);
  await reading.readUntil(t, text);
  t.equal(reading.metrics.rotations, 1);
  t.equal(reading.metrics.gaps, 0);
  t.match(reading.path(), { current: { name: 'audit.log' }, finished: [{ stem: name }] });
  await reading.stop();
});

t.test('several rotations between two looks lose nothing and keep the order', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = write(writer, 3);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  for (let i = 0; i < 7; i++) {
    text += write(writer, i);
    writer.rotate();
  }
  text += write(writer);
  await reading.readUntil(t, text);
  t.equal(reading.metrics.rotations, 7);
  await reading.stop();
});

t.test('several rotations at once with compression and deletion of the plain file', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path, { compress: true });
  let text = write(writer, 3);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  for (let i = 0; i < 4; i++) {
    text += write(writer, 20);
    writer.rotate();
  }
  text += write(writer);
  await reading.readUntil(t, text);
  t.ok(writer.backups().every((name) => name.endsWith('.gz')));
  t.same(
    reading.path().finished.map((backup) => `${backup.stem}.gz`),
    writer.backups(),
  );
  await reading.stop();
});

t.test('the compressed form of a file that is still being read is not read again', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = write(writer, 40_000, 100);
  const reading = await Reading.start(path);
  await reading.next();
  writer.compress(writer.rotate());
  text += write(writer, 2);
  await reading.readUntil(t, text);
  // Each look compares what is new on disk with what is known.
  text += write(writer, 2);
  writer.rotate();
  text += write(writer, 2);
  await reading.readUntil(t, text);
  await reading.stop();
});

t.test('a partial gzip file beside its plain file is not looked at', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = write(writer, 3);
  writer.rotate();
  const finish = writer.beginCompress(writer.backups()[0] ?? '');
  text += write(writer, 2);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  finish();
  writer.rotate();
  text += write(writer, 2);
  await reading.readUntil(t, text);
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('files that were seen and then unlinked are still read to their end', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path, { maxBackups: 0 });
  let text = '';
  const big = new Lumberjack(path);
  for (let i = 0; i < 3; i++) {
    text += write(big, 20_000, 100);
    big.rotate();
  }
  text += write(big, 20_000, 100);
  big.close();
  const reading = await Reading.start(path);
  await reading.next();
  // Everything but the live file goes, then the live file too.
  writer.mill();
  writer.rotate();
  t.same(writer.backups(), []);
  text += write(writer, 2);
  await reading.readUntil(t, text);
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('files that rotate away while nobody reads are held by themselves', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = write(writer, 20_000, 100);
  const reading = await Reading.start(path);
  await reading.next();
  writer.rotate();
  text += write(writer, 10);
  writer.rotate();
  const total = text.length;
  // What is held counts as remaining, and no call of `next` made it so.
  await reading.readNothingWhile(
    'both files are held',
    () => reading.source.remainingBytes() < total - reading.text.length,
  );
  for (const name of writer.backups()) fs.unlinkSync(join(path, '..', name));
  text += write(writer, 2);
  await reading.readUntil(t, text);
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('a few backups between two looks, compressed and pruned behind the reader', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path, { maxBytes: 2_000, maxBackups: 20, compress: true });
  let text = write(writer);
  const reading = await Reading.start(path);
  for (let round = 0; round < 150; round++) {
    text += write(writer, 33);
    // It reads more slowly than is written, so that backups are pruned while they are unread.
    await reading.next();
  }
  await reading.readUntil(t, text);
  t.ok(reading.metrics.rotations > 150, `${reading.metrics.rotations} rotations`);
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test(
  'a last line without newline waits in the live file and is given out when the file is rotated',
  async (t) => {
    const path = join(t.testdir(), 'audit.log');
    const writer = new Lumberjack(path);
    const first = write(writer);
    writer.append('{"half":');
    const reading = await Reading.start(path);
    await reading.readUntil(t, first);
    await reading.drain();
    t.equal(reading.text, first);
    t.equal(reading.path().current?.offset, first.length);
    writer.append('1}\n{"torn":');
    await reading.readUntil(t, `${first}{"half":1}\n`);
    writer.rotate();
    const last = write(writer);
    await reading.readUntil(t, `${first}{"half":1}\n{"torn":${last}`);
    t.equal(reading.chunks.at(-2)?.data.toString(), '{"torn":');
    t.equal(reading.chunks.at(-2)?.offset, first.length + 11);
    t.equal(reading.chunks.at(-1)?.offset, 0);
    await reading.stop();
  },
);

t.test('what is written to the old file after the rename is read', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = write(writer);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  const fd = fs.openSync(path, 'a');
  writer.rename();
  await reading.drain();
  fs.writeSync(fd, 'late\n');
  text += 'late\n';
  await reading.readUntil(t, text);
  fs.writeSync(fd, 'later\n');
  fs.closeSync(fd);
  writer.create();
  text += `later\n${write(writer)}`;
  await reading.readUntil(t, text);
  t.equal(reading.path().finished.length, 1);
  t.notOk(reading.codes().includes('SOURCE_PATH_MISSING'), 'a moment without a live file is normal');
  await reading.stop();
});

t.test('the new file may get the inode of an earlier one', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path, { maxBackups: 0 });
  let text = write(writer, 5);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  const inodes = new Set<number>();
  let reused = 0;
  for (let i = 0; i < 30; i++) {
    writer.rotate();
    text += write(writer, 2);
    await reading.readUntil(t, text);
    const { ino } = fs.statSync(path);
    if (inodes.has(ino)) reused++;
    inodes.add(ino);
  }
  t.comment(`${reused} of 30 inodes were used again`);
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('two rotations within a millisecond share a name, and a held file is still read', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const now = Date.now();
  const writer = new Lumberjack(path, { now: () => now });
  let text = write(writer, 20_000, 100);
  const reading = await Reading.start(path);
  await reading.next();
  writer.rotate();
  text += write(writer, 3);
  await reading.drain();
  writer.rotate();
  text += write(writer, 3);
  await reading.readUntil(t, text);
  t.equal(reading.path().finished.length, 2);
  await reading.stop();
});

t.test('a clock that was set back does not hide a rotated file', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  let now = Date.UTC(2026, 10, 21, 12);
  const writer = new Lumberjack(path, { now: () => (now += 1000) });
  let text = write(writer, 3);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  for (let i = 0; i < 3; i++) {
    writer.rotate();
    text += write(writer, 3);
    await reading.readUntil(t, text);
  }
  now -= 3_600_000;
  writer.rotate();
  text += write(writer, 3);
  writer.rotate();
  text += write(writer, 3);
  await reading.readUntil(t, text);
  t.equal(reading.path().finished.length, 5);
  await reading.stop();
});

t.test('names without an extension are backups too', async (t) => {
  const path = join(t.testdir(), 'kube-audit');
  const writer = new Lumberjack(path, { compress: true });
  let text = write(writer, 3);
  writer.rotate();
  text += write(writer, 3);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  writer.rotate();
  text += write(writer, 3);
  await reading.readUntil(t, text);
  await reading.stop();
});

t.test('a file is told from the compressed next one that begins alike', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const header = `${'='.repeat(2_000)}\n`;
  const writer = new Lumberjack(path);
  writer.append(header);
  let text = header + write(writer, 2);
  const reading = await Reading.start(path);
  await reading.readUntil(t, text);
  // The first one is compressed and pruned before anybody looks: it has no name then. The second is not it.
  const first = writer.rotate();
  fs.unlinkSync(join(path, '..', first));
  writer.append(header);
  text += header + write(writer, 5);
  writer.compress(writer.rotate());
  text += write(writer);
  await reading.readUntil(t, text);
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('finished backups that are pruned while they are looked at are no gap', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = '';
  for (let i = 0; i < 5; i++) {
    text += write(writer, 2);
    writer.rotate();
  }
  const [oldest = ''] = writer.backups();
  let isArmed = false;
  const gated = gatedFileSystem((operation, name) => {
    if (isArmed && operation === 'open' && String(name).endsWith(oldest))
      fs.rmSync(String(name), { force: true });
  });
  const reading = await Reading.start(path, { fs: gated });
  await reading.readUntil(t, text);
  isArmed = true;
  writer.rotate();
  text += write(writer);
  await reading.readUntil(t, text);
  t.notOk(writer.backups().includes(oldest));
  t.equal(reading.metrics.gaps, 0);
  await reading.stop();
});

t.test('an unread backup that is pruned while it is looked at is a gap', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = write(writer, 2);
  let lost = '';
  const gated = gatedFileSystem((operation, name) => {
    if (operation === 'open' && lost !== '' && String(name).endsWith(lost))
      fs.rmSync(String(name), { force: true });
  });
  const reading = await Reading.start(path, { fs: gated });
  await reading.readUntil(t, text);
  writer.rotate();
  write(writer, 2);
  lost = writer.rotate();
  text += write(writer);
  await reading.readUntil(t, text);
  t.match(reading.path().gaps, [{ reason: 'pruned', file: lost, offset: 0 }]);
  await reading.stop();

  const again = await Reading.start(path);
  lost = writer.backups()[0] ?? '';
  t.equal(again.metrics.gaps, 0);
  await again.stop();
  const third = await Reading.start(path, { fs: gated });
  t.match(third.path().gaps, [{ reason: 'pruned', file: lost }], 'at the start as well');
  await third.stop();
});

t.test('a signalled rotation is held at once, without waiting for the next round', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  const writer = new Lumberjack(path);
  let text = write(writer, 20_000, 100);
  t.intercept(globalThis, 'setInterval', { value: () => undefined });
  const reading = await Reading.start(path);
  await reading.next();
  const before = reading.source.remainingBytes();
  // Rotated more than once, because the watch is not there at once.
  await reading.readNothingWhile('a rotated file is held', () => {
    text += write(writer, 1);
    writer.rotate();
    return reading.source.remainingBytes() === before;
  });
  await reading.readUntil(t, text);
  await reading.stop();
});
