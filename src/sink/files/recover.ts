// What to do with each segment of the record after a stop of any kind: a pure decision over the record and what lies
// on the disk. It rests on two facts: the record named a file before anything was done to it, and a receipt is saved
// only when its bytes are durable. So what stands behind a receipt was written after the last commit and will be read
// again, and what has no receipt was never committed. Files that the record does not name are never looked at.
//
// `restore.ts` carries the decisions out.
import type { SegmentRecord } from '../../position/position.js';

/** What lies under one name: undefined where nothing does. */
export interface FoundFile {
  ino: number;
  size: number;
}

export interface SegmentFacts {
  /** Under `path`. */
  at: FoundFile | undefined;
  /** Under `from`. */
  old: FoundFile | undefined;
  /** Under `path` with `.gz`. */
  isCompressed: boolean;
}

export interface RecoveryFacts {
  /** What was written after the last commit will be read again; else it is all there is and is kept. */
  isReread: boolean;
  /** The last run drained, so nothing of ours stands behind a receipt. */
  isClean: boolean;
}

export type Verdict =
  /** Complete the rename first if asked; cut to `length`; then it goes on as it was, open or closed. */
  | { kind: 'keep'; isRename: boolean; length: number }
  /** The same, but the length is the end of the last whole line or gzip member, and it is closed: nothing is read again. */
  | { kind: 'seal'; isRename: boolean }
  /** Never committed: the file goes, if there is one. */
  | { kind: 'remove'; path: string | undefined }
  /** Its work was done, or somebody took the closed file away: only the entry goes. */
  | { kind: 'forget' }
  /** Somebody else changed it: it is left as it is, loudly, and the entry goes. */
  | { kind: 'touched'; detail: string };

export function recoverSegment(record: SegmentRecord, facts: SegmentFacts, recovery: RecoveryFacts): Verdict {
  const isOurs = (file: FoundFile | undefined): boolean =>
    file !== undefined && (record.ino === 0 || file.ino === record.ino);
  // The rename was announced and did not happen. Where `ino` is unknown, a file under the old name could also be the
  // next segment's: then that was never committed either, and both go.
  const isRename = record.from !== undefined && facts.at === undefined && isOurs(facts.old);
  const file = isRename ? facts.old : facts.at;

  if (record.length === 0) {
    if (file && !recovery.isReread) return { kind: 'seal', isRename };
    return { kind: 'remove', path: file && (isRename ? record.from : record.path) };
  }
  if (!file) {
    if (record.closed || facts.isCompressed) return { kind: 'forget' };
    return { kind: 'touched', detail: 'it was taken away' };
  }
  if (file.ino !== record.ino) return { kind: 'touched', detail: 'another file is in its place' };
  if (file.size < record.length)
    return { kind: 'touched', detail: 'it became shorter than what was committed' };
  if (file.size > record.length) {
    if (record.closed || recovery.isClean) {
      return { kind: 'touched', detail: 'something was appended to it' };
    }
    if (!recovery.isReread) return { kind: 'seal', isRename };
  }
  return { kind: 'keep', isRename, length: record.length };
}
