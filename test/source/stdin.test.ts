// The stdin source by itself: what it returns of a stream, when it waits and when it ends.
import { PassThrough } from 'node:stream';
import t from 'tap';
import { ANY_FORMAT } from '../../src/codec/json-lines.js';
import type { Chunk } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { nodeFileSystem } from '../../src/file-system.js';
import { silentLogger } from '../../src/log.js';
import { createMetrics } from '../../src/metrics.js';
import { StdinSource } from '../../src/source/stdin.js';
import { until } from '../helpers/until.js';

const never = new AbortController().signal;

function sourceOver(stream: PassThrough, maxLineBytes = 1 << 20) {
  const metrics = createMetrics();
  const source = new StdinSource(
    { stream: () => stream, maxLineBytes, lineFormat: ANY_FORMAT },
    {
      pipeline: 'p',
      component: 'source',
      fields: new FieldRegistry(),
      log: silentLogger(),
      metrics,
      fs: nodeFileSystem,
      clock: { now: () => 7 },
      signal: never,
      drain: never,
    },
  );
  const chunks: Chunk[] = [];
  const read = async (isEnough: () => boolean): Promise<void> => {
    await until('enough was read', async () => {
      const chunk = await source.next();
      if (chunk) chunks.push(chunk);
      else if (!isEnough()) await source.wait(1_000, never);
      return !chunk && isEnough();
    });
  };
  const text = () => Buffer.concat(chunks.map(({ data }) => data)).toString('latin1');
  return { source, metrics, chunks, read, text };
}

t.test('bytes are returned as they came, in whole lines, the last one without its newline', async (t) => {
  const stream = new PassThrough();
  const { source, metrics, chunks, read, text } = sourceOver(stream);
  await source.open();
  t.equal(await source.next(), undefined);
  stream.write(Buffer.from([0x7b, 0xff, 0x80, 0x0a, 0x61]));
  await read(() => text().length === 4);
  t.equal(source.isFinished(), false);
  stream.end('b\r\nrest');
  await read(() => source.isFinished());
  t.equal(text(), '{\xff\x80\nab\r\nrest');
  t.equal(chunks.at(-1)?.data.toString(), 'rest');
  t.match(chunks[0], { path: 'stdin', file: 'stdin', offset: 0, readAtMs: 7 });
  t.equal(metrics.bytesRead, 12);
  t.same(source.position(), { paths: [] });
  t.equal(await source.next(), undefined);
  await source.close();
});

t.test('a line that is too long is quarantined with its beginning, and never in memory', async (t) => {
  const stream = new PassThrough();
  const { source, chunks, read, text } = sourceOver(stream, 100_000);
  await source.open();
  const part = Buffer.alloc(50_000, 'x');
  for (let i = 0; i < 20; i++) {
    if (!stream.write(part)) await read(() => stream.readableLength === 0);
  }
  stream.end('\nnext\n');
  await read(() => source.isFinished());
  t.equal(text(), 'next\n');
  t.match(
    chunks.flatMap(({ quarantined }) => quarantined),
    [{ reason: 'too_long', offset: 0, length: 1_000_000, path: 'stdin' }],
  );
});

t.test('nothing is taken out of the stream while nobody asks', async (t) => {
  const stream = new PassThrough({ highWaterMark: 1_000 });
  const { source, read, text } = sourceOver(stream);
  await source.open();
  await source.next();
  t.equal(stream.write(`${'x'.repeat(2_000)}\n`), false);
  await source.wait(1_000, never);
  t.equal(stream.writableNeedDrain, true);
  await read(() => text().length === 2_001);
  await until('there is room', () => !stream.writableNeedDrain);
});

t.test('a wait ends with the signal, with the time, and with what comes', async (t) => {
  const stream = new PassThrough();
  const { source } = sourceOver(stream);
  await source.open();
  await source.next();
  await source.wait(1, never);
  const abort = new AbortController();
  const waiting = source.wait(1e6, abort.signal);
  abort.abort();
  await waiting;
  await source.wait(1e6, abort.signal);
  const next = source.wait(1e6, never);
  stream.write('x');
  await next;
  await source.wait(1e6, never);
  t.pass('none of them took long');
});

t.test('a source that is made anew goes on in the middle of a line', async (t) => {
  const stream = new PassThrough();
  const first = sourceOver(stream);
  await first.source.open();
  stream.write('a\nb');
  await first.read(() => first.text() === 'a\n');
  await first.source.close();
  const second = sourceOver(stream);
  await second.source.open();
  stream.end('c\n');
  await second.read(() => second.source.isFinished());
  t.equal(second.text(), 'bc\n');
  t.equal(second.chunks[0]?.offset, 2);
});

t.test('a stream that breaks off is a gap, and what came before is returned', async (t) => {
  const stream = new PassThrough();
  const { source, metrics, read, text } = sourceOver(stream);
  await source.open();
  stream.write('a\nb');
  await read(() => text() === 'a\n');
  stream.destroy(new Error('EIO'));
  await read(() => source.isFinished());
  t.equal(text(), 'a\nb');
  t.equal(metrics.gaps, 1);
});
