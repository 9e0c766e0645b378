// Writes the parts of an event that is made from a legacy entry, and notes where its fields are.
import { Constant } from '../event/json-writer.js';
import type { JsonWriter } from '../event/json-writer.js';
import { unquoteTo } from './go-quote.js';
import { NotedFields } from './legacy-fields.js';
import { equalsAt } from './legacy-keys.js';
import type { LegacyLine } from './legacy-line.js';

/**
 * JSON that is written more than once, and the fields whose values are in it: its length in bytes, how many fields, of each
 * the index, start and end, then the bytes.
 */
export type Fragment = Int32Array;

/** A fragment that is the same for all events. Each of the values, JSON too, stands in it behind those before. */
export function fragment(text: string, values: [number, string][]): Fragment {
  let at = 0;
  const fields = values.flatMap(([field, value]) => {
    const start = text.indexOf(value, at);
    at = value.startsWith('{') ? start : start + value.length;
    return [field, start, start + value.length];
  });
  const bytes = Buffer.from(text.padEnd(Math.ceil(text.length / 4) * 4));
  const words = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(i * 4));
  return Int32Array.from([text.length, values.length, ...fields, ...words]);
}

/** A value without a key in front of it. */
export const NO_KEY = new Constant('');

export class LegacyOutput {
  /** Where the fields of the event are that was written last. */
  readonly noted = new NotedFields();
  #out: JsonWriter | undefined;
  /** For values with their escapes undone. */
  #value: Buffer = Buffer.alloc(1024);

  get out(): JsonWriter {
    if (!this.#out) throw new Error('impossible: written before `begin`');
    return this.#out;
  }

  /** An event begins. */
  begin(out: JsonWriter): void {
    this.#out = out;
    this.noted.present = 0;
  }

  /** Writes the fragment that is at `at` in `words`; returns where the next one is. */
  fragment(words: Fragment, at = 0): number {
    const { out, noted } = this;
    const from = out.length;
    const length = words[at] as number;
    let p = at + 2;
    for (let count = words[at + 1] as number; count > 0; count--) {
      noted.note(words[p] as number, from + (words[p + 1] as number), from + (words[p + 2] as number));
      p += 3;
    }
    return out.words(words, p, length);
  }

  /** How many words `keep` takes for these bytes at the most. */
  wordsFor(start: number, end: number): number {
    return 2 + this.noted.maxWords + ((end - start + 3) >> 2);
  }

  /** Puts what was written as `[start, end)` at `at` into `words`, as a fragment; returns where it ends. */
  keep(start: number, end: number, words: Int32Array, at: number): number {
    const textAt = this.noted.copyWithin(start, end, words, at + 2);
    words[at] = end - start;
    words[at + 1] = (textAt - at - 2) / 3;
    return this.out.copyWords(start, end, words, textAt);
  }

  /** Writes `prefix` and a value of the line as a JSON string. */
  string(prefix: Constant, line: LegacyLine, key: number, field: number): void {
    const { out } = this;
    const from = out.length + prefix.length;
    if (line.isPlain(key)) {
      // With the quotes that are around it.
      out.constantAndBytes(prefix, line.view, line.startOf(key) - 1, line.endOf(key) + 1);
    } else {
      out.constant(prefix);
      this.#escaped(line, key);
    }
    this.noted.note(field, from, out.length);
  }

  #escaped(line: LegacyLine, key: number): void {
    const start = line.startOf(key);
    const end = line.endOf(key);
    if (!line.isEscaped(key)) {
      this.out.string(line.data, start, end);
      return;
    }
    if (this.#value.length < end - start) this.#value = Buffer.allocUnsafeSlow(end - start);
    this.out.string(this.#value, 0, unquoteTo(this.#value, 0, line.data, start, end));
  }
}

/** Whether the line says something under the key: neither that there is nothing, nor nothing. */
export function isThere(line: LegacyLine, key: number, absent: Buffer): boolean {
  const start = line.startOf(key);
  const end = line.endOf(key);
  return end > start && !equalsAt(line.data, start, end, absent);
}
