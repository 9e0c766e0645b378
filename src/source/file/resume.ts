// Where to read on after a start: a pure decision from what was stored of a path and what its files are now. It
// reads nothing and opens nothing; `follower.ts` collects the facts and carries the plan out.
//
// The rule is identity before name. The file that was being read is the one that still holds the bytes that were
// read: the same head and the same bytes before the offset. The inode only decides between two such files, because
// inodes are reused at once and change with compression and with a restored snapshot.
import type { Gap, PathPosition } from '../../position/position.js';

/** One file of a followed path as found on disk. */
export interface FileFacts {
  name: string;
  /** Its name without `.gz`, or null for the live file. */
  stem: string | null;
  dev: number;
  ino: number;
  /** As on disk, compressed. */
  size: number;
  /** It was read to its end before. Always false for the live file. */
  isFinished: boolean;
  /**
   * How its content compares with the file that was being read: `same` up to the stored offset; `short` where it begins
   * the same and ends before that offset; otherwise `other`, also where nothing was read of that file.
   */
  content: 'same' | 'short' | 'other';
}

/** What is read, what is not, and why. All names are those of the given files. */
export interface ResumePlan {
  /** The file to go on with in its middle; null where none is. */
  start: { name: string; offset: number } | null;
  /** Files to read from their beginning after that, in order; the live one is last. */
  queue: string[];
  /** Backups to be taken as finished that are not recorded as such yet. */
  finish: string[];
  gaps: Omit<Gap, 'time'>[];
  /** It is certain that nothing is missing behind what was stored. */
  isComplete: boolean;
  /** The reason, for the log. */
  why: string;
}

/**
 * Decides. `files` are the existing backups by stem, oldest first, then the live file where it exists. `stored` is
 * undefined at the first start; then `readFrom` counts: with `end` the live file is not in the queue, and where to begin
 * in it is up to the caller.
 */
export function planResume(
  stored: PathPosition | undefined,
  files: readonly FileFacts[],
  readFrom: 'beginning' | 'end',
): ResumePlan {
  const plan = decide(stored, files, readFrom);
  const stems = new Set(files.map((file) => file.stem));
  const toldOf = plan.gaps.map(({ file }) => file.replace(/\.gz$/, ''));
  const detail = 'the file was seen, and deleted before it was read';
  const gone = (stored?.unread ?? []).filter(({ stem }) => !stems.has(stem) && !toldOf.includes(stem));
  const gaps = gone.map(({ stem, bytes }) => ({
    reason: 'pruned' as const,
    file: stem,
    offset: 0,
    bytes,
    detail,
  }));
  const isComplete = plan.isComplete && plan.gaps.length + gaps.length === 0;
  return { ...plan, gaps: [...plan.gaps, ...gaps], isComplete };
}

function decide(
  stored: PathPosition | undefined,
  files: readonly FileFacts[],
  readFrom: 'beginning' | 'end',
): ResumePlan {
  const backups = files.filter((f) => f.stem !== null);
  const unread = files.filter((f) => !f.isFinished);
  const queue = unread.map((f) => f.name);
  if (!stored) {
    if (readFrom === 'beginning') return plan({ queue, why: 'first start' });
    return plan({ finish: backups.map((f) => f.name), why: 'first start, existing files are left out' });
  }
  const current = stored.current;
  if (!current) return plan({ queue, why: 'nothing was being read' });
  const isSameInode = (f: FileFacts): boolean => f.dev === current.dev && f.ino === current.ino;
  if (current.offset === 0) {
    // There is nothing to recognise the file by, and no need to. But the inode alone doesn't tell whether it is still
    // there: the live file would be another one if there were backups that were not known.
    const isComplete = unread.some((f) => isSameInode(f) && (f.stem !== null || unread.length === 1));
    const wasBackup = stored.unread?.some(({ stem }) => stem === current.name.replace(/\.gz$/, '')) ?? false;
    return plan({ queue, isComplete: isComplete || wasBackup, why: 'the file was not begun' });
  }
  const same = unread.filter((f) => f.content === 'same');
  const found = same.find(isSameInode) ?? same[0];
  if (found) {
    const start = { name: found.name, offset: current.offset };
    if (found.stem === null) {
      // It was not rotated since, so every backup is older, whatever a clock that was set back called it.
      const finish = backups.filter((f) => !f.isFinished).map((f) => f.name);
      return plan({ start, finish, why: 'the live file is the one that was being read' });
    }
    // All that was older is recorded as finished. A backup with a lower name that is not was rotated later, by a
    // clock that was set back.
    const rest = unread.filter((f) => f !== found).map((f) => f.name);
    return plan({ start, queue: rest, why: `it was rotated to ${found.name}` });
  }

  const short = unread.find((f) => f.content === 'short');
  const at = { file: current.name, offset: current.offset };
  if (short && short.stem !== null && short.name.endsWith('.gz')) {
    // Whatever inflates of it lies before the offset.
    const detail = `${short.name} ends before the offset that was read to`;
    return plan({
      queue: queue.filter((name) => name !== short.name),
      finish: [short.name],
      gaps: [{ ...at, reason: 'damaged', detail }],
      why: detail,
    });
  }
  const live = files.find((f) => f.stem === null);
  if (live && isSameInode(live) && live.size < current.offset) {
    const detail = `the file shrank to ${String(live.size)} bytes while it was not read`;
    return plan({ queue, gaps: [{ ...at, reason: 'truncated', detail }], why: detail });
  }
  const next = unread[0];
  const detail = `no file holds what was being read; reading goes on with ${next ? next.name : 'the next file'}`;
  return plan({ queue, gaps: [{ ...at, reason: 'pruned', detail }], why: detail });
}

function plan(parts: Partial<ResumePlan> & { why: string }): ResumePlan {
  return { start: null, queue: [], finish: [], gaps: [], isComplete: true, ...parts };
}
