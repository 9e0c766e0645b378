// Which sinks get an event: the first route whose condition holds, or the last one, which has none. Works on whole
// batches and makes one list of event numbers per sink.
import type { EventBatch, SubBatch } from '../event/batch.js';

export interface Route {
  /** Undefined: every event. */
  when: ((batch: EventBatch, i: number) => boolean) | undefined;
  /** Numbers of sinks. */
  to: readonly number[];
}

/** How a batch is divided; `undefined` for sinks that get nothing of it. */
export interface Division {
  perSink: (SubBatch | undefined)[];
  /** Events that no processor dropped and that some sink gets. */
  routed: number;
  /** Events dropped by processors, or matched by no route. */
  dropped: number;
  /** Events that processors sent to the quarantine. */
  rejected: number;
}

export class Router {
  readonly #routes: readonly Route[];
  /** One list a sink, used again for each batch. */
  readonly #lists: Uint32Array[];

  constructor(routes: readonly Route[], sinkCount: number) {
    this.#routes = routes;
    this.#lists = Array.from({ length: sinkCount }, () => new Uint32Array(0));
  }

  /** What it returns holds until the next call. With `only`, the number of a sink, no route is asked. */
  divide(batch: EventBatch, only?: number): Division {
    const lists = this.#lists;
    const lengths = new Uint32Array(lists.length);
    for (const [sink, list] of lists.entries()) {
      if (list.length < batch.size) lists[sink] = new Uint32Array(batch.size * 2);
    }
    let routed = 0;
    for (let i = 0; i < batch.size; i++) {
      if (batch.dropped[i] === 1) continue;
      const to = only === undefined ? this.#sinksOf(batch, i) : [only];
      if (!to) continue;
      routed++;
      for (const sink of to) {
        const list = lists[sink];
        const length = lengths[sink] ?? 0;
        if (list) list[length] = i;
        lengths[sink] = length + 1;
      }
    }
    const perSink = lists.map((list, sink) =>
      lengths[sink] === 0 ? undefined : { batch, indexes: list.subarray(0, lengths[sink]) },
    );
    const rejected = batch.rejectedCount;
    return { perSink, routed, rejected, dropped: batch.size - routed - rejected };
  }

  /** The number of the route that takes event i; -1 where none does. */
  routeOf(batch: EventBatch, i: number): number {
    return this.#routes.findIndex((route) => !route.when || route.when(batch, i));
  }

  #sinksOf(batch: EventBatch, i: number): readonly number[] | undefined {
    for (const route of this.#routes) {
      if (!route.when || route.when(batch, i)) return route.to;
    }
    return undefined;
  }
}
