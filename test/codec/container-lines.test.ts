// The decoder over the logs of containers: what was around lines goes, parts are joined, every line is counted once.
import fc from 'fast-check';
import t from 'tap';
import { JsonLinesDecoder } from '../../src/codec/json-lines.js';
import type { LineFormat } from '../../src/codec/decoder.js';
import type { EventBatch, QuarantineEntry } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { createMetrics } from '../../src/metrics.js';
import type { OpenEntry } from '../../src/position/position.js';
import { cri, docker, KLOG_LINE } from '../helpers/container-log.js';
import { chunkOf } from '../helpers/decode.js';
import { eventText, requestLine, responseLine } from '../helpers/legacy.js';
import { randomRuns } from '../helpers/random-runs.js';

const EVENT =
  '{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"a","user":{"username":"\\u003c日本"},"n":12345678901234567890}';
const PATH = '/var/log/pods/kube-system_kube-apiserver/kube-apiserver/0.log';
const RUNTIMES = { cri, docker };

/** A log that is read in chunks. */
class Log {
  readonly metrics = createMetrics();
  readonly events: string[] = [];
  readonly origins: [file: string, offset: number][] = [];
  readonly quarantined: QuarantineEntry[] = [];
  readonly decoder: JsonLinesDecoder;
  #offset = 0;

  constructor(format: LineFormat['format'] = 'auto', maxLineBytes = 1 << 20) {
    this.decoder = new JsonLinesDecoder(new FieldRegistry(), '', this.metrics, {
      format,
      openLimits: { maxEntries: 100, maxBytes: 1 << 20, maxAgeMs: 60_000 },
      partialLimits: { maxLineBytes, maxAgeMs: 1_000 },
    });
  }

  read(lines: readonly string[], more: { file?: string; path?: string; readAtMs?: number } = {}): this {
    return this.readText(lines.map((line) => `${line}\n`).join(''), more);
  }

  readText(text: string, more: { file?: string; path?: string; readAtMs?: number } = {}): this {
    const data = Buffer.from(text, 'latin1');
    const offset = this.#offset;
    this.#offset += data.length;
    return this.#take([this.decoder.decode(chunkOf(data, { path: PATH, file: '0.log', ...more, offset }))]);
  }

  flush(nowMs = 0, all = true): this {
    return this.#take(this.decoder.flush(nowMs, all));
  }

  #take(batches: EventBatch[]): this {
    for (const batch of batches) {
      for (let i = 0; i < batch.size; i++) {
        this.events.push(batch.bytes(i).toString());
        const { file, offset } = batch.origin(i);
        this.origins.push([file, offset]);
      }
      this.quarantined.push(...batch.quarantined.map((entry) => ({ ...entry, raw: Buffer.from(entry.raw) })));
      batch.release();
    }
    return this;
  }

  get reasons(): string[] {
    return this.quarantined.map(({ reason }) => reason);
  }

  /** What is wrong with the counters; `physical` lines were read. */
  unbalanced(physical: number): number[] {
    const { linesRead, events, linesJoined, linesBlank, linesNotAudit, linesQuarantined } = this.metrics;
    return [
      linesRead - events - linesJoined - linesBlank - linesNotAudit - linesQuarantined,
      linesRead - physical,
    ].filter((difference) => difference !== 0);
  }
}

