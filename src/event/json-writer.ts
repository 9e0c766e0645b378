// Writes JSON into a buffer that grows, with strings as Go's encoding/json escapes them: `<`, `>` and `&` as `\u00XX`,
// U+2028 and U+2029 too, other UTF-8 as it is. So what a decoder makes has the bytes that kube-apiserver's own JSON log
// has for the same values. The output is valid UTF-8 whatever goes in: like there, each byte that is not becomes
// `\ufffd`. Commas and braces are the caller's business.
import { toBuffer } from './byte-string.js';
import type { ByteString } from './byte-string.js';
import { QUOTE } from './json-reader.js';

/** 1 for bytes that stand for themselves in a string. */
export const SAFE = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x20 && byte < 0x80 && !'"\\<>&'.includes(String.fromCharCode(byte)) ? 1 : 0,
);
/** No byte of a string takes more room than this. */
const MAX_GROWTH = 6;
const SHORT_ESCAPES = new Map(
  [...Object.entries({ '"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't' })].map(
    ([from, to]) => [from.charCodeAt(0), Buffer.from(`\\${to}`)],
  ),
);
const REPLACEMENT = Buffer.from('\\ufffd');
const HEX_DIGITS = Buffer.from('0123456789abcdef');

/** Bytes that are written often, in words: three times as fast as byte by byte, and than `set` for so few. */
export class Constant {
  readonly length: number;
  readonly words: Int32Array;

  constructor(text: string) {
    const bytes = Buffer.from(text);
    const padded = Buffer.alloc(Math.ceil(bytes.length / 4) * 4);
    bytes.copy(padded);
    this.length = bytes.length;
    this.words = Int32Array.from({ length: padded.length / 4 }, (_, i) => padded.readInt32LE(i * 4));
  }
}

/** Words are written whole, also where they end behind what they are for. */
const SLACK_BYTES = 4;

export class JsonWriter {
  /** What was written is `buffer[0, length)`. */
  buffer: Buffer;
  length: number;
  #view: DataView;

  /** Writes behind what `buffer` holds up to `length`; the buffer belongs to the writer until it takes a larger one. */
  constructor(buffer: Buffer, length = 0) {
    this.buffer = buffer;
    this.length = length;
    this.#view = new DataView(buffer.buffer, buffer.byteOffset, buffer.length);
  }

  /** Makes room for `bytes` more. */
  reserve(bytes: number): void {
    const needed = this.length + bytes + SLACK_BYTES;
    if (needed <= this.buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(larger, 0, 0, this.length);
    this.buffer = larger;
    this.#view = new DataView(larger.buffer, larger.byteOffset, larger.length);
  }

  /** Writes a constant. */
  constant({ words, length }: Constant): void {
    this.reserve(length);
    const view = this.#view;
    let to = this.length;
    for (let i = 0; i < words.length; i++) {
      view.setInt32(to, words[i] as number, true);
      to += 4;
    }
    this.length += length;
  }

  /** Writes a constant, then the bytes `[start, end)` of a buffer as they are: for a key and a short value. */
  constantAndBytes(
    { words, length: constantLength }: Constant,
    source: DataView,
    start: number,
    end: number,
  ): void {
    this.reserve(constantLength + end - start);
    const view = this.#view;
    let to = this.length;
    for (let i = 0; i < words.length; i++) {
      view.setInt32(to, words[i] as number, true);
      to += 4;
    }
    to = this.length + constantLength;
    let p = start;
    for (const lastWord = end - 4; p <= lastWord; p += 4) {
      view.setInt32(to, source.getInt32(p, true), true);
      to += 4;
    }
    for (; p < end; p++) view.setUint8(to++, source.getUint8(p));
    this.length = to;
  }

  /** Writes a constant, then eight bytes, four in each word. */
  constantAndWords(constant: Constant, first: number, last: number): void {
    this.reserve(constant.length + 8);
    this.constant(constant);
    this.#view.setInt32(this.length, first, true);
    this.#view.setInt32(this.length + 4, last, true);
    this.length += 8;
  }

  /** Writes `length` bytes, four in each of `words` from `at` on, as a constant's; returns the index behind them. */
  words(words: Int32Array, at: number, length: number): number {
    this.reserve(length);
    const view = this.#view;
    const end = at + ((length + 3) >> 2);
    let to = this.length;
    for (let i = at; i < end; i++) {
      view.setInt32(to, words[i] as number, true);
      to += 4;
    }
    this.length += length;
    return end;
  }

  /** Puts what was written as `[start, end)` into `words` at `at`, as `words` takes it; returns where it ends. */
  copyWords(start: number, end: number, words: Int32Array, at: number): number {
    const view = this.#view;
    let to = at;
    for (let p = start; p < end; p += 4) words[to++] = view.getInt32(p, true);
    return to;
  }

  /** Writes `data[start..end)` as it is. */
  bytes(data: Buffer, start: number, end: number): void {
    this.reserve(end - start);
    data.copy(this.buffer, this.length, start, end);
    this.length += end - start;
  }

  /** Writes one byte as it is. */
  byte(byte: number): void {
    this.reserve(1);
    this.buffer[this.length++] = byte;
  }

  /** Writes a byte string as a string, with its quotes. */
  text(text: ByteString): void {
    const bytes = toBuffer(text);
    this.string(bytes, 0, bytes.length);
  }

  /** Writes `data[start..end)` as a string, with its quotes. */
  string(data: Uint8Array, start: number, end: number): void {
    this.reserve((end - start) * MAX_GROWTH + 2);
    const { buffer } = this;
    let to = this.length;
    buffer[to++] = QUOTE;
    let p = start;
    while (p < end) {
      const byte = data[p] as number;
      if (SAFE[byte] === 1) {
        buffer[to++] = byte;
        p++;
      } else if (byte < 0x80) {
        to = escapeTo(buffer, to, byte);
        p++;
      } else {
        const length = sequenceLength(data, p, end);
        if (length === 0) {
          buffer.set(REPLACEMENT, to);
          to += REPLACEMENT.length;
          p++;
        } else if (isLineSeparator(data, p)) {
          to = escapeUnicodeTo(buffer, to, 0x2028 + ((data[p + 2] as number) & 1));
          p += length;
        } else {
          for (const last = p + length; p < last; p++) buffer[to++] = data[p] as number;
        }
      }
    }
    buffer[to++] = QUOTE;
    this.length = to;
  }
}

function escapeTo(buffer: Buffer, at: number, byte: number): number {
  const short = SHORT_ESCAPES.get(byte);
  if (!short) return escapeUnicodeTo(buffer, at, byte);
  buffer.set(short, at);
  return at + short.length;
}

function escapeUnicodeTo(buffer: Buffer, at: number, codeUnit: number): number {
  buffer[at] = 0x5c;
  buffer[at + 1] = 0x75;
  for (let i = 0; i < 4; i++) buffer[at + 5 - i] = HEX_DIGITS[(codeUnit >> (4 * i)) & 15] as number;
  return at + 6;
}

/** U+2028 and U+2029, which end a line in JavaScript. */
function isLineSeparator(data: Uint8Array, at: number): boolean {
  return data[at] === 0xe2 && data[at + 1] === 0x80 && ((data[at + 2] as number) & 0xfe) === 0xa8;
}

/** Bytes of the UTF-8 sequence of more than one byte that begins at `at`, 0 where it is invalid (RFC 3629 §4). */
function sequenceLength(data: Uint8Array, at: number, end: number): number {
  const first = data[at] as number;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || at + length > end) return 0;
  const second = data[at + 1] as number;
  // No overlong forms, no surrogates, nothing above U+10FFFF.
  const low = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const high = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  if (second < low || second > high) return 0;
  for (let p = at + 2; p < at + length; p++) if (((data[p] as number) & 0xc0) !== 0x80) return 0;
  return length;
}
