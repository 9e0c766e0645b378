// What each line of a chunk is. One that is no JSON object is not given up at once: `legacy-pairs.ts` takes it where it is of
// the legacy log, and else `broken-line.ts` says what it is and which event can be saved from it. An EventList is taken
// apart (`event-list.ts`). From the first line on that a container runtime wrote, the lines are first taken out of what is
// around them (`container-lines.ts`).
//
// Invariant: each line, or part of a torn line, is an event, joined to one, blank, quarantined, or of the server's own log,
// and counted as exactly one of them; that of an open entry when its event is given out.
import type { Chunk } from '../event/batch.js';
import { JsonReader, OPEN_BRACE } from '../event/json-reader.js';
import type { Scanner } from '../event/scan.js';
import type { BatchBuilder } from './batch-builder.js';
import { eventInside, explainBroken, isBlank, isNextEvent, tornDetail } from './broken-line.js';
import type { BrokenLine } from './broken-line.js';
import type { ContainerLines } from './container-lines.js';
import { isServerLog, mayBeWrapped } from './cri-line.js';
import type { LineFormat } from './decoder.js';
import { isPlainEvent, ItemPrefixes, readEventList } from './event-list.js';
import { mayBeLegacy, NO_TIME } from './legacy-line.js';
import type { LegacyPairs, TakeEntry } from './legacy-pairs.js';
import { readPool } from './lines.js';

/** What is needed for other lines than those of the JSON log. */
export interface OtherLines {
  format: LineFormat['format'];
  pairs: LegacyPairs;
  containers: ContainerLines;
  takeEntry: TakeEntry;
}

/** The work on one chunk. */
export class Decoding {
  readonly #chunk: Chunk;
  readonly #scanner: Scanner;
  readonly #batch: BatchBuilder;
  readonly #others: OtherLines;
  readonly #format: LineFormat['format'];

  constructor(chunk: Chunk, scanner: Scanner, batch: BatchBuilder, others: OtherLines) {
    this.#chunk = chunk;
    this.#scanner = scanner;
    this.#batch = batch;
    this.#others = others;
    this.#format = others.format;
  }

  run(): void {
    const format = this.#format;
    const batch = this.#batch;
    if (format === 'cri') this.#unwrap(0);
    if (batch.data.length === 0) return;
    this.#scanner.load(batch.data);
    const isJson = format !== 'legacy';
    let p = 0;
    while (p < batch.data.length) {
      // The end of a file may have been cut off: it is never taken on trust.
      const end = isJson ? batch.scan(p, p < batch.terminatedEnd) : -1;
      if (end < 0) p = this.#readOther(p);
      else if (format !== 'cri' && isPlainEvent(batch.data, p)) {
        batch.add(p, end);
        p = end + 1;
      } else p = this.#readObject(p, end);
    }
    this.#others.pairs.endChunk();
  }

