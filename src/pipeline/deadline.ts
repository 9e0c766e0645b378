// `--once --deadline`: a run that gets nowhere for so long ends. What is read or delivered again after a restart of the
// pipeline is no progress, so only what exceeds everything before counts.
import { HaltError } from '../errors.js';
import type { PipelineMetrics } from '../metrics.js';

const CHECK_MS = 1_000;

export interface Deadline {
  /** Aborted with DEADLINE when nothing has moved for so long. */
  signal: AbortSignal;
  stop(): void;
}

/** While `isIdle`, nothing could move, and the time does not count. */
export function watchProgress(
  metrics: PipelineMetrics,
  deadlineMs: number,
  isIdle: () => boolean = () => false,
): Deadline {
  const passed = new AbortController();
  const highest = { bytesRead: -1, eventsDelivered: -1, segmentsClosed: -1 };
  let movedAtMs = performance.now();
  const timer = setInterval(
    () => {
      for (const counter of ['bytesRead', 'eventsDelivered', 'segmentsClosed'] as const) {
        if (metrics[counter] <= highest[counter]) continue;
        highest[counter] = metrics[counter];
        movedAtMs = performance.now();
      }
      if (isIdle()) movedAtMs = performance.now();
      if (performance.now() - movedAtMs < deadlineMs) return;
      clearInterval(timer);
      passed.abort(new HaltError('DEADLINE', `nothing could be delivered for ${deadlineMs / 1000} seconds`));
    },
    Math.min(CHECK_MS, deadlineMs),
  );
  return {
    signal: passed.signal,
    stop: () => {
      clearInterval(timer);
    },
  };
}
