// What happens to a segment once its end is committed: it is compressed where the sink says so, taken into the
// catalog where retention will need it, let go by the record, and then what is over the limits is pruned. In the
// background, two at a time; each step can be repeated after a crash, and a fault of the disk is waited out.
import { HeadgateError } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { retry } from '../../pipeline/backoff.js';
import type { RetryOptions } from '../../pipeline/backoff.js';
import type { SegmentStore } from '../../pipeline/component.js';
import type { Catalog } from './catalog.js';
import { compressSegment, fileAsClosed } from './gzip.js';
import type { ClosedSegment, FinishedFile } from './gzip.js';
import { filesOverTotal, filesToPrune } from './retention.js';
import type { ClosedFile, RetentionOptions } from './retention.js';

const PARALLEL = 2;
/** So many segments may wait: each has its entry in the record until it is finished. */
const MAX_WAITING = 2_000;

export interface FinishOptions extends RetryOptions {
  fs: FileSystem;
  store: SegmentStore;
  /** What is closed and plain is compressed. */
  isCompressed: boolean;
  mode: number;
  retention: RetentionOptions;
  /** Undefined where nothing is ever pruned and nobody wants to know what was closed. */
  catalog: Catalog | undefined;
  now: () => number;
  /** Aborted when the pipeline is to stop soon. */
  drain: AbortSignal;
}

export interface Closed extends ClosedSegment {
  id: number;
  group: string;
}

export class Finisher {
  readonly #options: FinishOptions;
  readonly #stop = new AbortController();
  readonly #queue: Closed[] = [];
  readonly #running = new Set<Promise<void>>();
  /** What is done to the catalog, one after the other. */
  #turn: Promise<void> = Promise.resolve();
  #roomWaiters: (() => void)[] = [];
  #failure: unknown;

  constructor(options: FinishOptions) {
    this.#options = { ...options, signal: AbortSignal.any([options.signal, this.#stop.signal]) };
    options.drain.addEventListener('abort', () => {
      this.#wake();
    });
  }

  /** Takes a segment whose end is committed. */
  add(segment: Closed): void {
    this.#queue.push(segment);
    this.#next();
  }

  /**
   * Resolves when not too many segments wait: input that closes files faster than they are compressed must not fill
   * the record with them. When the pipeline drains nothing is held back, the next start goes on with what is left.
   */
  async room(): Promise<void> {
    const { drain } = this.#options;
    while (this.#queue.length > MAX_WAITING && !drain.aborted) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    }
  }

  /** Resolves when nothing is left to do. Rejects when aborted. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.all(this.#running);
    await this.#turn;
    if (this.#failure !== undefined) throw this.#failure as Error;
  }

  /** Breaks off what is under way: the next start does it again. */
  async stop(): Promise<void> {
    this.#stop.abort();
    this.#queue.length = 0;
    this.#wake();
    await Promise.all(this.#running);
    await this.#turn;
  }

  /** Prunes what has become too old or too much, in every group. */
  pruneAll(): void {
    for (const group of this.#options.catalog?.groups.keys() ?? [])
      void this.#inTurn(() => this.#prune(group));
  }

  #wake(): void {
    for (const wake of this.#roomWaiters.splice(0)) wake();
  }

  #next(): void {
    while (this.#running.size < PARALLEL) {
      const segment = this.#queue.shift();
      if (this.#queue.length <= MAX_WAITING) this.#wake();
      if (!segment) return;
      const run = this.#finish(segment)
        .catch((error: unknown) => {
          this.#failure = error; // Aborted: the next start does what is left.
        })
        .finally(() => {
          this.#running.delete(run);
          this.#next();
        });
      this.#running.add(run);
    }
  }

  async #finish(segment: Closed): Promise<void> {
    const { store, catalog, now, metrics } = this.#options;
    const settling = this.#settleFile(segment);
    const end = async (): Promise<void> => {
      const file = await settling;
      if (file && catalog) {
        const entry = { ...file, group: segment.group, closedAtMs: now() };
        await retry(this.#options, 'write the catalog of closed files', () => catalog.add(entry));
      }
      store.forget([segment.id]);
      metrics.segmentsClosed++;
      if (catalog) await this.#prune(segment.group);
    };
    await Promise.all([settling, catalog ? this.#inTurn(end) : end()]);
  }

  /**
   * Runs in the order of the calls: retention goes by the order in which files were closed, not by how long it took to
   * compress them, and each line of the catalog begins where the one before ended.
   */
  #inTurn(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(work).catch((error: unknown) => {
      this.#failure = error; // Aborted: the next start does what is left.
    });
    return this.#turn;
  }

  async #settleFile(segment: Closed): Promise<FinishedFile | undefined> {
    const { fs, isCompressed, mode, signal, log, metrics, component } = this.#options;
    return retry(this.#options, `compress ${segment.path}`, async () => {
      try {
        if (segment.gzip || !isCompressed) return await fileAsClosed(fs, segment);
        return await compressSegment(fs, segment, mode, signal);
      } catch (error) {
        if (!(error instanceof HeadgateError)) throw error;
        metrics.outputsTouched++;
        log.error({ code: error.code, component, path: error.path }, error.message);
        return undefined;
      }
    });
  }

  async #prune(group: string): Promise<void> {
    const { catalog, retention, now } = this.#options;
    if (!catalog) return;
    const prune = (file: ClosedFile): Promise<void> =>
      retry(this.#options, `prune ${file.path}`, () => catalog.prune(file));
    for (const file of filesToPrune(catalog.groups.get(group) ?? [], retention, now())) await prune(file);
    for (const file of filesOverTotal(catalog.files, catalog.totalBytes, retention)) await prune(file);
  }
}
