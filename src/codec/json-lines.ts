// Turns the lines of a chunk into a batch of events, one JSON object a line. A line that is none is not given up
// at once: `legacy-pairs.ts` takes it where it is of the legacy log, and else `broken-line.ts` says what it is and which
// event can be saved from it. An EventList is taken apart (`event-list.ts`). From the first line on that a container
// runtime wrote, the lines of a chunk are first taken out of what is around them (`container-lines.ts`). Of other JSON
// lines nothing is parsed and no byte is copied.
//
// Invariant: each line, or part of a torn line, is an event, joined to one, blank, quarantined, or of the server's own log,
// and counted as exactly one of them; that of an open entry when its event is given out.
import { EventArrays, EventBatch, SLOT_STRIDE } from '../event/batch.js';
import type {
  Chunk,
  EventBatchParts,
  LineOrigin,
  QuarantineEntry,
  QuarantineReason,
} from '../event/batch.js';
import type { ByteString } from '../event/byte-string.js';
import type { FieldRegistry } from '../event/fields.js';
import { JsonReader, NEWLINE, OPEN_BRACE } from '../event/json-reader.js';
import { compileScanner } from '../event/scan.js';
import type { Scanner } from '../event/scan.js';
import type { PipelineMetrics } from '../metrics.js';
import type { OpenEntry } from '../position/position.js';
import { ContainerLines } from './container-lines.js';
import type { Unwrapped } from './container-lines.js';
import { isServerLog, mayBeWrapped } from './cri-line.js';
import type { Decoder, LineFormat } from './decoder.js';
import { isPlainEvent, readEventList } from './event-list.js';
import { LegacyEventWriter } from './legacy-event.js';
import { FieldSlots } from './legacy-fields.js';
import { KnownParts } from './legacy-known.js';
import { mayBeLegacy, NO_TIME } from './legacy-line.js';
import type { LegacyLine } from './legacy-line.js';
import { LegacyPairs } from './legacy-pairs.js';
import type { LineSource, TakeEntry } from './legacy-pairs.js';
import type { LinePlaces } from './line-places.js';
import { readPool } from './lines.js';
import { madePool, MadeEvents } from './made-events.js';
import { eventInside, explainBroken, isBlank, isNextEvent, tornDetail } from './broken-line.js';
import type { BrokenLine } from './broken-line.js';

/** What the lines of a source may hold that has no options for it. */
export const ANY_FORMAT: LineFormat = {
  format: 'auto',
  openLimits: { maxEntries: 10_000, maxBytes: 16 * 1024 * 1024, maxAgeMs: 300_000 },
  partialLimits: { maxLineBytes: 64 * 1024 * 1024, maxAgeMs: 60_000 },
};

const EMPTY = Buffer.alloc(0);
const NEWLINE_BYTES = Buffer.from([NEWLINE]);
/** More batches than this are never under way between the decoder and the sinks. */
const MAX_FREE_ARRAYS = 8;

export class JsonLinesDecoder implements Decoder {
  readonly #fields: FieldRegistry;
  readonly #tag: ByteString;
  readonly #metrics: PipelineMetrics;
  #scanner: Scanner | undefined;
  #slots: FieldSlots | undefined;
  /** As of the last batch: how large the next one's arrays should be. */
  #bytesPerEvent = 512;
  /** Arrays of batches that were released. */
  readonly #freeArrays: EventArrays[] = [];
  readonly #format: LineFormat['format'];
  readonly #pairs: LegacyPairs;
  readonly #containers: ContainerLines;
  readonly #writer: LegacyEventWriter;

  /** `tag` is the tag of every event until a processor gives it another. */
  constructor(
    fields: FieldRegistry,
    tag: ByteString,
    metrics: PipelineMetrics,
    lines: LineFormat = ANY_FORMAT,
  ) {
    this.#fields = fields;
    this.#tag = tag;
    this.#metrics = metrics;
    this.#format = lines.format;
    const known = new KnownParts();
    this.#pairs = new LegacyPairs(lines.openLimits, known);
    this.#writer = new LegacyEventWriter(known);
    this.#containers = new ContainerLines(lines.partialLimits);
  }

