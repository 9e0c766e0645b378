// Reads one line of the API server's legacy audit log into the ranges of its values: a timestamp, `AUDIT:`, then
// key="value" pairs whose values Go quoted. All three formats are one grammar, and which one a line is follows from
// the keys that it has:
//   request     id ip method user [groups] as [asgroups] namespace uri     (two-line, 1.4 to 1.11)
//   response    id response                                                (its second line)
//   complete    a request with its response in one                         (1.7 to today, with a `stage`)
// (kube-apiserver pkg/apiserver/audit and, from 1.7 on, staging/src/k8s.io/apiserver/pkg/audit/format.go.)
//
// A line is read by what cannot be mistaken, the quotes: spaces between pairs may be missing, as they are in logs
// that went through other hands. A key that is not known, or given twice, makes the line malformed: better seen in the
// quarantine than half understood. What the values mean is left to `legacy-event.ts`.
import { BACKSLASH, CARRIAGE_RETURN, QUOTE } from '../event/json-reader.js';
import { SAFE } from '../event/json-writer.js';
import { parseTimestamp } from '../event/timestamp.js';
import { escapeLength } from './go-quote.js';
import { equalsAt, ID, KEYS, METHOD, RESPONSE, STAGE, URI } from './legacy-keys.js';

export type LegacyKind = 'request' | 'response' | 'complete';

/**
 * A longer line is not read. The API server takes 1 MiB of headers and request line, of which a byte becomes five at
 * most where it is quoted twice.
 */
const MAX_LINE_BYTES = 8 * 1024 * 1024;

/** How a response says that it is still to come. */
const DEFERRED = Buffer.from('<deferred>');

const EMPTY = Buffer.alloc(0);
const SPACE = 0x20;
const EQUALS = 0x3d;
const LETTER_A = 0x41;
const AUDIT = Buffer.from('AUDIT:');
/** A date and a time without fraction take at least this. */
const MIN_TIMESTAMP_BYTES = 20;

/** Keys by their length and last byte, which differ for all of them. */
const KEY_AT = new Int8Array(16 * 256).fill(-1);
const KEY_BYTES = KEYS.map((key) => Buffer.from(key));
/** Each with `="` behind it, four bytes at a time; the last four overlap those before. */
const KEY_WORDS = KEYS.map((key) => {
  const bytes = Buffer.from(`${key}="`);
  const count = Math.ceil(bytes.length / 4);
  return Int32Array.from({ length: count }, (_, i) => bytes.readInt32LE(Math.min(i * 4, bytes.length - 4)));
});
const RESPONSE_KEYS = (1 << ID) | (1 << RESPONSE);
for (const [i, key] of KEY_BYTES.entries()) KEY_AT[placeOf(key, 0, key.length)] = i;

/** The fault of a line that may well be something else. */
export const NO_TIME = 'no timestamp at its beginning';

/** Whether a line that begins with `byte` may be a legacy one: with the first digit of a year. */
export function mayBeLegacy(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x30 && byte <= 0x39;
}

export class LegacyLine {
  data: Buffer = EMPTY;
  /** Over `data`. */
  view: DataView = new DataView(EMPTY.buffer, 0, 0);
  /** The line is `data[start..end)`, without newline. */
  start = 0;
  end = 0;
  /** The time at its beginning, in microseconds since the epoch. */
  timeUs = NaN;
  kind: LegacyKind = 'complete';
  /** A complete line that says that the response is still to come. */
  isDeferred = false;
  /** What is wrong where `read` refused the line; in words, without anything of the line. */
  fault = '';
  /**
   * Where the line has the usual form (`legacy-quick.ts`): `[callerStart, targetStart)` are the pairs between id and
   * namespace, `[targetStart, endOf(URI))` those of namespace and URI. Else -1.
   */
  callerStart = -1;
  targetStart = -1;
  /** The slot of what is known of the pairs between id and namespace, and its serial number; then those are no values. */
  caller = -1;
  callerSerial = 0;
  /** In the same way of the pairs behind, for the method and the kind of the line. */
  target = -1;
  targetSerial = 0;
  /** Ranges of the contents of the quoted values by index in KEYS; of no meaning where absent. */
  readonly #starts = new Int32Array(KEYS.length);
  readonly #ends = new Int32Array(KEYS.length);
  /** One bit a key: it is there. */
  #present = 0;
  /** The key that was read last; -1 before the first. */
  #lastKey = -1;
  /** One bit a key: its value holds escapes. */
  #escaped = 0;
  /** One bit a key: its value may hold bytes that JSON, as Go writes it, does not hold as they are. */
  #special = 0;

