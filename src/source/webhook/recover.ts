// What is kept of the spool's newest segment after a stop of any kind: a pure decision over the frames that were found in
// it. Only what was written after the last sync can be torn, and nothing of that was answered: it is cut off from its
// first broken frame on, and the API server sends it again. What a later frame, or the position, says was durable
// is never cut, whatever became of it: that is damage, and the rest behind it was answered, too.
import type { FoundFrame } from './read-frames.js';

/** What becomes of a segment. */
export interface SegmentPlan {
  /** It ends here from now on. */
  length: number;
  /** The batches that it holds, oldest first. */
  batches: string[];
  /** Bytes that were durable once and are broken. */
  damagedBytes: number;
}

/** Decides. `committed` is how far the pipeline has read it, by the position. */
export function planRecovery(frames: readonly FoundFrame[], committed: number): SegmentPlan {
  const durable = frames.reduce((most, { synced }) => Math.max(most, synced), committed);
  const plan: SegmentPlan = { length: 0, batches: [], damagedBytes: 0 };
  for (const { start, end, batch, isIntact } of frames) {
    if (!isIntact && start >= durable) return plan;
    if (!isIntact) plan.damagedBytes += end - start;
    if (batch !== undefined) plan.batches.push(batch);
    plan.length = end;
  }
  return plan;
}
