// Finds the JSON object that ends where a line ends, going backwards: in what a full disk or a killed API server
// left behind, only the end of a line is known to be whole. Linear, whatever the line holds.
import {
  BACKSLASH,
  CLOSE_BRACE,
  CLOSE_BRACKET,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from '../event/json-reader.js';

/**
 * The position of the brace that opens the object whose last brace is `data[end - 1]`, not before `start`; -1
 * where there is none. Only brackets and quotes are looked at: whether it is valid, the caller must find out.
 */
export function findLastObject(data: Buffer, start: number, end: number): number {
  if (data[end - 1] !== CLOSE_BRACE) return -1;
  let depth = 0;
  for (let p = end - 1; p >= start; p--) {
    const byte = data[p];
    if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      depth++;
    } else if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      depth--;
      if (depth === 0) return byte === OPEN_BRACE ? p : -1;
    } else if (byte === QUOTE) {
      p = openingQuote(data, start, p);
      if (p < 0) return -1;
    }
  }
  return -1;
}

// The quote that opens the string which `close` closes: the next one before it that no backslash escapes.
function openingQuote(data: Buffer, start: number, close: number): number {
  for (let p = close - 1; p >= start; p--) {
    if (data[p] !== QUOTE) continue;
    let backslashes = 0;
    while (p - 1 - backslashes >= start && data[p - 1 - backslashes] === BACKSLASH) backslashes++;
    if (backslashes % 2 === 0) return p;
    p -= backslashes;
  }
  return -1;
}
