// The bytes that a JSON string stands for. An escaped lone surrogate becomes its three bytes as UTF-8 would
// write it (WTF-8), so that two different strings never become the same bytes; bytes that are not escaped stay
// what they are, valid UTF-8 or not.
import type { ByteString } from './byte-string.js';
import { BACKSLASH } from './json-reader.js';

const ESCAPES = new Map<number, number>([
  [0x62, 0x08],
  [0x66, 0x0c],
  [0x6e, 0x0a],
  [0x72, 0x0d],
  [0x74, 0x09],
]);
const LETTER_U = 0x75;

/**
 * Writes the value of the string whose content, without its quotes and known to be valid, is `data[start..end)`
 * to `target`, which must have room for `end - start` bytes; returns how many bytes were written.
 */
export function unescapeTo(target: Uint8Array, data: Buffer, start: number, end: number): number {
  let to = 0;
  let p = start;
  while (p < end) {
    const byte = data[p] as number;
    if (byte !== BACKSLASH) {
      target[to++] = byte;
      p++;
      continue;
    }
    const escape = data[p + 1] as number;
    if (escape !== LETTER_U) {
      target[to++] = ESCAPES.get(escape) ?? escape;
      p += 2;
      continue;
    }
    let codePoint = hexAt(data, p + 2);
    p += 6;
    if (codePoint >= 0xd800 && codePoint <= 0xdbff && p + 6 <= end) {
      const low = data[p] === BACKSLASH && data[p + 1] === LETTER_U ? hexAt(data, p + 2) : 0;
      if (low >= 0xdc00 && low <= 0xdfff) {
        codePoint = 0x10000 + ((codePoint - 0xd800) << 10) + (low - 0xdc00);
        p += 6;
      }
    }
    to = writeCodePoint(target, to, codePoint);
  }
  return to;
}

/** The value of a valid string without its quotes as a byte string. */
export function unescape(data: Buffer, start: number, end: number): ByteString {
  for (let p = start; p < end; p++) {
    if (data[p] === BACKSLASH) {
      const target = Buffer.allocUnsafe(end - start);
      return target.toString('latin1', 0, unescapeTo(target, data, start, end));
    }
  }
  return data.toString('latin1', start, end);
}

function hexAt(data: Buffer, at: number): number {
  let value = 0;
  for (let p = at; p < at + 4; p++) {
    const byte = data[p] as number;
    value = (value << 4) | (byte <= 0x39 ? byte - 0x30 : (byte | 0x20) - 0x61 + 10);
  }
  return value;
}

/** Writes a code point as UTF-8, a surrogate too, to `target` at `at`; returns where it ends. */
export function writeCodePoint(target: Uint8Array, at: number, codePoint: number): number {
  let to = at;
  if (codePoint < 0x80) {
    target[to++] = codePoint;
    return to;
  }
  if (codePoint < 0x800) {
    target[to++] = 0xc0 | (codePoint >> 6);
  } else {
    if (codePoint < 0x10000) {
      target[to++] = 0xe0 | (codePoint >> 12);
    } else {
      target[to++] = 0xf0 | (codePoint >> 18);
      target[to++] = 0x80 | ((codePoint >> 12) & 0x3f);
    }
    target[to++] = 0x80 | ((codePoint >> 6) & 0x3f);
  }
  target[to++] = 0x80 | (codePoint & 0x3f);
  return to;
}
