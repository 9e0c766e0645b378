// The times of legacy lines and of their events. Neighbouring lines are of one second, so what there is to say of a second is
// remembered. Invariant: a time that is read is what `parseTimestamp` says.
import { Constant } from '../event/json-writer.js';
import type { JsonWriter } from '../event/json-writer.js';
import { parseTimestamp } from '../event/timestamp.js';

const ZERO = 0x30;
const DOT = 0x2e;
const LETTER_Z = 0x5a;
/** `2026-11-21T09:31:11`, without its fraction. */
const SECOND_BYTES = 19;
/** `+01:00`. */
const OFFSET_BYTES = 6;
/** Of a second's fraction, down to microseconds. */
const DIGITS = 6;
const MAX_DIGITS = 9;

export class TimeReader {
  /** The bytes of the second that was read last, four at a time; the last four overlap those before. */
  readonly #second = new Int32Array(5);
  /** What stood behind its fraction: `Z` alone, or an offset as above. */
  readonly #zone = new Int32Array(2);
  /** NaN before the first: bytes that look like the empty second above are no time. */
  #secondUs = NaN;

  /** Microseconds since the epoch of the timestamp `data[start..end)`, NaN where it is none. `view` is over `data`. */
  read(data: Buffer, view: DataView, start: number, end: number): number {
    const zoneStart = data[end - 1] === LETTER_Z ? end - 1 : end - OFFSET_BYTES;
    const firstDigit = start + SECOND_BYTES + 1;
    const digits = zoneStart - firstDigit;
    if (digits <= 0 || digits > MAX_DIGITS || data[firstDigit - 1] !== DOT)
      return parseTimestamp(data, start, end);
    if (!this.#isLastSecond(view, start) || !this.#isLastZone(view, zoneStart, end)) {
      const us = parseTimestamp(data, start, end);
      if (!Number.isNaN(us)) this.#remember(view, start, zoneStart, end, us - (us % 1e6));
      return us;
    }
    let fractionUs = 0;
    for (let p = firstDigit; p < zoneStart; p++) {
      const digit = (data[p] as number) - ZERO;
      if (digit < 0 || digit > 9) return NaN;
      if (p < firstDigit + DIGITS) fractionUs = fractionUs * 10 + digit;
    }
    for (let i = digits; i < DIGITS; i++) fractionUs *= 10;
    return this.#secondUs + fractionUs;
  }

  #isLastSecond(view: DataView, start: number): boolean {
    const second = this.#second;
    return (
      view.getInt32(start + 15, true) === second[4] &&
      view.getInt32(start + 12, true) === second[3] &&
      view.getInt32(start + 8, true) === second[2] &&
      view.getInt32(start + 4, true) === second[1] &&
      view.getInt32(start, true) === second[0]
    );
  }

  #isLastZone(view: DataView, zoneStart: number, end: number): boolean {
    const zone = this.#zone;
    if (zoneStart === end - 1) return zone[0] === LETTER_Z;
    return view.getInt32(zoneStart, true) === zone[0] && view.getInt32(end - 4, true) === zone[1];
  }

  #remember(view: DataView, start: number, zoneStart: number, end: number, secondUs: number): void {
    for (let i = 0; i < 4; i++) this.#second[i] = view.getInt32(start + i * 4, true);
    this.#second[4] = view.getInt32(start + 15, true);
    this.#zone[0] = zoneStart === end - 1 ? LETTER_Z : view.getInt32(zoneStart, true);
    this.#zone[1] = view.getInt32(end - 4, true);
    this.#secondUs = secondUs;
  }
}

/** Two digits each, as bytes. */
const PAIRS = Int32Array.from({ length: 100 }, (_, i) =>
  Buffer.from(String(i).padStart(2, '0')).readInt16LE(),
);
/** Behind the fraction: `Z"`. */
const END = Buffer.from('Z"').readInt16LE() << 16;
/** How long a time is with its quotes: `"2026-11-21T09:31:11.543895Z"`. */
export const QUOTED_TIME_BYTES = 29;

/** Writes the times under one key, in UTC with six digits, as the API server does. */
export class TimeWriter {
  readonly #key: string;
  #second = -1;
  /** The key and the last second that was written, up to its dot. */
  #prefix = new Constant('');

  /** `key` is what stands in front of the quotes. */
  constructor(key: string) {
    this.#key = key;
  }

  /** Writes the key and the time, which is in microseconds since the epoch, with its quotes. */
  write(out: JsonWriter, us: number): void {
    const second = Math.floor(us / 1e6);
    if (second !== this.#second) this.#setSecond(second);
    const fractionUs = (us - second * 1e6) | 0;
    const hundreds = (fractionUs / 100) | 0;
    const tenThousands = (hundreds / 100) | 0;
    const first = PAIRS[tenThousands] as number;
    const next = PAIRS[hundreds - tenThousands * 100] as number;
    const last = PAIRS[fractionUs - hundreds * 100] as number;
    out.constantAndWords(this.#prefix, first | (next << 16), last | END);
  }

  #setSecond(second: number): void {
    this.#second = second;
    this.#prefix = new Constant(`${this.#key}"${new Date(second * 1e3).toISOString().slice(-24, -5)}.`);
  }
}
