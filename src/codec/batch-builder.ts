// What becomes of the lines of one chunk, while they are read: events, quarantined lines, counts, and where lines stood that
// were taken out of others. Which line is what is up to `decoding.ts`.
import { SLOT_STRIDE } from '../event/batch.js';
import type {
  Chunk,
  EventArrays,
  EventBatchParts,
  LineOrigin,
  QuarantineEntry,
  QuarantineReason,
} from '../event/batch.js';
import { NEWLINE } from '../event/json-reader.js';
import type { Scanner } from '../event/scan.js';
import type { Unwrapped } from './container-lines.js';
import type { Stream } from './cri-line.js';
import type { LegacyEventWriter } from './legacy-event.js';
import type { FieldSlots } from './legacy-fields.js';
import type { LegacyLine } from './legacy-line.js';
import type { LineSource } from './legacy-pairs.js';
import type { LinePlaces } from './line-places.js';
import { readPool } from './lines.js';
import { madePool, MadeEvents } from './made-events.js';

const NEWLINE_BYTES = Buffer.from([NEWLINE]);

export class BatchBuilder {
  /** Lines, each with a newline. */
  data: Buffer;
  /** Where those end that had one in the file. */
  terminatedEnd: number;
  readonly quarantined: QuarantineEntry[] = [];
  size = 0;
  blank = 0;
  joined = 0;
  /** Lines of the server's own log. */
  notAudit = 0;
  readonly #chunk: Chunk;
  readonly #scanner: Scanner;
  readonly #arrays: EventArrays;
  readonly #slotsPerEvent: number;
  /** Where lines stood; absent while none was taken out of another. */
  #places: LinePlaces | undefined;
  /** Events that are not their lines; absent while there are none. */
  #made: MadeEvents | undefined;
  /** Those of them whose fields are still to be found. */
  readonly #unscanned: number[] = [];

  constructor(chunk: Chunk, scanner: Scanner, arrays: EventArrays) {
    const { data } = chunk;
    this.terminatedEnd = data.lastIndexOf(NEWLINE) + 1;
    // Once per finished file at most.
    this.data = this.terminatedEnd === data.length ? data : Buffer.concat([data, NEWLINE_BYTES]);
    this.#chunk = chunk;
    this.#scanner = scanner;
    this.#arrays = arrays;
    this.#slotsPerEvent = scanner.fieldCount * SLOT_STRIDE;
  }

  /** Lines were taken out of others. */
  get isUnwrapped(): boolean {
    return this.#places !== undefined;
  }

  /** The stream of the line at `start`; undefined where it was not taken out of another. */
  streamOf(start: number): Stream | undefined {
    return this.#places?.streamOf(start);
  }

  /** Such that the line at `start` is found where it stood. */
  sourceOf(start: number): LineSource {
    if (!this.#places) return this.#chunk;
    const { path, readAtMs } = this.#chunk;
    const { file, offset } = this.#places.originOf(start);
    return { path, file, offset: offset - start, readAtMs };
  }

  /** Looks for the fields of the next event in the line at `start`; returns as `Scanner.scanLine` does. */
  scan(start: number, mayStop: boolean): number {
    const arrays = this.#arrays;
    if (this.size === arrays.starts.length) arrays.grow(this.size * 2);
    return this.#scanner.scanLine(start, arrays.slots, this.size * this.#slotsPerEvent, mayStop);
  }

  /** Takes what was scanned last as an event. */
  add(start: number, end: number): void {
    this.#arrays.starts[this.size] = start;
    this.#arrays.ends[this.size] = end;
    this.size++;
  }

  /** Adds the object `[start, end)` as an event; `prefix`, if given, stands in the place of its brace. */
  addPrefixed(prefix: Buffer | undefined, start: number, end: number): void {
    const made = this.#madeEvents();
    const eventStart = made.out.length;
    if (prefix) made.out.bytes(prefix, 0, prefix.length);
    made.out.bytes(this.data, prefix ? start + 1 : start, end);
    made.out.byte(NEWLINE);
    this.#unscanned.push(this.size);
    made.add(this.size++, eventStart, { data: this.data, start, end }, undefined);
  }

  /** Adds an entry of the legacy log that is over; `origin` as in `TakeEntry`. */
  addEntry(
    writer: LegacyEventWriter,
    slots: FieldSlots,
    line: LegacyLine,
    response: LegacyLine | undefined,
    origin: LineOrigin | undefined,
  ): void {
    const made = this.#madeEvents();
    const start = made.out.length;
    writer.write(made.out, line, response);
    made.add(this.size, start, line, origin);
    slots.write(writer.noted, this.#arrays.slots, this.size++ * this.#slotsPerEvent);
    if (response) this.joined++;
  }

  quarantine(reason: QuarantineReason, detail: string, start: number, end: number): void {
    this.quarantined.push({
      reason,
      path: this.#chunk.path,
      offset: this.sourceOf(start).offset + start,
      length: end - start,
      detail,
      raw: this.data.subarray(start, end),
    });
  }

  /** Takes lines that were taken out of others in the place of those that were read. */
  take({ data, terminatedEnd, places, joined, quarantined }: Unwrapped): void {
    this.#made?.replaceLines(this.data.length, data);
    this.data = data;
    this.terminatedEnd = terminatedEnd;
    this.#places = places;
    this.joined += joined;
    this.quarantined.push(...quarantined);
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

  #madeEvents(): MadeEvents {
    return (this.#made ??= new MadeEvents(this.data, this.#arrays));
  }
}