for (const [name, wrap] of Object.entries(RUNTIMES)) {
  t.test(`${name}: an event is what the container wrote, byte for byte`, async (t) => {
    for (const format of ['auto', 'cri'] as const) {
      const lines = [...wrap(EVENT), ...wrap(`${EVENT}\r`), ...wrap('')];
      const log = new Log(format).read(lines);
      t.same(log.events, [EVENT, `${EVENT}\r`], format);
      t.match(log.metrics, { linesRead: 3, events: 2, linesBlank: 1 });
    }
  });

  t.test(`${name}: an event is found where its content begins`, async (t) => {
    const lines = [...wrap(KLOG_LINE, undefined, 'stderr'), ...wrap(EVENT)];
    const log = new Log().read(lines);
    const [, offset = 0] = log.origins[0] ?? [];
    t.ok(
      lines
        .join('\n')
        .slice(offset)
        .startsWith(name === 'cri' ? EVENT.slice(0, 60) : '{\\"kind'),
    );
  });

  t.test(`${name}: parts are joined over chunks, files and lines of the other stream`, async (t) => {
    const parts = wrap(EVENT, 20);
    const log = new Log();
    const text = parts.flatMap((part) => [part, ...wrap(KLOG_LINE, undefined, 'stderr')]);
    log.read(text.slice(0, 5), { file: 'a' });
    t.same(log.events, []);
    log.read(text.slice(5, 6), { file: 'b' }).read(text.slice(6), { file: 'c' });
    t.same(log.events, [EVENT]);
    t.equal(log.origins[0]?.[0], 'a', 'it is found where it began');
    t.same(log.unbalanced(text.length), []);
    t.match(log.metrics, { linesJoined: parts.length - 1, linesNotAudit: parts.length });
    t.same(log.decoder.openEntries(), []);
  });

  t.test(`${name}: a stream of each path has its own open part`, async (t) => {
    const log = new Log();
    const [first = '', ...rest] = wrap(EVENT, 100);
    const [other = '', ...otherRest] = wrap(EVENT.replace('"a"', '"b"'), 90, 'stderr');
    log.read([first], { path: '/one' }).read([first], { path: '/two' }).read([other], { path: '/one' });
    t.equal(log.decoder.openEntries().length, 3);
    log.read([...rest, ...otherRest], { path: '/one' });
    t.same(log.events, [EVENT, EVENT.replace('"a"', '"b"')]);
    t.same(
      log.decoder.openEntries().map(({ path }) => path),
      ['/two'],
    );
  });

  t.test(`${name}: what is open is given up in time, and taken as it is`, async (t) => {
    const log = new Log();
    // Whole but for the end of its line.
    const [whole = ''] =
      name === 'cri'
        ? wrap(`${EVENT}${' '.repeat(200)}`, EVENT.length)
        : wrap(`${EVENT}x`, Buffer.byteLength(EVENT));
    const [half = ''] = wrap(EVENT, 50, 'stderr');
    log.read([whole, half], { readAtMs: 5_000 });
    t.equal(log.decoder.hasDue(5_999), false);
    t.equal(log.decoder.hasDue(6_000), true);
    log.flush(6_000, false);
    t.equal(log.decoder.hasDue(1e9), false);
    t.equal(log.events.length + log.quarantined.length, 2);
    t.ok(log.reasons.every((reason) => reason === 'torn'));
    t.same(log.unbalanced(2), []);
  });

  t.test(
    `${name}: a joined line that is too long is quarantined once, and the next one is read`,
    async (t) => {
      const long = `{"data":"${'x'.repeat(200_000)}"}`;
      const log = new Log('auto', 150_000);
      const parts = wrap(long, 16_384);
      const lines = [...parts, ...wrap(EVENT)];
      for (const line of lines) {
        // Its bytes are bounded in the record too.
        const restarted: OpenEntry[] = JSON.parse(JSON.stringify(log.decoder.openEntries())) as OpenEntry[];
        t.ok(restarted.every(({ bytes }) => bytes.length <= 150_000));
        log.decoder.open(restarted);
        log.read([line]);
      }
      t.same(log.events, [EVENT]);
      t.match(log.quarantined, [
        { reason: 'too_long', length: long.length, detail: /150000.*joined from 13 lines/ },
      ]);
      t.equal(log.quarantined[0]?.raw.toString(), long.slice(0, 65_536));
      t.same(log.unbalanced(lines.length), []);
    },
  );

  t.test(`${name}: legacy entries and lists are lines like others`, async (t) => {
    const log = new Log();
    const list =
      '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"auditID":"x"},{"auditID":"y"}]}';
    log.read([...wrap(requestLine('r'), 50), ...wrap(list, 60)]).read(wrap(responseLine('r')));
    t.match(log.events, [/"auditID":"x"/, /"auditID":"y"/, eventText(requestLine('r'), responseLine('r'))]);
    t.equal(log.origins[2]?.[1], name === 'cri' ? 40 : 8);
    // A part whose rest does not come may be a request.
    const [part = ''] = wrap(`${requestLine('s')}${' '.repeat(300)}`, requestLine('s').length + 1);
    log.read([part]).flush();
    t.match(log.events[3], 'request-only');
  });

  t.test(`${name}: the server's own log is counted and left out, and nothing else is`, async (t) => {
    const log = new Log('cri');
    const own = [
      ...wrap(KLOG_LINE, undefined, 'stderr'),
      ...wrap(KLOG_LINE.replace('I', 'W')),
      ...wrap('{"ts":1700000000.5,"caller":"a.go:1","msg":"started","v":0}', undefined, 'stderr'),
      ...wrap('panic: runtime error', undefined, 'stderr'),
      ...wrap('2026-11-21T09:31:11Z INFO text', undefined, 'stderr'),
      ...wrap('123', undefined, 'stderr'),
    ];
    const wrong = [
      ...wrap('dataOf an event whose beginning is lost"}'),
      ...wrap('{"kind":"Event","apiVersion":"audit', undefined, 'stderr'),
      ...wrap('I am no log line'),
      ...wrap('null'),
    ];
    log.read([...own, ...wrong, ...wrap(EVENT, undefined, 'stderr')]);
    t.same(log.reasons, ['malformed', 'malformed', 'malformed', 'not_an_object']);
    t.same(log.events, [EVENT]);
    t.equal(log.metrics.linesNotAudit, own.length);
    t.same(log.unbalanced(own.length + wrong.length + 1), []);
  });

  t.test(`${name}: half an event and a whole one on one line are told apart`, async (t) => {
    const log = new Log().read(wrap(`${EVENT.slice(0, 70)}${EVENT}`));
    t.same(log.events, [EVENT]);
    t.same(log.reasons, ['torn']);
  });

  t.test(`${name}: the last line of a file may lack its newline`, async (t) => {
    const text = wrap(EVENT)[0] ?? '';
    t.same(new Log().readText(text).events, [EVENT]);
    t.same(new Log().readText(text.slice(0, -30)).reasons, ['torn']);
    t.same(new Log().readText(text.slice(0, 9)).reasons, ['torn']);
    t.same(new Log('cri').readText(text.slice(0, 9)).reasons, ['torn']);
  });

  t.test(
    `${name}: however a log is cut into chunks, and restarted between them, the events are the same`,
    async (t) => {
      const contents = fc.array(
        fc.oneof(
          fc.constant(EVENT),
          fc.constant(KLOG_LINE),
          fc.constant(''),
          fc.string({ unit: 'grapheme', maxLength: 20 }).map((text) => `{"text":${JSON.stringify(text)}}`),
          fc.nat(20).map((n) => requestLine(`id${n}`)),
          fc.nat(20).map((n) => responseLine(`id${n}`)),
        ),
        { maxLength: 20 },
      );
      const property = fc.property(
        contents,
        fc.integer({ min: 30, max: 300 }),
        fc.array(fc.nat(6), { minLength: 1, maxLength: 5 }),
        fc.boolean(),
        (contents, bytes, sizes, isCri) => {
          // Cutting within a character is what runtimes do, but Docker replaces its halves.
          const lines = contents.flatMap((content) => wrap(content, name === 'cri' ? bytes : 10_000));
          const format = isCri ? 'cri' : 'auto';
          const whole = new Log(format).read(lines).flush();
          const plain = new Log('auto')
            .read(contents.map((content) => Buffer.from(content).toString('latin1')))
            .flush();
          const pieces = new Log(format);
          let open: OpenEntry[] = [];
          const told = new Log(format);
          const events: string[] = [];
          for (let at = 0, i = 0; at < lines.length; i++) {
            const size = (sizes[i % sizes.length] ?? 0) + 1;
            pieces.read(lines.slice(at, at + size));
            const restarted = new Log(format);
            restarted.decoder.open(JSON.parse(JSON.stringify(open)) as OpenEntry[]);
            restarted.read(lines.slice(at, at + size));
            events.push(...restarted.events);
            open = restarted.decoder.openEntries();
            at += size;
          }
          told.decoder.open(open);
          events.push(...told.flush().events);
          pieces.flush();
          t.same(whole.events, plain.events);
          t.same(pieces.events, whole.events);
          t.same(events, whole.events);
          t.same(pieces.origins, whole.origins);
          t.same(pieces.unbalanced(lines.length), []);
          t.same(whole.quarantined, []);
        },
      );
      fc.assert(property, { numRuns: randomRuns(30) });
    },
  );
}

