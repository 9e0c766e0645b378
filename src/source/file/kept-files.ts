// The unread backups of one followed path that are kept beside their own names: each gets a second name, or shares its
// blocks with a copy, as soon as it is seen; which ones are copied byte by byte is decided by `retention.ts`.
//
// Invariant: what is kept of a backup is deleted only when a position is durable that says that it was read to its
// end, or when it is let go with a gap.
import { basename, join } from 'node:path';
import { systemCode } from '../../errors.js';
import type { ComponentContext } from '../../pipeline/component.js';
import type { FinishedBackup, PathPosition } from '../../position/position.js';
import { lstatIfThere } from '../../position/durable-file.js';
import { backupStem } from './backup-name.js';
import { statIfExists } from './discover.js';
import type { FollowedFile } from './followed-file.js';
import { RareLog } from './rare-log.js';
import { pathOf, RetainDirectory } from './retain-directory.js';
import type { RetainedFile } from './retain-directory.js';

// Descriptors, in case that there are many and each is tiny.
const MAX_UNDELIVERED = 64;

/** What is known of an unread backup beyond the file itself. */
export interface Sighting {
  /** When it was first seen as a backup, by `performance.now()` and by the clock. */
  seenAtMs: number;
  seenAt: number;
  /** It can't be linked and not be copied by sharing blocks. */
  needsCopy: boolean;
  /** How far it was given out, and since when it stands there. */
  offset: number;
  stillSinceMs: number;
  /** Since when nobody but us keeps its bytes on disk. */
  aloneSinceMs: number | undefined;
}

/** What an unread backup takes of the disk beyond its own name. */
export interface Costs {
  costs: { dev: number; bytes: number }[];
  hasOriginal: boolean;
}

/** See above. Nothing here throws a fault of the disk: a backup that can't be kept is still followed. */
export class KeptFiles {
  readonly directory: RetainDirectory;
  readonly #context: ComponentContext;
  readonly #path: string;
  readonly #isKeeping: boolean;
  readonly #log: RareLog;
  readonly #sightings = new WeakMap<FollowedFile, Sighting>();
  /** Read to their end; what is kept of them is needed until that is durable. */
  #finished: { file: FollowedFile; entry: FinishedBackup }[] = [];
  #removing: Promise<void> = Promise.resolve();

  /** `isKeeping`: new backups are kept; without it only what is there from an earlier run is looked after. */
  constructor(context: ComponentContext, root: string, path: string, isKeeping: boolean) {
    this.directory = new RetainDirectory(context.fs, root, path);
    this.#context = context;
    this.#path = path;
    this.#isKeeping = isKeeping;
    this.#log = new RareLog(context.log);
  }

