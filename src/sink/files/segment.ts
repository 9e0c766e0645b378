// One output file while it may still change: where it is, how much of it is written and committed, and the bytes
// that wait to be written. Plain state, changed only by `writer.ts`; appending is the hot path and allocates
// nothing per event.
import { BufferPool } from '../../buffer-pool.js';
import type { EventBatch } from '../../event/batch.js';
import { GZIP_SUFFIX } from './segment-name.js';
import type { OutputName } from './segment-name.js';

const KIB = 1024;

/** Buffers for bytes that wait to be written. */
export const chunkPool = new BufferPool(
  [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 256].map((size) => size * KIB),
  16 * KIB * KIB,
);

/** Bytes waiting for one segment. The last chunk has room; `lastLength` of it is used. */
export interface Pending {
  chunks: Buffer[];
  lastLength: number;
  bytes: number;
}

/** A rendered path and its newest segment. */
export interface Output {
  readonly name: OutputName;
  /** What retention counts its closed segments under: the rendered path without its time. */
  readonly group: string;
  /** When its time slice ends, milliseconds since the epoch; Infinity where the path holds no time. */
  readonly sliceEndMs: number;
  /** Its open segment: the one that new events go to. */
  active: Segment | undefined;
  /** The sequence that the next numbered segment gets, once the directory was looked at. */
  nextSequence: number | undefined;
  /** One of its segments has, or is about to get, the plain name. */
  isPlainUsed: boolean;
  /** The file under the plain name is ours and is renamed before anything else happens to that name. */
  isPlainFreed: boolean;
  /** It has the events of the tags that are too many. */
  readonly isOverflow: boolean;
  /** No longer in the writer's table: whoever cached it must look it up again. */
  isGone: boolean;
}

export function createOutput(
  name: OutputName,
  group: string,
  sliceEndMs: number,
  isOverflow = false,
): Output {
  return {
    isOverflow,
    name,
    group,
    sliceEndMs,
    active: undefined,
    nextSequence: undefined,
    isPlainUsed: false,
    isPlainFreed: false,
    isGone: false,
  };
}

export class Segment {
  readonly id: number;
  readonly output: Output;
  /** Its file is a series of gzip members from the start; what waits is plain either way. */
  readonly isGzip: boolean;
  /** Relative to `base_dir`; `''` until it has a name. */
  path = '';
  /** The name on disk while a rename is announced and not yet done. */
  from: string | undefined;
  /** Bytes in the file, as far as we wrote them. */
  length = 0;
  /** Bytes written and waiting; of no meaning where they are compressed. */
  size = 0;
  ino = 0;
  fd = -1;
  openedAtMs: number;
  lastAppendMs = 0;
  /** Nothing is added any more; it is closed as soon as what it has is committed. */
  isClosing = false;
  /** Everything that it will ever hold is written. */
  isFinal = false;
  /** Its place among the segments that the current cycle writes. */
  isQueued = false;
  /** Nobody may close its descriptor at the moment. */
  isBusy = false;
  pending: Pending | undefined;
  /** The one that has what did not fit into this one. */
  successor: Segment | undefined;
  /** What came in during the last cycle: busy outputs get large chunks, a million idle ones small ones. */
  #expectedBytes = 0;

  constructor(id: number, output: Output, openedAtMs: number, isGzip = false) {
    this.id = id;
    this.output = output;
    this.openedAtMs = openedAtMs;
    this.isGzip = isGzip;
  }

  /** What its file's names end in after those that its output gives. */
  get suffix(): string {
    return this.isGzip ? GZIP_SUFFIX : '';
  }

  /** Adds event i of the batch and a newline, `length` bytes in all. */
  append(batch: EventBatch, i: number, length: number): void {
    const at = this.reserve(length);
    const chunk = this.pending?.chunks.at(-1);
    if (chunk) batch.copyLine(i, chunk, at);
  }

  /** Room for `length` bytes in the last chunk of `pending`; returns where it begins. */
  reserve(length: number): number {
    const pending = (this.pending ??= { chunks: [], lastLength: 0, bytes: 0 });
    let chunk = pending.chunks.at(-1);
    if (!chunk || chunk.length - pending.lastLength < length) {
      if (chunk) pending.chunks[pending.chunks.length - 1] = chunk.subarray(0, pending.lastLength);
      chunk = chunkPool.take(length, Math.max(this.#expectedBytes - pending.bytes, pending.bytes));
      pending.chunks.push(chunk);
      pending.lastLength = 0;
    }
    const at = pending.lastLength;
    pending.lastLength += length;
    pending.bytes += length;
    this.size += length;
    return at;
  }

  /** Goes on where another one is full: everything that waits for that one is this one's. */
  takeOver(full: Segment): void {
    this.pending = full.pending;
    this.#expectedBytes = full.#expectedBytes;
    this.lastAppendMs = full.lastAppendMs;
    this.isClosing = full.isClosing;
    this.isQueued = full.isQueued;
    full.pending = undefined;
    full.isClosing = true;
    full.isQueued = false;
    full.successor = this;
  }

  /** Takes what waits, as buffers to be written one after the other. */
  takePending(): Buffer[] {
    const pending = this.pending;
    this.pending = undefined;
    if (!pending) return [];
    this.#expectedBytes = pending.bytes;
    const last = pending.chunks.length - 1;
    pending.chunks[last] = (pending.chunks[last] ?? Buffer.alloc(0)).subarray(0, pending.lastLength);
    return pending.chunks;
  }
}
