// Which paths are followed, from where on, how long, and how the source waits and ends.
import { getEventListeners } from 'node:events';
import fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { FieldRegistry } from '../../../src/event/fields.js';
import { nodeFileSystem } from '../../../src/file-system.js';
import { silentLogger } from '../../../src/log.js';
import { createMetrics } from '../../../src/metrics.js';
import { fileSource, FileSource } from '../../../src/source/file/index.js';
import { Reading } from '../../helpers/file-source.js';
import { Lumberjack } from '../../helpers/lumberjack.js';

const BACKUP = 'audit-2026-11-21T09-36-03.287.log';

t.test(
  'a glob follows each live file with its backups, which it does not follow by themselves',
  async (t) => {
    const root = t.testdir({
      a: { 'audit.log': 'a2\n', [BACKUP]: 'a1\n', 'other.txt': 'no\n' },
      b: { 'audit.log': 'b\n' },
      c: {},
    });
    const reading = await Reading.start(join(root, '*', '*.log'));
    await reading.readWhile('both were read', () => reading.text.length < 8);
    const textOf = (name: string): string =>
      reading.textOf((chunk) => chunk.path === join(root, name, 'audit.log'));
    t.equal(textOf('a'), 'a1\na2\n');
    t.equal(textOf('b'), 'b\n');
    t.equal(reading.source.position().paths.length, 2);
    fs.writeFileSync(join(root, 'c', 'audit.log'), 'c\n');
    await reading.readWhile('the new file was found', () => textOf('c') !== 'c\n');
    await reading.stop();
  },
);

t.test('a backup that is named literally is followed as a file', async (t) => {
  const root = t.testdir({ [BACKUP]: 'old\n', 'audit.log': 'new\n' });
  const reading = await Reading.start(join(root, BACKUP));
  await reading.readUntil(t, 'old\n');
  await reading.drain();
  t.equal(reading.text, 'old\n');
  await reading.stop();
});

t.test('a path that is named and matched is followed once', async (t) => {
  const root = t.testdir({ 'audit.log': 'a\n' });
  const path = join(root, 'audit.log');
  const reading = await Reading.start([path, join(root, '*.log'), path]);
  await reading.drain();
  t.equal(reading.text, 'a\n');
  await reading.stop();
});

t.test('paths take turns', async (t) => {
  const line = `${'x'.repeat(99)}\n`;
  const root = t.testdir({ a: line.repeat(200), b: line.repeat(200) });
  const reading = await Reading.start([join(root, 'a'), join(root, 'b')], { maxLineBytes: 1_000 });
  for (let i = 0; i < 10; i++) await reading.next();
  const ofA = reading.chunks.filter((chunk) => chunk.path.endsWith('a')).length;
  t.equal(ofA, 5);
  await reading.stop();
});

t.test(
  'a matched path whose live file is missing at the start is followed, its backups are read',
  async (t) => {
    const root = t.testdir({ a: {} });
    const path = join(root, 'a', 'audit.log');
    const writer = new Lumberjack(path);
    writer.write('1');
    const first = await Reading.start(join(root, '*', 'audit.log'));
    await first.readUntil(t, '1\n');
    const position = await first.stop();
    writer.write('2');
    writer.rename();
    const second = await Reading.start(join(root, '*', 'audit.log'), { position });
    await second.readUntil(t, '2\n');
    await second.stop();
  },
);

t.test('the position of a path that is not followed any more is kept', async (t) => {
  const root = t.testdir({ a: 'a\n', b: 'b\n' });
  const first = await Reading.start([join(root, 'a'), join(root, 'b')]);
  await first.drain();
  const position = await first.stop();
  const second = await Reading.start(join(root, 'a'), { position });
  t.same(await second.stop(), position);
});

t.test('read_from end leaves out what exists, backups too, and returns what comes', async (t) => {
  const root = t.testdir({ 'audit.log': 'old\nhalf', [BACKUP]: 'older\n' });
  const path = join(root, 'audit.log');
  const first = await Reading.start(path, { readFrom: 'end' });
  await first.drain();
  t.equal(first.text, '');
  fs.appendFileSync(path, ' a line\nnew\n');
  await first.readUntil(t, 'half a line\nnew\n');
  t.match(first.path().finished, [{ stem: BACKUP }]);
  const position = await first.stop();
  fs.appendFileSync(path, 'while stopped\n');
  const second = await Reading.start(path, { readFrom: 'end', position });
  await second.readUntil(t, 'while stopped\n');
  await second.stop();
});

