import fs from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import type { Test } from 'tap';
import { nodeFileSystem } from '../../../src/file-system.js';
import { GzipReader } from '../../../src/source/file/byte-reader.js';
import { gatedFileSystem, systemError } from '../../helpers/file-system.js';

/** Text that does not compress to nothing. */
const CONTENT = Buffer.from(
  Array.from({ length: 20_000 }, (_, i) => JSON.stringify({ i, r: (i * 7919) % 10_007 })).join('\n') + '\n',
);
const COMPRESSED = gzipSync(CONTENT);

async function inflate(
  t: Test,
  bytes: Buffer,
  options: { readBytes?: number; fs?: typeof nodeFileSystem } = {},
): Promise<{ content: Buffer; damage: string | undefined }> {
  const path = join(t.testdir(), 'file.gz');
  fs.writeFileSync(path, bytes);
  const fd = fs.openSync(path, 'r');
  const reader = new GzipReader(options.fs ?? nodeFileSystem, fd);
  const parts: Buffer[] = [];
  const buffer = Buffer.alloc(options.readBytes ?? 100_000);
  for (let failures = 0; ;) {
    const count = await reader.read(buffer, 0, buffer.length).catch((error: unknown) => {
      if (++failures > 1000) throw error;
      return undefined;
    });
    if (count === 0) break;
    if (count !== undefined) parts.push(Buffer.from(buffer.subarray(0, count)));
  }
  reader.close();
  fs.closeSync(fd);
  return { content: Buffer.concat(parts), damage: reader.damage };
}

t.test('inflates a file in reads of any size', async (t) => {
  for (const readBytes of [1000, 65_536, 1_000_000]) {
    const { content, damage } = await inflate(t, COMPRESSED, { readBytes });
    t.ok(content.equals(CONTENT), `reads of ${readBytes}`);
    t.equal(damage, undefined);
  }
});

t.test('inflates an empty member, several members, and trailing zeros', async (t) => {
  t.same(await inflate(t, gzipSync('')), { content: Buffer.alloc(0), damage: undefined });
  const many = await inflate(
    t,
    Buffer.concat([gzipSync('a'), gzipSync(''), gzipSync('b'), Buffer.alloc(512)]),
  );
  t.same(many, { content: Buffer.from('ab'), damage: undefined });
});

t.test('a file that breaks off gives what inflates', async (t) => {
  const { content, damage } = await inflate(t, COMPRESSED.subarray(0, 40_000));
  t.ok(content.length > 40_000);
  t.ok(content.equals(CONTENT.subarray(0, content.length)));
  t.match(damage, /unexpected end/);
});

t.test('an empty file is a broken gzip file', async (t) => {
  t.match(await inflate(t, Buffer.alloc(0)), { content: Buffer.alloc(0), damage: /unexpected end/ });
});

t.test('a file that is none of gzip gives nothing and says why', async (t) => {
  t.match(await inflate(t, Buffer.from('plain text')), { content: Buffer.alloc(0), damage: /header/ });
});

t.test('damage in the middle costs nothing that inflates before it', async (t) => {
  const damaged = Buffer.from(COMPRESSED);
  damaged.fill(0xff, 30_000, 30_100);
  const { content, damage } = await inflate(t, damaged);
  const intact = await inflate(t, COMPRESSED.subarray(0, 30_000));
  t.ok(content.length >= intact.content.length, `${content.length} of ${intact.content.length}`);
  t.ok(content.subarray(0, intact.content.length).equals(intact.content));
  t.type(damage, 'string');
});

t.test('a wrong checksum, or garbage at the end, costs none of the content', async (t) => {
  const wrong = Buffer.from(COMPRESSED);
  wrong.writeUInt32LE(1, wrong.length - 8);
  for (const bytes of [wrong, Buffer.concat([COMPRESSED, Buffer.from('garbage')])]) {
    const { content, damage } = await inflate(t, bytes);
    t.ok(content.equals(CONTENT));
    t.type(damage, 'string');
  }
});

t.test('a read error is thrown, and the next read goes on without loss', async (t) => {
  let reads = 0;
  const flaky = gatedFileSystem((operation) => {
    if (operation === 'read' && ++reads % 2 === 1) throw systemError('EIO');
  });
  const { content, damage } = await inflate(t, COMPRESSED, { fs: flaky });
  t.ok(content.equals(CONTENT));
  t.equal(damage, undefined);
});

t.test('a reader closed while it inflates ends quietly', async (t) => {
  const path = join(t.testdir(), 'file.gz');
  fs.writeFileSync(path, COMPRESSED);
  const fd = fs.openSync(path, 'r');
  const reader = new GzipReader(nodeFileSystem, fd);
  const read = reader.read(Buffer.alloc(10_000_000), 0, 10_000_000);
  reader.close();
  await read;
  t.equal(await reader.read(Buffer.alloc(10), 0, 10), 0);
  fs.closeSync(fd);
});
