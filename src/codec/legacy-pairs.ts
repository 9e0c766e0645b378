// Joins the two lines of a legacy entry by their id: a request stays open until its response comes, in the same file or
// the next. Of what does not come together each half becomes an event of its own: a response without request, and a
// request when it has waited too long, when too many wait, or when its id comes again.
//
// Invariant: a line that was taken is in an event that was given out, or open. How long a request waits is told by the
// log's own time as long as lines come, so that reading the same lines again, after a crash, gives the same events.
import type { LineOrigin } from '../event/batch.js';
import { toBuffer } from '../event/byte-string.js';
import type { OpenEntry } from '../position/position.js';
import type { OpenLimits } from './decoder.js';
import { KnownParts } from './legacy-known.js';
import type { LegacyLine } from './legacy-line.js';
import { OpenRequest, OpenRequests } from './legacy-open.js';
import { LegacyQuickReader } from './legacy-quick.js';

/** Which stretch of input lines are from. */
export interface LineSource {
  path: string;
  file: string;
  /** Of `data[0]`. */
  offset: number;
  readAtMs: number;
}

/**
 * Gets an entry that is over: a line, and the response to it where there is one. `origin` is absent where the line is
 * one of the chunk that is being read. Neither line may be kept.
 */
export type TakeEntry = (line: LegacyLine, response?: LegacyLine, origin?: LineOrigin) => void;

export class LegacyPairs {
  readonly #limits: OpenLimits;
  readonly #reader: LegacyQuickReader;
  readonly #paths = new Map<string, OpenRequests>();
  /** The path that was asked for last, and what is open of it. */
  #path: string | undefined;
  #open = new OpenRequests();
  /** For the next line. */
  #next = new OpenRequest();
  readonly #free: OpenRequest[] = [];

  constructor(limits: OpenLimits, known = new KnownParts()) {
    this.#limits = limits;
    this.#reader = new LegacyQuickReader(known);
  }

  /** Takes over entries that were open at the committed position. */
  restore(entries: readonly OpenEntry[]): void {
    for (const entry of entries) {
      const request = new OpenRequest();
      const { line } = request;
      const data = toBuffer(entry.bytes);
      if (!line.read(data, 0, data.length)) throw new Error(`impossible: an open entry with ${line.fault}`);
      const { file, offset, readAtMs } = entry;
      Object.assign(request, { file, offset, readAtMs, isKept: true, entry });
      this.#openOf(entry.path).add(request);
    }
  }

  /** Takes a line of the chunk from `source`; returns what is wrong with it, undefined where it was taken. */
  take(data: Buffer, start: number, end: number, source: LineSource, done: TakeEntry): string | undefined {
    const next = this.#next;
    const { line } = next;
    if (!this.#reader.read(line, data, start, end)) return line.fault;
    if (line.kind === 'complete') {
      done(line);
      return undefined;
    }
    const open = this.#openOf(source.path);
    this.#giveUpBefore(open, line.timeUs - this.#limits.maxAgeMs * 1000, done);
    const request = open.find(line);
    if (line.kind === 'response') {
      if (request) this.#close(open, request, done, line);
      else done(line);
      return undefined;
    }
    if (request) this.#close(open, request, done);
    next.file = source.file;
    next.offset = source.offset + start;
    next.readAtMs = source.readAtMs;
    open.add(next);
    this.#next = this.#free.pop() ?? new OpenRequest();
    const { maxEntries, maxBytes } = this.#limits;
    while (open.size > maxEntries || open.bytes > maxBytes) this.#giveUpOldest(open, done);
    return undefined;
  }

  /** The chunk's memory is about to be used again: what is open is copied. */
  endChunk(): void {
    // A chunk is of one path, and what it opened is newer than all that was open before.
    for (let request = this.#open.newest; request && !request.isKept; request = request.older) {
      request.line.keep();
      request.isKept = true;
    }
  }

  openEntries(): OpenEntry[] {
    const entries = [];
    for (const [path, { oldest }] of this.#paths)
      for (let request = oldest; request; request = request.newer)
        entries.push((request.entry ??= entryOf(path, request)));
    return entries;
  }

  /** The paths with requests that have been open for too long by the clock, or with `all`, that have any. */
  duePaths(nowMs: number, all = false): string[] {
    const paths = [];
    for (const [path, { oldest }] of this.#paths)
      if (oldest && (all || this.#isDue(oldest, nowMs))) paths.push(path);
    return paths;
  }

  /** Gives up these of one path. */
  flush(path: string, nowMs: number, all: boolean, done: TakeEntry): void {
    const open = this.#openOf(path);
    while (open.oldest && (all || this.#isDue(open.oldest, nowMs))) this.#close(open, open.oldest, done);
  }

  #isDue({ readAtMs }: OpenRequest, nowMs: number): boolean {
    return nowMs - readAtMs >= this.#limits.maxAgeMs;
  }

  #giveUpBefore(open: OpenRequests, timeUs: number, done: TakeEntry): void {
    while (open.oldest && open.oldest.line.timeUs < timeUs) this.#close(open, open.oldest, done);
  }

  #giveUpOldest(open: OpenRequests, done: TakeEntry): void {
    if (!open.oldest) throw new Error('impossible: too much is open, and nothing is');
    this.#close(open, open.oldest, done);
  }

  #close(open: OpenRequests, request: OpenRequest, done: TakeEntry, response?: LegacyLine): void {
    const { file, offset, isKept } = request;
    open.remove(request);
    done(request.line, response, isKept ? { file, offset } : undefined);
    request.isKept = false;
    request.entry = undefined;
    this.#free.push(request);
  }

  #openOf(path: string): OpenRequests {
    if (path === this.#path) return this.#open;
    let open = this.#paths.get(path);
    if (!open) {
      open = new OpenRequests();
      this.#paths.set(path, open);
    }
    this.#path = path;
    this.#open = open;
    return open;
  }
}

function entryOf(path: string, { line, file, offset, readAtMs }: OpenRequest): OpenEntry {
  const bytes = line.data.toString('latin1', line.start, line.end);
  return { path, file, offset, readAtMs, bytes };
}