t.test('read_from end does not leave out a file that comes later', async (t) => {
  const root = t.testdir();
  const path = join(root, 'audit.log');
  const reading = await Reading.start([path, join(root, '*.txt')], { readFrom: 'end' });
  await reading.drain();
  fs.writeFileSync(path, 'named\n');
  fs.writeFileSync(join(root, 'b.txt'), 'matched\n');
  await reading.readWhile('both were read', () => reading.text.length < 14);
  const position = await reading.stop();
  fs.writeFileSync(join(root, 'c.txt'), 'came while stopped\n');
  const second = await Reading.start([path, join(root, '*.txt')], { readFrom: 'end', position });
  await second.readUntil(t, 'came while stopped\n');
  await second.stop();
});

t.test('once: everything that exists is returned, then it is finished', async (t) => {
  const root = t.testdir({ 'audit.log': 'live\nhalf', [BACKUP]: 'backup\n' });
  const path = join(root, 'audit.log');
  const reading = await Reading.start([path, join(root, 'missing.log')], { once: true });
  t.notOk(reading.source.isFinished());
  t.equal(reading.source.remainingBytes(), 16);
  await reading.drain();
  t.equal(reading.text, 'backup\nlive\n');
  t.ok(reading.source.isFinished());
  t.equal(reading.source.remainingBytes(), 4);
  const position = await reading.stop();
  fs.appendFileSync(path, ' of it\n');
  const second = await Reading.start(path, { once: true, position });
  await second.drain();
  t.equal(second.text, 'half of it\n');
  await second.stop();
});

t.test(
  'once: it ends although the writer never stops, and although the file is rotated meanwhile',
  async (t) => {
    const path = join(t.testdir(), 'audit.log');
    const writer = new Lumberjack(path);
    for (let i = 0; i < 30_000; i++) writer.append(`${String(i).padStart(99, '0')}\n`);
    const reading = await Reading.start(path, { once: true });
    const existing = fs.readFileSync(path, 'latin1');
    let chunks = 0;
    while (!reading.source.isFinished()) {
      await reading.next();
      writer.write('more');
      if (++chunks === 1) writer.rotate();
      if (chunks > 100) break;
    }
    t.ok(reading.source.isFinished());
    t.ok(reading.text.startsWith(existing));
    const position = await reading.stop();
    writer.write('last');
    const second = await Reading.start(path, { once: true, position });
    await second.drain();
    t.equal(reading.text + second.text, `${existing}${'more\n'.repeat(chunks)}last\n`);
    await second.stop();
  },
);

t.test('once: a file that is truncated meanwhile does not keep it from ending', async (t) => {
  const path = join(t.testdir(), 'audit.log');
  fs.writeFileSync(path, `${'x'.repeat(99)}\n`.repeat(1_000));
  const reading = await Reading.start(path, { once: true, maxLineBytes: 1_000 });
  await reading.next();
  fs.writeFileSync(path, 'short\n');
  await reading.drain();
  t.ok(reading.text.endsWith('short\n'));
  t.ok(reading.source.isFinished());
  t.equal(reading.metrics.gaps, 1);
  await reading.stop();
});

t.test('once: nothing there at all is finished at once', async (t) => {
  const reading = await Reading.start(join(t.testdir(), 'none', 'audit.log'), { once: true });
  t.ok(reading.source.isFinished());
  t.equal(await reading.next(), undefined);
  await reading.stop();
});

t.test('without once it is never finished', async (t) => {
  const reading = await Reading.start(join(t.testdir({ a: 'a\n' }), 'a'));
  await reading.drain();
  t.notOk(reading.source.isFinished());
  await reading.stop();
});

