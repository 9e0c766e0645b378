// From bytes to whole lines, without looking at any single line: one read goes straight behind the unfinished line
// of the read before, and one search from the end finds where the last whole line ends. Everything up to there is
// given out as one buffer; what is behind it moves to the front of the next one. Invariant: what is given out and
// what is quarantined are the file's bytes in order, none missing, none twice.
//
// Memory is bounded by `maxLineBytes` and one read: a longer line is passed over and quarantined. A buffer never
// holds more than `maxLineBytes` and a newline, so a line that was read whole needs no check of its own.
import { BufferPool } from '../buffer-pool.js';
import type { QuarantineEntry } from '../event/batch.js';
import type { Trail } from '../position/fingerprint.js';

/** How much of a line that is not read as a whole is kept. */
export const QUARANTINE_RAW_BYTES = 64 * 1024;

const MAX_READ_BYTES = 512 * 1024;
const MIN_ROOM_BYTES = 64 * 1024;
const NEWLINE = 0x0a;
const EMPTY = Buffer.alloc(0);

/**
 * Buffers of small and of full reads, and of full ones with changed events behind them. Whoever has a piece gives its
 * `data` back when nobody looks at it any more.
 */
export const readPool = new BufferPool(
  [
    MIN_ROOM_BYTES,
    2 * MIN_ROOM_BYTES,
    MAX_READ_BYTES + MIN_ROOM_BYTES,
    2 * (MAX_READ_BYTES + MIN_ROOM_BYTES),
  ],
  4 * (MAX_READ_BYTES + MIN_ROOM_BYTES),
);

/** Where the bytes come from. */
export interface ByteSource {
  /** Reads the next up to `length` bytes into `buffer` at `at`; resolves to how many, 0 at the end as of now. */
  read(buffer: Buffer, at: number, length: number): Promise<number>;
}

/** A stretch of a file: what was passed over, then whole lines. Either can be absent. */
export interface Piece {
  /** Belongs to whoever gets it. */
  data: Buffer;
  /** Offset of `data[0]`. */
  offset: number;
  /** How far the file is given out by this piece: the length of `data`, of what was passed over, and newlines. */
  bytes: number;
  quarantined: QuarantineEntry[];
}

export interface LineReaderOptions {
  /** The followed path, for quarantine entries. */
  path: string;
  /** How long a line may be, without newline. */
  maxLineBytes: number;
  /** Where reading begins: the start of a line. Belongs to the reader from now on. */
  trail: Trail;
}

/** Bytes that are being passed over. */
interface Skip {
  /** A hole is NUL bytes only and ends at any other; a line that is too long ends at its newline. */
  isHole: boolean;
  offset: number;
  raw: Buffer;
  trail: Trail;
}

/** Reads one file by lines, from an offset on. */
export class LineReader {
  readonly #path: string;
  readonly #maxLineBytes: number;
  #trail: Trail;
  /** The unfinished line is `#buffer[0, #length)`; nothing while something is passed over. */
  #buffer: Buffer = EMPTY;
  #length = 0;
  #skip: Skip | undefined;

  constructor(options: LineReaderOptions) {
    this.#path = options.path;
    this.#maxLineBytes = options.maxLineBytes;
    this.#trail = options.trail;
  }

  /** Ends where the last piece ended. */
  get trail(): Trail {
    return this.#trail;
  }

