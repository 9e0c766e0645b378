import t from 'tap';
import { readFileSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import type { QuarantineEntry } from '../../src/event/batch.js';
import { Quarantine, QUARANTINE } from '../../src/pipeline/quarantine.js';
import { sinkContext } from '../helpers/context.js';
import { linesOf } from '../helpers/outputs.js';
import { until } from '../helpers/until.js';

const entry = (raw: Buffer | string, length?: number): QuarantineEntry => {
  const bytes = Buffer.from(raw);
  return {
    reason: 'malformed',
    path: '/audit.log',
    offset: 5,
    length: length ?? bytes.length,
    detail: 'd',
    raw: bytes,
  };
};

async function open(directory: string, maxBytes: number, logged: string[] = []) {
  const log = pino(
    new Writable({
      write: (line: Buffer, _, done) => {
        logged.push(line.toString());
        done();
      },
    }),
  );
  const context = await sinkContext({ directory, log });
  const quarantine = new Quarantine({ ...context, name: QUARANTINE }, directory, maxBytes);
  await quarantine.open({ segments: context.store.segments, isReread: true, isClean: true });
  return { quarantine, context };
}

const read = (directory: string) =>
  linesOf(readFileSync(join(directory, 'p.quarantine.jsonl'))).map(
    (line) => JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as Record<string, unknown>,
  );

t.test(
  'a line of NUL bytes, or a long one of any kind, comes back exactly and takes no multiple of its size',
  async (t) => {
    const directory = t.testdir();
    const { quarantine } = await open(directory, 1e9);
    const raws = [
      Buffer.alloc(1_000_000),
      Buffer.alloc(200_000, 'é€😀x'),
      Buffer.alloc(100_000, '{"a":"\\\\'),
      Buffer.concat([Buffer.alloc(100_000, 'é€😀x'), Buffer.from([0xff])]),
    ];
    for (const raw of raws) await quarantine.write([entry(raw)], 0);
    await quarantine.settle(1);
    const entries = read(directory);
    for (const [i, raw] of raws.entries()) {
      const { raw: text, raw_base64: base64 } = entries[i] as { raw?: string; raw_base64?: string };
      const found = text === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(text);
      t.ok(found.equals(raw), `entry ${i}`);
    }
    t.equal(entries[0]?.['raw'], undefined, 'NUL bytes are in base64');
    t.type(entries[1]?.['raw'], 'string');
    const total = raws.reduce((sum, { length }) => sum + length, 0);
    t.ok(readFileSync(join(directory, 'p.quarantine.jsonl')).length < 2 * total);
    await quarantine.close();
  },
);

t.test('bytes come back exactly: text as text, anything else as base64', async (t) => {
  const directory = t.testdir();
  const { quarantine } = await open(directory, 1e9);
  const binary = Buffer.from([0xff, 0, 0xed, 0xa0, 0x80]);
  await quarantine.write([entry('text \u2028 "x"\0'), entry(binary), entry('cut', 99)], 0);
  await quarantine.settle(1);
  const entries = read(directory);
  t.match(entries[0], {
    raw: 'text \u2028 "x"\0',
    truncated: false,
    offset: 5,
    reason: 'malformed',
    pipeline: 'p',
  });
  t.equal(entries[0]?.['raw_base64'], undefined);
  t.ok(Buffer.from(String(entries[1]?.['raw_base64']), 'base64').equals(binary));
  t.match(entries[2], { truncated: true, length: 99 });
  await quarantine.close();
});

t.test('when it is full the pipeline waits, says so, and goes on when someone makes room', async (t) => {
  const directory = t.testdir();
  const logged: string[] = [];
  const { quarantine } = await open(directory, 2000, logged);
  await quarantine.write([entry('x'.repeat(1000))], 0);
  await quarantine.settle(1);
  let isAccepted = false;
  const writing = quarantine.write([entry('y'.repeat(1500))], 0).then(() => (isAccepted = true));
  await until('it says that it waits', () => logged.some((line) => line.includes('QUARANTINE_FULL')));
  t.equal(isAccepted, false);
  for (const name of readdirSync(directory))
    if (name.startsWith('p.quarantine')) unlinkSync(join(directory, name));
  await writing;
  await quarantine.close();
});

t.test('what came after a marker is written only when that marker is settled', async (t) => {
  const { quarantine } = await open(t.testdir(), 1e9);
  await quarantine.write([entry('before')], 0);
  let isWritten = false;
  const after = quarantine.write([entry('after')], 1).then(() => (isWritten = true));
  await quarantine.write([entry('also before')], 0);
  t.equal(isWritten, false);
  const [receipt] = await quarantine.settle(1);
  await after;
  const [next] = await quarantine.settle(2);
  const texts = read(t.testdirName).map(({ raw }) => raw);
  t.strictSame(texts, ['before', 'also before', 'after']);
  const bytes = readFileSync(join(t.testdirName, 'p.quarantine.jsonl'));
  t.equal(
    linesOf(bytes.subarray(0, receipt?.length)).length,
    2,
    'the receipt of the first marker ends before it',
  );
  t.equal(next?.length, bytes.length);
  await quarantine.close();
});
