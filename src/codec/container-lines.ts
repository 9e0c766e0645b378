// Takes the lines that a container wrote out of those that its runtime wrote: what is around them goes, and parts are
// joined. What comes out are lines of the log like any others, and where each of them stood.
//
// A part stays open until the next line of its stream comes, in the same file or the next of its path: the runtime writes
// the parts of a line in order, but lines of the other stream may stand between them. Invariant: a part that was taken
// is in a line that was given out, quarantined, or open.
import type { LineOrigin, QuarantineEntry } from '../event/batch.js';
import { toBuffer } from '../event/byte-string.js';
import { NEWLINE } from '../event/json-reader.js';
import type { OpenEntry } from '../position/position.js';
import { ContainerLine } from './cri-line.js';
import type { Stream } from './cri-line.js';
import type { PartialLimits } from './decoder.js';
import type { LineSource } from './legacy-pairs.js';
import { LinePlaces } from './line-places.js';
import { QUARANTINE_RAW_BYTES, readPool } from './lines.js';

/** Lines with what was around them taken away. */
export interface Unwrapped {
  /** Whole lines, each with a newline. Belongs to whoever gets it. */
  data: Buffer;
  /** Where those end that ended with a newline in the container, or in the file. */
  terminatedEnd: number;
  places: LinePlaces;
  /** Lines that became part of one that began before. */
  joined: number;
  quarantined: QuarantineEntry[];
}

/** A line whose end is still to come. */
interface Part {
  origin: LineOrigin;
  readAtMs: number;
  /** Of the log, that hold it. */
  lines: number;
  /** More than is kept where it is too long. */
  length: number;
  /** The content is `buffer[0, kept)`. */
  buffer: Buffer;
  kept: number;
  /** As the position record has it; made when it is first asked for. */
  entry?: OpenEntry;
}

type OpenParts = Map<Stream, Part>;

export class ContainerLines {
  readonly #limits: PartialLimits;
  readonly #paths = new Map<string, OpenParts>();
  readonly #line = new ContainerLine();

  constructor(limits: PartialLimits) {
    this.#limits = limits;
  }

  /** Takes over the parts that were open at the committed position. */
  restore(entries: readonly OpenEntry[]): void {
    for (const entry of entries) {
      if (!entry.partial) continue;
      const { path, file, offset, readAtMs } = entry;
      const { stream, lines, length } = entry.partial;
      const buffer = toBuffer(entry.bytes);
      const part = { origin: { file, offset }, readAtMs, lines, length, buffer, kept: buffer.length, entry };
      this.#openOf(path).set(stream, part);
    }
  }

  openEntries(): OpenEntry[] {
    return [...this.#paths].flatMap(([path, parts]) =>
      [...parts].map(([stream, part]) => (part.entry ??= entryOf(path, stream, part))),
    );
  }

