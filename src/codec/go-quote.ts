// Go's quoted strings, as `%q` of package fmt writes them (strconv/quote.go): what stands between two double quotes,
// byte by byte. Every escape of a Go string literal is undone; bytes that are not escaped stay what they are, valid
// UTF-8 or not, since a log may have been through other hands.
import { BACKSLASH } from '../event/json-reader.js';
import { writeCodePoint } from '../event/json-string.js';

const LETTER_U = 0x55;
const LETTER_SMALL_U = 0x75;
const LETTER_X = 0x78;
const MAX_CODE_POINT = 0x10ffff;

/** What the letter behind a backslash stands for, -1 where it is none of the short escapes. */
const SHORT = new Int16Array(256).fill(-1);
for (const [letter, byte] of Object.entries({ a: 7, b: 8, f: 12, n: 10, r: 13, t: 9, v: 11 }))
  SHORT[letter.charCodeAt(0)] = byte;
for (const same of '\\"\'') SHORT[same.charCodeAt(0)] = same.charCodeAt(0);

const HEX = Int8Array.from({ length: 256 }, (_, byte) => {
  const letter = String.fromCharCode(byte);
  return /[0-9a-fA-F]/.test(letter) ? parseInt(letter, 16) : -1;
});

/**
 * How many bytes of `data[at..end)` the escape at `at` takes, with its backslash; 0 where it is none. As in Go, an
 * octal escape is at most `\377`, and a code point is no surrogate and at most U+10FFFF.
 */
export function escapeLength(data: Uint8Array, at: number, end: number): number {
  if (at + 1 >= end) return 0;
  const letter = data[at + 1] as number;
  if (SHORT[letter] !== -1) return 2;
  if (letter === LETTER_X) return hexValue(data, at + 2, at + 4, end) < 0 ? 0 : 4;
  if (letter === LETTER_SMALL_U || letter === LETTER_U) {
    const length = letter === LETTER_U ? 10 : 6;
    const codePoint = hexValue(data, at + 2, at + length, end);
    const isSurrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
    return codePoint < 0 || codePoint > MAX_CODE_POINT || isSurrogate ? 0 : length;
  }
  if (at + 4 > end) return 0;
  const octal = octalValue(data, at + 1);
  return octal >= 0 && octal <= 0xff ? 4 : 0;
}

/**
 * Writes what `data[start..end)` stands for, the content of a quoted string whose escapes are valid, to `target` at
 * `at`, which must have room for `end - start` bytes; returns where it ends.
 */
export function unquoteTo(
  target: Uint8Array,
  at: number,
  data: Uint8Array,
  start: number,
  end: number,
): number {
  let to = at;
  let p = start;
  while (p < end) {
    const byte = data[p] as number;
    if (byte !== BACKSLASH) {
      target[to++] = byte;
      p++;
      continue;
    }
    const letter = data[p + 1] as number;
    const short = SHORT[letter] as number;
    if (short >= 0) {
      target[to++] = short;
      p += 2;
    } else if (letter === LETTER_X) {
      target[to++] = hexValue(data, p + 2, p + 4, end);
      p += 4;
    } else if (letter === LETTER_SMALL_U || letter === LETTER_U) {
      const length = letter === LETTER_U ? 10 : 6;
      to = writeCodePoint(target, to, hexValue(data, p + 2, p + length, end));
      p += length;
    } else {
      target[to++] = octalValue(data, p + 1);
      p += 4;
    }
  }
  return to;
}

/** The value of the hexadecimal digits `data[from..to)`, -1 where they are not all there. */
function hexValue(data: Uint8Array, from: number, to: number, end: number): number {
  if (to > end) return -1;
  let value = 0;
  for (let p = from; p < to; p++) {
    const digit = HEX[data[p] as number] as number;
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/** The value of three octal digits, -1 where they are none. */
function octalValue(data: Uint8Array, from: number): number {
  let value = 0;
  for (let p = from; p < from + 3; p++) {
    const digit = (data[p] as number) - 0x30;
    if (digit < 0 || digit > 7) return -1;
    value = value * 8 + digit;
  }
  return value;
}
