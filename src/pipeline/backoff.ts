// Waiting out a fault of the disk or of a server: the same operation is tried again, for ever, with full jitter,
// until it works or the pipeline is stopped. The first failure of a component is logged at once, then one line in 30
// seconds says that it still waits, and one says that it goes on; `headgate_components_waiting` counts those that wait.
import { setTimeout as sleep } from 'node:timers/promises';
import { relieveDescriptors } from '../descriptor-relief.js';
import { HaltError, RestartError, systemCode } from '../errors.js';
import type { Code } from '../errors.js';
import type { Logger } from '../log.js';
import type { PipelineMetrics } from '../metrics.js';

const FIRST_DELAY_MS = 20;
const LONGEST_DELAY_MS = 2_000;
const REMIND_EVERY_MS = 30_000;
const LONGEST_ASKED_MS = 60_000;

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

/** How long a server asked to be left alone; what it says may be wrong, so it is believed up to a minute. */
function askedDelayMs(error: unknown): number {
  const asked = error instanceof Error && 'retryAfterMs' in error ? error.retryAfterMs : 0;
  return typeof asked === 'number' ? Math.min(asked, LONGEST_ASKED_MS) : 0;
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
  /** With these it waits for what was lost to be written again, across restarts of its pipeline. */
  #heldBy: RetryOptions | undefined;

  begin({ metrics }: RetryOptions): void {
    if (this.#count++ > 0) return;
    this.#sinceMs = performance.now();
    metrics.componentsWaiting++;
  }

  remind({ log, component, code = 'SINK_WAITING' }: RetryOptions, what: string, error: unknown): void {
    const nowMs = performance.now();
    if (nowMs - this.#remindedAtMs < REMIND_EVERY_MS) return;
    this.#remindedAtMs = nowMs;
    this.#isTold = true;
    const cause = systemCode(error) ?? String(error);
    const waitedMs = Math.round(nowMs - this.#sinceMs);
    log.error({ code, component, cause, waitedMs }, `waits: ${what}`);
  }

  end({ log, metrics, signal, component, code = 'SINK_WAITING' }: RetryOptions): void {
    if (--this.#count > 0) return;
    const waitedMs = Math.round(performance.now() - this.#sinceMs);
    metrics.componentsWaiting--;
    metrics.waitedMs += waitedMs;
    const isTold = this.#isTold;
    this.#isTold = false;
    if (!isTold || signal.aborted) return; // It was stopped: the fault may still be there.
    log.info({ code, component, waitedMs }, 'goes on: the fault is gone');
  }

  hold(options: RetryOptions): void {
    if (this.#heldBy) return;
    this.#heldBy = options;
    this.begin(options);
  }

  /** With the `signal` of the life that has committed; that of the one before is aborted. */
  release(signal: AbortSignal): void {
    const options = this.#heldBy;
    this.#heldBy = undefined;
    if (options) this.end({ ...options, signal });
  }
}

/** By pipeline and component, so that the parts of a component, and its lives, are told of as one. */
const waitings = new WeakMap<PipelineMetrics, Map<string, Waiting>>();

function waitingOf({ metrics, component }: RetryOptions): Waiting {
  let ofPipeline = waitings.get(metrics);
  if (!ofPipeline) waitings.set(metrics, (ofPipeline = new Map<string, Waiting>()));
  let waiting = ofPipeline.get(component);
  if (!waiting) ofPipeline.set(component, (waiting = new Waiting()));
  return waiting;
}

/**
 * Runs `operation` until it succeeds; `action` says what it does, for the log. Rejects only when aborted, or where trying
 * again changes nothing. What waits in one component of a pipeline is told of together.
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
      signal.throwIfAborted(); // A cycle of thousands of files ends with the operations that are under way.
      try {
        return await operation();
      } catch (error) {
        signal.throwIfAborted();
        if (isNotDurable(error)) tellRestart(options, action, error);
        if (isFinal(error)) throw error;
        metrics.retries++;
        if (!waiting) {
          waiting = waitingOf(options);
          waiting.begin(options);
        }
        waiting.remind(options, `could not ${action}, trying again`, error);
        await relieveDescriptors(error);
        const delayMs = askedDelayMs(error) + retryDelayMs(attempt, random);
        await sleep(delayMs, undefined, { signal });
      }
    }
  } finally {
    waiting?.end(options);
  }
}

/** The error of a sync that failed (`notDurable`): its pipeline starts again, and waits until what was written is committed. */
export function isNotDurable(error: unknown): error is RestartError {
  return error instanceof RestartError && error.code === 'SINK_WAITING';
}

function tellRestart(options: RetryOptions, action: string, error: RestartError): void {
  options.metrics.retries++;
  const waiting = waitingOf(options);
  waiting.hold(options);
  waiting.remind(options, `could not ${action}, writing again from the last commit`, error.cause);
}

/** A pipeline has committed: what could not be made durable before a restart now is. */
export function endRestartWaits(metrics: PipelineMetrics, signal: AbortSignal): void {
  for (const waiting of waitings.get(metrics)?.values() ?? []) waiting.release(signal);
}
