// The quarantine as a source, for `headgate replay`: each entry becomes the line that it was, with the place that it came
// from, and goes through the pipeline again. Which files are replayed is decided once and stands in the position, with how
// far it got; what the pipeline refuses again goes to new files, and those that were replayed are removed when everything is
// delivered. The position of the log is kept as it is.
import { constants } from 'node:fs';
import { basename, join } from 'node:path';
import { LineReader } from '../codec/lines.js';
import type { Chunk, QuarantineEntry, QuarantineReason } from '../event/batch.js';
import type { FileSystem } from '../file-system.js';
import type { PipelineMetrics } from '../metrics.js';
import type { Source } from '../pipeline/component.js';
import { closedQuarantineFiles } from '../pipeline/quarantine.js';
import { lstatIfThere, syncDirectory, unlinkIfThere } from '../position/durable-file.js';
import { Trail } from '../position/fingerprint.js';
import type { ReplayPosition, SourcePosition } from '../position/position.js';
import { PlainReader } from './file/byte-reader.js';

const READ_BYTES = 512 * 1024;
/** An entry holds at most a line of 1 GiB, in base64 or with escapes. */
const MAX_ENTRY_BYTES = 2 ** 31 - 1;
const NEWLINE = Buffer.from('\n');
const NOTHING = Buffer.alloc(0);

export interface ReplayOptions {
  fs: FileSystem;
  pipeline: string;
  stateDirectory: string;
  metrics: PipelineMetrics;
  /** Names of the sinks that the pipeline has now. */
  sinks: readonly string[];
}

/** See `Source`; `open` must come after the quarantine has closed its files. */
export class ReplaySource implements Source {
  readonly #options: ReplayOptions;
  #stored: SourcePosition = { paths: [] };
  #files: ReplayPosition['files'] = [];
  #at = 0;
  /** Of the next entry in the file that is being read. */
  #offset = 0;
  #fd = -1;
  #lines: { reader: LineReader; source: PlainReader } | undefined;
  /** Lines of the quarantine that were read and not given out. */
  #read: { line: Buffer; end: number }[] = [];
  #remaining = 0;

  constructor(options: ReplayOptions) {
    this.#options = options;
  }

