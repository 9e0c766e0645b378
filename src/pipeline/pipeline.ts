// One pipeline, for as long as headgate runs. What it holds in memory is worth nothing after a fault that no retry can
// mend: then it begins a new life at its last commit, by itself.
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineConfig } from '../config/pipeline-config.js';
import { RestartError } from '../errors.js';
import { createMetrics, eventsInFlight } from '../metrics.js';
import type { PipelineMetrics } from '../metrics.js';
import { PipelineLife } from './pipeline-life.js';
import type { PipelineRuntime } from './pipeline-life.js';

const RESTART_DELAY_MS = 1_000;

export class Pipeline {
  readonly name: string;
  readonly metrics: PipelineMetrics = createMetrics();
  readonly #config: PipelineConfig;
  readonly #runtime: PipelineRuntime;
  #remainingBytes: () => number = () => 0;

  constructor(config: PipelineConfig, runtime: PipelineRuntime) {
    this.name = config.name;
    this.#config = config;
    this.#runtime = runtime;
  }

  /** Bytes that exist and were not read yet. */
  get remainingBytes(): number {
    return this.#remainingBytes();
  }

  /**
   * Resolves when `drain` was aborted and everything read is durable, or, with `once`, when all is delivered. Rejects
   * when the pipeline halted, or with `kill`'s reason.
   */
  async run(drain: AbortSignal, kill: AbortSignal): Promise<void> {
    for (;;) {
      const life = new PipelineLife(this.#config, this.#runtime, this.metrics, drain, kill);
      this.#remainingBytes = () => life.remainingBytes;
      try {
        await life.run();
        return;
      } catch (error) {
        kill.throwIfAborted();
        if (!(error instanceof RestartError)) throw error;
        const { code, path, message } = error;
        this.#runtime.log.error(
          { code, pipeline: this.name, path },
          `${message}; the pipeline starts again from its last commit`,
        );
        if (drain.aborted) throw error;
        // What was in flight is read again, and must not be counted twice.
        const inFlight = eventsInFlight(this.metrics);
        this.metrics.events -= inFlight;
        this.metrics.linesRead -= inFlight;
        await sleep(RESTART_DELAY_MS, undefined, { signal: kill });
      }
    }
  }
}
