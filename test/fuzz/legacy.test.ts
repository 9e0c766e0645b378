// The legacy tokeniser and Go's quoting against the shortest programs that do the same, and against any bytes.
import t from 'tap';
import fc from 'fast-check';
import { escapeLength, unquoteTo } from '../../src/codec/go-quote.js';
import { LegacyEventWriter } from '../../src/codec/legacy-event.js';
import { KEYS } from '../../src/codec/legacy-keys.js';
import { LegacyLine } from '../../src/codec/legacy-line.js';
import { JsonWriter } from '../../src/event/json-writer.js';
import { TIME } from '../helpers/legacy.js';

const NAMED = new Map(Object.entries({ a: '\x07', b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }));
const ESCAPE =
  /\\(?:([abfnrtv])|([\\"'])|x([0-9a-fA-F]{2})|([0-3][0-7]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/g;

function utf8(hex: string): string {
  const codePoint = parseInt(hex, 16);
  if (codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) throw new Error('no code point');
  return Buffer.from(String.fromCodePoint(codePoint)).toString('latin1');
}

/** What a quoted string stands for, undefined where it has an invalid escape. */
function reference(quoted: string): string | undefined {
  try {
    if (quoted.replace(ESCAPE, '').includes('\\')) return undefined;
    return quoted.replace(
      ESCAPE,
      (_, named: string, same: string, hex: string, octal: string, u: string, U: string) => {
        if (named) return NAMED.get(named) ?? '';
        if (same) return same;
        if (hex) return String.fromCharCode(parseInt(hex, 16));
        return octal ? String.fromCharCode(parseInt(octal, 8)) : utf8(u || U);
      },
    );
  } catch {
    return undefined;
  }
}

function unquote(quoted: string): string | undefined {
  const data = Buffer.from(quoted, 'latin1');
  for (let p = 0; p < data.length;) {
    const step = data[p] === 0x5c ? escapeLength(data, p, data.length) : 1;
    if (step === 0) return undefined;
    p += step;
  }
  const target = Buffer.alloc(data.length);
  return target.toString('latin1', 0, unquoteTo(target, 0, data, 0, data.length));
}

const piece = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      '\\',
      '\\x',
      '\\u',
      '\\U',
      '\\u00',
      '\\U000',
      '\\3',
      '\\x4',
      '\\"',
      '\\\\',
      '"',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom('a', 'f', '0', '7', '41', '1f600', 'D800', '\xe6\x97\xa5', '\xff', '<', '&'),
  },
  fc.string({ maxLength: 9 }),
);
const text = fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join('').replaceAll('\n', ''));

t.test('a quoted string stands for what it stands for in Go', async () => {
  fc.assert(
    fc.property(text, (quoted) => unquote(quoted) === reference(quoted)),
    { numRuns: 5000 },
  );
});

/** The values of a line by key, as they are quoted; undefined where it is none. */
function referenceValues(line: string): Map<string, string> | undefined {
  const [, rest] = /^[^A ]+ *AUDIT: *(.*?)\r?$/s.exec(line) ?? [];
  const values = new Map<string, string>();
  let left = rest;
  while (left) {
    const [all = '', key = '', value = ''] = /^([a-z-]+)="((?:[^"\\]|\\.)*)" */s.exec(left) ?? [];
    if (all === '' || values.has(key) || !KEYS.some((known) => known === key)) return undefined;
    if (reference(value) === undefined) return undefined;
    values.set(key, value);
    left = left.slice(all.length);
  }
  return left === undefined ? undefined : values;
}

/** Faults that no single value has. */
const OF_THE_WHOLE = ['a response that is no status code', 'neither a request nor a response'];

const pair = fc
  .tuple(fc.constantFrom(...KEYS, 'other'), text, fc.constantFrom('"', '" ', '"  ', ''))
  .map(([key, value, close]) => `${key}="${value}${close}`);
const line = fc
  .tuple(
    fc.uniqueArray(pair, { maxLength: 8, selector: (text) => text.split('=')[0] }),
    fc.constantFrom('', '\r'),
  )
  .map(([pairs, end]) => `${TIME} AUDIT: id="a" method="GET" uri="/" ${pairs.join('')}${end}`);

t.test('the values of any line are those that a straightforward tokeniser finds', async () => {
  fc.assert(
    fc.property(line, (text) => {
      const data = Buffer.from(text, 'latin1');
      const read = new LegacyLine();
      const isRead = read.read(data, 0, data.length);
      const values = referenceValues(data.toString('latin1'));
      if (!isRead && OF_THE_WHOLE.includes(read.fault)) return true;
      if (!isRead || !values) return isRead === (values !== undefined);
      return KEYS.every((key, i) => {
        const value = read.has(i) ? data.toString('latin1', read.startOf(i), read.endOf(i)) : undefined;
        if (value !== values.get(key)) return false;
        if (value === undefined) return true;
        return read.isEscaped(i) === value.includes('\\') && (!read.isPlain(i) || /^[ -\x7f]*$/.test(value));
      });
    }),
    { numRuns: 5000 },
  );
});

t.test('whatever is read, its event is one line of JSON with the same id', async () => {
  const written = new LegacyEventWriter();
  fc.assert(
    fc.property(line, fc.boolean(), (text, isAnswered) => {
      const data = Buffer.from(text, 'latin1');
      const read = new LegacyLine();
      if (!read.read(data, 0, data.length)) return true;
      const response = new LegacyLine();
      const answer = Buffer.from(`${TIME} AUDIT: id="a" response="200"`);
      response.read(answer, 0, answer.length);
      const out = new JsonWriter(Buffer.alloc(16));
      written.write(out, read, isAnswered && read.kind === 'request' ? response : undefined);
      const event = out.buffer.toString('utf8', 0, out.length);
      const isUtf8 = Buffer.from(event).equals(out.buffer.subarray(0, out.length));
      return (
        isUtf8 &&
        event.indexOf('\n') === event.length - 1 &&
        (JSON.parse(event) as { auditID: string }).auditID === 'a'
      );
    }),
    { numRuns: 5000 },
  );
});

t.test('any bytes are read or refused, never thrown at', async () => {
  const read = new LegacyLine();
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, hasBeginning) => {
      const data = Buffer.concat([Buffer.from(hasBeginning ? `${TIME} AUDIT: ` : ''), bytes]);
      if (read.read(data, 0, data.length))
        new LegacyEventWriter().write(new JsonWriter(Buffer.alloc(16)), read);
      return true;
    }),
    { numRuns: 5000 },
  );
});
