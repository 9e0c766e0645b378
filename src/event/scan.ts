// Takes the wanted fields out of a line of JSON without parsing it: the hot path of every pipeline. A line is
// validated as strictly as `JSON.parse` would while the ranges of the wanted values are noted; nothing is
// allocated and no string is made. Of two equal keys the first wins, at every level.
//
// A scan may stop early, once every wanted top-level key was met: then the rest of the line is not validated,
// but the line must end with the brace that an event ends with, and no second event may begin inside it (half
// an event and a whole one on one line, after a full disk). What a line that fails is, `codec/torn.ts` decides.
import { SLOT_STRIDE } from './batch.js';
import type { FieldPath } from './field-path.js';
import {
  BACKSLASH,
  CARRIAGE_RETURN,
  CLOSE_BRACE,
  COLON,
  COMMA,
  JsonReader,
  NEWLINE,
  OPEN_BRACE,
  OPEN_BRACKET,
  PLAIN,
  QUOTE,
} from './json-reader.js';
import type { Expected } from './json-reader.js';
import { buildKeyTrie } from './key-trie.js';
import type { KeyNode } from './key-trie.js';

/** How kube-apiserver begins every event of its log, in all versions of the API. */
export const EVENT_NEEDLE = Buffer.from('{"kind":"Event","apiVersion":"audit');
// What is searched for in its place: a shorter needle is found in half the time (0.15 against 0.31 CPU s/GB), and
// what else begins like this (`{"kind":"Endpoints"`) only costs a scan to the end of its line.
const NEEDLE_BEGINNING = EVENT_NEEDLE.subarray(0, 10);

/** Makes a scanner for these fields; the index of a path is its slot. */
export function compileScanner(paths: readonly FieldPath[]): Scanner {
  return new Scanner(paths);
}

export class Scanner {
  /** Slots are written `fieldCount * SLOT_STRIDE` integers an event. */
  readonly fieldCount: number;
  readonly #root: KeyNode;
  readonly #reader = new JsonReader();
  #slots = new Int32Array(0);
  #base = 0;
  #event = 0;
  /** The first newline, and the first needle, at or behind the place last asked for: both are found only once. */
  #newline = -1;
  #needle = -1;

  constructor(paths: readonly FieldPath[]) {
    this.fieldCount = paths.length;
    this.#root = buildKeyTrie(paths);
  }

  /** Where and what the last failed scan expected. */
  get failedAt(): number {
    return this.#reader.failedAt;
  }
  get expected(): Expected {
    return this.#reader.expected;
  }

  /** Scans lines of `data` from now on, in ascending order. Its last byte must be a newline. */
  load(data: Buffer): void {
    if (data[data.length - 1] !== NEWLINE) throw new Error('impossible: lines without a last newline');
    this.#reader.load(data);
    this.#newline = -1;
    this.#needle = -1;
  }

  /** The position of the first newline at or behind `at`; `at` must not go back. */
  newlineAfter(at: number): number {
    if (this.#newline < at) this.#newline = this.#reader.data.indexOf(NEWLINE, at);
    return this.#newline;
  }

  /** Whether an event seems to begin inside [from, to); `from` must not go back. */
  #hasNeedle(from: number, to: number): boolean {
    if (this.#needle < from) {
      const found = this.#reader.data.indexOf(NEEDLE_BEGINNING, from);
      this.#needle = found < 0 ? Infinity : found;
    }
    return this.#needle < to;
  }

