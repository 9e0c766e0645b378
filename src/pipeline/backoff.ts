// Waiting out a fault of the disk or of a server: the same operation is tried again, for ever, with full jitter,
// until it works or the pipeline is stopped. The first failure of a component is logged at once, then one line in 30
// seconds says that it still waits, and one says that it goes on.
import { setTimeout as sleep } from 'node:timers/promises';
import { HaltError, RestartError, systemCode } from '../errors.js';
import type { Code } from '../errors.js';
import type { Logger } from '../log.js';
import type { PipelineMetrics } from '../metrics.js';

const FIRST_DELAY_MS = 20;
const LONGEST_DELAY_MS = 2_000;
const REMIND_EVERY_MS = 30_000;

export interface RetryOptions {
  /** Who waits: `sinks.namespaces`, `state`. */
  component: string;
  log: Logger;
  metrics: PipelineMetrics;
  /** Rejects with its reason when aborted. */
  signal: AbortSignal;
  code?: Code;
  random?: () => number;
}

/** Delay before try `attempt` (from 1), in milliseconds: uniform between 0 and a bound that doubles up to 2 s. */
export function retryDelayMs(attempt: number, random: () => number): number {
  return random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempt, 20));
}

/** Trying again changes nothing: the pipeline has to start again or to halt, or there is a bug. */
function isFinal(error: unknown): boolean {
  if (error instanceof RestartError || error instanceof HaltError) return true;
  return error instanceof Error && error.message.startsWith('impossible:');
}

/** What was told of one component: many of its operations can wait for the same fault, and it is told once. */
class Waiting {
  #count = 0;
  #sinceMs = 0;
  #remindedAtMs = -Infinity;
  #isTold = false;

  begin(): void {
    if (this.#count++ === 0) this.#sinceMs = performance.now();
  }

  remind({ log, component, code = 'SINK_WAITING' }: RetryOptions, action: string, error: unknown): void {
    const nowMs = performance.now();
    if (nowMs - this.#remindedAtMs < REMIND_EVERY_MS) return;
    this.#remindedAtMs = nowMs;
    this.#isTold = true;
    const cause = systemCode(error) ?? String(error);
    const waitedMs = Math.round(nowMs - this.#sinceMs);
    log.error({ code, component, cause, waitedMs }, `waits: could not ${action}, trying again`);
  }

  end({ log, component, code = 'SINK_WAITING' }: RetryOptions): void {
    if (--this.#count > 0 || !this.#isTold) return;
    this.#isTold = false;
    const waitedMs = Math.round(performance.now() - this.#sinceMs);
    log.info({ code, component, waitedMs }, 'goes on: the fault is gone');
  }
}

const waitings = new WeakMap<RetryOptions, Waiting>();

/**
 * Runs `operation` until it succeeds; `action` says what it does, for the log. Rejects only when aborted, or where trying
 * again changes nothing. Calls with the same `options` object belong together and are told of together.
 */
export async function retry<T>(
  options: RetryOptions,
  action: string,
  operation: () => Promise<T>,
): Promise<T> {
  const { metrics, signal, random = Math.random } = options;
  let waiting: Waiting | undefined;
  try {
    for (let attempt = 1; ; attempt++) {
      try {
        return await operation();
      } catch (error) {
        signal.throwIfAborted();
        if (isFinal(error)) throw error;
        metrics.retries++;
        if (!waiting) {
          waiting = waitings.get(options) ?? new Waiting();
          waitings.set(options, waiting);
          waiting.begin();
        }
        waiting.remind(options, action, error);
        await sleep(retryDelayMs(attempt, random), undefined, { signal });
      }
    }
  } finally {
    waiting?.end(options);
  }
}
