// What flows through a pipeline: batches of events, and markers between them. A batch keeps the bytes exactly as
// they were read; an event in it is a range of those bytes, and a field is a range too (or absent). Nothing is
// copied and no object is made per event. A batch is not changed once a sink has it.
import type { ByteString } from './byte-string.js';

/** Whole lines of one read of a followed file: what a source emits, before anything is parsed. */
export interface Chunk {
  readonly kind: 'chunk';
  /**
   * Lines, each ended by `\n`; only the last line of a finished file may lack it. The chunk owns the buffer:
   * nobody writes to it any more.
   */
  readonly data: Buffer;
  /** The path as followed (configured, or found by a glob). */
  readonly path: string;
  /** The file that held the bytes when they were read: the live file or a backup. */
  readonly file: string;
  /** Offset of `data[0]` in that file, in decompressed bytes. */
  readonly offset: number;
  /** When it was read, milliseconds since the epoch: the time of events that carry none. */
  readonly readAtMs: number;
  /** Lines of this stretch that were too long to be read as a whole; they are not in `data`. */
  readonly quarantined: QuarantineEntry[];
}

export type QuarantineReason = 'malformed' | 'not_an_object' | 'torn' | 'too_long' | 'rejected';

/** A line, or part of one, that no sink gets. */
export interface QuarantineEntry {
  reason: QuarantineReason;
  /** The followed path, the file's offset of the first byte, and the full length in bytes. */
  path: string;
  offset: number;
  length: number;
  /** What exactly is wrong, for a person; never copied from the event. */
  detail: string;
  /** The bytes; shorter than `length` where only the beginning was kept. */
  raw: Buffer;
  /** The sink that rejected it, for `rejected`. */
  sink?: string;
}

/** Slots hold three integers a field: start and end of the raw value, and how many segments of the path led to it. */
export const SLOT_STRIDE = 3;

/** Where the decoder's numbers for one batch go; see `EventBatch`. */
export interface EventBatchParts {
  data: Buffer;
  path: string;
  file: string;
  offset: number;
  readAtMs: number;
  size: number;
  starts: Int32Array;
  ends: Int32Array;
  slots: Int32Array;
  fieldCount: number;
  tag: ByteString;
  quarantined: QuarantineEntry[];
}

export class EventBatch {
  readonly kind = 'batch';
  readonly data: Buffer;
  readonly path: string;
  readonly file: string;
  /** Offset of `data[0]` in `file`; an event's offset is `offset + starts[i]`. */
  readonly offset: number;
  readonly readAtMs: number;
  /** Number of events; `starts`, `ends`, `slots` may be longer. */
  readonly size: number;
  /** Range of event i in `data`, without its newline (a carriage return stays). */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** `slots[(i * fieldCount + field) * SLOT_STRIDE + {0: start, 1: end, 2: depth}]`, start -1 where absent. */
  readonly slots: Int32Array;
  readonly fieldCount: number;
  /** The tag of each event: the pipeline's name until a `tag` processor says otherwise. */
  readonly tags: ByteString[];
  /** 1 for events that a processor dropped. */
  readonly dropped: Uint8Array;
  droppedCount = 0;
  readonly quarantined: QuarantineEntry[];

  constructor(parts: EventBatchParts) {
    this.data = parts.data;
    this.path = parts.path;
    this.file = parts.file;
    this.offset = parts.offset;
    this.readAtMs = parts.readAtMs;
    this.size = parts.size;
    this.starts = parts.starts;
    this.ends = parts.ends;
    this.slots = parts.slots;
    this.fieldCount = parts.fieldCount;
    this.tags = new Array<ByteString>(parts.size).fill(parts.tag);
    this.dropped = new Uint8Array(parts.size);
    this.quarantined = parts.quarantined;
  }

  /** Leaves event i out: no sink gets it. Dropping twice counts once. */
  drop(i: number): void {
    if (this.dropped[i] === 0) {
      this.dropped[i] = 1;
      this.droppedCount++;
    }
  }

  /** Bytes of event i without newline. */
  byteLength(i: number): number {
    return (this.ends[i] ?? 0) - (this.starts[i] ?? 0);
  }

  /** The bytes of event i, as a view. */
  bytes(i: number): Buffer {
    return this.data.subarray(this.starts[i], this.ends[i]);
  }

  /** Copies event i and a newline to `target` at `at`, which must have room for `byteLength(i) + 1`. */
  copyLine(i: number, target: Buffer, at: number): void {
    const start = this.starts[i] ?? 0;
    const end = this.ends[i] ?? 0;
    this.data.copy(target, at, start, end);
    target[at + end - start] = 0x0a;
  }
}

/** The events of a batch that one sink gets: all of `batch` where `indexes` is undefined, else these. */
export interface SubBatch {
  readonly batch: EventBatch;
  /** Ascending; none of them dropped. */
  readonly indexes: Uint32Array;
}

/**
 * A cut through the stream: everything before it was read up to `position`. Sinks settle it when all before
 * it is durable; the position passes no marker that is not settled by all.
 */
export interface Marker<Position = unknown> {
  readonly kind: 'marker';
  readonly id: number;
  readonly position: Position;
}

export type StreamElement = Chunk | EventBatch | Marker;
