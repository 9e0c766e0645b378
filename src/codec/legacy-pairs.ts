// Joins the two lines of a legacy entry by their id: a request stays open until its response comes, in the same file or
// the next. Of what does not come together each half becomes an event of its own: a response without request, and a
// request when it has waited too long, when too many wait, or when its id comes again.
//
// Invariant: a line that was taken is in an event that was given out, or open. How long a request waits is told by the
// log's own time as long as lines come, so that reading the same lines again, after a crash, gives the same events.
import type { LineOrigin } from '../event/batch.js';
import type { ByteString } from '../event/byte-string.js';
import { toBuffer } from '../event/byte-string.js';
import type { OpenEntry } from '../position/position.js';
import type { OpenLimits } from './decoder.js';
import { ID } from './legacy-keys.js';
import { KnownParts } from './legacy-known.js';
import { LegacyLine } from './legacy-line.js';
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

interface OpenRequest {
  id: ByteString;
  line: LegacyLine;
  origin: LineOrigin;
  readAtMs: number;
  /** Its line is not in the chunk that is being read, but in a copy. */
  isKept: boolean;
  isOver: boolean;
  /** As the position record has it; made when it is first asked for. */
  entry?: OpenEntry;
}

/** The open requests of one path, oldest first. */
interface OpenPath {
  requests: Map<ByteString, OpenRequest>;
  bytes: number;
}

export class LegacyPairs {
  readonly #limits: OpenLimits;
  readonly #reader: LegacyQuickReader;
  readonly #paths = new Map<string, OpenPath>();
  /** Opened by the chunk that is being read. */
  #fresh: OpenRequest[] = [];
  /** For the next line, and lines of entries that are over. */
  #line = new LegacyLine();
  readonly #free: LegacyLine[] = [];

  constructor(limits: OpenLimits, known = new KnownParts()) {
    this.#limits = limits;
    this.#reader = new LegacyQuickReader(known);
  }

  /** Takes over entries that were open at the committed position. */
  restore(entries: readonly OpenEntry[]): void {
    for (const entry of entries) {
      const line = new LegacyLine();
      const data = toBuffer(entry.bytes);
      if (!line.read(data, 0, data.length)) throw new Error(`impossible: an open entry with ${line.fault}`);
      const { file, offset, readAtMs } = entry;
      const open = this.#openOf(entry.path);
      const id = idOf(line);
      open.requests.set(id, {
        id,
        line,
        origin: { file, offset },
        readAtMs,
        isKept: true,
        isOver: false,
        entry,
      });
      open.bytes += data.length;
    }
  }

  /** Takes a line of the chunk from `source`; returns what is wrong with it, undefined where it was taken. */
  take(data: Buffer, start: number, end: number, source: LineSource, done: TakeEntry): string | undefined {
    const line = this.#line;
    if (!this.#reader.read(line, data, start, end)) return line.fault;
    if (line.kind === 'complete') {
      done(line);
      return undefined;
    }
    const open = this.#openOf(source.path);
    this.#giveUpBefore(open, line.timeUs - this.#limits.maxAgeMs * 1000, done);
    const id = idOf(line);
    const request = open.requests.get(id);
    if (line.kind === 'response') {
      if (request) this.#close(open, request, done, line);
      else done(line);
      return undefined;
    }
    if (request) this.#close(open, request, done);
    this.#line = this.#free.pop() ?? new LegacyLine();
    const opened = {
      id,
      line,
      origin: { file: source.file, offset: source.offset + start },
      readAtMs: source.readAtMs,
      isKept: false,
      isOver: false,
    };
    open.requests.set(id, opened);
    open.bytes += end - start;
    this.#fresh.push(opened);
    const { maxEntries, maxBytes } = this.#limits;
    while (open.requests.size > maxEntries || open.bytes > maxBytes) this.#giveUpOldest(open, done);
    return undefined;
  }

  /** The chunk's memory is about to be used again: what is open is copied. */
  endChunk(): void {
    for (const request of this.#fresh) {
      if (request.isOver) continue;
      request.line.keep();
      request.isKept = true;
    }
    this.#fresh = [];
  }

  openEntries(): OpenEntry[] {
    return [...this.#paths].flatMap(([path, { requests }]) =>
      [...requests.values()].map((request) => (request.entry ??= entryOf(path, request))),
    );
  }

  /** The paths with requests that have been open for too long by the clock, or with `all`, that have any. */
  duePaths(nowMs: number, all = false): string[] {
    const paths = [];
    for (const [path, { requests }] of this.#paths) {
      const oldest = first(requests);
      if (oldest && (all || this.#isDue(oldest, nowMs))) paths.push(path);
    }
    return paths;
  }

  /** Gives up these of one path. */
  flush(path: string, nowMs: number, all: boolean, done: TakeEntry): void {
    const open = this.#openOf(path);
    for (const request of open.requests.values()) {
      if (!all && !this.#isDue(request, nowMs)) return;
      this.#close(open, request, done);
    }
  }

  #isDue({ readAtMs }: OpenRequest, nowMs: number): boolean {
    return nowMs - readAtMs >= this.#limits.maxAgeMs;
  }

  #giveUpBefore(open: OpenPath, timeUs: number, done: TakeEntry): void {
    for (let oldest = first(open.requests); oldest; oldest = first(open.requests)) {
      if (oldest.line.timeUs >= timeUs) return;
      this.#close(open, oldest, done);
    }
  }

  #giveUpOldest(open: OpenPath, done: TakeEntry): void {
    const oldest = first(open.requests);
    if (!oldest) throw new Error('impossible: too much is open, and nothing is');
    this.#close(open, oldest, done);
  }

  #close(open: OpenPath, request: OpenRequest, done: TakeEntry, response?: LegacyLine): void {
    const { id, line, origin, isKept } = request;
    open.requests.delete(id);
    open.bytes -= line.end - line.start;
    request.isOver = true;
    done(line, response, isKept ? origin : undefined);
    this.#free.push(line);
  }

  #openOf(path: string): OpenPath {
    let open = this.#paths.get(path);
    if (!open) {
      open = { requests: new Map(), bytes: 0 };
      this.#paths.set(path, open);
    }
    return open;
  }
}

function first(requests: Map<ByteString, OpenRequest>): OpenRequest | undefined {
  return requests.values().next().value;
}

// As it is quoted: `%q` writes the same id in the same way.
function idOf(line: LegacyLine): ByteString {
  return line.data.toString('latin1', line.startOf(ID), line.endOf(ID));
}

function entryOf(path: string, { line, origin, readAtMs }: OpenRequest): OpenEntry {
  const bytes = line.data.toString('latin1', line.start, line.end);
  return { path, ...origin, readAtMs, bytes };
}
