// What a power cut takes back, and what of it must not be taken back: each test says what was done, lets everything go
// that was not made durable, and looks at what is left. A file system call outside of the tested code stands for one
// that a killed process made.
import t from 'tap';
import type { SegmentRecord } from '../../../src/position/position.js';
import { Catalog } from '../../../src/sink/files/catalog.js';
import { Finisher } from '../../../src/sink/files/finish.js';
import { compressSegment } from '../../../src/sink/files/gzip.js';
import { restoreSegments } from '../../../src/sink/files/restore.js';
import { sinkContext } from '../../helpers/context.js';
import { wrapFileSystem } from '../../helpers/file-system.js';
import { until } from '../../helpers/until.js';
import { VolatileDisk } from '../../helpers/volatile-disk.js';
import { startProcess } from '../../helpers/volatile-file-system.js';

const nothingSurvives = () => 0;
const LINES = Buffer.from('line 1\nline 2\n');

function machine() {
  const disk = new VolatileDisk();
  disk.place('/state');
  const { fs } = startProcess(disk);
  const names = () => [...disk.files('/out').keys()];
  const place = (path: string) => {
    disk.place(path, LINES);
    return { path, length: LINES.length, ino: disk.find(path)?.ino ?? 0 };
  };
  return { disk, fs, names, place };
}

const recordOf = (file: { path: string; length: number; ino: number }): SegmentRecord => ({
  ...file,
  id: 1,
  sink: 'out',
  key: 'a.log',
  openedAtMs: 0,
});

t.test('a closed file does not come back beside its .gz', async (t) => {
  const { disk, fs, names, place } = machine();
  await compressSegment(fs, place('/out/a.log'), 0o640, new AbortController().signal);
  disk.cutPower(nothingSurvives);
  t.same(names(), ['a.log.gz']);
});

t.test('a closed file that a killed process removed does not come back beside its .gz', async (t) => {
  const { disk, fs, names, place } = machine();
  const file = place('/out/a.log');
  place('/out/a.log.gz');
  await fs.unlink(file.path);
  await compressSegment(fs, file, 0o640, new AbortController().signal);
  disk.cutPower(nothingSurvives);
  t.same(names(), ['a.log.gz']);
});

t.test('a pruned file does not come back', async (t) => {
  const { disk, fs, names, place } = machine();
  const { path, length, ino } = place('/out/a.log');
  const catalog = new Catalog(fs, '/state/closed.jsonl', false);
  await catalog.open();
  const file = { path, ino, bytes: length, group: 'a', closedAtMs: 0 };
  await catalog.add(file);
  await catalog.prune(file);
  disk.cutPower(nothingSurvives);
  t.same(names(), []);
});

t.test('a file that a killed process pruned does not come back unknown', async (t) => {
  const { disk, fs, names, place } = machine();
  const { path, length, ino } = place('/out/a.log');
  const catalog = new Catalog(fs, '/state/closed.jsonl', false);
  await catalog.open();
  await catalog.add({ path, ino, bytes: length, group: 'a', closedAtMs: 0 });
  await fs.unlink(path);
  await new Catalog(fs, '/state/closed.jsonl', false).open();
  disk.cutPower(nothingSurvives);
  t.same(names(), []);
});

