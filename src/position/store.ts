// The position record of one pipeline on disk, `<pipeline>.position.json`: the last committed position together
// with the receipts that belong to it, and the segments that were begun since. All saves go through one queue, so
// the file always holds one consistent state; saves asked for meanwhile are joined into the next one.
//
// Invariant: a position is saved only together with the receipts of the same marker, and a segment is in the record
// before anything is done to its file. Recovery (`sink/files/recover.ts`) rests on both.
import { join } from 'node:path';
import { HaltError, HeadgateError, systemCode } from '../errors.js';
import type { FileSystem } from '../file-system.js';
import type { Logger } from '../log.js';
import type { PipelineMetrics } from '../metrics.js';
import type { Clock, SegmentStore } from '../pipeline/component.js';
import { retry } from '../pipeline/backoff.js';
import type { RetryOptions } from '../pipeline/backoff.js';
import { readSmallFile, replaceFile, syncUpwards } from './durable-file.js';
import type { PipelineRecord, Receipt, SegmentRecord, SourcePosition } from './position.js';
import { decodeRecord, encodeRecord } from './record-file.js';

export interface StoreOptions {
  directory: string;
  pipeline: string;
  fs: FileSystem;
  log: Logger;
  metrics: PipelineMetrics;
  clock: Clock;
  signal: AbortSignal;
}

const POSITION_SUFFIX = '.position.json';

/** Where a pipeline's position is kept. */
export function positionPath(directory: string, pipeline: string): string {
  return join(directory, pipeline + POSITION_SUFFIX);
}

/** The pipelines that a state directory holds positions of, sorted. */
export async function storedPipelines(fs: FileSystem, directory: string): Promise<string[]> {
  const names = await fs.readdir(directory).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  });
  return names
    .filter((name) => name.endsWith(POSITION_SUFFIX))
    .map((name) => name.slice(0, -POSITION_SUFFIX.length))
    .sort();
}

/**
 * Reads a position file, or the previous one (`.1`) where it is damaged; undefined where there is neither. Throws
 * POSITION_DAMAGED when both are unreadable: starting over would double everything, so that is never done silently.
 */
export async function readRecord(
  fs: FileSystem,
  path: string,
): Promise<{ record: PipelineRecord; isPrevious: boolean } | undefined> {
  const current = await readSmallFile(fs, path);
  const record = current && decodeRecord(current, path);
  if (record) return { record, isPrevious: false };
  const previous = await readSmallFile(fs, `${path}.1`);
  if (current === undefined && previous === undefined) return undefined;
  const older = previous && decodeRecord(previous, `${path}.1`);
  if (older) return { record: older, isPrevious: true };
  throw new HaltError(
    'POSITION_DAMAGED',
    `${path} is damaged and so is ${path}.1: restore one of them from a backup, or say where to go on with \`headgate positions reset\``,
    { path },
  );
}

/** A record for a pipeline that never ran. */
export function emptyRecord(pipeline: string): PipelineRecord {
  return {
    version: 1,
    pipeline,
    generation: 0,
    savedAt: '',
    isClean: true,
    source: { paths: [] },
    nextSegmentId: 1,
    segments: [],
  };
}

export class PositionStore implements SegmentStore {
  readonly #options: StoreOptions;
  readonly #path: string;
  readonly #retryOptions: RetryOptions;
  readonly #segments: Map<number, SegmentRecord>;
  #record: PipelineRecord;
  /** Resolves when the save that will hold the state as of now is durable. */
  #nextSave: Promise<void> | undefined;
  #lastSave: Promise<void> = Promise.resolve();
  #savedGeneration: number;
  #isClosed = false;

  private constructor(options: StoreOptions, record: PipelineRecord) {
    this.#options = options;
    this.#retryOptions = { component: 'state', ...options };
    this.#path = positionPath(options.directory, options.pipeline);
    this.#record = record;
    this.#savedGeneration = record.generation;
    this.#segments = new Map(record.segments.map((segment) => [segment.id, segment]));
  }