t.test('a container log in the middle of another one, behind events that were made, is read', async (t) => {
  const log = new Log();
  const plain = Buffer.from(EVENT).toString('latin1');
  const lines = [
    requestLine('open'),
    'not json',
    requestLine('r'),
    responseLine('r'),
    plain,
    ...cri(EVENT, 40),
    ...docker(EVENT),
    plain,
    responseLine('open'),
  ];
  log.read(lines);
  t.same(log.events, [
    eventText(requestLine('r'), responseLine('r')),
    EVENT,
    EVENT,
    EVENT,
    EVENT,
    eventText(requestLine('open'), responseLine('open')),
  ]);
  t.equal(log.quarantined[0]?.raw.toString(), 'not json');
  t.equal(log.origins[5]?.[1], 0);
  t.same(log.unbalanced(lines.length), []);
});

t.test(
  'with format cri a line that no runtime wrote is quarantined; json and legacy unwrap nothing',
  async (t) => {
    const strict = new Log('cri').read([EVENT, requestLine('r'), ' ', 'x', ...cri(EVENT)]);
    t.same(strict.events, [EVENT]);
    t.same(strict.reasons, ['malformed', 'malformed', 'malformed']);
    t.same(new Log('json').read([...cri('{}'), ...docker('x')]).events, docker('x'));
    t.same(new Log('legacy').read(cri(requestLine('r'))).reasons, ['malformed']);
  },
);

