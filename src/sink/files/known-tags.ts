// Which tags have files of their own where `max_tags` limits them; a tag is a rendered path without its time. What is
// remembered of them between runs is the files themselves, in the position record and in the catalog of closed files,
// so a crash moves no tag: what is in use now is all there is to know. Events of further tags are counted and told of.
import type { Logger } from '../../log.js';
import type { PipelineMetrics } from '../../metrics.js';

const TELL_EVERY_MS = 3_600_000;

export interface KnownTagsOptions {
  maxTags: number;
  component: string;
  log: Logger;
  metrics: PipelineMetrics;
}

export class KnownTags {
  readonly #options: KnownTagsOptions;
  #known: Set<string> = new Set();
  #untold = 0;
  #toldAtMs = -Infinity;

  constructor(options: KnownTagsOptions) {
    this.#options = options;
  }

  get isFull(): boolean {
    return this.#known.size >= this.#options.maxTags;
  }

  /** Whether a tag has files of its own: it had before, or there is still room for it. */
  admit(tag: string): boolean {
    if (this.#known.has(tag)) return true;
    if (this.isFull) return false;
    this.#known.add(tag);
    return true;
  }

  /** Forgets every tag but those that have files; the ones that were known before a stop may be more than fit. */
  recount(inUse: Set<string>): void {
    this.#known = inUse;
  }

  /** Counts events that went to the overflow file; a warning says so, at most one an hour. */
  overflowed(events: number, nowMs: number): void {
    const { maxTags, component, log, metrics } = this.#options;
    metrics.eventsOverflowed += events;
    this.#untold += events;
    if (nowMs - this.#toldAtMs < TELL_EVERY_MS) return;
    this.#toldAtMs = nowMs;
    log.warn(
      { code: 'OUTPUT_OVERFLOW', component, events: this.#untold, maxTags },
      `${maxTags} tags have files of their own (max_tags): events of others go to the overflow file`,
    );
    this.#untold = 0;
  }
}
