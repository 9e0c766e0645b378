// One life of a pipeline, from a start or restart to its end: its parts are opened where the last commit left them, then
// it moves batches from the source through the steps to the sinks and commits markers, until it is stopped or
// everything is delivered.
import { setMaxListeners } from 'node:events';
import type { Decoder } from '../codec/decoder.js';
import type { PipelineConfig } from '../config/pipeline-config.js';
import { millisecondsOf } from '../config/units.js';
import { HeadgateError } from '../errors.js';
import type { EventBatch, Marker, StreamElement } from '../event/batch.js';
import type { FileSystem } from '../file-system.js';
import type { Logger } from '../log.js';
import type { PipelineMetrics } from '../metrics.js';
import type { SourcePosition } from '../position/position.js';
import { PositionStore } from '../position/store.js';
import { buildPipeline } from './build.js';
import type { Parts } from './build.js';
import { CommittedCounts } from './committed-counts.js';
import { Commits } from './commits.js';
import type { Clock } from './component.js';
import { runStreams } from './compose.js';
import type { Step } from './compose.js';
import { openParts } from './open-parts.js';

/** Markers on their way at most: a slow sink must not collect them. */
const MAX_MARKERS = 4;

export interface PipelineRuntime {
  stateDirectory: string;
  fs: FileSystem;
  log: Logger;
  clock: Clock;
  /** Deliver what exists at the start, then end. */
  once: boolean;
  /** With `once`: halt when nothing moved for so long. */
  deadlineMs: number;
  /** Instead of the source: what is in the quarantine. Only with `once`. */
  isReplay?: boolean;
}

export class PipelineLife {
  readonly #config: PipelineConfig;
  readonly #runtime: PipelineRuntime;
  readonly #metrics: PipelineMetrics;
  /** This life's own: what listens to it goes with it, and a pipeline can have any number of lives. */
  readonly #drain: AbortSignal;
  /** Aborted with the error that ends this life at once. */
  readonly #failure = new AbortController();
  readonly #counts: CommittedCounts;
  #parts: Parts | undefined;
  #store: PositionStore | undefined;
  #commits: Commits | undefined;
  #nextMarkerId = 1;
  /** All that existed when this life began was read, and is decoded. */
  #isCaughtUp = false;
  #isDecoded = false;
  #eventCount = 0;
  /** A replay that was broken off is kept in the record until it goes on. */
  #brokenOffReplay: SourcePosition['replay'];

