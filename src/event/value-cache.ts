// Turns raw JSON values into byte strings without making a string for each event: the bytes of a value are
// hashed and looked up, so that a namespace seen before costs no allocation. Bounded whatever the input holds: a
// place in the table has four entries, and a fifth value takes the place of one of them. An attacker who
// finds values of equal hash wins nothing but misses.
import type { ByteString } from './byte-string.js';
import { QUOTE } from './json-reader.js';
import { unescape } from './json-string.js';

const WAYS = 4;
const ENTRIES = 8192;
/** Longer values are not kept: together with `ENTRIES` this bounds the memory of a cache to some megabytes. */
const MAX_KEPT_BYTES = 512;

interface Entry {
  hash: number;
  raw: Uint8Array;
  result: ByteString;
}

/** What a raw JSON value is as text: a string without its quotes and escapes, anything else as it is written. */
export function textOfRaw(data: Buffer, start: number, end: number): ByteString {
  return data[start] === QUOTE ? unescape(data, start + 1, end - 1) : data.toString('latin1', start, end);
}

export class ValueCache {
  readonly #transform: (value: ByteString) => ByteString;
  readonly #entries = new Array<Entry | undefined>(ENTRIES).fill(undefined);
  #nextVictim = 0;

  /** `transform` must depend on its argument only. */
  constructor(transform: (value: ByteString) => ByteString) {
    this.#transform = transform;
  }

  /** The transformed text of the raw value `data[start..end)`. */
  get(data: Buffer, start: number, end: number): ByteString {
    const length = end - start;
    if (length > MAX_KEPT_BYTES) return this.#transform(textOfRaw(data, start, end));
    let hash = 0x811c9dc5; // FNV-1a
    for (let p = start; p < end; p++) hash = Math.imul(hash ^ (data[p] as number), 0x01000193);
    const first = ((hash ^ (hash >>> 15)) & (ENTRIES / WAYS - 1)) * WAYS;
    let free = -1;
    for (let e = first; e < first + WAYS; e++) {
      const entry = this.#entries[e];
      if (entry === undefined) free = e;
      else if (entry.hash === hash && isSame(entry.raw, data, start, length)) return entry.result;
    }
    const result = this.#transform(textOfRaw(data, start, end));
    if (free < 0) free = first + (this.#nextVictim++ & (WAYS - 1));
    this.#entries[free] = { hash, raw: Buffer.from(data.subarray(start, end)), result };
    return result;
  }
}

function isSame(raw: Uint8Array, data: Buffer, start: number, length: number): boolean {
  if (raw.length !== length) return false;
  for (let k = 0; k < length; k++) if (raw[k] !== data[start + k]) return false;
  return true;
}