  /** Takes away what a container runtime put around lines from `start` on; false where that is done, or is not to be. */
  #unwrap(start: number): boolean {
    const format = this.#format;
    const batch = this.#batch;
    const { data } = batch;
    if (batch.isUnwrapped || (format !== 'auto' && format !== 'cri') || data.length === 0) return false;
    if (format === 'auto' && !mayBeWrapped(data, start, this.#scanner.newlineAfter(start))) return false;
    batch.take(this.#others.containers.unwrap(data, start, batch.terminatedEnd, this.#chunk));
    // Nobody has looked at it.
    if (start === 0) readPool.give(data);
    if (batch.data.length > 0) this.#scanner.load(batch.data);
    return true;
  }

  /** Deals with the line at `start`, a JSON object that may be something else than an event; returns where to go on. */
  #readObject(start: number, end: number): number {
    if (this.#unwrap(start)) return start;
    const batch = this.#batch;
    const isWrapped = this.#isWrapped(start);
    if (isWrapped && isServerLog(batch.data, start, end, true)) batch.notAudit++;
    else if (!isWrapped && this.#format === 'cri')
      batch.quarantine('malformed', 'no line of a container log: no runtime wrote it', start, end);
    else if (isPlainEvent(batch.data, start) || !this.#takeList(start, end)) batch.add(start, end);
    return end + 1;
  }

  #isWrapped(start: number): boolean {
    return this.#batch.streamOf(start) !== undefined;
  }

  /** Takes each item of an EventList as an event, for which its line is the item; false where the line is none. */
  #takeList(start: number, end: number): boolean {
    const batch = this.#batch;
    if (!batch.data.subarray(start, end).includes('EventList')) return false;
    const reader = new JsonReader();
    reader.load(batch.data);
    const at = reader.space(start);
    const list = readEventList(reader, at);
    if (!list || reader.space(list.end) !== end) return false;
    if (list.items.length === 0) batch.blank++;
    const prefixes = new ItemPrefixes(list);
    for (const item of list.items) {
      const { start, end } = item;
      if (item.isObject) batch.addPrefixed(prefixes.of(item), start, end);
      else batch.quarantine('not_an_object', 'an item of an EventList that is no object', start, end);
    }
    return true;
  }

  // Deals with the line at `start`, which is no JSON event; returns where to go on.
  #readOther(start: number): number {
    const format = this.#format;
    const batch = this.#batch;
    const { data } = batch;
    const end = this.#scanner.newlineAfter(start);
    const mayBe = format === 'legacy' || (format !== 'json' && mayBeLegacy(data[start]));
    const isLegacy = mayBe && (format !== 'cri' || this.#isWrapped(start));
    const { pairs, takeEntry } = this.#others;
    // Before it is taken out of what a runtime put around it: that has the name of a stream in the place of `AUDIT:`.
    const fault = isLegacy ? pairs.take(data, start, end, batch.sourceOf(start), takeEntry) : NO_TIME;
    if (fault === undefined) return end + 1;
    if (this.#unwrap(start)) return start;
    if (!isLegacy) return this.#readBroken(start, end);
    const isOther = fault === NO_TIME || batch.streamOf(start) === 'stderr';
    if (format !== 'legacy' && isOther) return this.#readBroken(start, end);
    if (isWhiteSpace(data, start, end)) batch.blank++;
    else {
      const reason = start < batch.terminatedEnd ? 'malformed' : 'torn';
      batch.quarantine(reason, `no line of the legacy audit log: ${fault}`, start, end);
    }
    return end + 1;
  }

  // Deals with the line that the scanner refused; returns where to go on.
  #readBroken(start: number, end: number): number {
    const batch = this.#batch;
    const { failedAt, expected } = this.#scanner;
    const isTerminated = start < batch.terminatedEnd;
    const line: BrokenLine = { data: batch.data, start, end, failedAt, expected, isTerminated };
    if (isBlank(line)) {
      batch.blank++;
      return end + 1;
    }
    if (isNextEvent(line)) {
      batch.add(start, failedAt);
      return failedAt;
    }
    const event = eventInside(line);
    if (event >= 0 && batch.scan(event, false) === end) {
      batch.quarantine('torn', tornDetail(line, event), start, event);
      batch.add(event, end);
      return end + 1;
    }
    if (this.#isNoAudit(start, end)) {
      batch.notAudit++;
      return end + 1;
    }
    const { reason, detail } = explainBroken(line, this.#scanner.isValue(start));
    batch.quarantine(reason, detail, start, end);
    return end + 1;
  }

  // The audit log is written to stdout, so text on stderr is none of it; an object there may be, or have been, an event.
  #isNoAudit(start: number, end: number): boolean {
    const format = this.#format;
    if (format !== 'auto' && format !== 'cri') return false;
    const { data } = this.#batch;
    const stream = this.#batch.streamOf(start);
    if (stream === 'stderr' && data[start] !== OPEN_BRACE) return true;
    return isServerLog(data, start, end, stream !== undefined);
  }
}

function isWhiteSpace(data: Buffer, start: number, end: number): boolean {
  return data.toString('latin1', start, end).trim() === '';
}
