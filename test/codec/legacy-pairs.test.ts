// The decoder over two-line logs: what is joined, what stays open, and that every line is counted once.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { JsonLinesDecoder } from '../../src/codec/json-lines.js';
import type { LineFormat } from '../../src/codec/decoder.js';
import type { EventBatch } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { createMetrics } from '../../src/metrics.js';
import type { PipelineMetrics } from '../../src/metrics.js';
import type { OpenEntry } from '../../src/position/position.js';
import { chunkOf, rawField } from '../helpers/decode.js';
import { requestLine, responseLine, TIME } from '../helpers/legacy.js';

const LIMITS = { maxEntries: 100, maxBytes: 1 << 20, maxAgeMs: 60_000 };
const ONE_LINE = requestLine('one', { stage: 'ResponseComplete', method: 'list', response: '200' });
const JSON_LINE = '{"kind":"Event","auditID":"json","verb":"get"}';
const PATH = '/var/log/audit.log';

class Log {
  readonly metrics: PipelineMetrics = createMetrics();
  readonly decoder: JsonLinesDecoder;
  readonly #fields = new FieldRegistry();
  readonly #id = this.#fields.slot(['auditID']);
  readonly #code = this.#fields.slot(['responseStatus', 'code']);
  readonly #half = this.#fields.slot(['annotations', 'headgate.io/legacy']);
  #offset = 0;