  /** The paths with parts that have been open for too long, or with `all`, that have any. */
  duePaths(nowMs: number, all = false): string[] {
    return [...this.#paths]
      .filter(([, parts]) => [...parts.values()].some((part) => all || this.#isDue(part, nowMs)))
      .map(([path]) => path);
  }

  /** Gives up waiting for the rest of those of one path. */
  flush(path: string, nowMs: number, all: boolean): Unwrapped {
    const parts = this.#openOf(path);
    const due = [...parts].filter(([, part]) => all || this.#isDue(part, nowMs));
    const bytes = due.reduce((sum, [, part]) => sum + part.kept + 1, 0);
    const out = new Output(readPool.take(bytes), path);
    for (const [stream, part] of due) {
      parts.delete(stream);
      this.#end(out, stream, part);
    }
    if (parts.size === 0) this.#paths.delete(path);
    return out.take(0);
  }

  /**
   * Takes what was around lines away from `from` on, where a line begins; before that, and where no runtime wrote a line,
   * everything stays as it is. `data` ends with a newline; lines from `terminatedEnd` on had none in the file.
   */
  unwrap(data: Buffer, from: number, terminatedEnd: number, source: LineSource): Unwrapped {
    const line = this.#line;
    line.load(data);
    const parts = this.#openOf(source.path);
    const carried = [...parts.values()].reduce((sum, part) => sum + part.kept, 0);
    const out = new Output(readPool.take(data.length + carried), source.path);
    out.lines(data, 0, from, { file: source.file, offset: source.offset });
    let outTerminatedEnd = -1;
    for (let start = from; start < data.length;) {
      const end = data.indexOf(NEWLINE, start);
      const isTerminated = start < terminatedEnd;
      if (!isTerminated) outTerminatedEnd = out.length;
      const next = end + 1;
      if (line.read(start, end)) {
        const { stream } = line;
        const origin = { file: source.file, offset: source.offset + line.start };
        const open = parts.get(stream);
        if (!open && !(line.isPartial && isTerminated)) {
          out.begin(stream, origin);
          out.length += line.copyContent(out.buffer, out.length);
          out.end();
        } else {
          const part = open ?? newPart(origin, source.readAtMs);
          this.#append(part, line);
          if (line.isPartial && isTerminated) parts.set(stream, part);
          else {
            parts.delete(stream);
            this.#end(out, stream, part);
          }
        }
      } else {
        out.lines(data, start, next, { file: source.file, offset: source.offset + start });
      }
      start = next;
    }
    if (parts.size === 0) this.#paths.delete(source.path);
    return out.take(outTerminatedEnd < 0 ? out.length : outTerminatedEnd);
  }

  #append(part: Part, line: ContainerLine): void {
    const room = line.end - line.start;
    const { maxLineBytes } = this.#limits;
    delete part.entry;
    part.lines++;
    const isKept = part.length <= maxLineBytes;
    if (part.buffer.length < part.kept + room) {
      // Doubling keeps the copying of a long line linear.
      const larger = Buffer.allocUnsafeSlow(Math.max(part.kept + room, part.kept * 2));
      part.buffer.copy(larger, 0, 0, part.kept);
      part.buffer = larger;
    }
    const bytes = line.copyContent(part.buffer, part.kept);
    part.length += bytes;
    if (isKept) part.kept += bytes;
    if (part.length > maxLineBytes && part.kept > QUARANTINE_RAW_BYTES) {
      part.kept = QUARANTINE_RAW_BYTES;
      part.buffer = Buffer.from(part.buffer.subarray(0, part.kept));
    }
  }

  /** No more of it is waited for. */
  #end(out: Output, stream: Stream, part: Part): void {
    const { maxLineBytes } = this.#limits;
    const bytes = part.buffer.subarray(0, part.kept);
    out.joined += part.lines - 1;
    if (part.length <= maxLineBytes) {
      out.begin(stream, part.origin);
      out.length += bytes.copy(out.buffer, out.length);
      out.end();
      return;
    }
    out.quarantined.push({
      reason: 'too_long',
      path: out.path,
      offset: part.origin.offset,
      length: part.length,
      detail: `longer than max_line_bytes (${maxLineBytes} bytes), joined from ${part.lines} lines of the container runtime`,
      raw: bytes,
    });
  }

  #isDue({ readAtMs }: Part, nowMs: number): boolean {
    return nowMs - readAtMs >= this.#limits.maxAgeMs;
  }

  #openOf(path: string): OpenParts {
    let parts = this.#paths.get(path);
    if (!parts) {
      parts = new Map();
      this.#paths.set(path, parts);
    }
    return parts;
  }
}

/** What is given out: no longer than what came in, so the buffer never grows. */
class Output {
  readonly buffer: Buffer;
  readonly path: string;
  readonly places = new LinePlaces();
  readonly quarantined: QuarantineEntry[] = [];
  joined = 0;
  length = 0;

  constructor(buffer: Buffer, path: string) {
    this.buffer = buffer;
    this.path = path;
  }

  /** A line begins that the container wrote. */
  begin(stream: Stream, origin: LineOrigin): void {
    this.places.add(this.length, origin, stream);
  }

  end(): void {
    this.buffer[this.length++] = NEWLINE;
  }

  /** Lines as they are, with their newlines. */
  lines(data: Buffer, start: number, end: number, origin: LineOrigin): void {
    if (start === end) return;
    this.places.add(this.length, origin, undefined);
    this.length += data.copy(this.buffer, this.length, start, end);
  }

  take(terminatedEnd: number): Unwrapped {
    const { places, joined, quarantined } = this;
    return { data: this.buffer.subarray(0, this.length), terminatedEnd, places, joined, quarantined };
  }
}

function newPart(origin: LineOrigin, readAtMs: number): Part {
  return { origin, readAtMs, lines: 0, length: 0, buffer: Buffer.alloc(0), kept: 0 };
}

function entryOf(path: string, stream: Stream, part: Part): OpenEntry {
  const { origin, readAtMs, lines, length } = part;
  const bytes = part.buffer.toString('latin1', 0, part.kept);
  return { path, ...origin, readAtMs, bytes, partial: { stream, lines, length } };
}
