// Groups in a legacy line: a list of Go-quoted names joined by commas, and that quoted again,
// `"\"system:masters\",\"a\""`. Written as a JSON array. What is no such list is one group, as it stands.
import { BACKSLASH, CLOSE_BRACKET, COMMA, OPEN_BRACKET, QUOTE } from '../event/json-reader.js';
import { SAFE } from '../event/json-writer.js';
import type { JsonWriter } from '../event/json-writer.js';
import { escapeLength, unquoteTo } from './go-quote.js';

const SPACE = 0x20;

export class GroupsWriter {
  #list: Buffer = Buffer.alloc(256);
  #name: Buffer = Buffer.alloc(256);

  /** Writes the groups of the quoted value `data[start..end)`, whose escapes are valid. */
  write(out: JsonWriter, data: Buffer, start: number, end: number): void {
    if (writePlain(out, data, start, end)) return;
    if (this.#list.length < end - start) {
      this.#list = Buffer.allocUnsafeSlow(end - start);
      this.#name = Buffer.allocUnsafeSlow(end - start);
    }
    const list = this.#list;
    const length = unquoteTo(list, 0, data, start, end);
    out.byte(OPEN_BRACKET);
    if (isList(list, length)) this.#writeNames(out, length);
    else out.string(list, 0, length);
    out.byte(CLOSE_BRACKET);
  }

  #writeNames(out: JsonWriter, length: number): void {
    const list = this.#list;
    for (let p = 0; p < length;) {
      const end = nameEnd(list, p, length);
      out.string(this.#name, 0, unquoteTo(this.#name, 0, list, p + 1, end));
      p = nextName(list, end + 1, length);
      if (p >= length) return;
      out.byte(COMMA);
    }
  }
}

// The common case in one pass: each name between `\"` and `\"`, of bytes that nobody escapes.
function writePlain(out: JsonWriter, data: Buffer, start: number, end: number): boolean {
  out.reserve(end - start + 2);
  const { buffer } = out;
  let to = out.length;
  let p = start;
  buffer[to++] = OPEN_BRACKET;
  while (data[p] === BACKSLASH && data[p + 1] === QUOTE) {
    p += 2;
    buffer[to++] = QUOTE;
    while (SAFE[data[p] as number] === 1) buffer[to++] = data[p++] as number;
    if (data[p] !== BACKSLASH || data[p + 1] !== QUOTE) return false;
    p += 2;
    buffer[to++] = QUOTE;
    if (p === end) {
      buffer[to++] = CLOSE_BRACKET;
      out.length = to;
      return true;
    }
    if (data[p++] !== COMMA) return false;
    buffer[to++] = COMMA;
  }
  return false;
}

function isList(list: Buffer, length: number): boolean {
  let p = 0;
  do {
    const end = list[p] === QUOTE ? nameEnd(list, p, length) : -1;
    if (end < 0) return false;
    if (end + 1 === length) return true;
    p = nextName(list, end + 1, length);
  } while (p > 0 && p < length);
  return false;
}

/** The quote that closes the name whose opening quote is at `at`; -1 where there is none, or an invalid escape. */
function nameEnd(list: Buffer, at: number, length: number): number {
  let p = at + 1;
  while (p < length && list[p] !== QUOTE) {
    const step = list[p] === BACKSLASH ? escapeLength(list, p, length) : 1;
    if (step === 0) return -1;
    p += step;
  }
  return p < length ? p : -1;
}

/** Where the next name begins behind the comma at `at`; -1 without comma. Some versions put a space behind it. */
function nextName(list: Buffer, at: number, length: number): number {
  if (at >= length) return length;
  if (list[at] !== COMMA) return -1;
  let p = at + 1;
  while (p < length && list[p] === SPACE) p++;
  return p;
}
