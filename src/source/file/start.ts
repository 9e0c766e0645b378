// The beginning of a run: collects what `resume.ts` needs to know of the files of one path, and carries its plan out.
import { join } from 'node:path';
import { fingerprint } from '../../position/fingerprint.js';
import type { FilePosition, FinishedBackup, PathPosition } from '../../position/position.js';
import { listBackups } from './discover.js';
import type { ListedBackup } from './discover.js';
import type { FinishedBackups } from './finished.js';
import { FollowedFile } from './followed-file.js';
import type { FollowedFileOptions } from './followed-file.js';
import type { RetainDirectory, RetainedFile } from './retain-directory.js';
import { planResume } from './resume.js';
import type { FileFacts, ResumePlan } from './resume.js';

/** What to begin with. */
export interface StartOptions extends FollowedFileOptions {
  readFrom: 'beginning' | 'end';
  /** How many backups are held open. */
  maxHeld: number;
  /** Where unread backups were kept by earlier runs. */
  retained: RetainDirectory;
}

/** The plan and the files that it speaks of. */
export interface Start {
  /** In the order in which they are to be read; the first may be in its middle. The caller closes them. */
  files: FollowedFile[];
  /** Backups that are finished from now on. */
  finish: { file: FollowedFile; entry: FinishedBackup }[];
  /** Backups that were deleted between being listed and being opened. */
  gone: FollowedFile[];
  plan: ResumePlan;
}

/**
 * Finds the files and the place to begin at. Throws, and leaves nothing open, where any of them can't be read: a plan
 * made from a part of the facts would lose or double something.
 */
export async function findStart(
  options: StartOptions,
  stored: PathPosition | undefined,
  finished: FinishedBackups,
): Promise<Start> {
  const found: FollowedFile[] = [];
  let files: FollowedFile[] = [];
  try {
    const gone: FollowedFile[] = [];
    const facts = await collect(options, stored?.current ?? undefined, finished, found, gone);
    const plan = planResume(stored, facts, options.readFrom);
    const pick = (name: string): FollowedFile[] => found.filter((file) => file.name === name);
    const begun = plan.start ? pick(plan.start.name) : [];
    const queue = plan.queue.flatMap(pick);
    for (const file of queue) file.restart();
    const live = found.find((file) => file.isLive);
    if (!stored && options.readFrom === 'end' && live) {
      await live.begin(await live.lastLineStart());
      begun.push(live);
    }
    const finish: Start['finish'] = [];
    for (const file of plan.finish.flatMap(pick)) {
      const head = fingerprint((await file.sample()) ?? Buffer.alloc(0));
      finish.push({ file, entry: { stem: file.stem ?? file.name, ino: file.ino, head } });
    }
    files = [...begun, ...queue];
    return { files, finish, gone, plan };
  } finally {
    for (const file of found) if (!files.includes(file)) await file.release();
  }
}

/** The facts of all files, as `planResume` wants them. `found` gets whatever is to be closed, also on a throw. */
async function collect(
  options: StartOptions,
  current: FilePosition | undefined,
  finished: FinishedBackups,
  found: FollowedFile[],
  gone: FollowedFile[],
): Promise<FileFacts[]> {
  // First the live file, then the listing: see `file-list.ts`.
  const live = new FollowedFile(options, options.liveName, null);
  found.push(live);
  live.isLive = await live.hold();
  const listed = await listBackups(options.fs, join(options.directory, options.liveName));
  const isGone = live.isHeld && !(await live.isAtPath());
  const facts: FileFacts[] = [];
  let heldCount = 0;
  const examine = async (file: FollowedFile): Promise<void> => {
    const { name, stem, dev, ino, size } = file;
    const isFinished = stem !== null && finished.has(stem, await file.sample());
    const content = current && current.offset > 0 ? await file.compareWith(current) : 'other';
    facts.push({ name, stem, dev, ino, size, isFinished, content });
    if (content === 'same' || file.isLive) return;
    if (isFinished || heldCount >= options.maxHeld) await file.release();
    else heldCount++;
  };
  /** Opens a listed backup; undefined where it is gone. */
  const holdListed = async (backup: ListedBackup): Promise<FollowedFile | undefined> => {
    let file = live.is(backup.stat) ? live : new FollowedFile(options, backup.name, backup.stem);
    if (!(await file.hold())) {
      gone.push(file);
      return undefined;
    }
    if (file !== live) found.push(file);
    // Rotated, and compressed, since it was opened. What is at the path now is found at the next look.
    if (isGone && live.stem === null && (await file.hasContentOf(live))) file = live;
    if (file === live) {
      live.isLive = false;
      live.seenAs(backup);
    }
    return file;
  };
  /** What is retained is the other name of `file`, finished, or a backup of its own. */
  const sortRetained = async (retained: RetainedFile, file: FollowedFile | undefined): Promise<void> => {
    const copy = FollowedFile.ofRetained(options, retained);
    if (!(await copy.hold())) return;
    found.push(copy);
    const isFinished = finished.has(retained.stem, await copy.sample());
    if (!isFinished && !(file && (await copy.hasContentOf(file)))) return examine(copy);
    if (isFinished) await options.retained.remove(retained);
    else if (file) file.retained = retained;
    await copy.release();
  };
  const kept = await options.retained.list();
  const backups = new Map(listed.map((backup) => [backup.stem, backup]));
  for (const stem of [...new Set([...backups.keys(), ...kept.map((retained) => retained.stem)])].sort()) {
    const backup = backups.get(stem);
    const file = backup && (await holdListed(backup));
    // Of two backups with one name, what is retained was there first: the other took the name from it.
    for (const retained of kept) if (retained.stem === stem) await sortRetained(retained, file);
    if (file) await examine(file);
  }
  if (live.isLive) await examine(live);
  return facts;
}
