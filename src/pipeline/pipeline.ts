// One pipeline, for as long as headgate runs. What it holds in memory is worth nothing after a fault that no retry can
// mend: then it begins a new life at its last commit, by itself.
import { setTimeout as sleep } from 'node:timers/promises';
import type { PipelineConfig } from '../config/pipeline-config.js';
import { RestartError } from '../errors.js';
import { createMetrics, eventsInFlight } from '../metrics.js';
import type { PipelineMetrics } from '../metrics.js';
import { isNotDurable } from './backoff.js';
import { watchProgress } from './deadline.js';
import { PipelineLife } from './pipeline-life.js';
import type { PipelineRuntime } from './pipeline-life.js';

const RESTART_DELAY_MS = 1_000;
/** How long a pipeline that is to end at once may take for it. */
const END_LIMIT_MS = 1_000;

export class Pipeline {
  readonly name: string;
  readonly metrics: PipelineMetrics = createMetrics();
  readonly #config: PipelineConfig;
  readonly #runtime: PipelineRuntime;
  #isStuck = false;
  #remainingBytes: () => number = () => 0;
  #awaitsInput: () => boolean = () => false;

  constructor(config: PipelineConfig, runtime: PipelineRuntime) {
    this.name = config.name;
    this.#config = config;
    this.#runtime = runtime;
  }

  /** Bytes that exist and were not read yet. */
  get remainingBytes(): number {
    return this.#remainingBytes();
  }

  /** It has ended although an operation hangs in the kernel, which nobody can end: only the process's exit does. */
  get isStuck(): boolean {
    return this.#isStuck;
  }

  /**
   * Resolves when `drain` was aborted and everything read is durable, or, with `once`, when all is delivered. Rejects
   * when the pipeline halted, or with `kill`'s reason.
   */
  async run(drain: AbortSignal, kill: AbortSignal): Promise<void> {
    const { once, deadlineMs } = this.#runtime;
    // Who writes to standard input may take any time.
    const isIdle = (): boolean =>
      this.#awaitsInput() && eventsInFlight(this.metrics) === 0 && this.metrics.componentsWaiting === 0;
    const deadline = once ? watchProgress(this.metrics, deadlineMs, isIdle) : undefined;
    const end = deadline ? AbortSignal.any([kill, deadline.signal]) : kill;
    let timer: NodeJS.Timeout | undefined;
    const stuck = new Promise<never>((_resolve, reject) => {
      const waitForEnd = (): void => {
        timer = setTimeout(() => {
          this.#isStuck = true;
          reject(end.reason as Error);
        }, END_LIMIT_MS);
      };
      if (end.aborted) waitForEnd();
      else end.addEventListener('abort', waitForEnd);
    });
    try {
      await Promise.race([this.#live(drain, end), stuck]);
    } finally {
      clearTimeout(timer);
      deadline?.stop();
    }
  }

  async #live(drain: AbortSignal, kill: AbortSignal): Promise<void> {
    for (;;) {
      const life = new PipelineLife(this.#config, this.#runtime, this.metrics, drain, kill);
      this.#remainingBytes = () => life.remainingBytes;
      this.#awaitsInput = () => life.awaitsInput;
      try {
        await life.run();
        return;
      } catch (error) {
        kill.throwIfAborted();
        if (!(error instanceof RestartError)) throw error;
        const { code, path, message } = error;
        // What could not be made durable was told, rate-limited, by the component.
        if (!isNotDurable(error)) {
          this.#runtime.log.error(
            { code, pipeline: this.name, path },
            `${message}; the pipeline starts again from its last commit`,
          );
        }
        if (drain.aborted) throw error;
        const inFlight = eventsInFlight(this.metrics);
        if (life.isReadOnce && inFlight > 0) this.#tellLost(inFlight);
        life.rollBackCounts();
        await sleep(RESTART_DELAY_MS, undefined, { signal: kill }).catch(() => {
          kill.throwIfAborted();
        });
      }
    }
  }

  #tellLost(events: number): void {
    this.metrics.gaps++;
    this.#runtime.log.error(
      { code: 'SOURCE_GAP', pipeline: this.name, events },
      `${events} events that were read and not committed can't be read again: those of them that no output holds are lost`,
    );
  }
}
