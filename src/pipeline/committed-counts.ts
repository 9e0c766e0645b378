// The counters as of the last commit. What is behind it is read again after a restart of the pipeline, so the counters
// go back there first: else lines would be counted twice. Each stage counts at another moment, and a marker passes
// them in stream order: what a counter is when a marker leaves its stage is what belongs before that marker.
import type { PipelineMetrics } from '../metrics.js';

const COUNTED = {
  source: ['bytesRead', 'gaps'],
  decoder: ['linesRead', 'linesBlank', 'linesJoined', 'linesNotAudit', 'linesQuarantined', 'events'],
  router: ['eventsDropped'],
} as const;

type Stage = keyof typeof COUNTED;
type Counts = Partial<PipelineMetrics>;

export class CommittedCounts {
  readonly #metrics: PipelineMetrics;
  readonly #ofMarkers = new Map<number, Counts>();
  #committed: Counts;

  /** What was counted so far is committed. */
  constructor(metrics: PipelineMetrics) {
    this.#metrics = metrics;
    const counters = Object.values(COUNTED).flat();
    this.#committed = Object.fromEntries(counters.map((counter) => [counter, metrics[counter]]));
  }

  /** A marker leaves a stage. */
  pass(stage: Stage, markerId: number): void {
    const counts = this.#ofMarkers.get(markerId) ?? {};
    for (const counter of COUNTED[stage]) counts[counter] = this.#metrics[counter];
    this.#ofMarkers.set(markerId, counts);
  }

  /** A marker, and with it all before, is committed. */
  commit(markerId: number): void {
    this.#committed = this.#ofMarkers.get(markerId) ?? this.#committed;
    for (const id of this.#ofMarkers.keys()) if (id <= markerId) this.#ofMarkers.delete(id);
  }

  /** Takes back what was counted since the last commit. */
  rollBack(): void {
    Object.assign(this.#metrics, this.#committed);
  }
}