  /**
   * Scans the line that begins at `start` and writes its fields to `slots` from `base` on: start, end and depth
   * of each raw value, start -1 where a field is absent. Where a path meets an array before its end, the slot
   * holds the array, and the depth says how many segments led to it. With `mayStop` the scan may stop early.
   * Returns the position of the newline, or -1 if the line is not one JSON object; then `failedAt` and
   * `expected` say more. Where only `the end of the line` was expected, `slots` hold the object before it.
   */
  scanLine(start: number, slots: Int32Array<ArrayBuffer>, base: number, mayStop: boolean): number {
    for (let i = base, end = base + this.fieldCount * SLOT_STRIDE; i < end; i += SLOT_STRIDE) slots[i] = -1;
    this.#slots = slots;
    this.#base = base;
    this.#event++;
    const reader = this.#reader;
    const data = reader.data;
    const brace = data[start] === OPEN_BRACE ? start : reader.space(start);
    if (data[brace] !== OPEN_BRACE) return reader.fail(brace, 'an object');
    let p = this.#object(brace + 1, this.#root, mayStop ? start : -1);
    if (p < 0 || data[p] === NEWLINE) return p;
    p = reader.space(p);
    return data[p] === NEWLINE ? p : reader.fail(p, 'the end of the line');
  }

  /** Whether the line that begins at `start` is one JSON value of any kind. */
  isValue(start: number): boolean {
    const reader = this.#reader;
    const end = reader.value(reader.space(start));
    return end >= 0 && reader.data[reader.space(end)] === NEWLINE;
  }

  // Reads an object in which keys are wanted; `at` is behind its brace. Recursive, but no deeper than the longest
  // path. `lineStart` is where the line begins, for an event whose scan may stop early, else -1.
  #object(at: number, node: KeyNode, lineStart: number): number {
    const reader = this.#reader;
    const data = reader.data;
    const event = this.#event;
    let missing = node.childCount;
    let p = reader.space(at);
    if (data[p] === CLOSE_BRACE) return p + 1;
    for (;;) {
      if (data[p] !== QUOTE) return reader.fail(p, 'a key in quotes');
      const keyStart = p + 1;
      p = keyStart;
      while (PLAIN[data[p] as number] === 1) p++;
      const isEscaped = data[p] === BACKSLASH;
      if (data[p] !== QUOTE) {
        p = reader.string(p);
        if (p < 0) return -1;
        p--;
      }
      const child = isEscaped ? node.findEscaped(data, keyStart, p) : node.find(data, keyStart, p);
      p++;
      if (data[p] !== COLON) {
        p = reader.space(p);
        if (data[p] !== COLON) return reader.fail(p, 'a colon');
      }
      p = reader.space(p + 1);
      if (child === undefined || child.metIn === event) {
        p = reader.value(p);
        if (p < 0) return -1;
      } else {
        child.metIn = event;
        p = this.#wanted(p, child);
        if (p < 0) return -1;
        missing--;
        if (missing === 0 && lineStart >= 0 && data[p] !== CLOSE_BRACE && this.#mayStop(lineStart)) {
          return this.#newline;
        }
      }
      let next = data[p];
      if (next !== COMMA && next !== CLOSE_BRACE) {
        p = reader.space(p);
        next = data[p];
      }
      if (next === CLOSE_BRACE) return p + 1;
      if (next !== COMMA) return reader.fail(p, 'a comma or the closing brace');
      p = reader.space(p + 1);
    }
  }

  // Reads the value of a wanted key and notes its range.
  #wanted(at: number, node: KeyNode): number {
    const first = this.#reader.data[at];
    const end =
      first === OPEN_BRACE && node.childCount > 0 ? this.#object(at + 1, node, -1) : this.#reader.value(at);
    if (end < 0) return -1;
    if (node.slot >= 0) this.#note(node.slot, at, end, node.depth);
    if (first === OPEN_BRACKET) {
      for (const slot of node.slotsBelow) this.#note(slot, at, end, node.depth);
    }
    return end;
  }

  #note(slot: number, start: number, end: number, depth: number): void {
    const i = this.#base + slot * SLOT_STRIDE;
    this.#slots[i] = start;
    this.#slots[i + 1] = end;
    this.#slots[i + 2] = depth;
  }

  #mayStop(lineStart: number): boolean {
    const data = this.#reader.data;
    const newline = this.newlineAfter(lineStart);
    const last = data[newline - 1] === CARRIAGE_RETURN ? data[newline - 2] : data[newline - 1];
    return last === CLOSE_BRACE && !this.#hasNeedle(lineStart + 1, newline);
  }
}
