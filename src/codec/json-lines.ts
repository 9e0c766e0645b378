// Turns the lines of a chunk into a batch of events, one JSON object a line. A line that is none is not given up
// at once: `broken-line.ts` says what it is and which event can be saved from it. Nothing is parsed and no byte is
// copied.
//
// Invariant: each line, or part of a torn line, is an event, blank, or quarantined, and counted as exactly one of them.
import { EventArrays, EventBatch, SLOT_STRIDE } from '../event/batch.js';
import type { Chunk, QuarantineEntry, QuarantineReason } from '../event/batch.js';
import type { ByteString } from '../event/byte-string.js';
import type { FieldRegistry } from '../event/fields.js';
import { NEWLINE } from '../event/json-reader.js';
import { compileScanner } from '../event/scan.js';
import type { Scanner } from '../event/scan.js';
import type { PipelineMetrics } from '../metrics.js';
import { readPool } from './lines.js';
import { eventInside, explainBroken, isBlank, isNextEvent, tornDetail } from './broken-line.js';
import type { BrokenLine } from './broken-line.js';

const NEWLINE_BYTES = Buffer.from([NEWLINE]);
/** More batches than this are never under way between the decoder and the sinks. */
const MAX_FREE_ARRAYS = 8;

export class JsonLinesDecoder {
  readonly #fields: FieldRegistry;
  readonly #tag: ByteString;
  readonly #metrics: PipelineMetrics;
  #scanner: Scanner | undefined;
  /** As of the last batch: how large the next one's arrays should be. */
  #bytesPerEvent = 512;
  /** Arrays of batches that were released. */
  readonly #freeArrays: EventArrays[] = [];

  /** `tag` is the tag of every event until a processor gives it another. */
  constructor(fields: FieldRegistry, tag: ByteString, metrics: PipelineMetrics) {
    this.#fields = fields;
    this.#tag = tag;
    this.#metrics = metrics;
  }

  /**
   * Decodes a chunk. All components must have asked for their fields before the first call. Counts lines and events
   * (`linesRead`, `linesBlank`, `linesQuarantined`, `events`); bytes are counted where they are read.
   */
  decode(chunk: Chunk): EventBatch {
    this.#scanner ??= compileScanner(this.#fields.paths);
    const { fieldCount } = this.#scanner;
    const capacity = Math.ceil((chunk.data.length / this.#bytesPerEvent) * 1.25) + 8;
    const arrays = this.#freeArrays.pop() ?? new EventArrays(capacity, fieldCount);
    const decoding = new Decoding(chunk, this.#scanner, arrays);
    decoding.run();
    const { size, blank } = decoding;
    if (size > 0) this.#bytesPerEvent = Math.max(8, chunk.data.length / size);
    const quarantined = [...chunk.quarantined, ...decoding.quarantined];
    this.#metrics.events += size;
    this.#metrics.linesBlank += blank;
    this.#metrics.linesQuarantined += quarantined.length;
    this.#metrics.linesRead += size + blank + quarantined.length;
    return new EventBatch({
      data: decoding.data,
      path: chunk.path,
      file: chunk.file,
      offset: chunk.offset,
      readAtMs: chunk.readAtMs,
      size,
      arrays,
      fieldCount,
      tag: this.#tag,
      quarantined,
      scanner: this.#scanner,
      pool: readPool,
      onRelease: () => {
        if (this.#freeArrays.length < MAX_FREE_ARRAYS) this.#freeArrays.push(arrays);
      },
    });
  }
}

/** The work on one chunk. */
class Decoding {
  readonly data: Buffer;
  readonly quarantined: QuarantineEntry[] = [];
  size = 0;
  blank = 0;
  readonly #arrays: EventArrays;
  readonly #chunk: Chunk;
  readonly #scanner: Scanner;
  readonly #slotsPerEvent: number;
  /** Where the lines that end with a newline end. */
  readonly #terminatedEnd: number;

  constructor(chunk: Chunk, scanner: Scanner, arrays: EventArrays) {
    this.#chunk = chunk;
    this.#arrays = arrays;
    this.#scanner = scanner;
    const { data } = chunk;
    this.#terminatedEnd = data.lastIndexOf(NEWLINE) + 1;
    // Once per finished file at most.
    this.data = this.#terminatedEnd === data.length ? data : Buffer.concat([data, NEWLINE_BYTES]);
    this.#slotsPerEvent = scanner.fieldCount * SLOT_STRIDE;
  }

  run(): void {
    const { data } = this;
    if (data.length === 0) return;
    this.#scanner.load(data);
    let p = 0;
    while (p < data.length) {
      // The end of a file may have been cut off: it is never taken on trust.
      const end = this.#scan(p, p < this.#terminatedEnd);
      if (end >= 0) {
        this.#add(p, end);
        p = end + 1;
      } else {
        p = this.#readBroken(p);
      }
    }
  }

  #scan(start: number, mayStop: boolean): number {
    const arrays = this.#arrays;
    if (this.size === arrays.starts.length) arrays.grow(this.size * 2);
    return this.#scanner.scanLine(start, arrays.slots, this.size * this.#slotsPerEvent, mayStop);
  }

  /** Takes what was scanned last as an event. */
  #add(start: number, end: number): void {
    this.#arrays.starts[this.size] = start;
    this.#arrays.ends[this.size] = end;
    this.size++;
  }

  // Deals with the line at `start`, which the scanner refused; returns where to go on.
  #readBroken(start: number): number {
    const { failedAt, expected } = this.#scanner;
    const end = this.#scanner.newlineAfter(start);
    const line: BrokenLine = {
      data: this.data,
      start,
      end,
      failedAt,
      expected,
      isTerminated: start < this.#terminatedEnd,
    };
    if (isBlank(line)) {
      this.blank++;
      return end + 1;
    }
    if (isNextEvent(line)) {
      this.#add(start, failedAt);
      return failedAt;
    }
    const event = eventInside(line);
    if (event >= 0 && this.#scan(event, false) === end) {
      this.#quarantine('torn', tornDetail(line, event), start, event);
      this.#add(event, end);
      return end + 1;
    }
    const { reason, detail } = explainBroken(line, this.#scanner.isValue(start));
    this.#quarantine(reason, detail, start, end);
    return end + 1;
  }

  #quarantine(reason: QuarantineReason, detail: string, start: number, end: number): void {
    this.quarantined.push({
      reason,
      path: this.#chunk.path,
      offset: this.#chunk.offset + start,
      length: end - start,
      detail,
      raw: this.data.subarray(start, end),
    });
  }
}
