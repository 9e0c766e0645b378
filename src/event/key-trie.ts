// The wanted fields as a tree of keys, so that the scanner finds out what a key is without making a string: a
// node dispatches on a key's length and first byte, then compares bytes. Keys written with escapes (`"le\u0076el"`)
// are compared by what they stand for.
import type { FieldPath } from './field-path.js';
import { BACKSLASH } from './json-reader.js';
import { unescapeTo } from './json-string.js';

const TABLE_SIZE = 64;

/** One wanted key, or the event itself at the root. */
export class KeyNode {
  /** The field that ends here, or -1. */
  slot = -1;
  /** Segments of the path down to here. */
  readonly depth: number;
  /** The fields that go on below here; where an array stands, they all get its range. */
  readonly slotsBelow: number[] = [];
  /** How many keys are looked for in an object here. */
  childCount = 0;
  /** The event in which this key was last met, by the scanner's count: the first of two equal keys wins. */
  metIn = -1;
  readonly #key: Buffer;
  readonly #table: (KeyNode | undefined)[] = new Array<KeyNode | undefined>(TABLE_SIZE).fill(undefined);
  /** Next node with the same place in its parent's table. */
  #next: KeyNode | undefined;

  constructor(key: Buffer, depth: number) {
    this.#key = key;
    this.depth = depth;
  }

  /** The child for a key whose bytes, without quotes, are `data[start..end)`. */
  find(data: Buffer, start: number, end: number): KeyNode | undefined {
    const length = end - start;
    let node = this.#table[(length ^ (data[start] as number)) & (TABLE_SIZE - 1)];
    while (node !== undefined) {
      const key = node.#key;
      if (key.length === length) {
        let k = 0;
        while (k < length && key[k] === data[start + k]) k++;
        if (k === length) return node;
      }
      node = node.#next;
    }
    return undefined;
  }

  /** Like `find`, for a key that may hold escapes. */
  findAny(data: Buffer, start: number, end: number): KeyNode | undefined {
    const escape = data.subarray(start, end).indexOf(BACKSLASH);
    return escape < 0 ? this.find(data, start, end) : this.findEscaped(data, start, end);
  }

  /** Like `find`, for a key that holds escapes. */
  findEscaped(data: Buffer, start: number, end: number): KeyNode | undefined {
    const key = Buffer.alloc(end - start + 1);
    return this.find(key, 0, unescapeTo(key, data, start, end));
  }

  /** The child for a key, made if there is none. */
  child(key: Buffer): KeyNode {
    // An empty key has no first byte: in the data a quote stands there.
    const index = (key.length ^ (key[0] ?? 0x22)) & (TABLE_SIZE - 1);
    for (let node = this.#table[index]; node !== undefined; node = node.#next) {
      if (node.#key.equals(key)) return node;
    }
    const node = new KeyNode(key, this.depth + 1);
    node.#next = this.#table[index];
    this.#table[index] = node;
    this.childCount++;
    return node;
  }
}

/** The tree for the paths of all fields; the index of a path is its slot. */
export function buildKeyTrie(paths: readonly FieldPath[]): KeyNode {
  const root = new KeyNode(Buffer.alloc(0), 0);
  paths.forEach((path, slot) => {
    let node = root;
    for (const segment of path) {
      node.slotsBelow.push(slot);
      node = node.child(Buffer.from(segment, 'latin1'));
    }
    node.slot = slot;
  });
  return root;
}
