// When an output's open segment is closed, apart from its size, which is looked at with every append: pure decisions.
import type { Output } from './segment.js';

export interface RotateOptions {
  maxAgeMs: number;
  /** How long after its end a time slice still takes late events. */
  graceMs: number;
}

/**
 * A slice that only the event time has passed (old logs being read) closes when nothing was added for so long: the
 * next hour's events have begun, and stragglers lie some hundred milliseconds apart.
 */
export const IDLE_MS = 5_000;

export interface Moment {
  nowMs: number;
  /** The time of the newest event so far. */
  newestMs: number;
  /** No event will follow: nothing needs to be idle first. */
  isEnd: boolean;
}

/** Whether the open segment of an output is to be closed now. */
export function isDue(output: Output, options: RotateOptions, { nowMs, newestMs, isEnd }: Moment): boolean {
  const { active } = output;
  if (!active) return false;
  if (nowMs - active.openedAtMs >= options.maxAgeMs) return true;
  const dueMs = output.sliceEndMs + options.graceMs;
  const idleMs = isEnd ? Infinity : nowMs - active.lastAppendMs;
  if (nowMs >= dueMs && idleMs >= options.graceMs) return true;
  // A clock that jumped at the apiserver must not close everything at once: event time counts up to now.
  return Math.min(newestMs, nowMs) >= dueMs && idleMs >= Math.min(IDLE_MS, options.graceMs);
}
