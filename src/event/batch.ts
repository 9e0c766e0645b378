// What flows through a pipeline: batches of events, and markers between them. A batch keeps the bytes exactly as
// they were read; an event in it is a range of those bytes, and a field is a range too (or absent). Nothing is
// copied and no object is made per event. Where an event is not its line (a decoder made it, a processor changed
// it), its bytes stand behind those that were read, and the range of its line is kept apart. A batch is not changed
// once a sink has it.
import type { BufferPool } from '../buffer-pool.js';
import type { ByteString } from './byte-string.js';
import { NEWLINE } from './json-reader.js';
import type { Scanner } from './scan.js';

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
  /** The one sink that gets its events, whatever the routes say: it had rejected them. */
  readonly onlySink?: string;
}

export type QuarantineReason = 'malformed' | 'not_an_object' | 'torn' | 'too_long' | 'rejected';

/** A line, or part of one, that no sink gets. */
export interface QuarantineEntry {
  reason: QuarantineReason;
  /** The followed path, the file's offset of the first byte, and the full length in bytes. */
  path: string;
  offset: number;
  length: number;
  /** What exactly is wrong, for a person; of the event it quotes only what a server quoted when it rejected it. */
  detail: string;
  /** The bytes, valid until the batch is released; shorter than `length` where only the beginning was kept. */
  raw: Buffer;
  /** The sink that rejected it, for `rejected`. */
  sink?: string;
}

/** Slots hold three integers a field: start and end of the raw value, and how many segments of the path led to it. */
export const SLOT_STRIDE = 3;

/** The numbers of one batch, for as many events as `starts` is long; see `EventBatch`. Used again by later batches. */
export class EventArrays {
  starts: Int32Array<ArrayBuffer>;
  ends: Int32Array<ArrayBuffer>;
  slots: Int32Array<ArrayBuffer>;
  readonly tags: ByteString[] = [];
  dropped: Uint8Array;
  #lineStarts = new Int32Array(0);
  #lineEnds = new Int32Array(0);
  readonly #slotsPerEvent: number;