  constructor(
    config: PipelineConfig,
    runtime: PipelineRuntime,
    metrics: PipelineMetrics,
    drain: AbortSignal,
    kill: AbortSignal,
  ) {
    this.#config = config;
    this.#runtime = runtime;
    this.#metrics = metrics;
    this.#counts = new CommittedCounts(metrics);
    const ownDrain = new AbortController();
    // Each sink listens, and each operation that waits: Node would take more than ten for a leak, and say so on stderr.
    setMaxListeners(0, ownDrain.signal, this.#failure.signal);
    this.#drain = ownDrain.signal;
    if (drain.aborted) ownDrain.abort(drain.reason);
    drain.addEventListener(
      'abort',
      () => {
        ownDrain.abort(drain.reason);
      },
      { signal: this.#failure.signal },
    );
    if (kill.aborted) this.#fail(kill.reason);
    kill.addEventListener(
      'abort',
      () => {
        this.#fail(kill.reason);
      },
      { signal: this.#failure.signal },
    );
  }

  get remainingBytes(): number {
    return this.#parts?.source.remainingBytes() ?? 0;
  }

  /** After this life: counters as if nothing had been read since its last commit, because it is read again. */
  rollBackCounts(): void {
    this.#counts.rollBack();
  }

  /** What it read is not read again by the next one. */
  get isReadOnce(): boolean {
    return this.#parts?.source.isReadOnce ?? false;
  }

  /** The source can be read once only, and someone else decides when there is more. */
  get awaitsInput(): boolean {
    return this.isReadOnce && this.#parts?.source.isFinished() === false;
  }

  /** The input has ended, or will not be read any further in this run and was all to be delivered. */
  get #isAtEnd(): boolean {
    return !this.#drain.aborted && (this.#runtime.once || this.isReadOnce);
  }

  async run(): Promise<void> {
    try {
      const { parts, store } = await this.#open();
      const { source, sinks, quarantine, decoder, processors } = parts;
      await runStreams(
        {
          source: this.#elements(parts),
          steps: [
            this.#decoding(decoder),
            ...processors.map((processor) =>
              forBatches((batch) => {
                processor.process(batch);
              }),
            ),
          ],
          accept: (element) => this.#accept(parts, element),
          end: () => this.#end(parts),
        },
        this.#failure.signal,
      );
      const isFinishing = this.#isAtEnd;
      await Promise.all(sinks.map((sink) => sink.close(isFinishing)));
      await quarantine.close();
      if (parts.replay && isFinishing) await store.commit(await parts.replay.finish(), []);
      await source.close();
      await store.markClean();
    } catch (error) {
      // The first failure is the cause; what followed from it says only that things were aborted.
      this.#fail(error);
      throw this.#failure.signal.reason;
    } finally {
      await this.#closeAll();
    }
  }

  async #open(): Promise<{ parts: Parts; store: PositionStore }> {
    const { stateDirectory, fs, log, clock, once } = this.#runtime;
    const { name } = this.#config;
    const common = {
      fs,
      log: log.child({ pipeline: name }),
      clock,
      metrics: this.#metrics,
      signal: this.#failure.signal,
      drain: this.#drain,
    };
    const store = (this.#store = await PositionStore.open({
      ...common,
      directory: stateDirectory,
      pipeline: name,
    }));
    const parts = (this.#parts = buildPipeline(this.#config, {
      ...common,
      pipeline: name,
      store,
      stateDirectory,
      isReplay: this.#runtime.isReplay === true,
      reject: (rejections, after) => this.#theCommits.reject(rejections, after),
    }));
    this.#commits = new Commits({
      parts,
      store,
      metrics: this.#metrics,
      counts: this.#counts,
      signal: this.#failure.signal,
      fail: (error) => {
        this.#fail(error);
      },
    });
    this.#brokenOffReplay = store.position?.replay;
    await openParts(parts, store, { ...common, once });
    const position = this.#positionOf(parts);
    await store.commit(position, []);
    parts.source.committed(position);
    return { parts, store };
  }

  /**
   * A marker gets what is open in the decoder as of its place in the stream; in front of it goes what has been open for
   * too long.
   */
  #decoding(decoder: Decoder): Step {
    const now = (): number => this.#runtime.clock.now();
    return {
      run: (element) => {
        if (element.kind === 'chunk') return decoder.decode(element);
        if (element.kind === 'batch') return element;
        const { position, isCaughtUp } = element as Marker<SourcePosition>;
        const due = decoder.flush(now(), false);
        this.#counts.pass('decoder', element.id);
        // What is open may have begun before this life, too.
        this.#isDecoded ||= isCaughtUp && decoder.openEntries().length === 0;
        return [
          ...due,
          { ...element, position: this.#complete(position, decoder), isCaughtUp: this.#isDecoded },
        ];
      },
      // A daemon that stops goes on later with what is open.
      end: () => (this.#isAtEnd || this.isReadOnce ? decoder.flush(now(), true) : []),
    };
  }

  async *#elements({ source, decoder, sinks, quarantine }: Parts): AsyncGenerator<StreamElement> {
    const intervalMs = millisecondsOf(this.#config.commit_interval);
    let markedAtMs = performance.now();
    let isMarkerNeeded = false;
    // The rest of what was open when the process died went with it.
    if (source.isReadOnce) yield* decoder.flush(this.#runtime.clock.now(), true);
    while (!this.#drain.aborted && !this.#failure.signal.aborted) {
      const chunk = await source.next();
      if (chunk) {
        isMarkerNeeded = true;
        yield chunk;
      } else {
        // A file that can not be read for now is no end.
        this.#isCaughtUp ||= source.remainingBytes() === 0;
        if (source.isFinished()) return;
      }
      const sinceMarkerMs = performance.now() - markedAtMs;
      if (sinceMarkerMs >= intervalMs) {
        markedAtMs = performance.now();
        this.#metrics.lagBytes = source.remainingBytes();
        isMarkerNeeded ||= quarantine.hasChanges || sinks.some((sink) => sink.hasChanges());
        isMarkerNeeded ||= decoder.hasDue(this.#runtime.clock.now());
        if (isMarkerNeeded && this.#theCommits.waiting < MAX_MARKERS) {
          isMarkerNeeded = false;
          yield this.#marker(source.position());
        }
      } else if (!chunk) {
        await source.wait(intervalMs - sinceMarkerMs, this.#drain);
      }
    }
  }

  #marker(position: SourcePosition): Marker<SourcePosition> {
    const id = this.#nextMarkerId++;
    this.#counts.pass('source', id);
    return { kind: 'marker', id, position, isCaughtUp: this.#isCaughtUp };
  }

  /** The place after everything that was decoded: only where no chunk is on its way from the source to the decoder. */
  #positionOf({ source, decoder }: Parts): SourcePosition {
    return this.#complete(source.position(), decoder);
  }

  /** A source's position with what else must be known to go on from there. */
  #complete(position: SourcePosition, decoder: Decoder): SourcePosition {
    const open = [...(position.open ?? []), ...decoder.openEntries()];
    const replay = position.replay ?? this.#brokenOffReplay;
    return { ...position, ...(open.length > 0 ? { open } : {}), ...(replay ? { replay } : {}) };
  }

  async #accept(parts: Parts, element: StreamElement): Promise<void> {
    this.#failure.signal.throwIfAborted();
    if (element.kind === 'batch') await this.#route(parts, element);
    else if (element.kind === 'marker') this.#settle(element as Marker<SourcePosition>);
  }

  async #route({ router, sinks, sinkNames, quarantine }: Parts, batch: EventBatch): Promise<void> {
    const only = batch.onlySink === undefined ? undefined : sinkNames.indexOf(batch.onlySink);
    const { perSink, routed, rejected, dropped } = router.divide(batch, only);
    this.#theCommits.count(routed, rejected);
    this.#metrics.eventsDropped += dropped;
    batch.firstEvent = this.#eventCount;
    this.#eventCount += batch.size;
    const writes = perSink.flatMap((events, i) => (events && sinks[i] ? [sinks[i].write(events)] : []));
    if (batch.quarantined.length > 0)
      writes.push(quarantine.write(batch.quarantined, this.#theCommits.lastMarkerId));
    await Promise.all(writes);
    batch.release();
  }

  #settle(marker: Marker<SourcePosition>): void {
    this.#counts.pass('router', marker.id);
    this.#theCommits.settle(marker);
  }

  /** There from when the parts are. */
  get #theCommits(): Commits {
    if (!this.#commits) throw new Error('impossible: an event before the pipeline was built');
    return this.#commits;
  }

  /** The source has ended and everything before is accepted: settles and commits the rest. */
  async #end(parts: Parts): Promise<void> {
    if (this.#isAtEnd) for (const sink of parts.sinks) sink.endOfInput();
    this.#metrics.lagBytes = parts.source.remainingBytes();
    const marker = this.#marker(this.#positionOf(parts));
    this.#counts.pass('decoder', marker.id);
    this.#settle(marker);
    await this.#theCommits.drain();
  }

  /** Ends this life with an error; only the first one counts. */
  #fail(error: unknown): void {
    if (!this.#failure.signal.aborted) this.#failure.abort(error);
  }

  async #closeAll(): Promise<void> {
    this.#fail(new HeadgateError('PIPELINE_HALTED', 'the pipeline has ended'));
    const { source, sinks = [], quarantine } = this.#parts ?? {};
    await Promise.all([source?.close(), quarantine?.close(), ...sinks.map((sink) => sink.close(false))]);
    await this.#store?.close();
  }
}

function forBatches(run: (batch: EventBatch) => void): Step {
  return {
    run: (element) => {
      if (element.kind === 'batch') run(element);
      return element;
    },
  };
}
