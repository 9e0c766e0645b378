// Waiting out a fault of the disk or of a server: the same operation is tried again, for ever, with full jitter,
// until it works or the pipeline is stopped. The first failure is logged at once, then one line in 30 seconds says
// that it still waits, and one says that it goes on.
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

/** Runs `operation` until it succeeds; `action` says what it does, for the log. Rejects only when aborted. */
export async function retry<T>(
  options: RetryOptions,
  action: string,
  operation: () => Promise<T>,
): Promise<T> {
  const { component, log, metrics, signal, code = 'SINK_WAITING', random = Math.random } = options;
  let waitingSinceMs = 0;
  let remindedAtMs = 0;
  for (let attempt = 1; ; attempt++) {
    try {
      const value = await operation();
      if (waitingSinceMs > 0) {
        const waitedMs = Math.round(performance.now() - waitingSinceMs);
        log.info({ code, component, retries: attempt - 1, waitedMs }, `goes on: could ${action}`);
      }
      return value;
    } catch (error) {
      signal.throwIfAborted();
      if (isFinal(error)) throw error;
      metrics.retries++;
      const nowMs = performance.now();
      if (waitingSinceMs === 0) waitingSinceMs = nowMs;
      if (remindedAtMs === 0 || nowMs - remindedAtMs >= REMIND_EVERY_MS) {
        remindedAtMs = nowMs;
        const cause = systemCode(error) ?? String(error);
        log.error({ code, component, cause, retries: attempt }, `waits: could not ${action}, trying again`);
      }
      await sleep(retryDelayMs(attempt, random), undefined, { signal });
    }
  }
}
