// Where lines go that no sink can take: `<pipeline>.quarantine.jsonl` in the state directory, one JSON object a line
// with the original bytes, the place that they came from and the reason. It is written by the same code as any
// output, so its lines are neither lost nor doubled. When all quarantine files together reach the configured
// size, the pipeline waits until someone makes room: dropping would be silent.
import { setTimeout as sleep } from 'node:timers/promises';
import type { QuarantineEntry } from '../event/batch.js';
import type { FileSystem } from '../file-system.js';
import { lstatIfThere } from '../position/durable-file.js';
import type { Receipt } from '../position/position.js';
import { Directories } from '../sink/files/directories.js';
import { Finisher } from '../sink/files/finish.js';
import { restoreSegments } from '../sink/files/restore.js';
import { createOutput } from '../sink/files/segment.js';
import type { Output } from '../sink/files/segment.js';
import { outputName } from '../sink/files/segment-name.js';
import { SegmentWriter } from '../sink/files/writer.js';
import { retry } from './backoff.js';
import type { Recovery, SegmentContext } from './component.js';
import { quarantineLine } from './quarantine-line.js';

/** The quarantine's name among the sinks of a record; no configured sink can have it. */
export const QUARANTINE = '~quarantine';

const MODE = 0o600;
const SEGMENT_BYTES = 64 * 1024 * 1024;
const FULL_POLL_MS = 1_000;
const REMIND_EVERY_MS = 30_000;

export class Quarantine {
  readonly #context: SegmentContext;
  readonly #maxBytes: number;
  readonly #directory: string;
  readonly #output: Output;
  readonly #writer: SegmentWriter;
  readonly #finisher: Finisher;
  #bytes = 0;
  /** The last marker that was settled, and what waits for others. */
  #settledId = 0;
  #waiters: (() => void)[] = [];

  constructor(context: SegmentContext, directory: string, maxBytes: number) {
    this.#context = context;
    this.#maxBytes = maxBytes;
    this.#directory = directory;
    this.#output = createOutput(outputName(`${context.pipeline}.quarantine.jsonl`, '.jsonl'), '', Infinity);
    const { fs, log, metrics, signal, drain, store, clock, component } = context;
    const now = (): number => clock.now();
    const common = { component, log, metrics, signal, drain, fs, store, now, mode: MODE };
    this.#writer = new SegmentWriter({
      ...common,
      sink: QUARANTINE,
      directories: new Directories(fs, directory),
      maxBytes: SEGMENT_BYTES,
      maxOpenFiles: 1,
      flushIntervalMs: 20,
      isFsync: true,
    });
    const retention = { keep: Infinity, keepBytes: Infinity, keepAgeMs: Infinity, keepTotalBytes: Infinity };
    this.#finisher = new Finisher({ ...common, isCompressed: false, retention, catalog: undefined });
  }

  async open(recovery: Recovery): Promise<void> {
    for (const record of await restoreSegments(this.#context, recovery)) {
      if (record.closed) this.#finisher.add({ ...record, group: '' });
      else this.#writer.adopt(this.#output, record, record.path.slice(this.#directory.length + 1));
    }
    this.#bytes = await this.#countBytes();
    this.#context.signal.addEventListener('abort', () => {
      this.#wake();
    });
  }

  /**
   * Takes entries of events that came after the marker `after` (0: none came yet), once that is settled; resolves when
   * there is room for more. Markers are settled late, when the sinks have: until then nothing behind one may be written.
   */
  async write(entries: readonly QuarantineEntry[], after: number): Promise<void> {
    const { signal } = this.#context;
    while (this.#settledId < after) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    for (const entry of entries) {
      const pieces = quarantineLine(entry, this.#context.pipeline, this.#context.clock.now());
      const bytes = pieces.reduce((sum, piece) => sum + piece.length, 0);
      if (this.#bytes + bytes > this.#maxBytes) await this.#waitForRoom(bytes);
      this.#bytes += bytes;
      this.#writer.appendLine(this.#output, ...pieces);
      await this.#writer.room();
    }
  }

  /** Closes the file that entries are written to: what comes later goes to another. Durable with the next `settle`. */
  closeFile(): void {
    this.#writer.closeActive(this.#output);
  }

  /** Called in the order of the markers, each when nothing in front of it can be rejected any more. */
  async settle(markerId: number): Promise<Receipt[]> {
    const receipts = this.#writer.settle();
    this.#settledId = markerId;
    this.#wake();
    return receipts;
  }

  committed(receipts: readonly Receipt[]): void {
    for (const segment of this.#writer.takeClosed(receipts)) this.#finisher.add(segment);
  }

  get hasChanges(): boolean {
    return this.#writer.hasChanges;
  }

  async close(): Promise<void> {
    await this.#writer.close();
    await this.#finisher.stop();
  }

  #wake(): void {
    for (const resolve of this.#waiters.splice(0)) resolve();
  }

  /** The size of every quarantine file of this pipeline, open or closed. */
  async #countBytes(): Promise<number> {
    const { fs, pipeline } = this.#context;
    return retry(this.#context, `look into ${this.#directory}`, async () => {
      let bytes = 0;
      for (const name of await fs.readdir(this.#directory)) {
        if (!name.startsWith(`${pipeline}.quarantine`)) continue;
        bytes += (await lstatIfThere(fs, `${this.#directory}/${name}`))?.size ?? 0; // It can be taken away while we count.
      }
      return bytes;
    });
  }

  async #waitForRoom(neededBytes: number): Promise<void> {
    const { log, component, signal } = this.#context;
    let remindedAtMs = -Infinity;
    for (;;) {
      // What waits in memory is not in the files yet; writing it is part of making room visible.
      await this.#writer.room();
      this.#bytes = await this.#countBytes();
      if (this.#bytes + neededBytes <= this.#maxBytes) return;
      if (performance.now() - remindedAtMs >= REMIND_EVERY_MS) {
        remindedAtMs = performance.now();
        const detail = { code: 'QUARANTINE_FULL', component, path: this.#directory, bytes: this.#bytes };
        log.error(
          detail,
          'the quarantine is full and the pipeline waits: move its closed files away, or raise quarantine.max_bytes',
        );
      }
      await sleep(FULL_POLL_MS, undefined, { signal });
    }
  }
}

/** The closed files of a pipeline's quarantine, oldest first. */
export async function closedQuarantineFiles(
  fs: FileSystem,
  directory: string,
  pipeline: string,
): Promise<{ path: string; ino: number; size: number }[]> {
  const prefix = `${pipeline}.quarantine~`;
  const sequences = (await fs.readdir(directory))
    .filter((name) => name.startsWith(prefix) && /^\d{6,9}\.jsonl$/.test(name.slice(prefix.length)))
    .map((name) => ({ name, sequence: Number.parseInt(name.slice(prefix.length), 10) }))
    .sort((a, b) => a.sequence - b.sequence);
  const files = [];
  for (const { name } of sequences) {
    const path = `${directory}/${name}`;
    const stat = await lstatIfThere(fs, path);
    if (stat) files.push({ path, ino: stat.ino, size: stat.size });
  }
  return files;
}
