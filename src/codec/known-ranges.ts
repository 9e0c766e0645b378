// Remembers what was made of ranges of bytes that come again and again, and finds it by the bytes. Bounded whatever the
// input holds: of four places that a range may have, a fifth range takes one; what came once only is not kept at all.
// Invariant: what is found was kept for the same bytes and the same salt; hashes only say where to look, so
// ranges of equal hash cost time and are never taken for each other.
//
// All is in one array, each slot in one piece: most of the time of a look-up is waiting for memory.

const WAYS = 4;
/** The last hashes that came and were not kept. */
const SEEN = 16384;

// A slot: its serial number, salt, length of the range in bytes, the range, what is kept.
const SALT = 1;
const LENGTH = 2;
const RANGE = 3;

/** All ranges have at least four bytes. */
export class KnownRanges {
  /** What is kept is in here, four bytes each. Replaced by a larger one as more is kept. */
  words = new Int32Array(0);
  readonly #slotWords: number;
  readonly #mask: number;
  /** By place; 0 where it is empty. */
  readonly #hashes: Int32Array;
  /** By place: where its slot begins in `words`. */
  readonly #slots: Int32Array;
  #slotCount = 0;
  readonly #seen = new Int32Array(SEEN);
  #serial = 0;

  /** Has up to `size` slots, a power of two, of `slotBytes` for a range and what is kept for it. */
  constructor(size: number, slotBytes: number) {
    this.#slotWords = slotBytes / 4;
    this.#mask = size / WAYS - 1;
    this.#hashes = new Int32Array(size);
    this.#slots = new Int32Array(size).fill(-1);
  }

  /** The slot of a range, as an index of `words`; -1 where it is not known. */
  find(view: DataView, start: number, end: number, salt: number): number {
    return this.#find(hashOf(view, start, end, salt), view, start, end, salt);
  }

  /** Differs for whatever else may come into the slot. */
  serialOf(slot: number): number {
    return this.words[slot] as number;
  }

  /** Where that begins in `words` which is kept in a slot. */
  valueOf(slot: number): number {
    return slot + RANGE + (((this.words[slot + LENGTH] as number) + 3) >> 2);
  }

  /**
   * Makes a slot for a range, if it came before and is not known, and if it fits in; else returns -1. What is written from
   * `valueOf` on is kept: `valueWords` at the most, one at least.
   */
  keep(view: DataView, start: number, end: number, salt: number, valueWords: number): number {
    const length = end - start;
    if (RANGE + ((length + 3) >> 2) + valueWords > this.#slotWords) return -1;
    const hash = hashOf(view, start, end, salt);
    const at = (hash >>> 1) & (SEEN - 1);
    if (this.#seen[at] !== hash) {
      this.#seen[at] = hash;
      return -1;
    }
    // Of two that are open at the same time, the other may have come first.
    if (this.#find(hash, view, start, end, salt) >= 0) return -1;
    const first = this.#firstPlace(hash);
    this.#serial = (this.#serial + 1) | 0;
    let i = first;
    while (i < first + WAYS && this.#hashes[i] !== 0) i++;
    if (i === first + WAYS) i = first + (this.#serial & (WAYS - 1));
    this.#hashes[i] = hash;
    const slot = this.#slotAt(i);
    const { words } = this;
    words[slot] = this.#serial;
    words[slot + SALT] = salt;
    words[slot + LENGTH] = length;
    let to = slot + RANGE;
    for (let p = start; p < end; p += 4) words[to++] = view.getInt32(Math.min(p, end - 4), true);
    return slot;
  }

  #find(hash: number, view: DataView, start: number, end: number, salt: number): number {
    const first = this.#firstPlace(hash);
    for (let i = first; i < first + WAYS; i++) {
      if (this.#hashes[i] !== hash) continue;
      const slot = this.#slots[i] as number;
      if (this.#isAt(slot, view, start, end, salt)) return slot;
    }
    return -1;
  }

  /** The first of the places for a hash, whose lowest bit is always set. */
  #firstPlace(hash: number): number {
    return ((hash >>> 1) & this.#mask) * WAYS;
  }

  /** The slot of a place; made if there is none. */
  #slotAt(place: number): number {
    let slot = this.#slots[place] as number;
    if (slot >= 0) return slot;
    slot = this.#slots[place] = this.#slotCount++ * this.#slotWords;
    if (slot === this.words.length) {
      const larger = new Int32Array(Math.max(slot * 2, 16 * this.#slotWords));
      larger.set(this.words);
      this.words = larger;
    }
    return slot;
  }

  #isAt(slot: number, view: DataView, start: number, end: number, salt: number): boolean {
    const { words } = this;
    if (words[slot + LENGTH] !== end - start || words[slot + SALT] !== salt) return false;
    let at = slot + RANGE;
    const last = end - 4;
    for (let p = start; p < last; p += 4) if (view.getInt32(p, true) !== words[at++]) return false;
    // It overlaps those before.
    return view.getInt32(last, true) === words[at];
  }
}

// Two lanes, since each step waits for the one before.
function hashOf(view: DataView, start: number, end: number, salt: number): number {
  let a = salt;
  let b = end - start;
  let p = start;
  for (const last = end - 8; p <= last; p += 8) {
    a = Math.imul(a ^ view.getInt32(p, true), 0x01000193);
    b = Math.imul(b ^ view.getInt32(p + 4, true), 0x2c1b3c6d);
  }
  if (p <= end - 4) a = Math.imul(a ^ view.getInt32(p, true), 0x01000193);
  b = Math.imul(b ^ view.getInt32(end - 4, true), 0x2c1b3c6d);
  // The low bits, which choose the place, know little of the high ones until now.
  const hash = Math.imul(a ^ (a >>> 15) ^ (b >>> 7) ^ (b << 11), 0x297a2d39);
  return (hash ^ (hash >>> 15)) | 1;
}
