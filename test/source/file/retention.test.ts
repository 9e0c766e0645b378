// Unread backups that kube-apiserver prunes: kept across a restart, within their bounds, and deleted in time.
import fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { nodeFileSystem } from '../../../src/file-system.js';
import type { FileSystem } from '../../../src/file-system.js';
import type { RetentionSettings } from '../../../src/source/file/retention.js';
import { LAG_MS } from '../../../src/source/file/retention.js';
import { Reading } from '../../helpers/file-source.js';
import type { ReadingOptions } from '../../helpers/file-source.js';
import { systemError, wrapFileSystem } from '../../helpers/file-system.js';
import { Lumberjack } from '../../helpers/lumberjack.js';

let serial = 0;
function lines(count: number): string {
  const next = (): string => `{"auditID":"${String(++serial).padStart(8, '0')}"}`.padEnd(99, ' ') + '\n';
  return Array.from({ length: count }, next).join('');
}

/** A log in a directory of its own, and one for what is retained. */
class Scene {
  readonly root: string;
  readonly path: string;
  readonly writer: Lumberjack;
  readonly retained: string;

  constructor(t: Test, name = 'audit.log') {
    this.root = t.testdir({ log: {} });
    this.path = join(this.root, 'log', name);
    this.retained = join(this.root, 'retained');
    this.writer = new Lumberjack(this.path);
  }

  write(count: number): string {
    const text = lines(count);
    this.writer.append(text);
    return text;
  }

  /** Writes backups of so many lines each, then one line into the live file. */
  writeBackups(counts: readonly number[]): string[] {
    const texts = counts.map((count) => {
      const text = this.write(count);
      this.writer.rotate();
      return text;
    });
    return [...texts, this.write(1)];
  }

  prune(names = this.writer.backups()): void {
    for (const name of names) fs.unlinkSync(join(this.root, 'log', name));
  }

  start(options: ReadingOptions & { bounds?: Partial<RetentionSettings> } = {}): Promise<Reading> {
    const retain = { directory: this.retained, ...options.bounds };
    return Reading.start(this.path, { ...options, retain });
  }

  /** Names of everything below the directory of what is retained, without the directories of the paths. */
  kept(suffix = ''): string[] {
    if (!fs.existsSync(this.retained)) return [];
    const names = fs.readdirSync(this.retained, { recursive: true, encoding: 'utf8' });
    const kept = names.filter((name) => name.endsWith(suffix) && (suffix !== '' || !name.endsWith('.tmp')));
    return kept
      .filter((name) => fs.statSync(join(this.retained, name), { throwIfNoEntry: false })?.isFile())
      .sort();
  }
}

/** Moves the monotonic clock on. */
function clock(t: Test): { pass: (ms: number) => void } {
  const now = performance.now.bind(performance);
  let passedMs = 0;
  t.intercept(performance, 'now', { value: () => now() + passedMs });
  return { pass: (ms) => (passedMs += ms) };
}

/** A file system that fails to link and to share blocks, as one does across mounts. */
function withoutLinks(wrap: Partial<FileSystem> = {}): FileSystem {
  return wrapFileSystem(async (name, args, run) => {
    const other = wrap[name] as ((...args: unknown[]) => Promise<unknown>) | undefined;
    if (other) return other(...args);
    if (name === 'link' || name === 'reflink') throw systemError('EXDEV');
    return run(args);
  });
}

t.test(
  'a backup that is pruned unread is read after a restart, and deleted once that is durable',
  async (t) => {
    const scene = new Scene(t);
    const first = await scene.start();
    const texts = scene.writeBackups([10, 20]);
    await first.readNothingWhile('both are kept', () => scene.kept().length < 2);
    const [name = ''] = scene.writer.backups();
    const [kept = ''] = scene.kept();
    t.equal(
      fs.statSync(join(scene.root, 'log', name)).ino,
      fs.statSync(join(scene.retained, kept)).ino,
      'by a hard link, where that is possible',
    );
    scene.prune();
    const position = await first.stop();

    const second = await scene.start({ position });
    await second.readUntil(t, texts.join(''));
    t.equal(second.metrics.gaps, 0);
    t.equal(scene.kept().length, 2, 'what is read is kept until that is durable');
    const crashed = await scene.start({ position });
    await crashed.readUntil(t, texts.join(''));
    await crashed.stop();
    const end = second.commit();
    await second.stop();
    t.same(scene.kept(), []);

    const third = await scene.start({ position: end });
    await third.drain();
    t.equal(third.text, '');
    t.equal(third.metrics.gaps, 0);
    await third.stop();
  },
);