  /** What is known of a backup; from the first call on. */
  sightingOf(file: FollowedFile): Sighting {
    let sighting = this.#sightings.get(file);
    if (!sighting) {
      const seenAtMs = performance.now();
      const { offset } = file;
      sighting = {
        ...{ seenAtMs, seenAt: this.#context.clock.now(), needsCopy: false, aloneSinceMs: undefined },
        ...{ offset, stillSinceMs: seenAtMs },
      };
      this.#sightings.set(file, sighting);
    }
    return sighting;
  }

  /** The name that a backup is kept under: its own, or for one that never had any the one that it would have had. */
  stemOf(file: FollowedFile): string {
    return file.stem ?? backupStem(basename(this.#path), this.sightingOf(file).seenAt);
  }

  /** Gives each of these unread backups another name, where it has none yet and that is possible without copying. */
  async keep(files: readonly FollowedFile[]): Promise<void> {
    let hasNew = false;
    for (const file of files) {
      const sighting = this.sightingOf(file);
      if (!this.#isKeeping || file.retained || sighting.needsCopy) continue;
      try {
        const retained = await this.#keepOne(file);
        if (retained) {
          this.#take(file, retained);
          hasNew = true;
        } else {
          sighting.needsCopy = true;
        }
      } catch (error) {
        this.tellFault(error);
      }
    }
    if (hasNew) await this.directory.sync().catch(this.tellFault);
  }

  /** What would be freed if a backup were let go, and whether its content also exists under its own name. */
  async costsOf(file: FollowedFile, others: readonly FollowedFile[]): Promise<Costs> {
    if (file.isHeld) await file.updateSize();
    const { fs } = this.#context;
    const kept = file.retained && (await lstatIfThere(fs, pathOf(file.retained)));
    if (!kept) file.retained = file.isRetainedOnly ? file.retained : undefined;
    const costs: { dev: number; bytes: number }[] = [];
    if (file.isHeld && file.nlink === 0) costs.push({ dev: file.dev, bytes: file.size });
    if (kept?.nlink === 1) costs.push({ dev: kept.dev, bytes: kept.size });
    if (costs.length === 0) return { costs, hasOriginal: true };

    const isLinked = kept !== undefined && file.is(kept);
    if (file.isHeld && !file.isRetainedOnly && file.nlink - (isLinked ? 1 : 0) > 0)
      return { costs, hasOriginal: true };
    // Not the other one of two that had this name.
    if (file.stem === null || others.some((other) => other !== file && other.stem === file.stem))
      return { costs, hasOriginal: false };
    // What is held and has no name any more is not the plain file that may be there.
    const names = file.isHeld ? [`${file.stem}.gz`] : [file.stem, `${file.stem}.gz`];
    const found = names.map((name) => statIfExists(fs, join(file.directory, name)));
    return { costs, hasOriginal: (await Promise.all(found)).some((stat) => stat !== undefined) };
  }

  /** Drops what is kept twice: a copy that the backup has outgrown, because somebody still wrote to it, or its descriptor. */
  async tidy(file: FollowedFile): Promise<void> {
    const { retained } = file;
    if (!retained || !file.isHeld || file.isRetainedOnly) return;
    await file.updateSize();
    const kept = await lstatIfThere(this.#context.fs, pathOf(retained));
    if (!kept || file.is(kept)) return;
    // What is kept compressed was compared when it was linked.
    if (retained.name.endsWith('.gz') || kept.size >= file.size) return file.releaseUnnamed();
    this.remove(retained);
    file.retained = undefined;
    this.sightingOf(file).needsCopy = false;
  }

  /** It was read to its end: what is kept of it goes once a position is durable that says so. */
  async finish(file: FollowedFile, entry: FinishedBackup): Promise<void> {
    // One that would have to be copied stays open, should delivering it take long.
    const mayBeCopied = this.#isKeeping && file.isHeld && this.undelivered.length < MAX_UNDELIVERED;
    if (file.retained || mayBeCopied) this.#finished.push({ file, entry });
    if (file.retained || !mayBeCopied) await file.release();
  }

  /** Those that were read to their end, and are still held because that is not durable. */
  get undelivered(): FollowedFile[] {
    return this.#finished.flatMap(({ file }) => (file.isHeld ? file : []));
  }

  /** A copy of one of these backups, or of one that is not durably delivered, is whole. False where it isn't needed. */
  async takeCopy(
    file: FollowedFile,
    retained: RetainedFile,
    unread: readonly FollowedFile[],
  ): Promise<boolean> {
    const isUndelivered = this.undelivered.includes(file);
    if (!isUndelivered && !unread.includes(file)) return false;
    this.#take(file, retained);
    if (isUndelivered) await file.release();
    else await file.releaseUnnamed();
    return true;
  }

  /** This position of the path is durable. */
  committed(position: PathPosition): void {
    if (this.#finished.length === 0) return;
    const isDurable = (entry: FinishedBackup): boolean =>
      (position.finishedThrough !== null && entry.stem <= position.finishedThrough) ||
      position.finished.some(({ stem, head }) => stem === entry.stem && head.hash === entry.head.hash);
    const durable = this.#finished.filter(({ entry }) => isDurable(entry));
    this.#finished = this.#finished.filter(({ entry }) => !isDurable(entry));
    for (const { file } of durable) {
      if (file.retained) this.remove(file.retained);
      this.#removing = this.#removing.then(() => file.release());
    }
  }

  /** Deletes in the background. What can't be deleted now is deleted at the next start. */
  remove(retained: RetainedFile): void {
    this.#removing = this.#removing.then(() => this.directory.remove(retained)).catch(this.tellFault);
  }

  /** Resolves when nothing is being deleted, and closes what is still open. May be called twice. */
  async close(): Promise<void> {
    await this.#removing;
    for (const { file } of this.#finished) await file.release();
  }

  /** Logs it, now and then: following goes on without. */
  readonly tellFault = (error: unknown): void => {
    const { component } = this.#context;
    const code = systemCode(error);
    if (code === undefined) throw error;
    this.#log.error(
      code,
      { code: 'RETAIN_FAILED', component, path: this.#path, err: error },
      `an unread backup of ${this.#path} can't be kept in ${this.directory.directory} for now: ${String(error)}`,
    );
  };

  #take(file: FollowedFile, retained: RetainedFile): void {
    const { stem } = retained;
    // From now on it has a name to be remembered by.
    if (file.stem === null) file.seenAs({ name: stem, stem });
    file.retained = retained;
  }

  async #keepOne(file: FollowedFile): Promise<RetainedFile | undefined> {
    const wasHeld = file.isHeld;
    if (!(await file.hold())) return undefined;
    try {
      await file.updateSize();
      const stem = this.stemOf(file);
      const linked = file.nlink > 0 && file.stem !== null ? await this.directory.link(file, stem) : undefined;
      return (
        linked ??
        (file.stem !== null || file.nlink === 0 ? await this.directory.reflink(file, stem) : undefined) ??
        (file.nlink === 0 ? await this.#keepCompressed(file, stem) : undefined)
      );
    } finally {
      if (!wasHeld) await file.release();
    }
  }

  /** A backup that was compressed before it was seen has no name left, but the same content has one. */
  async #keepCompressed(file: FollowedFile, stem: string): Promise<RetainedFile | undefined> {
    const compressed = file.compressed();
    if (!compressed) return undefined;
    try {
      if (!(await compressed.hold()) || !(await compressed.hasContentOf(file))) return undefined;
      return await this.directory.link(compressed, stem);
    } finally {
      await compressed.release();
    }
  }
}