  /** Where the next read begins: behind what was given out, is passed over, or is kept as an unfinished line. */
  get readOffset(): number {
    return (this.#skip?.trail ?? this.#trail).offset + this.#length;
  }

  /**
   * Reads once. `expectedBytes` is how much is thought to be there; it decides how much memory is taken. `bytes` is
   * how many came, 0 at the end as of now; `piece` is absent while nothing ended. May be called again after the
   * source threw.
   */
  async read(
    source: ByteSource,
    expectedBytes: number,
  ): Promise<{ bytes: number; piece: Piece | undefined }> {
    this.#makeRoom(Math.min(Math.max(expectedBytes, 1), MAX_READ_BYTES));
    const start = this.#length;
    const room = Math.min(this.#buffer.length - start, MAX_READ_BYTES);
    const bytes = await source.read(this.#buffer, start, room);
    if (bytes === 0) return { bytes, piece: undefined };
    this.#length += bytes;
    return { bytes, piece: this.#skip ? this.#passOver(this.#skip) : this.#takeLines(start) };
  }

  /** At the end of a file that nobody writes to any more: what is left, a last line without newline. */
  takeRest(): Piece | undefined {
    if (this.#skip) return this.#endSkip(this.#skip, false);
    return this.#length > 0 ? this.#take(this.#length) : undefined;
  }

  #makeRoom(wanted: number): void {
    const limit = this.#maxLineBytes + 1;
    const capacity = this.#buffer.length;
    if (capacity - this.#length >= wanted || capacity >= limit) return;
    // Doubling keeps the copying of a long line linear, also where it arrives in small parts.
    const size = Math.max(this.#length + Math.max(wanted, MIN_ROOM_BYTES), this.#length * 2);
    const buffer = readPool.take(Math.min(size, limit)).subarray(0, limit);
    this.#buffer.copy(buffer, 0, 0, this.#length);
    this.#buffer = buffer;
  }

  /** Gives out the whole lines of the buffer; `[0, searched)` is known to hold no newline. */
  #takeLines(searched: number): Piece | undefined {
    const newline = this.#buffer.subarray(searched, this.#length).lastIndexOf(NEWLINE);
    if (newline >= 0) return this.#take(searched + newline + 1);
    if (this.#length <= this.#maxLineBytes) return undefined;
    // A writer that goes on at its old offset after copytruncate leaves a hole of NUL bytes in front of its next
    // event, on the same line. Only the hole is passed over, or it would take a whole event along.
    this.#skip = {
      isHole: this.#buffer[0] === 0,
      offset: this.#trail.offset,
      raw: EMPTY,
      trail: this.#trail.copy(),
    };
    return this.#passOver(this.#skip);
  }

  /** Gives out the buffer up to `end`, for good: the rest is copied, as the buffer can be used again by others. */
  #take(end: number): Piece {
    const data = this.#buffer.subarray(0, end);
    const offset = this.#trail.offset;
    this.#trail.append(data);
    this.#buffer = end === this.#length ? EMPTY : Buffer.from(this.#buffer.subarray(end, this.#length));
    this.#length -= end;
    return { data, offset, bytes: end, quarantined: [] };
  }

  /** Passes over the buffer, up to where what is passed over ends. */
  #passOver(skip: Skip): Piece | undefined {
    const filled = this.#buffer.subarray(0, this.#length);
    const end = skip.isHole ? endOfNuls(filled) : filled.indexOf(NEWLINE);
    const passed = end < 0 ? filled : filled.subarray(0, end);
    if (skip.raw.length < QUARANTINE_RAW_BYTES)
      skip.raw = Buffer.concat([skip.raw, passed.subarray(0, QUARANTINE_RAW_BYTES - skip.raw.length)]);
    skip.trail.append(passed);
    if (end < 0) {
      // A buffer that grew to the length of a long line is not kept for the rest of it.
      if (this.#buffer.length > MAX_READ_BYTES) this.#buffer = EMPTY;
      this.#length = 0;
      return undefined;
    }
    const start = skip.isHole ? end : end + 1;
    this.#buffer = this.#buffer.subarray(start);
    this.#length -= start;
    const passedOver = this.#endSkip(skip, !skip.isHole);
    const lines = this.#takeLines(0);
    if (!lines) return passedOver;
    return { ...lines, bytes: passedOver.bytes + lines.bytes, quarantined: passedOver.quarantined };
  }

  #endSkip(skip: Skip, hasNewline: boolean): Piece {
    const length = skip.trail.offset - skip.offset;
    const entry: QuarantineEntry = {
      reason: skip.isHole ? 'torn' : 'too_long',
      path: this.#path,
      offset: skip.offset,
      length,
      detail: skip.isHole
        ? 'a hole of NUL bytes at the start of a line, as copytruncate leaves it'
        : `longer than max_line_bytes (${String(this.#maxLineBytes)} bytes)`,
      raw: skip.raw,
    };
    if (hasNewline) skip.trail.append(Buffer.of(NEWLINE));
    this.#trail = skip.trail;
    this.#skip = undefined;
    const offset = this.#trail.offset;
    return { data: EMPTY, offset, bytes: offset - skip.offset, quarantined: [entry] };
  }
}

function endOfNuls(bytes: Buffer): number {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return i;
  return -1;
}
