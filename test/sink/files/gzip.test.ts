import t from 'tap';
import { existsSync, linkSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { compressSegment } from '../../../src/sink/files/gzip.js';
import { nodeFileSystem } from '../../../src/file-system.js';
import type { FileSystem } from '../../../src/file-system.js';
import { gatedFileSystem, systemError } from '../../helpers/file-system.js';

const content = Buffer.from('a line of an event\n'.repeat(50_000));
const { signal } = new AbortController();

function segmentIn(directory: string) {
  const path = join(directory, 'x.log');
  writeFileSync(path, content);
  return { path, length: content.length, ino: statSync(path).ino };
}
const compress = (segment: ReturnType<typeof segmentIn>, fs: FileSystem = nodeFileSystem) =>
  compressSegment(fs, segment, 0o640, signal);

t.test('the compressed file replaces the plain one, with its mode', async (t) => {
  const directory = t.testdir();
  const segment = segmentIn(directory);
  const finished = await compress(segment);
  t.same(readdirSync(directory), ['x.log.gz']);
  t.ok(gunzipSync(readFileSync(`${segment.path}.gz`)).equals(content));
  t.equal(statSync(`${segment.path}.gz`).mode & 0o777, 0o640);
  t.match(finished, { path: `${segment.path}.gz`, bytes: statSync(`${segment.path}.gz`).size });
});

t.test('whatever step fails, trying again ends the same, and no name ever holds a part', async (t) => {
  const directory = t.testdir();
  let total = 0;
  await compress(
    segmentIn(directory),
    gatedFileSystem(() => total++),
  );
  t.ok(total > 10);
  for (let k = 1; k <= total; k++) {
    const each = t.testdir({});
    const segment = segmentIn(each);
    let calls = 0;
    const failing = gatedFileSystem((operation) => {
      if (operation !== 'close' && ++calls === k) throw systemError('EIO');
    });
    await compress(segment, failing).catch(() => undefined);
    const half = `${segment.path}.gz`;
    if (existsSync(half)) t.ok(gunzipSync(readFileSync(half)).equals(content), `whole after a fault at ${k}`);
    await compress(segment);
    t.same(readdirSync(each), ['x.log.gz'], `after a fault at ${k}`);
    t.ok(gunzipSync(readFileSync(half)).equals(content));
  }
});

t.test('a plain file that someone changed is left alone', async (t) => {
  const segment = segmentIn(t.testdir());
  writeFileSync(segment.path, 'more', { flag: 'a' });
  await t.rejects(compress(segment), { code: 'OUTPUT_TOUCHED' });
  t.ok(existsSync(segment.path));
});

t.test('a foreign file under the compressed name is never replaced', async (t) => {
  const directory = t.testdir();
  const segment = segmentIn(directory);
  writeFileSync(`${segment.path}.gz`, gzipSync('theirs'));
  await t.rejects(compress(segment), { code: 'OUTPUT_TOUCHED' });
  t.equal(gunzipSync(readFileSync(`${segment.path}.gz`)).toString(), 'theirs');
  t.same(readdirSync(directory).sort(), ['x.log', 'x.log.gz']);
});

t.test('a compressed file of the same content, from before a crash, is taken as ours', async (t) => {
  const directory = t.testdir();
  const segment = segmentIn(directory);
  writeFileSync(`${segment.path}~gz`, gzipSync(content));
  linkSync(`${segment.path}~gz`, `${segment.path}.gz`);
  await compress(segment);
  t.same(readdirSync(directory), ['x.log.gz']);
});

t.test('a closed file that someone took away is fine', async (t) => {
  t.equal(await compress({ path: join(t.testdir(), 'x.log'), length: 1, ino: 1 }), undefined);
});