  constructor(capacity: number, fieldCount: number) {
    this.#slotsPerEvent = fieldCount * SLOT_STRIDE;
    this.starts = new Int32Array(capacity);
    this.ends = new Int32Array(capacity);
    this.slots = new Int32Array(capacity * this.#slotsPerEvent);
    this.dropped = new Uint8Array(capacity);
  }

  /** Room for `capacity` events; what is there stays. */
  grow(capacity: number): void {
    this.starts = enlarged(this.starts, capacity);
    this.ends = enlarged(this.ends, capacity);
    this.slots = enlarged(this.slots, capacity * this.#slotsPerEvent);
    this.dropped = new Uint8Array(capacity);
  }

  /** Moves an event and its fields: its bytes stand `by` further behind now. */
  move(index: number, by: number): void {
    this.starts[index] = (this.starts[index] as number) + by;
    this.ends[index] = (this.ends[index] as number) + by;
    const end = (index + 1) * this.#slotsPerEvent;
    for (let at = index * this.#slotsPerEvent; at < end; at += SLOT_STRIDE) {
      if ((this.slots[at] as number) < 0) continue;
      this.slots[at] = (this.slots[at] as number) + by;
      this.slots[at + 1] = (this.slots[at + 1] as number) + by;
    }
  }

  /**
   * Other arrays than `starts` and `ends`, as long as they are, for the ranges of lines that are not their events. After
   * `grow` they are to be asked for again, and what is there stays.
   */
  lineRanges(): { lineStarts: Int32Array<ArrayBuffer>; lineEnds: Int32Array<ArrayBuffer> } {
    if (this.#lineStarts.length < this.starts.length) {
      this.#lineStarts = enlarged(this.#lineStarts, this.starts.length);
      this.#lineEnds = enlarged(this.#lineEnds, this.starts.length);
    }
    return { lineStarts: this.#lineStarts, lineEnds: this.#lineEnds };
  }
}

function enlarged(numbers: Int32Array<ArrayBuffer>, length: number): Int32Array<ArrayBuffer> {
  const larger = new Int32Array(length);
  larger.set(numbers);
  return larger;
}

/** Where a line stood. */
export interface LineOrigin {
  /** The live file or a backup, as in `EventBatch.file`. */
  file: string;
  /** Of its first byte in that file, in decompressed bytes. */
  offset: number;
}

/** Where the bytes of a batch stood, by their position in its data. */
export interface Places {
  originOf(position: number): LineOrigin;
}

/** What a batch is made of. */
export interface EventBatchParts {
  /** The lines as read, then what a decoder put behind them: whole lines all the same. */
  data: Buffer;
  path: string;
  file: string;
  offset: number;
  readAtMs: number;
  size: number;
  arrays: EventArrays;
  fieldCount: number;
  tag: ByteString;
  quarantined: QuarantineEntry[];
  /** Takes the fields of a changed event. */
  scanner: Scanner;
  /** Where `data` came from, and goes when nobody looks at the batch any more. */
  pool: BufferPool;
  /** Says that `arrays` can be used again; called once. */
  onRelease?: () => void;
  /** The ranges of the lines as read, where they are not the events' own. */
  lineRanges?: { lineStarts: Int32Array<ArrayBuffer>; lineEnds: Int32Array<ArrayBuffer> };
  /** As in `Chunk`. */
  onlySink?: string | undefined;
  /** Where those lines stood that are not of this chunk, by event. */
  origins?: ReadonlyMap<number, LineOrigin>;
  /** Where the others stood, where that is not at `offset` in `file` one after the other. */
  places?: Places;
}

/** An event and the bytes that it is to have, without newline. */
export interface Change {
  index: number;
  bytes: Buffer;
}

export class EventBatch {
  readonly kind = 'batch';
  /** Replaced only by `rewrite`. */
  data: Buffer;
  readonly path: string;
  readonly file: string;
  /** Offset of `data[0]` in `file`. */
  readonly offset: number;
  readonly readAtMs: number;
  /** Number of events; every array may be longer. */
  readonly size: number;
  /** Range of event i in `data`, without its newline (a carriage return stays). */
  readonly starts: Int32Array<ArrayBuffer>;
  readonly ends: Int32Array<ArrayBuffer>;
  /** The same of its line as read; for a joined entry that of its first line. The same arrays while all are equal. */
  lineStarts: Int32Array<ArrayBuffer>;
  lineEnds: Int32Array<ArrayBuffer>;
  /** `slots[(i * fieldCount + field) * SLOT_STRIDE + {0: start, 1: end, 2: depth}]`, start -1 where absent. */
  readonly slots: Int32Array<ArrayBuffer>;
  readonly fieldCount: number;
  /** The tag of each event: the pipeline's name until a `tag` processor says otherwise. */
  readonly tags: ByteString[];
  /** 1 for events that no sink gets: dropped by a processor, or rejected. */
  readonly dropped: Uint8Array;
  droppedCount = 0;
  /** How many of them went to the quarantine. */
  rejectedCount = 0;
  readonly quarantined: QuarantineEntry[];
  readonly onlySink: string | undefined;
  /** The number of its first event, counted over all batches of a pipeline's life; set before a sink has it. */
  firstEvent = 0;
  readonly #arrays: EventArrays;
  readonly #scanner: Scanner;
  readonly #pool: BufferPool;
  readonly #origins: ReadonlyMap<number, LineOrigin> | undefined;
  readonly #places: Places | undefined;
  readonly #onRelease: (() => void) | undefined;
  #isReleased = false;

  constructor(parts: EventBatchParts) {
    this.data = parts.data;
    this.path = parts.path;
    this.file = parts.file;
    this.offset = parts.offset;
    this.readAtMs = parts.readAtMs;
    this.size = parts.size;
    const { starts, ends, slots, tags, dropped } = parts.arrays;
    this.starts = starts;
    this.ends = ends;
    this.slots = slots;
    this.tags = tags;
    this.dropped = dropped;
    for (let i = 0; i < parts.size; i++) tags[i] = parts.tag;
    dropped.fill(0, 0, parts.size);
    this.fieldCount = parts.fieldCount;
    this.quarantined = parts.quarantined;
    this.onlySink = parts.onlySink;
    this.lineStarts = parts.lineRanges?.lineStarts ?? starts;
    this.lineEnds = parts.lineRanges?.lineEnds ?? ends;
    this.#arrays = parts.arrays;
    this.#scanner = parts.scanner;
    this.#pool = parts.pool;
    this.#origins = parts.origins;
    this.#places = parts.places;
    this.#onRelease = parts.onRelease;
  }

  /** Says that nobody looks at the batch any more: its memory is used again. Calling it twice changes nothing. */
  release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    this.#pool.give(this.data);
    this.#onRelease?.();
  }

  /**
   * Gives events other bytes; their lines and their tags stay. Each must be one JSON object. Copies the batch once, so
   * whoever changes many events does it in one call. Slots and `data` that were looked at before are no longer true.
   */
  rewrite(changes: readonly Change[]): void {
    if (changes.length === 0) return;
    if (this.lineStarts === this.starts) {
      const { lineStarts, lineEnds } = this.#arrays.lineRanges();
      lineStarts.set(this.starts.subarray(0, this.size));
      lineEnds.set(this.ends.subarray(0, this.size));
      this.lineStarts = lineStarts;
      this.lineEnds = lineEnds;
    }
    const before = this.data;
    const bytes = changes.reduce((sum, change) => sum + change.bytes.length + 1, before.length);
    this.data = this.#pool.take(bytes).subarray(0, bytes);
    before.copy(this.data);
    let at = before.length;
    for (const { index, bytes } of changes) {
      bytes.copy(this.data, at);
      this.starts[index] = at;
      at += bytes.length;
      this.ends[index] = at;
      this.data[at++] = NEWLINE;
    }
    // What a decoder quarantined are parts of what was read.
    if (this.quarantined.length === 0) this.#pool.give(before);
    this.#scanner.load(this.data);
    for (const { index } of changes) {
      const start = this.starts[index] as number;
      const slot = index * this.fieldCount * SLOT_STRIDE;
      const end = this.#scanner.scanLine(start, this.slots, slot, true);
      if (end !== this.ends[index]) throw new Error('impossible: an event was changed to what is no event');
    }
  }

  /** The bytes of the line that event i was, as a view: without newline, a carriage return stays. */
  line(i: number): Buffer {
    return this.data.subarray(this.lineStarts[i], this.lineEnds[i]);
  }

  /** Where that line stood. */
  origin(i: number): LineOrigin {
    const start = this.lineStarts[i] as number;
    const elsewhere = this.#origins?.get(i) ?? this.#places?.originOf(start);
    return elsewhere ?? { file: this.file, offset: this.offset + start };
  }

  /** Leaves event i out: no sink gets it. Dropping twice counts once. */
  drop(i: number): void {
    if (this.dropped[i] === 0) {
      this.dropped[i] = 1;
      this.droppedCount++;
    }
  }

  /** Leaves event i out and puts its line into the quarantine. `detail` says why, without words from the event. */
  reject(i: number, reason: QuarantineReason, detail: string): void {
    if (this.dropped[i] !== 0) return;
    this.drop(i);
    this.rejectedCount++;
    const raw = Buffer.from(this.line(i));
    const { offset } = this.origin(i);
    this.quarantined.push({ reason, path: this.path, offset, length: raw.length, detail, raw });
  }

  /** Whether the scanner found a field in event i; one that is null counts. */
  hasField(i: number, slot: number): boolean {
    return (this.slots[(i * this.fieldCount + slot) * SLOT_STRIDE] as number) >= 0;
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
  /** Counted from 1. */
  readonly id: number;
  readonly position: Position;
  /** Everything that existed when this life of the pipeline began is before it: what follows was never sent before. */
  readonly isCaughtUp: boolean;
}

export type StreamElement = Chunk | EventBatch | Marker;