t.test('what was finished and not deleted before a crash is deleted at the start', async (t) => {
  const scene = new Scene(t);
  const texts = scene.writeBackups([5]);
  const first = await scene.start();
  await first.readUntil(t, texts.join(''));
  const position = await first.stop();
  t.equal(scene.kept().length, 1);
  const foreign = join(scene.retained, fs.readdirSync(scene.retained)[0] ?? '', 'notes.txt');
  fs.writeFileSync(foreign, 'not ours\n');
  fs.writeFileSync(join(scene.retained, `${scene.kept()[0] ?? ''}.tmp`), 'a half copy');
  const second = await scene.start({ position });
  t.same(
    scene.kept().map((name) => name.replace(/.*\//, '')),
    ['notes.txt'],
    'but nothing of others',
  );
  t.same(scene.kept('.tmp'), [], 'and so are half copies');
  await second.stop();
});

t.test('a backup that was being read when it was pruned goes on where it was', async (t) => {
  const scene = new Scene(t);
  const [text = '', last = ''] = scene.writeBackups([100]);
  const first = await scene.start({ maxLineBytes: 3_000 });
  await first.next();
  const position = first.commit();
  await first.stop();
  scene.prune();
  const second = await scene.start({ position });
  await second.readUntil(t, text.slice(first.text.length) + last);
  t.ok(first.text.length > 0);
  t.equal(second.metrics.gaps, 0);
  await second.stop();
});

t.test('a compressed backup is kept compressed', async (t) => {
  const scene = new Scene(t);
  const texts = scene.writeBackups([100, 3]);
  scene.writer.compress(scene.writer.backups()[0] ?? '');
  const first = await scene.start();
  scene.prune();
  const second = await scene.start({ position: await first.stop() });
  t.match(scene.kept()[0], /\.gz$/);
  await second.readUntil(t, texts.join(''));
  await second.stop();
});

t.test(
  'a backup that was compressed before it was seen is kept compressed, and not held besides',
  async (t) => {
    const scene = new Scene(t);
    const first = await scene.start();
    const text = scene.write(100) + scene.write(3);
    await first.readUntil(t, text);
    const position = first.commit();
    const more = scene.write(50);
    scene.writer.compress(scene.writer.rotate());
    const last = scene.write(1);
    await first.readNothingWhile('it is kept', () => scene.kept('.gz').length === 0);
    scene.prune();
    await first.stop();
    const second = await scene.start({ position });
    await second.readUntil(t, more + last);
    t.equal(second.metrics.gaps, 0);
    second.commit();
    await second.stop();
    t.same(scene.kept(), []);
  },
);

t.test(
  'what was begun before it was compressed, and never committed, is read again from what is kept',
  async (t) => {
    const scene = new Scene(t);
    const text = scene.write(100);
    const first = await scene.start();
    scene.writer.compress(scene.writer.rotate());
    await first.next();
    scene.prune();
    await first.stop();
    const last = scene.write(1);
    const second = await scene.start();
    await second.readUntil(t, text + last);
    t.equal(second.metrics.gaps, 0);
    await second.stop();
  },
);

t.test('a backup that still has its own name is read once, also compressed meanwhile', async (t) => {
  const scene = new Scene(t);
  const texts = scene.writeBackups([100, 3]);
  const first = await scene.start();
  const position = await first.stop();
  scene.writer.compress(scene.writer.backups()[0] ?? '');
  const second = await scene.start({ position });
  await second.readUntil(t, texts.join(''));
  second.commit();
  await second.stop();
  t.same(scene.kept(), []);
  t.equal(scene.writer.backups().length, 2, 'and nothing in the log directory is ever deleted');
});

t.test('backups beyond the descriptors that are held survive, too', async (t) => {
  const scene = new Scene(t);
  const texts = scene.writeBackups(Array.from({ length: 300 }, () => 1));
  const first = await scene.start();
  t.equal(scene.kept().length, 300);
  scene.prune();
  await first.readUntil(t, texts.join(''));
  t.equal(first.metrics.gaps, 0);
  first.commit();
  await first.stop();
  t.same(scene.kept(), []);
});

t.test('of two backups with one name both survive a restart', async (t) => {
  const scene = new Scene(t);
  const first = await scene.start();
  const now = Date.now();
  const writer = new Lumberjack(scene.path, { now: () => now });
  let text = '';
  for (let i = 1; i <= 2; i++) {
    const more = lines(i);
    writer.append(more);
    text += more;
    writer.rotate();
    await first.readNothingWhile('it is kept', () => scene.kept().length < i);
  }
  t.equal(writer.backups().length, 1);
  const second = await scene.start({ position: await first.stop() });
  await second.readUntil(t, text);
  await second.stop();
});

t.test('two paths whose backups have the same names are kept apart', async (t) => {
  const root = t.testdir({ a: {}, b: {} });
  const retain = { directory: join(root, 'retained') };
  const now = Date.now();
  const texts = new Map<string, string>();
  for (const name of ['a', 'b']) {
    const path = join(root, name, 'audit.log');
    const writer = new Lumberjack(path, { now: () => now });
    texts.set(path, lines(3));
    writer.append(texts.get(path) ?? '');
    writer.rotate();
  }
  const paths = [...texts.keys()];
  const first = await Reading.start(paths, { retain });
  const position = await first.stop();
  for (const path of paths) fs.rmSync(join(path, '..'), { recursive: true });
  const second = await Reading.start(paths, { position, retain });
  await second.readWhile('both are read', () => second.text.length < 600);
  for (const [path, text] of texts)
    t.equal(
      second.textOf((chunk) => chunk.path === path),
      text,
    );
  await second.stop();
});

t.test('where it can be neither linked nor shared, what lags is copied, and nothing else', async (t) => {
  const { pass } = clock(t);
  const scene = new Scene(t);
  const first = await scene.start({ fs: withoutLinks() });
  const inTime = scene.writeBackups([1]).join('');
  await first.readUntil(t, inTime);
  first.commit();
  const texts = scene.writeBackups([10, 20]);
  fs.chmodSync(join(scene.root, 'log', scene.writer.backups()[1] ?? ''), 0o644);
  await first.readNothingWhile('both are seen', () => first.source.remainingBytes() < 3_100);
  t.same(scene.kept(), [], 'not at once');
  pass(LAG_MS);
  await first.readNothingWhile('both are copied', () => scene.kept().length < 2);
  for (const [i, name] of scene.kept().entries()) {
    const copy = join(scene.retained, name);
    t.ok(fs.readFileSync(copy, 'latin1').endsWith(texts[i] ?? '?'));
    t.equal(fs.statSync(copy).mode & 0o777, 0o600);
  }
  scene.prune();
  const second = await scene.start({ position: await first.stop(), fs: withoutLinks() });
  await second.readUntil(t, texts.join(''));
  t.equal(second.metrics.gaps, 0);
  second.commit();
  await second.stop();
  t.same(scene.kept(), []);
});

t.test(
  'a file that was pruned before it had a name is copied under the one that it would have had',
  async (t) => {
    const { pass } = clock(t);
    const scene = new Scene(t);
    let text = scene.write(3);
    const first = await scene.start({ fs: withoutLinks() });
    scene.prune([scene.writer.rotate()]);
    text += scene.write(3);
    await first.readNothingWhile('the next file is seen', () => first.source.remainingBytes() < 600);
    pass(LAG_MS);
    await first.readNothingWhile('it is copied', () => scene.kept().length < 1);
    t.match(scene.kept()[0], /\/audit-2.*\.log~\d+$/);
    const second = await scene.start({ position: await first.stop() });
    await second.readUntil(t, text);
    t.equal(second.metrics.gaps, 0);
    await second.stop();
  },
);

t.test('a copy that the file has outgrown is made anew', async (t) => {
  const { pass } = clock(t);
  const scene = new Scene(t);
  const [, last = ''] = scene.writeBackups([3]);
  const first = await scene.start({ fs: withoutLinks() });
  pass(LAG_MS);
  await first.readNothingWhile('it is copied', () => scene.kept().length < 1);
  const [name = ''] = scene.writer.backups();
  fs.appendFileSync(join(scene.root, 'log', name), 'late\n');
  await first.readNothingWhile(
    'the copy is whole again',
    () => !scene.kept().some((kept) => fs.statSync(join(scene.retained, kept)).size === 305),
  );
  scene.prune();
  const second = await scene.start({ position: await first.stop() });
  await second.readWhile('all is read', () => !second.text.endsWith(last));
  t.match(second.text, 'late\n');
  await second.stop();
});

t.test('a copy that fails leaves nothing behind, is told, and is tried again', async (t) => {
  const { pass } = clock(t);
  const scene = new Scene(t);
  scene.writeBackups([3]);
  let isFull = true;
  const write: FileSystem['write'] = (...args) =>
    isFull ? Promise.reject(systemError('ENOSPC')) : nodeFileSystem.write(...args);
  const first = await scene.start({ fs: withoutLinks({ write }) });
  pass(LAG_MS);
  await first.readNothingWhile('it is told', () => !first.codes().includes('RETAIN_FAILED'));
  t.same([...scene.kept(), ...scene.kept('.tmp')], []);
  isFull = false;
  await first.readNothingWhile('it is copied', () => scene.kept().length < 1);
  await first.stop();
});

t.test('beyond max_bytes the oldest pruned backups are released, each with a gap', async (t) => {
  const { pass } = clock(t);
  const scene = new Scene(t);
  const texts = scene.writeBackups([10, 10, 10, 10]);
  const first = await scene.start({ bounds: { maxBytes: 2_500 } });
  const names = scene.writer.backups();
  scene.prune(names.slice(0, 3));
  await first.readNothingWhile('it is counted', () => first.metrics.retainedBytes !== 3_000);
  t.equal(first.metrics.gaps, 0, 'not at once: it might be read in time');
  pass(LAG_MS);
  await first.readNothingWhile('one is released', () => first.metrics.gaps === 0);
  t.match(first.path().gaps, [{ reason: 'released', file: names[0], offset: 0, bytes: 1_000 }]);
  t.match(
    first.logs.filter(({ code }) => code === 'SOURCE_GAP'),
    [{ level: 50, reason: 'released', file: names[0], bytes: 1_000 }],
  );
  await first.readNothingWhile('it is counted', () => first.metrics.retainedBytes !== 2_000);
  await first.readUntil(t, texts.slice(1).join(''));
  t.equal(first.metrics.gaps, 1, 'what has its own name, and the live file, cost nothing');
  const position = first.commit();
  await first.readNothingWhile('nothing is counted any more', () => first.metrics.retainedBytes > 0);
  await first.stop();
  t.same(scene.kept(), []);
  const second = await scene.start({ position });
  t.equal(second.path().gapCount, 1);
  t.equal(second.metrics.gaps, 0);
  await second.stop();
});

t.test('descriptors of pruned backups are bounded without retain_unread, too', async (t) => {
  const { pass } = clock(t);
  const scene = new Scene(t);
  const texts = scene.writeBackups([10, 10, 10]);
  const first = await scene.start({ bounds: { maxBytes: 1_500, isKeeping: false }, maxLineBytes: 300 });
  await first.next();
  const read = first.text;
  t.same(scene.kept(), []);
  scene.prune();
  await first.readNothingWhile('all are counted', () => first.metrics.retainedBytes < 3_000);
  pass(LAG_MS);
  await first.readNothingWhile('two are released', () => first.metrics.gaps < 2);
  await first.readUntil(t, read + texts.slice(2).join(''));
  t.match(first.path().gaps, [
    { reason: 'released', offset: read.length, bytes: 1_000 - read.length },
    { reason: 'released', offset: 0, bytes: 1_000 },
  ]);
  await first.stop();
});

t.test('while the disk has less than min_free_bytes, copies go first, then pruned backups', async (t) => {
  const { pass } = clock(t);
  const scene = new Scene(t);
  let freeBytes = 100_000;
  const statfs: FileSystem['statfs'] = () => Promise.resolve({ freeBytes, totalBytes: 1_000_000 });
  const texts = scene.writeBackups([10, 20, 30]);
  const first = await scene.start({ fs: withoutLinks({ statfs }), bounds: { minFreeBytes: 50_000 } });
  pass(LAG_MS);
  await first.readNothingWhile('all are copied', () => scene.kept().length < 3);
  scene.prune(scene.writer.backups().slice(0, 2));
  await first.readNothingWhile('the copies count', () => first.metrics.retainedBytes !== 6_000);
  pass(LAG_MS);
  freeBytes = 49_000;
  await first.readNothingWhile('one copy is dropped', () => scene.kept().length > 2);
  t.equal(first.metrics.gaps, 0, 'the newest, whose original is there');
  await first.readNothingWhile('one is released', () => first.metrics.gaps < 1);
  freeBytes = 100_000;
  t.match(first.path().gaps, [{ reason: 'released', bytes: 1_000 }]);
  await first.readUntil(t, texts.slice(1).join(''));
  await first.stop();
});

t.test('without min_free_bytes a small file system may be filled up to a twentieth', async (t) => {
  const { pass } = clock(t);
  const scene = new Scene(t);
  let freeBytes = 60_000;
  const statfs: FileSystem['statfs'] = () => Promise.resolve({ freeBytes, totalBytes: 1_000_000 });
  const files = wrapFileSystem((name, args, run) => (name === 'statfs' ? statfs('') : run(args)));
  scene.writeBackups([10]);
  const first = await scene.start({ fs: files, bounds: { minFreeBytes: undefined } });
  scene.prune();
  await first.readNothingWhile('it is counted', () => first.metrics.retainedBytes === 0);
  pass(LAG_MS);
  const looks = (): Promise<void> => {
    const seen = first.metrics.retainedBytes;
    first.metrics.retainedBytes = -1;
    return first.readNothingWhile('it is checked', () => first.metrics.retainedBytes < 0 && seen >= 0);
  };
  await looks();
  t.equal(first.metrics.gaps, 0);
  freeBytes = 40_000;
  await first.readNothingWhile('it is released', () => first.metrics.gaps === 0);
  await first.stop();
});

t.test('a backup that was seen and is gone after a stop is a gap with what is known of it', async (t) => {
  const scene = new Scene(t);
  const texts = scene.writeBackups([10, 20, 30]);
  const first = await Reading.start(scene.path);
  const position = await first.stop();
  const names = scene.writer.backups();
  scene.prune(names.slice(1, 2));
  const second = await Reading.start(scene.path, { position });
  t.match(second.path().gaps, [{ reason: 'pruned', file: names[1], offset: 0, bytes: 2_000 }]);
  await second.readUntil(t, [texts[0], texts[2], texts[3]].join(''));
  const third = await Reading.start(scene.path, { position: await second.stop() });
  t.equal(third.path().gapCount, 1);
  await third.stop();
});

t.test('what an earlier run kept is read and deleted also when nothing is kept any more', async (t) => {
  const scene = new Scene(t);
  const texts = scene.writeBackups([10]);
  const first = await scene.start();
  const position = await first.stop();
  scene.prune();
  const second = await scene.start({ position, bounds: { isKeeping: false } });
  scene.writer.rotate();
  await second.readUntil(t, texts.join(''));
  second.commit();
  await second.stop();
  t.same(scene.kept(), []);
});

t.test('a directory that cannot be written to is told, and following goes on', async (t) => {
  const scene = new Scene(t);
  fs.writeFileSync(scene.retained, 'a file in the way');
  const texts = scene.writeBackups([10]);
  const first = await scene.start();
  // ENOTDIR of the listing is as good as nothing kept.
  await first.readUntil(t, texts.join(''));
  t.ok(first.codes().includes('RETAIN_FAILED'));
  await first.stop();
});
