// The files of the spool, as lumberjack would leave them: `spool.jsonl`, which is written to, and `spool-<time>.jsonl`,
// which are full. Their times only rise, whatever the clock does, since the reader goes by them. Every step is durable
// before the next: no crash loses a name of a file that holds what was answered.
import { constants } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { syncDirectory, syncUpwards, unlinkIfThere, withFile } from '../../position/durable-file.js';
import { backupStem, parseBackupName } from '../file/backup-name.js';
import { readFrames } from './read-frames.js';
import { planRecovery } from './recover.js';
import type { SegmentPlan } from './recover.js';

const LIVE = 'spool.jsonl';
const { O_CREAT, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = constants;

/** The file that is written to, in a directory. */
export function livePath(directory: string): string {
  return join(directory, LIVE);
}

/** Whether a position speaks of a spool, of this pipeline or of one that had another name. */
export function isSpoolPath(path: string): boolean {
  return basename(path) === LIVE && dirname(path).endsWith('~spool');
}

/** One that is full. */
export interface FullSegment {
  stem: string;
  bytes: number;
}

/** The one that is written to. */
export interface LiveSegment {
  fd: number;
  ino: number;
  /** Everything before is durable. */
  length: number;
  /** It has its other name already, and nothing took its place yet: it is among the full ones. */
  isFull: boolean;
}

export class Segments {
  readonly #fs: FileSystem;
  readonly #directory: string;
  readonly #now: () => number;
  /** The newest time that is in use, or was. */
  #newestMs = 0;
  full: FullSegment[] = [];
  #live: LiveSegment | undefined;

  constructor(fs: FileSystem, directory: string, now: () => number) {
    this.#fs = fs;
    this.#directory = directory;
    this.#now = now;
  }

  get live(): LiveSegment {
    if (!this.#live) throw new Error('impossible: the spool is not open');
    return this.#live;
  }

  get bytes(): number {
    const live = this.#live && !this.#live.isFull ? this.#live.length : 0;
    return this.full.reduce((sum, { bytes }) => sum + bytes, live);
  }

  /**
   * Finds what is there and cuts off what is torn; makes all of it durable. May be called again after it threw. Resolves
   * to the batches that the segments hold, oldest first, and how much of the live one is damaged or was cut off.
   * `committedOf` says how far a file with this inode was delivered.
   */
  async open(
    committedOf: (ino: number) => number,
  ): Promise<{ batches: string[]; damagedBytes: number; cutBytes: number }> {
    const fs = this.#fs;
    await this.close();
    await fs.mkdir(this.#directory, 0o700).catch((error: unknown) => {
      if (systemCode(error) !== 'EEXIST') throw error;
    });
    await syncUpwards(fs, this.#directory);
    const stems = (await fs.readdir(this.#directory)).flatMap((name) => {
      const backup = parseBackupName(LIVE, name);
      return backup && !backup.isGzip ? [backup.stem] : [];
    });
    this.full = [];
    const batches: string[] = [];
    for (const stem of stems.sort()) {
      this.useTimesAfter(stem);
      await withFile(fs, join(this.#directory, stem), O_RDONLY, async (fd) => {
        const { size } = await fs.fstat(fd);
        const frames = await readFrames(fs, fd, size, false);
        this.full.push({ stem, bytes: size });
        batches.push(...planRecovery(frames, size).batches);
      });
    }
    const { plan, size } = await this.#openLive(committedOf);
    return {
      batches: batches.concat(plan.batches),
      damagedBytes: plan.damagedBytes,
      cutBytes: size - plan.length,
    };
  }

  /** Every later segment gets a later name than this. */
  useTimesAfter(stem: string): void {
    const match = /(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2}\.\d{3})/.exec(stem);
    if (!match) return;
    const [, date, hours, minutes, seconds] = match;
    const ms = Date.parse(`${date ?? ''}T${hours ?? ''}:${minutes ?? ''}:${seconds ?? ''}Z`);
    this.#newestMs = Math.max(this.#newestMs, ms || 0);
  }

  /** The live segment is full, and all of it durable: a new one takes its place. May be called again after it threw. */
  async rotate(): Promise<void> {
    const { live } = this;
    const fs = this.#fs;
    const path = livePath(this.#directory);
    const there = await fs.lstat(path).catch((error: unknown) => {
      if (systemCode(error) !== 'ENOENT') throw error;
      return undefined;
    });
    if (there?.ino === live.ino) {
      this.#newestMs = Math.max(this.#now(), this.#newestMs + 1);
      const stem = backupStem(LIVE, this.#newestMs);
      await fs.rename(path, join(this.#directory, stem));
      this.full.push({ stem, bytes: live.length });
      live.isFull = true;
    }
    // The name that became free is not used again before the file is durably elsewhere.
    await syncDirectory(fs, this.#directory);
    await unlinkIfThere(fs, path); // Of a try before, whose descriptor is lost; nothing is in it.
    const fd = await fs.open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
    try {
      const { ino } = await fs.fstat(fd);
      await syncDirectory(fs, this.#directory);
      this.#live = { fd, ino, length: 0, isFull: false };
    } catch (error) {
      await fs.close(fd);
      throw error;
    }
    await fs.close(live.fd);
  }

  /**
   * After a write or a sync that failed: takes back what is not durable, and opens the file anew, so that no later
   * sync can tell that all is well of what the kernel has given up. May be called again after it threw.
   */
  async restore(): Promise<void> {
    const { live } = this;
    const fs = this.#fs;
    const fd = await fs.open(livePath(this.#directory), O_RDWR | O_NOFOLLOW);
    try {
      if ((await fs.fstat(fd)).ino !== live.ino) throw new Error('another file is in the place of the spool');
      await fs.ftruncate(fd, live.length);
      await fs.fdatasync(fd);
    } catch (error) {
      await fs.close(fd);
      throw error;
    }
    const old = live.fd;
    live.fd = fd;
    await fs.close(old);
  }

  /** Deletes full segments; resolves when that is durable. */
  async remove(isWanted: (stem: string) => boolean): Promise<void> {
    for (const segment of this.full.filter(({ stem }) => isWanted(stem))) {
      await unlinkIfThere(this.#fs, join(this.#directory, segment.stem));
      this.full = this.full.filter((each) => each !== segment);
    }
    await syncDirectory(this.#fs, this.#directory);
  }

  /** May be called twice. */
  async close(): Promise<void> {
    const live = this.#live;
    this.#live = undefined;
    if (live) await this.#fs.close(live.fd);
  }

  async #openLive(committedOf: (ino: number) => number): Promise<{ plan: SegmentPlan; size: number }> {
    const fs = this.#fs;
    const fd = await fs.open(livePath(this.#directory), O_RDWR | O_CREAT | O_NOFOLLOW, 0o600);
    try {
      const { size, ino } = await fs.fstat(fd);
      const plan = planRecovery(await readFrames(fs, fd, size, true), Math.min(size, committedOf(ino)));
      if (plan.length < size) await fs.ftruncate(fd, plan.length);
      await fs.fdatasync(fd);
      await syncDirectory(fs, this.#directory);
      this.#live = { fd, ino, length: plan.length, isFull: false };
      return { plan, size };
    } catch (error) {
      await fs.close(fd);
      throw error;
    }
  }
}
