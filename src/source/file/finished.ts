// Which backups were read to their end. A backup is known by its stem *and* its content: a stem survives
// compression and a changed inode, and the content tells two files apart that had the same name (two rotations
// within a millisecond) or a name from before (a clock set back). Pure.
//
// The list is bounded. Beyond `MAX_FINISHED` the oldest are only remembered by `through`: every stem up to that one
// is finished, whatever it holds. Names that vanish from disk stay in the list as long as there is room, so a clock
// must be set back by more than `MAX_FINISHED` rotations before an unread backup could be taken for a finished one.
// A modification time could not tell the two apart: it comes from the same clock.
import { isWholeHead } from '../../position/fingerprint.js';
import type { FinishedBackup } from '../../position/position.js';

/** How many finished backups are remembered one by one; kube-apiserver keeps 100 by default. */
export const MAX_FINISHED = 256;

/** The finished backups of one path. */
export class FinishedBackups {
  /** By stem, oldest first; a stem can occur twice. */
  #entries: FinishedBackup[];
  #through: string | null;

  constructor(entries: readonly FinishedBackup[] = [], through: string | null = null) {
    this.#entries = [...entries].sort(byStem);
    this.#through = through;
  }

  /** All stems up to and including this one are finished. */
  get through(): string | null {
    return this.#through;
  }
  /** Those remembered one by one, oldest first. */
  get entries(): readonly FinishedBackup[] {
    return this.#entries;
  }

  /** Whether the stem alone says that it is finished. */
  isThrough(stem: string): boolean {
    return this.#through !== null && stem <= this.#through;
  }

  /**
   * Whether a backup with this stem and these first bytes (`FINGERPRINT_BYTES`, or all there are) is finished.
   * `sample` is undefined where nothing can be read of it: then the stem has to do.
   */
  has(stem: string, sample: Buffer | undefined): boolean {
    if (this.isThrough(stem)) return true;
    return this.#entries.some((e) => e.stem === stem && (!sample || isWholeHead(sample, e.head)));
  }

  /** Adds one. `oldestUnread` is the lowest stem of those still to be read: `through` never reaches it. */
  add(entry: FinishedBackup, oldestUnread: string | undefined): void {
    if (this.isThrough(entry.stem)) return;
    const same = this.#entries.findIndex((e) => e.stem === entry.stem && e.head.hash === entry.head.hash);
    if (same >= 0) this.#entries[same] = entry;
    else this.#entries = [...this.#entries, entry].sort(byStem);
    while (this.#entries.length > MAX_FINISHED) {
      const oldest = this.#entries[0];
      if (!oldest || (oldestUnread !== undefined && oldest.stem >= oldestUnread)) return;
      this.#entries = this.#entries.slice(1);
      this.#through = oldest.stem;
    }
  }
}

function byStem(a: FinishedBackup, b: FinishedBackup): number {
  return a.stem < b.stem ? -1 : a.stem > b.stem ? 1 : 0;
}
