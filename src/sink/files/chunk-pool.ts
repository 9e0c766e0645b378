// Buffers for bytes that wait to be written, in four sizes, used again and again: allocating them anew for each
// flush costs page faults and lets the resident size grow between garbage collections.

const SIZES = [4 * 1024, 16 * 1024, 64 * 1024, 256 * 1024] as const;
/** So many bytes of free buffers are kept. */
const KEPT_BYTES = 16 * 1024 * 1024;

const free = new Map<number, Buffer[]>(SIZES.map((size) => [size, []]));
let freeBytes = 0;

/** The size that fits `bytes`: the smallest that holds them, or the largest. */
function sizeFor(bytes: number): number {
  return SIZES.find((size) => size >= bytes) ?? SIZES[SIZES.length - 1] ?? bytes;
}

/** A buffer of at least `bytes`, about as large as `expectedBytes`, with any content. */
export function takeChunk(bytes: number, expectedBytes: number): Buffer {
  const size = sizeFor(Math.max(bytes, expectedBytes));
  if (size < bytes) return Buffer.allocUnsafeSlow(bytes);
  const chunk = free.get(size)?.pop();
  if (!chunk) return Buffer.allocUnsafeSlow(size);
  freeBytes -= size;
  return chunk;
}

/** Gives back a buffer that nobody reads or writes any more; a view gives back the buffer behind it. */
export function giveChunk(chunk: Buffer): void {
  const size = chunk.buffer.byteLength;
  const list = free.get(size);
  if (!list || freeBytes + size > KEPT_BYTES) return;
  freeBytes += size;
  list.push(Buffer.from(chunk.buffer));
}