  static async open(options: StoreOptions): Promise<PositionStore> {
    const path = positionPath(options.directory, options.pipeline);
    const found = await retry({ component: 'state', ...options }, 'read the position', async () => {
      // What is read must not be taken back by a power cut after it was acted upon, nor the directory be lost.
      await syncUpwards(options.fs, options.directory);
      return readRecord(options.fs, path);
    });
    if (found?.isPrevious) {
      options.log.warn(
        { code: 'POSITION_DAMAGED', path },
        'position file is damaged: the previous one is used',
      );
    }
    return new PositionStore(options, found?.record ?? emptyRecord(options.pipeline));
  }

  /** The last committed position; undefined where the pipeline never committed. */
  get position(): SourcePosition | undefined {
    const { source } = this.#record;
    const isEmpty = source.paths.length === 0 && !source.open && source.readFrom === undefined;
    return isEmpty ? undefined : source;
  }

  /** The last run ended by draining. */
  get isClean(): boolean {
    return this.#record.isClean;
  }

  /** The segments that the record names, as last committed or begun. */
  get segments(): readonly SegmentRecord[] {
    return [...this.#segments.values()];
  }

  nextSegmentId(): number {
    return this.#record.nextSegmentId++;
  }

  stateFile(sink: string, suffix: string): string {
    return join(this.#options.directory, `${this.#options.pipeline}~${sink}.${suffix}`);
  }

  async begin(entries: readonly SegmentRecord[]): Promise<void> {
    for (const entry of entries) {
      const known = this.#segments.get(entry.id);
      // Begun again because it is renamed: its receipt stays what was last committed.
      this.#segments.set(entry.id, known ? { ...entry, length: known.length, ino: known.ino } : { ...entry });
    }
    this.#record.isClean = false;
    await this.#save();
  }

  async amend(entries: readonly SegmentRecord[]): Promise<void> {
    for (const entry of entries) this.#segments.set(entry.id, { ...entry });
    if (entries.length > 0) await this.#save();
  }

  forget(ids: readonly number[]): void {
    for (const id of ids) this.#segments.delete(id);
  }

  /** Saves a position with the receipts of its marker; resolves when that is durable. */
  async commit(position: SourcePosition, receipts: readonly Receipt[]): Promise<void> {
    for (const receipt of receipts) {
      const segment = this.#segments.get(receipt.id);
      if (!segment)
        throw new Error(`impossible: a receipt for segment ${receipt.id}, which the record does not hold`);
      segment.length = receipt.length;
      segment.ino = receipt.ino;
      if (receipt.closed) segment.closed = true;
      if (receipt.isRenamed) delete segment.from;
    }
    this.#record.source = position;
    await this.#save();
    this.#options.metrics.commits++;
  }

  /** Marks the end of a run that drained: from here on nobody but us may have written behind the receipts. */
  async markClean(): Promise<void> {
    this.#record.isClean = true;
    await this.#save();
  }

  /** After a start: from now on the outputs may be ahead of their receipts. Durable before anything is written. */
  async markRunning(): Promise<void> {
    if (!this.#record.isClean) return;
    this.#record.isClean = false;
    await this.#save();
  }

  /**
   * Resolves when no save is under way, and none will be: one that a life of the pipeline left behind would replace what
   * the next life has saved since.
   */
  async close(): Promise<void> {
    this.#isClosed = true;
    await (this.#nextSave ?? this.#lastSave).catch(() => undefined); // Whoever asked for it was told.
  }

  async #save(): Promise<void> {
    if (this.#isClosed) throw new HeadgateError('PIPELINE_HALTED', 'the pipeline has ended');
    // A save that has not begun will hold this change too; one that has begun may have missed it.
    this.#nextSave ??= this.#lastSave.then(() => this.#write());
    await this.#nextSave;
  }

  async #write(): Promise<void> {
    this.#lastSave = this.#nextSave ?? this.#lastSave;
    this.#nextSave = undefined;
    const { fs, clock } = this.#options;
    this.#savedGeneration++;
    this.#record = {
      ...this.#record,
      generation: this.#savedGeneration,
      savedAt: new Date(clock.now()).toISOString(),
      segments: [...this.#segments.values()],
    };
    const data = encodeRecord(this.#record);
    await retry(this.#retryOptions, 'save the position', () => replaceFile(fs, this.#path, data));
  }
}