  /** Where the content of the value begins and ends in `data`; -1 and -1 where it is absent. */
  startOf(key: number): number {
    return this.has(key) ? (this.#starts[key] as number) : -1;
  }
  endOf(key: number): number {
    return this.has(key) ? (this.#ends[key] as number) : -1;
  }
  /** Whether the value is there. */
  has(key: number): boolean {
    return ((this.#present >> key) & 1) === 1;
  }
  /** Whether the value holds escapes, and so is not what it stands for. */
  isEscaped(key: number): boolean {
    return ((this.#escaped >> key) & 1) === 1;
  }

  /** Whether the value, between two quotes, is a JSON string as it stands. */
  isPlain(key: number): boolean {
    return (((this.#escaped | this.#special) >> key) & 1) === 0;
  }

  /** Whether the value is there and stands for these bytes, which hold nothing that would be escaped. */
  is(key: number, bytes: Uint8Array): boolean {
    if (!this.has(key)) return false;
    return equalsAt(this.data, this.#starts[key] as number, this.#ends[key] as number, bytes);
  }

  /** The line is `data[start..end)`, which must stay as it is while this is used, and no value of it is known yet. */
  begin(data: Buffer, start: number, end: number): void {
    if (data !== this.data) {
      this.data = data;
      this.view = new DataView(data.buffer, data.byteOffset, data.length);
    }
    this.start = start;
    this.end = end;
    this.caller = this.target = -1;
    this.#present = 0;
    this.#escaped = 0;
    this.#special = 0;
  }

  /** Says where a value is, which holds no escapes. `isPlain` as below. */
  set(key: number, start: number, end: number, isPlain: boolean): void {
    this.#starts[key] = start;
    this.#ends[key] = end;
    this.#present |= 1 << key;
    if (!isPlain) this.#special |= 1 << key;
  }

  /** Reads the line `data[start..end)`, all of it; false where it is no legacy line. */
  read(data: Buffer, start: number, end: number): boolean {
    this.begin(data, start, end);
    if (end - start > MAX_LINE_BYTES) return this.#fail(`longer than ${MAX_LINE_BYTES} bytes`);
    const timeEnd = endOfTime(data, start, end);
    this.timeUs = parseTimestamp(data, start, timeEnd);
    if (Number.isNaN(this.timeUs)) return this.#fail(NO_TIME);
    let p = spaces(data, timeEnd, end);
    if (!equalsAt(data, p, Math.min(p + AUDIT.length, end), AUDIT))
      return this.#fail('no `AUDIT:` behind its timestamp');
    p = spaces(data, p + AUDIT.length, end);
    this.#lastKey = -1;
    while (p < end && !(data[p] === CARRIAGE_RETURN && p + 1 === end)) {
      p = this.#pair(p);
      if (p < 0) return false;
      p = spaces(data, p, end);
    }
    return this.#tellKind();
  }

  /** Goes on with a copy of the line. */
  keep(): void {
    const by = this.start;
    this.data = Buffer.from(this.data.subarray(by, this.end));
    this.view = new DataView(this.data.buffer, this.data.byteOffset, this.data.length);
    this.start = 0;
    this.end -= by;
    for (let key = 0; key < KEYS.length; key++) {
      this.#starts[key] = (this.#starts[key] as number) - by;
      this.#ends[key] = (this.#ends[key] as number) - by;
    }
    if (this.targetStart < 0) return;
    this.callerStart -= by;
    this.targetStart -= by;
  }

  /** Reads all of the line, without what is known of it. */
  readAgain(): void {
    if (!this.read(this.data, this.start, this.end))
      throw new Error(`impossible: a line that was read has ${this.fault}`);
  }

  #pair(at: number): number {
    const { data, end } = this;
    const usual = this.#usualKey(at);
    if (usual >= 0) return this.#value(usual, at + (KEY_BYTES[usual] as Buffer).length + 2);
    let p = at;
    while (p < end && data[p] !== EQUALS && data[p] !== QUOTE && data[p] !== SPACE) p++;
    const key = keyAt(data, at, p);
    if (data[p] !== EQUALS || data[p + 1] !== QUOTE || p + 2 > end) {
      this.fault = 'something else than key="value" pairs';
      return -1;
    }
    if (key < 0 || this.has(key)) {
      this.fault = key < 0 ? 'an unknown key' : `the key ${String(KEYS[key])} twice`;
      return -1;
    }
    return this.#value(key, p + 2);
  }

  // The key that stands at `at`, if it is one of the next two in the order of KEYS, which is that of the lines; else -1.
  // Then nobody has to look for its end and for which one it is.
  #usualKey(at: number): number {
    const first = this.#lastKey + 1;
    for (let key = first; key < first + 2 && key < KEYS.length; key++)
      if (!this.has(key) && this.#isAt(at, KEY_WORDS[key] as Int32Array, KEY_BYTES[key] as Buffer))
        return key;
    return -1;
  }

  #isAt(at: number, words: Int32Array, { length }: Buffer): boolean {
    const { view } = this;
    if (at + length + 2 > this.end) return false;
    const last = words.length - 1;
    for (let i = 0; i < last; i++) if (view.getInt32(at + i * 4, true) !== words[i]) return false;
    return view.getInt32(at + length - 2, true) === words[last];
  }

  // Reads the value whose content begins at `at`; returns the position behind its closing quote, or -1.
  #value(key: number, at: number): number {
    const { data, view, end } = this;
    const lastWord = end - 4;
    let bits = 0;
    let special = 0;
    let p = at;
    this.#starts[key] = at;
    this.#present |= 1 << key;
    this.#lastKey = key;
    for (;;) {
      // Four bytes at a time, as in `JsonReader.string`: the highest bit of a byte of `stops` is set where that byte
      // is a quote or `&`, a backslash, `<` or `>`, or below 0x20. What is above 0x7f only shows in `bits`.
      while (p <= lastWord) {
        const word = view.getInt32(p, true);
        const stops =
          ((((word | 0x04040404) ^ 0x26262626) - 0x01010101) |
            ((word ^ 0x5c5c5c5c) - 0x01010101) |
            (((word | 0x02020202) ^ 0x3e3e3e3e) - 0x01010101) |
            (word - 0x20202020)) &
          ~word &
          0x80808080;
        if (stops !== 0) {
          const first = stops & -stops;
          bits |= word & (first - 1);
          p += (31 - Math.clz32(first)) >> 3;
          break;
        }
        bits |= word;
        p += 4;
      }
      if (p >= end) return this.#failValue(key, 'does not end');
      const byte = data[p] as number;
      if (byte === QUOTE) break;
      if (byte === BACKSLASH) {
        const length = escapeLength(data, p, end);
        if (length === 0) return this.#failValue(key, 'holds an invalid escape');
        this.#escaped |= 1 << key;
        p += length;
      } else {
        if (SAFE[byte] === 0) special = 1;
        p++;
      }
    }
    this.#ends[key] = p;
    if (special !== 0 || (bits & 0x80808080) !== 0) this.#special |= 1 << key;
    return p + 1;
  }

  #tellKind(): boolean {
    if (!this.has(ID)) return this.#fail('no id');
    const hasResponse = this.has(RESPONSE);
    // Behind a stage there is a response, or the line was cut before it.
    const isRequest = this.has(METHOD) && this.has(URI) && (hasResponse || !this.has(STAGE));
    if (isRequest) this.kind = hasResponse ? 'complete' : 'request';
    else if (this.#present === RESPONSE_KEYS) this.kind = 'response';
    else return this.#fail('neither a request nor a response');
    this.isDeferred = this.kind === 'complete' && this.is(RESPONSE, DEFERRED);
    if (hasResponse && !this.isDeferred && !this.#hasCode())
      return this.#fail('a response that is no status code');
    return true;
  }

  #hasCode(): boolean {
    const start = this.startOf(RESPONSE);
    const end = this.endOf(RESPONSE);
    for (let p = start; p < end; p++) if (!isDigit(this.data[p] as number)) return false;
    // JSON has no leading zeros.
    return end > start && end - start <= 9 && (this.data[start] !== 0x30 || end - start === 1);
  }

  #failValue(key: number, what: string): -1 {
    this.fault = `the value of ${String(KEYS[key])} ${what}`;
    return -1;
  }

  #fail(fault: string): false {
    this.fault = fault;
    return false;
  }
}

/** Where the timestamp ends: at a space, or at `AUDIT:` where the space was lost. */
function endOfTime(data: Buffer, start: number, end: number): number {
  let p = Math.min(start + MIN_TIMESTAMP_BYTES - 1, end);
  while (p < end && data[p] !== SPACE && data[p] !== LETTER_A) p++;
  return p;
}

function spaces(data: Buffer, at: number, end: number): number {
  let p = at;
  while (p < end && data[p] === SPACE) p++;
  return p;
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}

function keyAt(data: Buffer, start: number, end: number): number {
  const key = KEY_AT[placeOf(data, start, end)] as number;
  return key >= 0 && equalsAt(data, start, end, KEY_BYTES[key] as Buffer) ? key : -1;
}

function placeOf(data: Uint8Array, start: number, end: number): number {
  const length = end - start;
  return length < 2 || length > 15 ? 0 : (length << 8) | (data[end - 1] as number);
}
