// Pseudo-random choices from a seed: the same seed gives the same choices on every machine and every version of
// Node, because only 32-bit integer arithmetic is used.

/** Choices from a seed. */
export class Random {
  #state;

  /** @param {number} seed a 32-bit integer */
  constructor(seed) {
    this.#state = seed >>> 0;
  }

  /**
   * The next 32 bits (mulberry32).
   * @returns {number}
   */
  uint32() {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (t ^ (t >>> 14)) >>> 0;
  }

  /**
   * A whole number from `low` to `high`, both included.
   * @param {number} low
   * @param {number} high
   * @returns {number}
   */
  integer(low, high) {
    return low + (this.uint32() % (high - low + 1));
  }

  /**
   * True once in `n` times.
   * @param {number} n
   * @returns {boolean}
   */
  oneIn(n) {
    return this.uint32() % n === 0;
  }

  /**
   * One of the items, each equally likely.
   * @template T
   * @param {readonly T[]} items must not be empty
   * @returns {T}
   */
  pick(items) {
    const item = items[this.uint32() % items.length];
    if (item === undefined) throw new Error('impossible: nothing to pick from');
    return item;
  }

  /**
   * One of the items, each as likely as its weight says.
   * @template T
   * @param {readonly (readonly [number, T])[]} items weights are whole numbers above 0
   * @returns {T}
   */
  weighted(items) {
    let rest = this.uint32() % items.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, item] of items) {
      if (rest < weight) return item;
      rest -= weight;
    }
    throw new Error('impossible: the weights do not sum up');
  }

  /**
   * Characters of an alphabet.
   * @param {number} length
   * @param {string} alphabet
   * @returns {string}
   */
  text(length, alphabet = '0123456789abcdef') {
    let text = '';
    for (let i = 0; i < length; i++) text += alphabet.charAt(this.uint32() % alphabet.length);
    return text;
  }

  /**
   * A version 4 UUID.
   * @returns {string}
   */
  uuid() {
    const variant = this.pick(['8', '9', 'a', 'b']);
    return `${this.text(8)}-${this.text(4)}-4${this.text(3)}-${variant}${this.text(3)}-${this.text(12)}`;
  }
}
