// Follows a path through arrays: an array stands for each of its elements, at every level, so that
// `requestObject.spec.containers.image` is the image of each container. Works on raw JSON that the scanner has
// validated; of two equal keys the first wins. An empty array holds no value, like an absent field.
import type { FieldPath } from './field-path.js';
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COMMA,
  JsonReader,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from './json-reader.js';
import { buildKeyTrie } from './key-trie.js';
import type { KeyNode } from './key-trie.js';

/** Looks at one value, none of them an array; start -1 where the path leads to nothing. True ends the search. */
export type Visit = (data: Buffer, start: number, end: number) => boolean;

/** The values of one path. */
export class PathValues {
  readonly #reader = new JsonReader();
  /** For each segment of the path, a trie that knows that one key. */
  readonly #keys: readonly KeyNode[];
  #found = false;

  constructor(path: FieldPath) {
    this.#keys = path.map((segment) => buildKeyTrie([[segment]]));
  }

  /**
   * Visits the values inside the raw value that begins at `start`, to which the first `depth` segments of the
   * path led, in their order; returns whether a visit returned true.
   */
  some(data: Buffer, start: number, depth: number, visit: Visit): boolean {
    this.#reader.load(data);
    this.#found = false;
    this.#value(start, depth, visit);
    return this.#found;
  }

  // Returns the position behind the value. Recursive by segments of the path, never by nesting of the event.
  #value(at: number, depth: number, visit: Visit): number {
    const data = this.#reader.data;
    if (data[at] !== OPEN_BRACKET) return this.#single(at, depth, visit);
    let nesting = 0;
    let p = at;
    do {
      const byte = data[p];
      if (byte === OPEN_BRACKET) {
        nesting++;
        p = this.#reader.space(p + 1);
        if (data[p] === CLOSE_BRACKET) this.#show(visit, -1, -1);
      } else if (byte === CLOSE_BRACKET) {
        nesting--;
        p = nesting === 0 ? p + 1 : this.#reader.space(p + 1);
      } else if (byte === COMMA) {
        p = this.#reader.space(p + 1);
      } else {
        p = this.#reader.space(this.#single(p, depth, visit));
      }
    } while (nesting > 0);
    return p;
  }

  #single(at: number, depth: number, visit: Visit): number {
    const reader = this.#reader;
    const key = this.#keys[depth];
    if (key === undefined || reader.data[at] !== OPEN_BRACE) {
      const end = reader.value(at);
      if (key === undefined) this.#show(visit, at, end);
      else this.#show(visit, -1, -1);
      return end;
    }
    return this.#object(at, key, depth, visit);
  }

  #object(at: number, key: KeyNode, depth: number, visit: Visit): number {
    const reader = this.#reader;
    const data = reader.data;
    let isMet = false;
    let p = reader.space(at + 1);
    while (data[p] === QUOTE) {
      const keyStart = p + 1;
      p = reader.string(keyStart);
      const isWanted = !isMet && key.findAny(data, keyStart, p - 1) !== undefined;
      // Over the colon to the value.
      p = reader.space(reader.space(p) + 1);
      if (isWanted) {
        isMet = true;
        p = this.#value(p, depth + 1, visit);
      } else {
        p = reader.value(p);
      }
      p = reader.space(p);
      if (data[p] === CLOSE_BRACE) break;
      p = reader.space(p + 1);
    }
    if (!isMet) this.#show(visit, -1, -1);
    return p + 1;
  }

  #show(visit: Visit, start: number, end: number): void {
    if (!this.#found) this.#found = visit(this.#reader.data, start, end);
  }
}
