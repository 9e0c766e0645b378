// Turns chunks of lines into batches of events: JSON, the legacy log, and either as a container runtime writes it. What each
// line is says `decoding.ts`; entries that are open at the end of a chunk wait here for the next. Of ordinary JSON lines
// nothing is parsed and no byte is copied.
import { EventArrays, EventBatch } from '../event/batch.js';
import type { Chunk, QuarantineEntry } from '../event/batch.js';
import type { ByteString } from '../event/byte-string.js';
import type { FieldRegistry } from '../event/fields.js';
import { compileScanner } from '../event/scan.js';
import type { Scanner } from '../event/scan.js';
import type { PipelineMetrics } from '../metrics.js';
import type { OpenEntry } from '../position/position.js';
import { BatchBuilder } from './batch-builder.js';
import { ContainerLines } from './container-lines.js';
import type { Decoder, LineFormat } from './decoder.js';
import { Decoding } from './decoding.js';
import { LegacyEventWriter } from './legacy-event.js';
import { FieldSlots } from './legacy-fields.js';
import { KnownParts } from './legacy-known.js';
import { LegacyPairs } from './legacy-pairs.js';
import type { TakeEntry } from './legacy-pairs.js';
import { readPool } from './lines.js';

/** What the lines of a source may hold that has no options for it. */
export const ANY_FORMAT: LineFormat = {
  format: 'auto',
  openLimits: { maxEntries: 10_000, maxBytes: 16 * 1024 * 1024, maxAgeMs: 300_000 },
  partialLimits: { maxLineBytes: 64 * 1024 * 1024, maxAgeMs: 60_000 },
};

const EMPTY = Buffer.alloc(0);
/** More batches than this are never under way between the decoder and the sinks. */
const MAX_FREE_ARRAYS = 8;

/** Puts the lines of a chunk, or what was open, into a batch. */
type ReadLines = (decoding: Decoding, batch: BatchBuilder, takeEntry: TakeEntry) => void;

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
    const batchOf = (path: string, read: ReadLines): EventBatch =>
      this.#decode(
        { kind: 'chunk', data: EMPTY, path, file: path, offset: 0, readAtMs: nowMs, quarantined: [] },
        read,
      );
    // These first: what they hold may be a legacy request.
    const parts = this.#containers.duePaths(nowMs, all).map((path) =>
      batchOf(path, (decoding, batch) => {
        batch.take(this.#containers.flush(path, nowMs, all));
        decoding.run();
      }),
    );
    const requests = this.#pairs.duePaths(nowMs, all).map((path) =>
      batchOf(path, (_, __, takeEntry) => {
        this.#pairs.flush(path, nowMs, all, takeEntry);
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

  #decode(chunk: Chunk, read: ReadLines): EventBatch {
    const scanner = (this.#scanner ??= compileScanner(this.#fields.paths));
    const slots = (this.#slots ??= new FieldSlots(this.#fields.paths));
    const { fieldCount } = scanner;
    const capacity = Math.ceil((chunk.data.length / this.#bytesPerEvent) * 1.25) + 8;
    const arrays = this.#freeArrays.pop() ?? new EventArrays(capacity, fieldCount);
    const batch = new BatchBuilder(chunk, scanner, arrays);
    const writer = this.#writer;
    writer.noted.wanted = slots.wanted;
    const takeEntry: TakeEntry = (line, response, origin) => {
      batch.addEntry(writer, slots, line, response, origin);
    };
    const others = { format: this.#format, pairs: this.#pairs, containers: this.#containers, takeEntry };
    read(new Decoding(chunk, scanner, batch, others), batch, takeEntry);
    const quarantined = this.#count(chunk, batch);
    const { data, ...more } = batch.finish();
    const { size } = batch;
    if (size > 0) this.#bytesPerEvent = Math.max(8, chunk.data.length / size);
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
        if (data !== batch.data) readPool.give(batch.data);
        if (this.#freeArrays.length < MAX_FREE_ARRAYS) this.#freeArrays.push(arrays);
      },
    });
  }

  /** Counts what was read; returns all that is quarantined. */
  #count(chunk: Chunk, { size, blank, joined, notAudit, quarantined }: BatchBuilder): QuarantineEntry[] {
    const all = [...chunk.quarantined, ...quarantined];
    this.#metrics.events += size;
    this.#metrics.linesBlank += blank;
    this.#metrics.linesJoined += joined;
    this.#metrics.linesNotAudit += notAudit;
    this.#metrics.linesQuarantined += all.length;
    this.#metrics.linesRead += size + blank + joined + notAudit + all.length;
    return all;
  }
}