t.test(
  'waiting ends on a change, on abort, on close and after the poll interval, and leaves nothing behind',
  async (t) => {
    const path = join(t.testdir({ a: 'a\n' }), 'a');
    const slow = await Reading.start(path, { pollIntervalMs: 600_000 });
    await slow.drain();
    const abort = new AbortController();
    const { signal } = abort;
    // The watch is set up in the background, so one change may come too early to be signalled.
    const changing = setInterval(() => {
      fs.appendFileSync(path, 'b\n');
    }, 50);
    await slow.source.wait(600_000, signal);
    clearInterval(changing);
    await slow.drain();
    await slow.source.wait(1, signal);
    const aborted = slow.source.wait(600_000, signal);
    abort.abort();
    await aborted;
    await slow.source.wait(600_000, signal);
    const closed = slow.source.wait(600_000, new AbortController().signal);
    await slow.stop();
    await closed;
    t.same(getEventListeners(signal, 'abort'), []);

    const quick = await Reading.start(path, { pollIntervalMs: 1 });
    await quick.source.wait(600_000, new AbortController().signal);
    await quick.stop();
    t.pass('every wait ended');
  },
);

t.test('closing releases every descriptor, twice or during a read', async (t) => {
  const before = fs.readdirSync('/proc/self/fd').length;
  const root = t.testdir({ 'audit.log': `${'x'.repeat(99)}\n`.repeat(50_000), [BACKUP]: 'a\n' });
  const reading = await Reading.start(join(root, 'audit.log'));
  const pending = reading.source.next();
  await Promise.all([reading.source.close(), reading.source.close()]);
  await pending;
  await reading.source.close();
  t.equal(await reading.source.next(), undefined);
  t.equal(fs.readdirSync('/proc/self/fd').length, before);
});

t.test('many backups cost no watches', async (t) => {
  const root = t.testdir({ 'audit.log': 'a\n' });
  for (let i = 100; i < 300; i++)
    fs.writeFileSync(join(root, `audit-2026-11-21T09-36-03.${i}.log`), `${i}\n`);
  const watches = (): number =>
    fs
      .readdirSync('/proc/self/fdinfo')
      .map((fd) => {
        try {
          return fs.readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1').split('inotify wd').length - 1;
        } catch {
          return 0; // The descriptor that listed the directory is closed by now.
        }
      })
      .reduce((sum, count) => sum + count, 0);
  const before = watches();
  const reading = await Reading.start(join(root, 'audit.log'));
  await reading.readWhile('all was read', () => reading.text.length < 802);
  await reading.readNothingWhile('the directory is watched', () => watches() === before);
  t.ok(watches() - before <= 3, `${watches() - before} watches`);
  await reading.stop();
});

t.test('its examples make a source, and its options are checked', async (t) => {
  const context = {
    pipeline: 'p',
    component: 'source',
    fields: new FieldRegistry(),
    log: silentLogger(),
    metrics: createMetrics(),
    fs: nodeFileSystem,
    clock: { now: () => Date.now() },
    signal: new AbortController().signal,
    drain: new AbortController().signal,
    stateDirectory: '/nowhere',
  };
  t.equal(fileSource.name, 'file');
  t.equal(fileSource.kind, 'source');
  for (const example of fileSource.examples) {
    const options = parse(example) as { type: string; paths: string[] };
    t.equal(options.type, 'file');
    t.same(fileSource.validate?.(options, 'anything'), []);
    t.type(fileSource.create(options, context), FileSource);
  }
  const paths = ['/a'];
  t.match(fileSource.validate?.({ paths, max_line_bytes: '0B' }, 'anything'), [{ path: ['max_line_bytes'] }]);
  t.match(fileSource.validate?.({ paths, max_line_bytes: '2GiB' }, 'anything'), [
    { path: ['max_line_bytes'] },
  ]);
  t.match(fileSource.validate?.({ paths, poll_interval: '0s' }, 'anything'), [{ path: ['poll_interval'] }]);
});

t.test('a path that is named and followed again has one position', async (t) => {
  const root = t.testdir({ a: 'a\n' });
  const first = await Reading.start(join(root, 'a'));
  await first.drain();
  const position = await first.stop();
  const second = await Reading.start(join(root, 'a'), { position });
  t.equal(second.source.position().paths.length, 1);
  await second.stop();
});
