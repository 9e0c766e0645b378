// Lines whose parts were seen before: what is made of them is what is made of them without.
import assert from 'node:assert/strict';
import t from 'tap';
import fc from 'fast-check';
import { LegacyEventWriter } from '../../src/codec/legacy-event.js';
import { URI } from '../../src/codec/legacy-keys.js';
import { KnownParts } from '../../src/codec/legacy-known.js';
import { LegacyLine } from '../../src/codec/legacy-line.js';
import { LegacyQuickReader } from '../../src/codec/legacy-quick.js';
import { JsonWriter } from '../../src/event/json-writer.js';
import { eventText, readLine, requestLine, responseLine, TIME } from '../helpers/legacy.js';
import { randomRuns } from '../helpers/random-runs.js';

/** Reads lines and writes their events, with all that it learns. */
class Learning {
  /** Lines whose caller was known, those whose target was too, and such with escapes in that. */
  known = { callers: 0, targets: 0, escaped: 0 };
  readonly #reader: LegacyQuickReader;
  readonly #writer: LegacyEventWriter;

  constructor(parts: KnownParts) {
    this.#reader = new LegacyQuickReader(parts);
    this.#writer = new LegacyEventWriter(parts);
  }

  read(text: string): LegacyLine | string {
    const data = Buffer.from(`before\n${text}\n`, 'latin1');
    const line = new LegacyLine();
    const isRead = this.#reader.read(line, data, 'before\n'.length, data.length - 1);
    if (isRead && line.caller >= 0) this.known.callers++;
    if (isRead && line.caller >= 0 && line.target >= 0) {
      this.known.targets++;
      const target = data.toString('latin1', line.targetStart, line.endOf(URI));
      if (target.includes('\\')) this.known.escaped++;
    }
    return isRead ? line : line.fault;
  }

  write(line: LegacyLine, response?: LegacyLine): string {
    const out = new JsonWriter(Buffer.alloc(64));
    this.#writer.write(out, line, response);
    return out.buffer.toString('utf8', 0, out.length - 1);
  }
}

const few = <T>(...values: T[]) => fc.constantFrom(...values);
const usual = fc
  .record({
    method: few('get', 'GET', 'odd"'),
    user: few('admin', 'a"日本', 'x'.repeat(2000)),
    as: few('<self>', '<self>', 'other'),
    namespace: few('default', '<none>', '', 'a&b', 'é', 'a"', 'b=', '\\b'),
    uri: few(
      '/api/v1/pods',
      '/api/v1/namespaces/n/pods/p?a=1&b=<',
      '/',
      '/api/v1/x"y',
      '/%41',
      ' uri=',
      '/a\\',
    ),
    stage: few(undefined, 'RequestReceived', 'Panic'),
    response: few(undefined, undefined, '200', '404', '<deferred>', '20', '099', '1000', 'x'),
    'user-agent': few(undefined, undefined, '" namespace="x" uri="/" response="200"', ' uri='),
  })
  .map(({ stage, response, 'user-agent': agent, ...values }) =>
    requestLine('a', values)
      .replace(' ip=', stage === undefined ? ' ip=' : ` stage="${stage}" ip=`)
      .replace(
        ' namespace=',
        agent === undefined ? ' namespace=' : ` user-agent=${JSON.stringify(agent)} namespace=`,
      )
      .concat(response === undefined ? '' : ` response="${response}"`),
  );
/** Cuts, doubles or changes something somewhere. */
const damaged = fc
  .tuple(usual, fc.nat(400), fc.nat(30), few('', ' ', '"', '\\', '\r', 'uri="', '" '))
  .map(([line, at, length, put]) => line.slice(0, at) + put + line.slice(at + length));
const lines = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: usual },
    damaged,
    few(responseLine('a'), responseLine('b', 500), `${TIME} AUDIT: id=" uri="`),
  ),
  { minLength: 1, maxLength: 30 },
);

function readAlone(text: string): LegacyLine | string {
  try {
    return readLine(Buffer.from(text, 'latin1'));
  } catch (error) {
    return (error as Error).message;
  }
}

t.test('whatever was read before, a line is the event that it is by itself', async (t) => {
  const learning = new Learning(new KnownParts());
  const forgetful = new Learning(new KnownParts(4, 4));
  fc.assert(
    fc.property(lines, (texts) => {
      // What comes the second time is kept, and known the third time.
      for (const each of [...texts, ...texts, ...texts]) {
        const text = Buffer.from(each).toString('latin1');
        const alone = readAlone(text);
        for (const parts of [learning, forgetful]) {
          const line = parts.read(text);
          if (typeof line === 'string' || typeof alone === 'string') assert.equal(line, alone);
          else {
            assert.equal(line.kind, alone.kind);
            assert.equal(line.timeUs, alone.timeUs);
            assert.equal(parts.write(line), eventText(Buffer.from(text, 'latin1')));
          }
        }
      }
    }),
    { numRuns: randomRuns(500) },
  );
  const { callers, targets, escaped } = learning.known;
  t.ok(Math.min(callers, targets, escaped) >= 10, JSON.stringify(learning.known));
});

for (const part of ['caller', 'target'] as const)
  t.test(`a request whose ${part} was forgotten before its response came is the same event`, async (t) => {
    const learning = new Learning(new KnownParts(4, 4));
    const readAll = (text: string): LegacyLine => {
      const line = learning.read(text);
      if (typeof line === 'string') throw new Error(line);
      return line;
    };
    const request = requestLine('a', { user: 'first' });
    for (let i = 0; i < 3; i++) learning.write(readAll(request));
    const open = readAll(request);
    t.ok(open[part] >= 0, 'it was known');
    for (let i = 0; i < 30; i++) {
      const other = part === 'caller' ? { user: `other ${i >> 1}` } : { uri: `/other/${i >> 1}` };
      learning.write(readAll(requestLine('b', other)));
    }
    t.ok(readAll(request)[part] < 0, 'it is not known any more');
    t.equal(learning.write(open, readLine(responseLine('a'))), eventText(request, responseLine('a')));
  });