  /** The log is not touched: what stands behind the receipts will be read from it again. */
  async open(position: SourcePosition | undefined): Promise<boolean> {
    const { fs, pipeline, stateDirectory } = this.#options;
    this.#stored = position ?? { paths: [] };
    const begun = this.#stored.replay;
    if (begun) {
      ({ files: this.#files, at: this.#at, offset: this.#offset } = begun);
    } else {
      const found = await closedQuarantineFiles(fs, stateDirectory, pipeline);
      this.#files = found.map(({ path, ino }) => ({ name: basename(path), ino }));
    }
    for (const { name } of this.#files.slice(this.#at)) {
      const stat = await lstatIfThere(fs, join(stateDirectory, name));
      this.#remaining += stat?.size ?? 0;
    }
    this.#remaining -= this.#offset;
    return true;
  }

  async next(): Promise<Chunk | undefined> {
    while (this.#read.length === 0 && this.#at < this.#files.length) await this.#readMore();
    const next = this.#read.shift();
    if (!next) return undefined;
    const start = this.#offset;
    this.#offset = next.end;
    this.#remaining -= next.end - start;
    return this.#chunk(next.line, start);
  }

  position(): SourcePosition {
    return { ...this.#stored, replay: { files: this.#files, at: this.#at, offset: this.#offset } };
  }

  committed(): void {
    // What was replayed is removed when all of it was.
  }

  wait(): Promise<void> {
    return Promise.resolve();
  }

  isFinished(): boolean {
    return this.#read.length === 0 && this.#at >= this.#files.length;
  }

  remainingBytes(): number {
    return Math.max(0, this.#remaining);
  }

  async close(): Promise<void> {
    const fd = this.#fd;
    this.#fd = -1;
    if (fd >= 0) await this.#options.fs.close(fd);
  }

  /** Everything is delivered and committed: the files that were replayed go, and the position is the one before. */
  async finish(): Promise<SourcePosition> {
    const { fs, stateDirectory } = this.#options;
    for (const { name, ino } of this.#files) {
      const path = join(stateDirectory, name);
      const stat = await lstatIfThere(fs, path);
      if (stat?.ino === ino) await unlinkIfThere(fs, path);
    }
    await syncDirectory(fs, stateDirectory);
    const { replay, ...rest } = this.#stored;
    void replay;
    return rest;
  }

  /** Reads on in the file, or goes to the next one. */
  async #readMore(): Promise<void> {
    const { fs, stateDirectory } = this.#options;
    const file = this.#files[this.#at];
    if (!file) return;
    const path = join(stateDirectory, file.name);
    if (!this.#lines) {
      // Someone may have taken it away, or put another in its place: that one is not replayed.
      const stat = await lstatIfThere(fs, path);
      if (stat?.ino !== file.ino) {
        this.#nextFile();
        return;
      }
      this.#fd = await fs.open(path, constants.O_RDONLY);
      const trail = new Trail(this.#offset, NOTHING, NOTHING);
      this.#lines = {
        reader: new LineReader({ path, maxLineBytes: MAX_ENTRY_BYTES, trail }),
        source: new PlainReader(fs, this.#fd, this.#offset),
      };
    }
    const { reader, source } = this.#lines;
    const { bytes, piece } = await reader.read(source, READ_BYTES);
    if (piece) {
      for (let start = 0; start < piece.data.length;) {
        const end = piece.data.indexOf(NEWLINE, start) + 1;
        this.#read.push({ line: piece.data.subarray(start, end - 1), end: piece.offset + end });
        start = end;
      }
    } else if (bytes === 0) {
      await this.close();
      this.#nextFile();
    }
  }

  #nextFile(): void {
    this.#lines = undefined;
    this.#at++;
    this.#offset = 0;
  }

  #chunk(line: Buffer, offset: number): Chunk {
    const file = this.#files[this.#at]?.name ?? '';
    const entry = readEntry(line);
    this.#options.metrics.bytesRead += line.length + 1;
    const again = (entry: QuarantineEntry): Chunk => ({
      ...place(entry.path, entry.offset),
      data: NOTHING,
      quarantined: [entry],
    });
    if (!entry) {
      const detail = 'a line of the quarantine that Headgate did not write';
      return again({ reason: 'malformed', path: file, offset, length: line.length, detail, raw: line });
    }
    // Of some only the beginning is known, and some belong to a sink that is no more.
    const isWhole = entry.raw.length === entry.length;
    const { sink } = entry;
    if (!isWhole || (sink !== undefined && !this.#options.sinks.includes(sink))) return again(entry);
    return {
      ...place(entry.path, entry.offset),
      data: Buffer.concat([entry.raw, NEWLINE]),
      quarantined: [],
      ...(sink === undefined ? {} : { onlySink: sink }),
    };
  }
}

function place(path: string, offset: number): Pick<Chunk, 'kind' | 'path' | 'file' | 'offset' | 'readAtMs'> {
  return { kind: 'chunk', path, file: basename(path), offset, readAtMs: Date.now() };
}

function readEntry(line: Buffer): QuarantineEntry | undefined {
  let read: Record<string, unknown>;
  try {
    read = JSON.parse(line.toString()) as Record<string, unknown>;
  } catch {
    return undefined; // Told by the caller.
  }
  const { reason, path, offset, length, detail, raw, raw_base64: base64, sink } = read;
  const bytes =
    typeof raw === 'string'
      ? Buffer.from(raw)
      : typeof base64 === 'string'
        ? Buffer.from(base64, 'base64')
        : undefined;
  if (!bytes || typeof path !== 'string' || typeof offset !== 'number' || typeof length !== 'number')
    return undefined;
  return {
    reason: String(reason) as QuarantineReason,
    path,
    offset,
    length,
    detail: String(detail),
    raw: bytes,
    ...(typeof sink === 'string' ? { sink } : {}),
  };
}
