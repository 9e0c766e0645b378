// How a marker becomes durable: every sink settles it, then the quarantine; when that holds for it and for all markers
// before it, the position and the receipts of all outputs are written together. Only then does what came before count
// as delivered, and only then may the source forget it.
//
// Invariant: a marker is committed after each that came before it, and after everything in front of it is durable in
// every sink, or in the quarantine. The first failure ends the life of the pipeline; nothing is skipped.
import { Window } from '../ack/window.js';
import type { Marker } from '../event/batch.js';
import type { PipelineMetrics } from '../metrics.js';
import type { Receipt, SourcePosition } from '../position/position.js';
import type { PositionStore } from '../position/store.js';
import { endRestartWaits } from './backoff.js';
import type { Parts } from './build.js';
import type { CommittedCounts } from './committed-counts.js';
import type { Reject } from './component.js';

interface PendingMarker {
  marker: Marker<SourcePosition>;
  /** Events that were routed, and rejected by processors, since the marker before. */
  routed: number;
  rejected: number;
  /** Numbers of the routed ones that sinks rejected. */
  rejectedBySinks: ReadonlySet<number>;
}

/** What commits work on, and what they tell. */
export interface CommitsContext {
  parts: Pick<Parts, 'source' | 'sinks' | 'quarantine'>;
  store: PositionStore;
  metrics: PipelineMetrics;
  counts: CommittedCounts;
  /** Aborted when the life of the pipeline ends. */
  signal: AbortSignal;
  /** Ends that life. */
  fail: (error: unknown) => void;
}

export class Commits {
  readonly #context: CommitsContext;
  readonly #window = new Window<PendingMarker, Receipt[]>();
  /** Of each marker until it is settled, and committed with those before it. */
  readonly #settlements = new Set<Promise<void>>();
  /** Resolves when the last commit is done. */
  #last: Promise<void> = Promise.resolve();
  /** The last marker that was handed to the sinks, and its settlement in the quarantine. */
  #lastMarkerId = 0;
  #lastCut: Promise<unknown> = Promise.resolve();
  #routed = 0;
  #rejected = 0;
  /** By the last marker in front of them. */
  readonly #rejectedBySinks = new Map<number, Set<number>>();

  constructor(context: CommitsContext) {
    this.#context = context;
  }

  /** The marker behind which events are that are routed now; 0 before the first one. */
  get lastMarkerId(): number {
    return this.#lastMarkerId;
  }

  /** How many markers wait. */
  get waiting(): number {
    return this.#window.size;
  }

  /** Counts events that were routed, and those that processors rejected, behind the last marker. */
  count(routed: number, rejected: number): void {
    this.#routed += routed;
    this.#rejected += rejected;
  }

  /** Takes events into the quarantine that a sink will never take. */
  readonly reject: Reject = async (rejections, after) => {
    const numbers = this.#rejectedAfter(after);
    for (const { event } of rejections) numbers.add(event);
    await this.#context.parts.quarantine.write(
      rejections.map(({ entry }) => entry),
      after,
    );
  };

  /** Lets every sink settle the marker, without waiting for it. */
  settle(marker: Marker<SourcePosition>): void {
    const { sinks, quarantine } = this.#context.parts;
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
        this.#last = this.#last.then(() => this.#commit());
        return this.#last;
      })
      .catch(this.#context.fail)
      .finally(() => this.#settlements.delete(settlement));
    this.#settlements.add(settlement);
  }

  /** Resolves when no marker waits; throws what ended the life of the pipeline instead. */
  async drain(): Promise<void> {
    await Promise.all(this.#settlements);
    this.#context.signal.throwIfAborted();
  }

  async #commit(): Promise<void> {
    const settled = this.#window.takeSettled();
    const last = settled.at(-1);
    if (!last) return;
    const { parts, store, metrics, counts, signal } = this.#context;
    const { source, sinks, quarantine } = parts;
    const { id, position } = last.marker.marker;
    await store.commit(
      position,
      settled.flatMap(({ receipts }) => receipts.flat()),
    );
    source.committed(position);
    counts.commit(id);
    endRestartWaits(metrics, signal);
    for (const { marker, receipts } of settled) {
      const rejected = marker.rejectedBySinks.size;
      this.#rejectedBySinks.delete(marker.marker.id - 1);
      metrics.eventsDelivered += marker.routed - rejected;
      metrics.eventsQuarantined += marker.rejected + rejected;
      for (const [i, sink] of sinks.entries()) sink.committed(receipts[i] ?? []);
      quarantine.committed(receipts.at(-1) ?? []);
    }
  }

  /** Numbers of the events between the marker `after` and the next one that sinks rejected: of two sinks, once. */
  #rejectedAfter(after: number): Set<number> {
    let numbers = this.#rejectedBySinks.get(after);
    if (!numbers) this.#rejectedBySinks.set(after, (numbers = new Set()));
    return numbers;
  }
}