t.test('files that close at the same time are all in the catalog, in the order of closing', async (t) => {
  const { disk, fs, place } = machine();
  const closed = ['a', 'b', 'c'].map((name, i) => ({ ...place(`/out/${name}`), id: i + 1, group: 'g' }));
  let isSecondDone = false;
  const slow = wrapFileSystem(async (name, args, run) => {
    // The first one takes until the second is done.
    if (name === 'lstat' && args[0] === '/out/a.gz') await until('b is compressed', () => isSecondDone);
    if (name === 'unlink' && args[0] === '/out/b') isSecondDone = true;
    return run(args);
  }, fs);
  const context = await sinkContext({ directory: '/state', fs: slow });
  const catalog = new Catalog(slow, '/state/closed.jsonl', false);
  await catalog.open();
  const retention = { keep: 9, keepBytes: Infinity, keepAgeMs: Infinity, keepTotalBytes: Infinity };
  const finisher = new Finisher({
    ...context,
    isCompressed: true,
    mode: 0o640,
    retention,
    catalog,
    now: () => 0,
  });
  for (const segment of closed) finisher.add(segment);
  await finisher.drain();
  disk.cutPower(nothingSurvives);
  const next = new Catalog(startProcess(disk).fs, '/state/closed.jsonl', false);
  await next.open();
  t.same(
    next.groups.get('g')?.map(({ path }) => path),
    ['/out/a.gz', '/out/b.gz', '/out/c.gz'],
  );
});

async function restored(disk: VolatileDisk, record: SegmentRecord, isReread = true): Promise<void> {
  const context = await sinkContext({ directory: '/state', fs: startProcess(disk).fs });
  await restoreSegments(context, { segments: [record], isReread, isClean: false });
}

t.test('what a killed process cut off does not come back', async (t) => {
  const { disk, fs, place } = machine();
  const file = place('/out/a.log');
  const fd = await fs.open(file.path, 1);
  await fs.ftruncate(fd, 7);
  await restored(disk, recordOf({ ...file, length: 7 }));
  disk.cutPower(nothingSurvives);
  t.equal(disk.files('/out').get('a.log')?.length, 7);
});

t.test('what was never committed and a killed process removed does not come back', async (t) => {
  const { disk, fs, names, place } = machine();
  const { path } = place('/out/a.log');
  await fs.unlink(path);
  await restored(disk, recordOf({ path, length: 0, ino: 0 }));
  disk.cutPower(nothingSurvives);
  t.same(names(), []);
});

t.test('a rename that a killed process made does not go back', async (t) => {
  const { disk, fs, names, place } = machine();
  const file = place('/out/a.log');
  await fs.rename('/out/a.log', '/out/a~000001.log');
  const renamed = { ...file, path: '/out/a~000001.log' };
  await restored(disk, { ...recordOf(renamed), from: '/out/a.log' });
  disk.cutPower(nothingSurvives);
  t.same(names(), ['a~000001.log']);
});

t.test(
  'lines of a killed process that will not be read again are durable, with their directories',
  async (t) => {
    const { disk, fs } = machine();
    await fs.mkdir('/out', 0o750);
    await fs.mkdir('/out/a', 0o750);
    const fd = await fs.open('/out/a/a.log', 0o101, 0o640);
    await fs.write(fd, LINES, 0, LINES.length, 0);
    await restored(disk, recordOf({ path: '/out/a/a.log', length: 0, ino: 0 }), false);
    disk.cutPower(nothingSurvives);
    t.same(disk.files('/out'), new Map([['a/a.log', LINES]]));
  },
);

t.test(
  'the state directory and the record in it that was read are durable before they are acted upon',
  async (t) => {
    const directory = '/state/new';
    const generationOn = (disk: VolatileDisk) =>
      (JSON.parse(String(disk.files(directory).get('p.position.json'))) as { generation: number }).generation;
    /** Saves twice, the second time up to the change `dieAt`; returns how many changes that takes. */
    const save = async (disk: VolatileDisk, dieAt: number) => {
      const { fs, signal, changes } = startProcess(disk, dieAt);
      await fs.mkdir(directory, 0o700);
      const { store } = await sinkContext({ directory, fs, signal });
      await store.markClean();
      await store.markRunning().catch(() => undefined);
      return changes();
    };
    const changes = await save(machine().disk, Infinity);
    const { disk } = machine();
    // The last one makes the rename of the second save durable.
    await save(disk, changes);
    t.equal(generationOn(disk), 2);
    await sinkContext({ directory, fs: startProcess(disk).fs });
    disk.cutPower(nothingSurvives);
    t.equal(generationOn(disk), 2);
  },
);
