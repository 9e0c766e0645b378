// Large buffers that are used again and again. Allocating them anew costs page faults, and lets the resident size grow
// until the next garbage collection: with it a split of 500 MB took a tenth more CPU.

export class BufferPool {
  /** Ascending. */
  readonly #sizes: readonly number[];
  readonly #free = new Map<number, Buffer[]>();
  readonly #keptBytes: number;
  #freeBytes = 0;

  /** Buffers of these sizes are kept, in all at most `keptBytes` of free ones. */
  constructor(sizes: readonly number[], keptBytes: number) {
    this.#sizes = [...sizes].sort((a, b) => a - b);
    this.#keptBytes = keptBytes;
  }

  /** A buffer of at least `bytes`, with any content; of the smallest size that also holds `expectedBytes`, if one does. */
  take(bytes: number, expectedBytes = bytes): Buffer {
    const wanted = Math.max(bytes, expectedBytes);
    const size = this.#sizes.find((each) => each >= wanted) ?? this.#sizes.at(-1) ?? 0;
    if (size < bytes) return Buffer.allocUnsafeSlow(bytes);
    const buffer = this.#free.get(size)?.pop();
    if (!buffer) return Buffer.allocUnsafeSlow(size);
    this.#freeBytes -= size;
    return buffer;
  }

  /**
   * Gives back a buffer, or the one behind a view, that nobody reads or writes any more. One that is of no kept size is
   * left to the garbage collector.
   */
  give(view: Buffer): void {
    const size = view.buffer.byteLength;
    if (!this.#sizes.includes(size) || this.#freeBytes + size > this.#keptBytes) return;
    this.#freeBytes += size;
    const list = this.#free.get(size);
    const buffer = Buffer.from(view.buffer);
    if (list) list.push(buffer);
    else this.#free.set(size, [buffer]);
  }
}