  constructor(limits: Partial<LineFormat['openLimits']> = {}, format: LineFormat['format'] = 'auto') {
    this.decoder = new JsonLinesDecoder(this.#fields, '', this.metrics, {
      format,
      openLimits: { ...LIMITS, ...limits },
      partialLimits: { maxLineBytes: 1 << 20, maxAgeMs: 60_000 },
    });
  }

  /** Reads lines as one chunk; says what became of them. */
  read(lines: readonly string[], more: { file?: string; path?: string; readAtMs?: number } = {}): string[] {
    const data = lines.map((line) => `${line}\n`).join('');
    const batch = this.decoder.decode(chunkOf(data, { offset: this.#offset, ...more }));
    this.#offset += Buffer.byteLength(data);
    return this.told(batch);
  }

  told(batch: EventBatch): string[] {
    const said = Array.from({ length: batch.size }, (_, i) => {
      // It must be whole JSON, whatever the scanner saw of it.
      JSON.parse(batch.bytes(i).toString());
      const raw = (slot: number) => rawField(batch, i, slot)?.raw.replaceAll('"', '');
      return [raw(this.#id), raw(this.#code), raw(this.#half)].filter(Boolean).join(' ');
    });
    return [...said, ...batch.quarantined.map(({ reason }) => reason)];
  }

  open(): string[] {
    return this.decoder.openEntries().map(({ bytes }) => /id="([^"]*)"/.exec(bytes)?.[1] ?? '');
  }

  /** What is wrong with the counters. */
  unbalanced(): number {
    const { linesRead, events, linesJoined, linesBlank, linesNotAudit, linesQuarantined } = this.metrics;
    return linesRead - events - linesJoined - linesBlank - linesNotAudit - linesQuarantined;
  }
}

t.test('a response is joined to its request across other lines, chunks and files', async (t) => {
  const log = new Log();
  t.same(log.read([requestLine('a'), requestLine('b'), responseLine('a', 201)]), ['a 201']);
  t.same(log.open(), ['b']);
  t.same(log.read([requestLine('c')], { file: '/var/log/next.log' }), []);
  t.same(log.read([responseLine('c', 200), responseLine('b', 404)]), ['c 200', 'b 404']);
  t.same(log.open(), []);
  t.match(log.metrics, { events: 3, linesJoined: 3, linesRead: 6 });
});

t.test('JSON, both legacy formats, blank and broken lines may stand in one log', async (t) => {
  const log = new Log();
  const lines = [
    JSON_LINE,
    requestLine('a'),
    '',
    ONE_LINE,
    `${TIME} AUDIT: x`,
    '123',
    'x',
    responseLine('a'),
    JSON_LINE,
  ];
  t.same(log.read(lines), ['json', 'one 200', 'a 200', 'json', 'malformed', 'not_an_object', 'malformed']);
  t.match(log.metrics, { events: 4, linesJoined: 1, linesBlank: 1, linesQuarantined: 3, linesRead: 9 });
});

t.test('the format can be said', async (t) => {
  t.same(new Log({}, 'json').read([JSON_LINE, ONE_LINE]), ['json', 'malformed']);
  const legacy = new Log({}, 'legacy');
  t.same(legacy.read([JSON_LINE, ONE_LINE, ' \r']), ['one 200', 'malformed']);
  t.equal(legacy.unbalanced(), 0);
});

t.test('a repeated id closes the request before it, and a second response stands alone', async (t) => {
  const log = new Log();
  t.same(log.read([requestLine('a'), requestLine('a'), responseLine('a'), responseLine('a', 500)]), [
    'a request-only',
    'a 200',
    'a 500 response-only',
  ]);
  t.equal(log.unbalanced(), 0);
});

t.test('ids of two paths have nothing to do with each other', async (t) => {
  const log = new Log();
  log.read([requestLine('a')], { path: '/one' });
  t.same(log.read([responseLine('a')], { path: '/two' }), ['a 200 response-only']);
  t.same(log.read([responseLine('a')], { path: '/one' }), ['a 200']);
});

t.test('the oldest requests are given up when too many are open, or too long ones', async (t) => {
  const many = new Log({ maxEntries: 2 });
  t.same(many.read([requestLine('a'), requestLine('b'), requestLine('c')]), ['a request-only']);
  t.same(many.open(), ['b', 'c']);
  const long = new Log({ maxBytes: requestLine('a').length * 2 + 1 });
  t.same(long.read([requestLine('a'), requestLine('b'), requestLine('c')]), ['a request-only']);
  t.same(new Log({ maxEntries: 0 }).read([requestLine('a')]), ['a request-only']);
  t.same(new Log({ maxBytes: 1 }).read([requestLine('a')]), ['a request-only']);
});

t.test('a request is given up when the log is further than max_open_age', async (t) => {
  const log = new Log();
  const at = (time: string) => `2020-01-01T00:${time}Z`;
  t.same(log.read([requestLine('a', {}, at('00:00')), requestLine('b', {}, at('00:30'))]), []);
  t.same(log.read([responseLine('x', 200, at('01:00'))]), ['x 200 response-only']);
  t.same(log.read([responseLine('x', 200, at('01:00.1'))]), ['a request-only', 'x 200 response-only']);
  t.same(log.open(), ['b']);
});

t.test('a request is given up by the clock where no line follows', async (t) => {
  const log = new Log();
  log.read([requestLine('a')], { readAtMs: 1000 });
  log.read([requestLine('b')], { readAtMs: 2000 });
  t.equal(log.decoder.hasDue(60_999), false);
  t.same(log.decoder.flush(60_999, false), []);
  t.equal(log.decoder.hasDue(61_000), true);
  t.same(
    log.decoder.flush(61_000, false).map((batch) => log.told(batch)),
    [['a request-only']],
  );
  t.same(
    log.decoder.flush(61_000, true).map((batch) => log.told(batch)),
    [['b request-only']],
  );
  t.same(log.open(), []);
  t.equal(log.unbalanced(), 0);
});

t.test('an event knows the line that it began with, and where that stood', async (t) => {
  const { decoder } = new Log();
  const first = `${JSON_LINE}\n${requestLine('a')}\n`;
  decoder.decode(chunkOf(first, { file: '/old', offset: 100 })).release();
  const second = `${requestLine('b')}\n${responseLine('a')}\n${responseLine('b')}\n${JSON_LINE}\n`;
  const batch = decoder.decode(chunkOf(second, { file: '/new', offset: 7 }));
  t.equal(batch.line(0).toString(), requestLine('a'));
  t.same(batch.origin(0), { file: '/old', offset: 100 + JSON_LINE.length + 1 });
  t.equal(batch.line(1).toString(), requestLine('b'));
  t.same(batch.origin(1), { file: '/new', offset: 7 });
  t.equal(batch.line(2).toString(), JSON_LINE);
  t.equal(batch.bytes(2).toString(), JSON_LINE);
  t.same(batch.origin(2), { file: '/new', offset: 7 + second.length - JSON_LINE.length - 1 });
  const target = Buffer.alloc(batch.byteLength(1) + 1);
  batch.copyLine(1, target, 0);
  t.equal(target.toString(), `${batch.bytes(1).toString()}\n`);
});

t.test('a line of a rotated file that was cut off is torn, and a whole one needs no newline', async (t) => {
  const log = new Log();
  t.same(log.told(log.decoder.decode(chunkOf(ONE_LINE))), ['one 200']);
  for (const cut of [1, 20, 60])
    t.same(log.told(log.decoder.decode(chunkOf(ONE_LINE.slice(0, -cut)))), ['torn'], `cut by ${cut}`);
});

/** All lines of a log through chunks of some bytes, the decoder given up and made anew between them. */
function decodeInChunks(data: Buffer, bytes: number): { events: string[]; metrics: PipelineMetrics } {
  const metrics = createMetrics();
  const events: string[] = [];
  let open: OpenEntry[] = [];
  const take = (batch: EventBatch) => {
    for (let i = 0; i < batch.size; i++) events.push(batch.bytes(i).toString());
    batch.release();
  };
  for (let start = 0; start < data.length;) {
    const end = data.lastIndexOf(0x0a, start + bytes) + 1 || data.length;
    const decoder = new JsonLinesDecoder(new FieldRegistry(), '', metrics);
    decoder.open(open);
    take(decoder.decode(chunkOf(data.subarray(start, end), { path: PATH })));
    // As the position record keeps them.
    open = JSON.parse(JSON.stringify(decoder.openEntries())) as OpenEntry[];
    start = end;
  }
  const last = new JsonLinesDecoder(new FieldRegistry(), '', metrics);
  last.open(open);
  for (const batch of last.flush(0, true)) take(batch);
  return { events, metrics };
}

const directory = process.env['HEADGATE_TEST_DATA'];
const skip = directory === undefined && 'HEADGATE_TEST_DATA is not set';
for (const [file, requests, responses] of [
  ['two-line', 10_050, 10_035],
  ['two-line-without-groups', 2_000, 1_992],
] as const)
  t.test(`${file}: however it is cut, restarts between, the events are the same`, { skip }, async (t) => {
    const data = gunzipSync(readFileSync(join(directory ?? '', `kubernetes/legacy/${file}.log.gz`)));
    const whole = decodeInChunks(data, data.length);
    t.equal(whole.events.length, requests);
    t.match(whole.metrics, { events: requests, linesJoined: responses, linesRead: requests + responses });
    t.equal(whole.events.filter((event) => event.includes('request-only')).length, requests - responses);
    t.same(decodeInChunks(data, 50_000).events, whole.events);
    t.same(decodeInChunks(data, 3_001).events, whole.events);
  });
