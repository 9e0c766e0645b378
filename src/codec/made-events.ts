// Events whose bytes a decoder made, for a batch: they stand behind the lines as read, each with its newline. A line that
// an event began with in an earlier chunk stands there too, since whoever asks a batch for the line finds it in there.
import { BufferPool } from '../buffer-pool.js';
import type { EventArrays, LineOrigin } from '../event/batch.js';
import { NEWLINE } from '../event/json-reader.js';
import { JsonWriter } from '../event/json-writer.js';

/** As much as the events of a full chunk take in practice, and of the little that a live log gives at a time. */
const POOLED_BYTES = [64 * 1024, 2 * 1024 * 1024];
/** Events take about twice the bytes of their legacy lines. */
const EXPECTED_GROWTH = 3;

/** Where the data of batches with made events comes from. */
export const madePool = new BufferPool(POOLED_BYTES, 4 * 2 * 1024 * 1024);

/** A line as read. */
export interface ReadLine {
  data: Buffer;
  start: number;
  end: number;
}

export class MadeEvents {
  /** Where the next event is to be written, and its newline. */
  out: JsonWriter;
  readonly origins = new Map<number, LineOrigin>();
  readonly #arrays: EventArrays;
  /** Where the lines of the events are; of the first `#rangeCount` events by now. */
  #ranges: ReturnType<EventArrays['lineRanges']>;
  #rangeCount = 0;

  /** `lines` are copied. */
  constructor(lines: Buffer, arrays: EventArrays) {
    const expected = lines.length * EXPECTED_GROWTH;
    this.out = new JsonWriter(madePool.take(lines.length + 1024, expected), lines.length);
    lines.copy(this.out.buffer);
    this.#arrays = arrays;
    this.#ranges = arrays.lineRanges();
  }

  /** Lines, then events, all with newlines; to be asked for when all events were added. */
  get data(): Buffer {
    return this.out.buffer.subarray(0, this.out.length);
  }

  /** `lines` stand in the place of those before; up to the last one that an event was made of they are equal. */
  replaceLines(bytesBefore: number, lines: Buffer): void {
    const made = this.data.subarray(bytesBefore);
    const bytes = lines.length + made.length;
    this.out = new JsonWriter(madePool.take(bytes + 1024, lines.length * EXPECTED_GROWTH), bytes);
    lines.copy(this.out.buffer);
    made.copy(this.out.buffer, lines.length);
    const by = lines.length - bytesBefore;
    const { lineStarts, lineEnds } = this.#ranges;
    for (let index = 0; index < this.#rangeCount; index++) {
      // One that is its line stands in front of those that were made.
      if ((this.#arrays.starts[index] as number) < bytesBefore) continue;
      this.#arrays.move(index, by);
      if (!this.origins.has(index)) continue;
      lineStarts[index] = (lineStarts[index] as number) + by;
      lineEnds[index] = (lineEnds[index] as number) + by;
    }
  }

  /** What was written since `start` is event `index`. Its line is one of the lines, or stood at `origin` before them. */
  add(index: number, start: number, line: ReadLine, origin: LineOrigin | undefined): void {
    const { out } = this;
    const arrays = this.#arrays;
    if (index === arrays.starts.length) arrays.grow(index * 2);
    const ranges = this.#rangesUpTo(index);
    arrays.starts[index] = start;
    arrays.ends[index] = out.length - 1;
    let lineStart = line.start;
    if (origin) {
      lineStart = out.length;
      out.bytes(line.data, line.start, line.end);
      out.byte(NEWLINE);
      this.origins.set(index, origin);
    }
    ranges.lineStarts[index] = lineStart;
    ranges.lineEnds[index] = lineStart + line.end - line.start;
    this.#rangeCount = index + 1;
  }

  /** Where the lines of all `size` events of the batch stand, made or not. */
  lineRanges(size: number): ReturnType<EventArrays['lineRanges']> {
    return this.#rangesUpTo(size);
  }

  // An event that nobody made is its line.
  #rangesUpTo(index: number): ReturnType<EventArrays['lineRanges']> {
    const { starts, ends } = this.#arrays;
    if (this.#ranges.lineStarts.length < starts.length) this.#ranges = this.#arrays.lineRanges();
    for (let i = this.#rangeCount; i < index; i++) {
      this.#ranges.lineStarts[i] = starts[i] as number;
      this.#ranges.lineEnds[i] = ends[i] as number;
    }
    this.#rangeCount = index;
    return this.#ranges;
  }
}
