// One life of a pipeline, from a start or restart to its end: finds its place, brings its outputs back to the last commit,
// then moves batches from the source through the steps to the sinks and commits markers, until it is stopped or
// everything is delivered.
import { setMaxListeners } from 'node:events';
import { Window } from '../ack/window.js';
import type { Decoder } from '../codec/decoder.js';
import type { PipelineConfig } from '../config/pipeline-config.js';
import { millisecondsOf } from '../config/units.js';
import { HeadgateError } from '../errors.js';
import type { EventBatch, Marker, StreamElement } from '../event/batch.js';
import type { FileSystem } from '../file-system.js';
import type { Logger } from '../log.js';
import type { PipelineMetrics } from '../metrics.js';
import type { Receipt, SourcePosition } from '../position/position.js';
import { PositionStore } from '../position/store.js';
import { restoreSegments } from '../sink/files/restore.js';
import { endRestartWaits } from './backoff.js';
import { buildPipeline } from './build.js';
import type { Parts } from './build.js';
import { CommittedCounts } from './committed-counts.js';
import type { Clock, Reject } from './component.js';
import { runStreams } from './compose.js';
import type { Step } from './compose.js';
import { QUARANTINE } from './quarantine.js';
import type { Quarantine } from './quarantine.js';

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

interface PendingMarker {
  marker: Marker<SourcePosition>;
  /** Events that were routed, and rejected by processors, since the marker before. */
  routed: number;
  rejected: number;
  /** Numbers of the routed ones that sinks rejected. */
  rejectedBySinks: ReadonlySet<number>;
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
  readonly #window = new Window<PendingMarker, Receipt[]>();
  #parts: Parts | undefined;
  #store: PositionStore | undefined;
  /** Of each marker until it is settled, and committed with those before it. */
  readonly #settlements = new Set<Promise<void>>();
  #commits: Promise<void> = Promise.resolve();
  #nextMarkerId = 1;
  /** All that existed when this life began was read, and is decoded. */
  #isCaughtUp = false;
  #isDecoded = false;
  /** The last marker that was handed to the sinks, and its settlement in the quarantine. */
  #lastMarkerId = 0;
  #lastCut: Promise<unknown> = Promise.resolve();
  #eventCount = 0;
  #routed = 0;
  #rejected = 0;
  /** A replay that was broken off is kept in the record until it goes on. */
  #brokenOffReplay: SourcePosition['replay'];
  /** By the last marker in front of them. */
  readonly #rejectedBySinks = new Map<number, Set<number>>();

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
      reject: this.#reject,
    }));
    const { source, replay, decoder, sinks, sinkNames, quarantine } = parts;

    const stored = store.position;
    this.#brokenOffReplay = stored?.replay;
    // What a crash left behind the receipts is cut only where it will be read again, so that must be known first.
    const isContinued = replay !== undefined || (await source.open(stored, once, !store.isClean));
    // What is open belongs to the log, and a replay leaves it in the record.
    decoder.open(replay ? [] : (stored?.open ?? []));
    // After a gap, or a reset to the end, what was written behind the receipts can't be read again: then it is kept.
    const isReread = !source.isReadOnce && stored?.readFrom !== 'end' && isContinued;
    const recoveryOf = (owner: (sink: string) => boolean) => ({
      segments: store.segments.filter((segment) => owner(segment.sink)),
      isReread,
      isClean: store.isClean,
    });
    const known = [QUARANTINE, ...sinkNames];
    const strays = await restoreSegments(
      { ...common, component: 'state', store },
      recoveryOf((sink) => !known.includes(sink)),
    );
    store.forget(strays.map(({ id }) => id)); // Of sinks that are no longer configured: nothing is added to them.
    for (const processor of parts.processors) await processor.open?.();
    await quarantine.open(recoveryOf((sink) => sink === QUARANTINE));
    for (const [i, sink] of sinks.entries()) await sink.open(recoveryOf((owner) => owner === sinkNames[i]));
    // Also the first position of a new pipeline: where `end` is must not move with each start.
    await store.markRunning();
    if (replay) {
      await this.#closeQuarantine(quarantine, store);
      await replay.open(stored);
    }
    const position = this.#positionOf(parts);
    await store.commit(position, []);
    source.committed(position);
    return { parts, store };
  }

  /** So that what is replayed and what is quarantined anew are in different files. */
  async #closeQuarantine(quarantine: Quarantine, store: PositionStore): Promise<void> {
    if (!store.position) return;
    quarantine.closeFile();
    const receipts = await quarantine.settle(this.#lastMarkerId);
    await store.commit(store.position, receipts);
    quarantine.committed(receipts);
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
        if (isMarkerNeeded && this.#window.size < MAX_MARKERS) {
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
    else if (element.kind === 'marker') this.#settle(parts, element as Marker<SourcePosition>);
  }

  async #route({ router, sinks, sinkNames, quarantine }: Parts, batch: EventBatch): Promise<void> {
    const only = batch.onlySink === undefined ? undefined : sinkNames.indexOf(batch.onlySink);
    const { perSink, routed, rejected, dropped } = router.divide(batch, only);
    this.#routed += routed;
    this.#rejected += rejected;
    this.#metrics.eventsDropped += dropped;
    batch.firstEvent = this.#eventCount;
    this.#eventCount += batch.size;
    const writes = perSink.flatMap((events, i) => (events && sinks[i] ? [sinks[i].write(events)] : []));
    if (batch.quarantined.length > 0) writes.push(quarantine.write(batch.quarantined, this.#lastMarkerId));
    await Promise.all(writes);
    batch.release();
  }

  /** Lets every sink settle the marker, without waiting for it. */
  #settle({ sinks, quarantine }: Parts, marker: Marker<SourcePosition>): void {
    this.#counts.pass('router', marker.id);
    const entry = this.#window.add({
      marker,
      routed: this.#routed,
      rejected: this.#rejected,
      rejectedBySinks: this.#rejectedAfter(this.#lastMarkerId),
    });
    this.#routed = this.#rejected = 0;
    this.#lastMarkerId = marker.id;
    const settled = Promise.all(sinks.map((sink) => sink.settle(marker)));
    // A sink can reject events until it has settled, and the quarantine is to hold them with this marker.
    const cut = Promise.all([settled, this.#lastCut]).then(() => quarantine.settle(marker.id));
    this.#lastCut = cut;
    const settlement = Promise.all([settled, cut])
      .then(([receipts, quarantined]) => {
        this.#window.settle(entry, [...receipts, quarantined]);
        this.#commits = this.#commits.then(() => this.#commit());
        return this.#commits;
      })
      .catch((error: unknown) => {
        this.#fail(error);
      })
      .finally(() => this.#settlements.delete(settlement));
    this.#settlements.add(settlement);
  }

  /** Sinks call it for events that they will never take. */
  readonly #reject: Reject = async (rejections, after) => {
    const { quarantine } = this.#parts ?? {};
    if (!quarantine) throw new Error('impossible: an event before the pipeline was built');
    const numbers = this.#rejectedAfter(after);
    for (const { event } of rejections) numbers.add(event);
    await quarantine.write(
      rejections.map(({ entry }) => entry),
      after,
    );
  };

  /** Numbers of the events between the marker `after` and the next one that sinks rejected: of two sinks, once. */
  #rejectedAfter(after: number): Set<number> {
    let numbers = this.#rejectedBySinks.get(after);
    if (!numbers) this.#rejectedBySinks.set(after, (numbers = new Set()));
    return numbers;
  }

  async #commit(): Promise<void> {
    const settled = this.#window.takeSettled();
    const last = settled.at(-1);
    const { source, sinks, quarantine } = this.#parts ?? {};
    if (!last || !source || !sinks) return;
    const { position } = last.marker.marker;
    await this.#store?.commit(
      position,
      settled.flatMap(({ receipts }) => receipts.flat()),
    );
    source.committed(position);
    this.#counts.commit(last.marker.marker.id);
    endRestartWaits(this.#metrics, this.#failure.signal);
    for (const { marker, receipts } of settled) {
      const rejected = marker.rejectedBySinks.size;
      this.#rejectedBySinks.delete(marker.marker.id - 1);
      this.#metrics.eventsDelivered += marker.routed - rejected;
      this.#metrics.eventsQuarantined += marker.rejected + rejected;
      for (const [i, sink] of sinks.entries()) sink.committed(receipts[i] ?? []);
      quarantine?.committed(receipts.at(-1) ?? []);
    }
  }

  /** The source has ended and everything before is accepted: settles and commits the rest. */
  async #end(parts: Parts): Promise<void> {
    if (this.#isAtEnd) for (const sink of parts.sinks) sink.endOfInput();
    this.#metrics.lagBytes = parts.source.remainingBytes();
    const marker = this.#marker(this.#positionOf(parts));
    this.#counts.pass('decoder', marker.id);
    this.#settle(parts, marker);
    await Promise.all(this.#settlements);
    this.#failure.signal.throwIfAborted();
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
