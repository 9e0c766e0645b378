// Log lines for faults that last: the first one at once, then at most one in ten seconds of each kind, with the
// number of those that were left out.
import type { Logger } from '../../log.js';

const INTERVAL_MS = 10_000;

/** A logger for one component, in front of the ordinary one. */
export class RareLog {
  readonly #log: Logger;
  readonly #seen = new Map<string, { nextMs: number; leftOut: number }>();

  constructor(log: Logger) {
    this.#log = log;
  }

  /** Lines with the same `key` are of one kind; the caller uses few keys. */
  error(key: string, data: object, message: string): void {
    this.#tell('error', key, data, message);
  }

  /** The same as a warning. */
  warn(key: string, data: object, message: string): void {
    this.#tell('warn', key, data, message);
  }

  #tell(level: 'error' | 'warn', key: string, data: object, message: string): void {
    const nowMs = performance.now();
    const seen = this.#seen.get(key);
    if (seen && nowMs < seen.nextMs) {
      seen.leftOut++;
      return;
    }
    this.#log[level]({ ...data, ...(seen && seen.leftOut > 0 && { left_out: seen.leftOut }) }, message);
    this.#seen.set(key, { nextMs: nowMs + INTERVAL_MS, leftOut: 0 });
  }
}