t.test('what only looks like the line of a runtime is none', async (t) => {
  const table: [line: string, outcome: 'event' | 'malformed'][] = [
    ['{"log":"x\\n","stream":"stdin","time":"t"}', 'event'],
    ['{"log":"x\\n","stream":"stdout"}', 'event'],
    ['{"log":"x\\n","stream":"stdout","time":1}', 'event'],
    ['{"log":"x\\n","stream":"stdout","time":"t"', 'malformed'],
    ['2026-11-21T09:31:11Z stdout X {}', 'malformed'],
    ['2026-11-21T09:31:11Z stdout Fx {}', 'malformed'],
    ['2026-11-21T09:31:11Z stdlog F {}', 'malformed'],
    ['2026-11-21T09:31:11.123456789123456789Z stdout F {}', 'malformed'],
  ];
  for (const [line, outcome] of table) {
    const log = new Log().read([line]);
    t.same([...log.events.map(() => 'event'), ...log.reasons], [outcome], line);
  }
  t.same(new Log().read(['2026-11-21T09:31:11+01:00 stdout F:tag {}']).events, ['{}']);
  t.same(new Log().read(['2026-11-21T09:31:11Z stdout F']).metrics.linesBlank, 1);
  t.same(
    new Log().read(['{"log":"{}\\\\n","stream":"stdout","time":"t"}']).decoder.openEntries().length,
    1,
    'an escaped backslash before an n is no newline',
  );
  t.same(new Log().read(['{"log":"{}\\n","stream":"stdout","attrs":{"a":"b"},"time":"t"}']).events, ['{}']);
});

t.test('joining parts is linear in their number', async (t) => {
  const parts = 20_000;
  const log = new Log();
  log.read(Array.from({ length: parts }, () => '2026-11-21T09:31:11Z stdout P x'));
  t.equal(log.decoder.openEntries()[0]?.bytes.length, parts);
  log.read(Array.from({ length: 1_000 }, () => '2026-11-21T09:31:11Z stdout P '));
  t.match(log.decoder.openEntries(), [{ partial: { lines: parts + 1_000, length: parts } }]);
});
