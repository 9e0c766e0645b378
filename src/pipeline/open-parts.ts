// Opens the parts of a pipeline where the last commit left them: first the source finds its place, because outputs are
// cut back only where all that is cut will be read again; then each output, and at last the record says that the
// pipeline runs. Anything can be interrupted and done again.
import type { FileSystem } from '../file-system.js';
import type { PositionStore } from '../position/store.js';
import { restoreSegments } from '../sink/files/restore.js';
import type { RetryOptions } from './backoff.js';
import type { Parts } from './build.js';
import { QUARANTINE } from './quarantine.js';
import type { Quarantine } from './quarantine.js';

export type OpenOptions = Omit<RetryOptions, 'component'> & { fs: FileSystem; once: boolean };

export async function openParts(parts: Parts, store: PositionStore, options: OpenOptions): Promise<void> {
  const { source, replay, decoder, processors, sinks, sinkNames, quarantine } = parts;
  const stored = store.position;
  // What a crash left behind the receipts is cut only where it will be read again, so that must be known first.
  const isContinued = replay !== undefined || (await source.open(stored, options.once, !store.isClean));
  // What is open belongs to the log, and a replay leaves it in the record.
  decoder.open(replay ? [] : (stored?.open ?? []));
  // After a gap, or a reset to the end, what was written behind the receipts can't be read again: then it is kept.
  const isReread = !source.isReadOnce && stored?.readFrom !== 'end' && isContinued;
  const recoveryOf = (owner: (sink: string) => boolean) => ({
    segments: store.segments.filter((segment) => owner(segment.sink)),
    isReread,
    isClean: store.isClean,
  });
  const known = [QUARANTINE, ...sinkNames];
  const strays = await restoreSegments(
    { ...options, component: 'state', store },
    recoveryOf((sink) => !known.includes(sink)),
  );
  store.forget(strays.map(({ id }) => id)); // Of sinks that are no longer configured: nothing is added to them.
  for (const processor of processors) await processor.open?.();
  await quarantine.open(recoveryOf((sink) => sink === QUARANTINE));
  for (const [i, sink] of sinks.entries()) await sink.open(recoveryOf((owner) => owner === sinkNames[i]));
  // Also the first position of a new pipeline: where `end` is must not move with each start.
  await store.markRunning();
  if (replay) {
    await closeFileOf(quarantine, store);
    await replay.open(stored);
  }
}

/** So that what is replayed and what is quarantined anew are in different files. */
async function closeFileOf(quarantine: Quarantine, store: PositionStore): Promise<void> {
  if (!store.position) return;
  quarantine.closeFile();
  const receipts = await quarantine.settle(0);
  await store.commit(store.position, receipts);
  quarantine.committed(receipts);
}