  open(entries: readonly OpenEntry[]): void {
    this.#pairs.restore(entries.filter((entry) => !entry.partial));
    this.#containers.restore(entries);
  }

  openEntries(): OpenEntry[] {
    return [...this.#pairs.openEntries(), ...this.#containers.openEntries()];
  }

  hasDue(nowMs: number): boolean {
    return this.#pairs.duePaths(nowMs).length > 0 || this.#containers.duePaths(nowMs).length > 0;
  }

  flush(nowMs: number, all: boolean): EventBatch[] {
    const batchOf = (path: string, run: (decoding: Decoding) => void): EventBatch =>
      this.#decode(
        { kind: 'chunk', data: EMPTY, path, file: path, offset: 0, readAtMs: nowMs, quarantined: [] },
        run,
      );
    // These first: what they hold may be a legacy request.
    const parts = this.#containers.duePaths(nowMs, all).map((path) =>
      batchOf(path, (decoding) => {
        decoding.take(this.#containers.flush(path, nowMs, all));
        decoding.run();
      }),
    );
    const requests = this.#pairs.duePaths(nowMs, all).map((path) =>
      batchOf(path, (decoding) => {
        this.#pairs.flush(path, nowMs, all, (line, response, origin) => {
          decoding.takeEntry(line, response, origin);
        });
      }),
    );
    return [...parts, ...requests];
  }

  /**
   * Decodes a chunk. All components must have asked for their fields before the first call. Counts lines and events
   * (`linesRead`, `linesJoined`, `linesBlank`, `linesNotAudit`,
   * `linesQuarantined`, `events`); bytes are counted where they are read.
   */
  decode(chunk: Chunk): EventBatch {
    return this.#decode(chunk, (decoding) => {
      decoding.run();
    });
  }

  #decode(chunk: Chunk, run: (decoding: Decoding) => void): EventBatch {
    const scanner = (this.#scanner ??= compileScanner(this.#fields.paths));
    const slots = (this.#slots ??= new FieldSlots(this.#fields.paths));
    this.#writer.noted.wanted = slots.wanted;
    const { fieldCount } = scanner;
    const capacity = Math.ceil((chunk.data.length / this.#bytesPerEvent) * 1.25) + 8;
    const arrays = this.#freeArrays.pop() ?? new EventArrays(capacity, fieldCount);
    const others = {
      format: this.#format,
      pairs: this.#pairs,
      writer: this.#writer,
      slots,
      containers: this.#containers,
    };
    const decoding = new Decoding(chunk, scanner, arrays, others);
    run(decoding);
    const { size, blank, joined, notAudit } = decoding;
    if (size > 0) this.#bytesPerEvent = Math.max(8, chunk.data.length / size);
    const quarantined = [...chunk.quarantined, ...decoding.quarantined];
    this.#metrics.events += size;
    this.#metrics.linesBlank += blank;
    this.#metrics.linesJoined += joined;
    this.#metrics.linesNotAudit += notAudit;
    this.#metrics.linesQuarantined += quarantined.length;
    this.#metrics.linesRead += size + blank + joined + notAudit + quarantined.length;
    const { data, ...more } = decoding.finish();
    return new EventBatch({
      data,
      ...more,
      path: chunk.path,
      file: chunk.file,
      offset: chunk.offset,
      readAtMs: chunk.readAtMs,
      size,
      arrays,
      fieldCount,
      tag: this.#tag,
      quarantined,
      onlySink: chunk.onlySink,
      scanner,
      onRelease: () => {
        // What is quarantined are parts of it.
        if (data !== decoding.data) readPool.give(decoding.data);
        if (this.#freeArrays.length < MAX_FREE_ARRAYS) this.#freeArrays.push(arrays);
      },
    });
  }
}

/** What a decoding needs for other lines than those of the JSON log. */
interface Others {
  format: LineFormat['format'];
  pairs: LegacyPairs;
  writer: LegacyEventWriter;
  slots: FieldSlots;
  containers: ContainerLines;
}

/** The work on one chunk. */
class Decoding {
  data: Buffer;
  readonly quarantined: QuarantineEntry[] = [];
  size = 0;
  blank = 0;
  joined = 0;
  /** Lines of the server's own log. */
  notAudit = 0;
  /** Where lines stood; absent while none was taken out of another. */
  #places: LinePlaces | undefined;
  /** Events that are not their lines; absent while there are none. */
  #made: MadeEvents | undefined;
  /** Those of them whose fields are still to be found. */
  readonly #unscanned: number[] = [];
  readonly #others: Others;
  readonly #arrays: EventArrays;
  readonly #chunk: Chunk;
  readonly #scanner: Scanner;
  readonly #slotsPerEvent: number;
  /** Where the lines that end with a newline end. */
  #terminatedEnd: number;

  constructor(chunk: Chunk, scanner: Scanner, arrays: EventArrays, others: Others) {
    this.#others = others;
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
    const { format } = this.#others;
    if (format === 'cri') this.#unwrap(0);
    if (this.data.length === 0) return;
    this.#scanner.load(this.data);
    const isJson = format !== 'legacy';
    let p = 0;
    while (p < this.data.length) {
      // The end of a file may have been cut off: it is never taken on trust.
      const end = isJson ? this.#scan(p, p < this.#terminatedEnd) : -1;
      if (end < 0) p = this.#readOther(p);
      else if (format !== 'cri' && isPlainEvent(this.data, p)) {
        this.#add(p, end);
        p = end + 1;
      } else p = this.#readObject(p, end);
    }
    this.#others.pairs.endChunk();
  }

  /** Takes lines that were taken out of others in the place of those that were read. */
  take({ data, terminatedEnd, places, joined, quarantined }: Unwrapped): void {
    this.#made?.replaceLines(this.data.length, data);
    this.data = data;
    this.#terminatedEnd = terminatedEnd;
    this.#places = places;
    this.joined += joined;
    this.quarantined.push(...quarantined);
  }

  /** Takes away what a container runtime put around lines from `start` on; false where that is done, or is not to be. */
  #unwrap(start: number): boolean {
    const { format, containers } = this.#others;
    const { data } = this;
    if (this.#places || (format !== 'auto' && format !== 'cri') || data.length === 0) return false;
    if (format === 'auto' && !mayBeWrapped(data, start, this.#scanner.newlineAfter(start))) return false;
    this.take(containers.unwrap(data, start, this.#terminatedEnd, this.#chunk));
    // Nobody has looked at it.
    if (start === 0) readPool.give(data);
    if (this.data.length > 0) this.#scanner.load(this.data);
    return true;
  }

  /** Deals with the line at `start`, a JSON object that may be something else than an event; returns where to go on. */
  #readObject(start: number, end: number): number {
    if (this.#unwrap(start)) return start;
    const isWrapped = this.#isWrapped(start);
    if (isWrapped && isServerLog(this.data, start, end, true)) this.notAudit++;
    else if (!isWrapped && this.#others.format === 'cri')
      this.#quarantine('malformed', 'no line of a container log: no runtime wrote it', start, end);
    else if (isPlainEvent(this.data, start) || !this.#takeList(start, end)) this.#add(start, end);
    return end + 1;
  }

  #isWrapped(start: number): boolean {
    return this.#places?.streamOf(start) !== undefined;
  }

  /** Takes each item of an EventList as an event, for which its line is the item; false where the line is none. */
  #takeList(start: number, end: number): boolean {
    if (!this.data.subarray(start, end).includes('EventList')) return false;
    const reader = new JsonReader();
    reader.load(this.data);
    const at = reader.space(start);
    // Behind its first fields nobody may have looked at it.
    const valueEnd = reader.value(at);
    const items = valueEnd >= 0 && reader.space(valueEnd) === end ? readEventList(reader, at) : undefined;
    if (!items) return false;
    if (items.length === 0) this.blank++;
    for (const { start, end, bytes } of items) {
      if (!bytes) {
        this.#quarantine('not_an_object', 'an item of an EventList that is no object', start, end);
        continue;
      }
      const made = (this.#made ??= new MadeEvents(this.data, this.#arrays));
      const eventStart = made.out.length;
      made.out.bytes(bytes, 0, bytes.length);
      made.out.byte(NEWLINE);
      this.#unscanned.push(this.size);
      made.add(this.size++, eventStart, { data: this.data, start, end }, undefined);
    }
    return true;
  }

  /** An entry of the legacy log that is over. */
  takeEntry(line: LegacyLine, response: LegacyLine | undefined, origin: LineOrigin | undefined): void {
    const made = (this.#made ??= new MadeEvents(this.data, this.#arrays));
    const start = made.out.length;
    const { writer, slots } = this.#others;
    writer.write(made.out, line, response);
    made.add(this.size, start, line, origin);
    slots.write(writer.noted, this.#arrays.slots, this.size++ * this.#slotsPerEvent);
    if (response) this.joined++;
  }

  /** What the batch is made of, when all lines were read. */
  finish(): Pick<EventBatchParts, 'data' | 'pool' | 'lineRanges' | 'origins' | 'places'> {
    const made = this.#made;
    const places = this.#places && { places: this.#places };
    if (!made) return { data: this.data, pool: readPool, ...places };
    const { data, origins } = made;
    if (this.#unscanned.length > 0) this.#scanner.load(data);
    for (const index of this.#unscanned) {
      const start = this.#arrays.starts[index] as number;
      const end = this.#scanner.scanLine(start, this.#arrays.slots, index * this.#slotsPerEvent, true);
      if (end !== this.#arrays.ends[index]) throw new Error('impossible: an item became what is no event');
    }
    return { data, pool: madePool, lineRanges: made.lineRanges(this.size), origins, ...places };
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

  // Deals with the line at `start`, which is no JSON event; returns where to go on.
  #readOther(start: number): number {
    if (this.#unwrap(start)) return start;
    const { format } = this.#others;
    const end = this.#scanner.newlineAfter(start);
    const isLegacy = format === 'legacy' || (format !== 'json' && mayBeLegacy(this.data[start]));
    if (!isLegacy || (format === 'cri' && !this.#isWrapped(start))) return this.#readBroken(start, end);
    const source = this.#sourceOf(start);
    const fault = this.#others.pairs.take(this.data, start, end, source, this.#takeEntry);
    if (fault === undefined) return end + 1;
    const isOther = fault === NO_TIME || this.#places?.streamOf(start) === 'stderr';
    if (format !== 'legacy' && isOther) return this.#readBroken(start, end);
    if (isWhiteSpace(this.data, start, end)) this.blank++;
    else {
      const reason = start < this.#terminatedEnd ? 'malformed' : 'torn';
      this.#quarantine(reason, `no line of the legacy audit log: ${fault}`, start, end);
    }
    return end + 1;
  }

  /** Such that the line at `start` is found where it stood. */
  #sourceOf(start: number): LineSource {
    if (!this.#places) return this.#chunk;
    const { path, readAtMs } = this.#chunk;
    const { file, offset } = this.#places.originOf(start);
    return { path, file, offset: offset - start, readAtMs };
  }

  readonly #takeEntry: TakeEntry = (line, response, origin) => {
    this.takeEntry(line, response, origin);
  };

  // Deals with the line that the scanner refused; returns where to go on.
  #readBroken(start: number, end: number): number {
    const { failedAt, expected } = this.#scanner;
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
    if (this.#isNoAudit(start, end)) {
      this.notAudit++;
      return end + 1;
    }
    const { reason, detail } = explainBroken(line, this.#scanner.isValue(start));
    this.#quarantine(reason, detail, start, end);
    return end + 1;
  }

  // The audit log is written to stdout, so text on stderr is none of it; an object there may be, or have been, an event.
  #isNoAudit(start: number, end: number): boolean {
    const { format } = this.#others;
    if (format !== 'auto' && format !== 'cri') return false;
    const stream = this.#places?.streamOf(start);
    if (stream === 'stderr' && this.data[start] !== OPEN_BRACE) return true;
    return isServerLog(this.data, start, end, stream !== undefined);
  }

  #quarantine(reason: QuarantineReason, detail: string, start: number, end: number): void {
    this.quarantined.push({
      reason,
      path: this.#chunk.path,
      offset: this.#sourceOf(start).offset + start,
      length: end - start,
      detail,
      raw: this.data.subarray(start, end),
    });
  }
}

function isWhiteSpace(data: Buffer, start: number, end: number): boolean {
  return data.toString('latin1', start, end).trim() === '';
}
