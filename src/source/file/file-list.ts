// The files of one followed path in the order in which they were written: unread backups, then the live file.
//
// A backup that was not known was rotated after everything in the list, so new ones go to the end. That holds because
// the live file is opened *before* the directory is listed: a file that is rotated in between is recognised in the
// listing by its inode, which can't be reused while it is held. Each file is held open from the moment it is seen, so
// that compression and pruning take nothing away.
import { basename, dirname, join } from 'node:path';
import { systemCode } from '../../errors.js';
import type { ComponentContext } from '../../pipeline/component.js';
import type { PathPosition, UnreadBackup } from '../../position/position.js';
import { listBackups, statIfExists, targetOf } from './discover.js';
import type { ListedBackup } from './discover.js';
import { FinishedBackups } from './finished.js';
import { FollowedFile } from './followed-file.js';
import type { FollowedFileOptions } from './followed-file.js';
import type { GapList } from './gap-list.js';
import type { KeptFiles } from './kept-files.js';
import { findStart } from './start.js';

// Descriptors are bounded, and a process often may have 1,024. The oldest unread backups are the ones held, because
// pruning takes the oldest first; kube-apiserver keeps 100 by default.
const MAX_HELD = 256;
// While rotations come faster than the directory can be listed, the next call goes on.
const MAX_LOOKS = 5;
const MAX_UNREAD = 256;
const RELIST_MS = 1_000;

/** What is followed. */
export interface FileListOptions {
  path: string;
  maxLineBytes: number;
}

/** See above. Its methods must not run at the same time; a call that threw can be made again. */
export class FileList {
  readonly #context: ComponentContext;
  #fileOptions: FollowedFileOptions;
  readonly #gaps: GapList;
  readonly #kept: KeptFiles;
  readonly #finished: FinishedBackups;
  #files: FollowedFile[] = [];
  /** Names of finished backups, and the file that each led to when its content was checked. */
  readonly #checked = new Map<string, string>();
  #listedAtMs = -Infinity;
  #missingSinceMs: number | undefined;

  constructor(
    options: FileListOptions,
    stored: PathPosition | undefined,
    gaps: GapList,
    kept: KeptFiles,
    context: ComponentContext,
  ) {
    const { path, maxLineBytes } = options;
    this.#context = context;
    this.#fileOptions = { fs: context.fs, ...placeOf(path), path, maxLineBytes };
    this.#gaps = gaps;
    this.#kept = kept;
    this.#finished = new FinishedBackups(stored?.finished, stored?.finishedThrough);
  }

  /** The file to be read now. */
  get first(): FollowedFile | undefined {
    return this.#files[0];
  }
  /** The file at the path, as last seen; also while it is missing there and nothing took its place. */
  get live(): FollowedFile | undefined {
    const last = this.#files.at(-1);
    return last?.isLive ? last : undefined;
  }
  /** The unread ones before the live file, oldest first. */
  get backups(): FollowedFile[] {
    return this.#files.filter((file) => !file.isLive);
  }
  /** What is to be known of them after a restart. */
  get unread(): UnreadBackup[] {
    const named = this.backups.slice(0, MAX_UNREAD);
    return named.flatMap(({ stem, size }) => (stem === null ? [] : { stem, bytes: size }));
  }
  /** What was read to its end. */
  get finished(): FinishedBackups {
    return this.#finished;
  }
  /** Since when nothing is at the path, by `performance.now()`; undefined while something is. */
  get missingSinceMs(): number | undefined {
    return this.#missingSinceMs;
  }
  /** Bytes on disk that were not given out yet, as last seen. */
  get remainingBytes(): number {
    return this.#files.reduce((sum, file) => sum + file.remainingBytes, 0);
  }

  /** Whether there is a live file, a backup, or anything that is retained. */
  async isAnythingThere(): Promise<boolean> {
    const { fs } = this.#context;
    await this.#locate();
    const { path, directory, liveName } = this.#fileOptions;
    if (await statIfExists(fs, path)) return true;
    return (
      (await listBackups(fs, join(directory, liveName))).length > 0 ||
      (await this.#kept.directory.list()).length > 0
    );
  }

  /** Finds the files and the place to begin at. Throws, and holds nothing, where that is not possible
   * for now. Resolves to whether it is certain that nothing is missing. */
  async begin(stored: PathPosition | undefined, readFrom: 'beginning' | 'end'): Promise<boolean> {
    await this.#locate();
    const options = { ...this.#fileOptions, readFrom, maxHeld: MAX_HELD, retained: this.#kept.directory };
    const { files, finish, gone, plan } = await findStart(options, stored, this.#finished);
    this.#files = files;
    for (const { file, entry } of finish) {
      this.#finished.add(entry, this.#oldestUnread);
      await this.#kept.finish(file, entry);
    }
    for (const gap of plan.gaps) this.#gaps.add(gap);
    const gapsBefore = this.#gaps.count;
    for (const file of gone)
      if (!plan.gaps.some((gap) => gap.file === file.stem)) this.#addPrunedUnlessKnown(file);
    const isComplete = plan.isComplete && this.#gaps.count === gapsBefore;
    await this.#kept.keep(this.backups);
    if (!this.live) this.#missingSinceMs = performance.now();
    const { component, log } = this.#context;
    const { path } = this.#fileOptions;
    log.info(
      { component, path, file: this.first?.name, offset: this.first?.offset, files: files.length },
      `reading ${path}: ${plan.why}`,
    );
    return isComplete;
  }

  /** Looks whether there are new files, and how large the live one is. */
  async look(): Promise<void> {
    for (let i = 0; i < MAX_LOOKS; i++) {
      const { live } = this;
      const seen = await statIfExists(this.#context.fs, this.#fileOptions.path);
      const nowMs = performance.now();
      if (seen) {
        this.#missingSinceMs = undefined;
        if (live?.is(seen)) {
          live.size = seen.size;
          live.nlink = seen.nlink;
          return;
        }
      } else {
        await live?.updateSize().catch(unlessStale);
        this.#missingSinceMs ??= nowMs;
        // For the new name of a file that was renamed, and for backups of a path that was never seen.
        if (nowMs - this.#listedAtMs < RELIST_MS) return;
      }
      this.#listedAtMs = nowMs;
      if (!(await this.#takeNewFiles(live))) return;
    }
  }

  /** Another file is at the path than the last of the list, or none. True where it was rotated away meanwhile. */
  async #takeNewFiles(previous: FollowedFile | undefined): Promise<boolean> {
    const opened: FollowedFile[] = [];
    try {
      await this.#locate();
      const { directory, liveName } = this.#fileOptions;
      const live = new FollowedFile(this.#fileOptions, liveName, null);
      const hasLive = await live.hold();
      opened.push(live);
      if (hasLive && previous?.is(live)) return false;
      const listed = await listBackups(this.#context.fs, join(directory, liveName));
      const isGone = hasLive && !(await live.isAtPath());
      const held = this.#files.filter((file) => file.isHeld).concat(hasLive ? [live] : []);
      const heldByIdentity = new Map(held.map((file) => [identity(file), file]));
      const unheldByStem = new Map(
        this.#files.filter((file) => !file.isHeld).map((file) => [file.stem, file]),
      );
      const fresh: FollowedFile[] = [];
      const names = new Map<FollowedFile, ListedBackup>();
      for (const backup of listed) {
        let known = heldByIdentity.get(identity(backup.stat)) ?? unheldByStem.get(backup.stem);
        if (!known) {
          if (this.#isFinished(backup)) continue;
          const file = new FollowedFile(this.#fileOptions, backup.name, backup.stem);
          if (!(await file.hold())) {
            this.#addPrunedUnlessKnown(file);
            continue;
          }
          opened.push(file);
          if (this.#finished.has(backup.stem, await file.sample())) {
            this.#checked.set(backup.name, identity(backup.stat));
            continue;
          }
          const others = held.filter((other) => !names.has(other) && (other !== live || isGone));
          known = await findSame(file, others);
          if (!known) fresh.push(file);
        }
        if (known) names.set(known, backup);
        if (known === live) fresh.push(live);
      }
      for (const name of this.#checked.keys())
        if (!listed.some((backup) => backup.name === name)) this.#checked.delete(name);

      for (const [file, backup] of names) file.seenAs(backup);
      const isRotatedAway = names.has(live);
      live.isLive = hasLive && !isRotatedAway;
      if (previous && (hasLive || fresh.length > 0)) {
        previous.isLive = false;
        this.#context.metrics.rotations++;
      }
      this.#context.metrics.rotations += fresh.length;
      this.#files.push(...fresh, ...(live.isLive ? [live] : []));
      await this.#kept.keep(this.backups);
      await this.#boundHeld();
      return isRotatedAway;
    } finally {
      for (const file of opened) if (!this.#files.includes(file)) await file.release();
    }
  }

  /** Files that are known already stay where they were found. */
  async #locate(): Promise<void> {
    const target = await targetOf(this.#context.fs, this.#fileOptions.path);
    this.#fileOptions = { ...this.#fileOptions, ...placeOf(target) };
  }

  #isFinished(backup: ListedBackup): boolean {
    return this.#finished.isThrough(backup.stem) || this.#checked.get(backup.name) === identity(backup.stat);
  }

  /** Makes sure that the first file is held. False where it is gone: then it is no longer in the list. */
  async holdFirst(): Promise<boolean> {
    const file = this.first;
    if (!file) return false;
    if (await file.hold()) return true;
    this.#addPruned(file);
    this.#files.shift();
    return false;
  }

  /** The first file was read to its end: the next one is first now. */
  async finishFirst(): Promise<void> {
    const file = this.#files.shift();
    if (!file) return;
    const { damage, stem, ino } = file;
    if (damage !== undefined)
      this.#gaps.add({
        reason: 'damaged',
        file: file.name,
        offset: file.readOffset,
        detail: `the file can't be inflated any further: ${damage}`,
      });
    if (stem !== null) {
      const entry = { stem, ino, head: file.head() };
      this.#finished.add(entry, this.#oldestUnread);
      await this.#kept.finish(file, entry);
    } else {
      await file.release();
    }
    await this.#holdNext();
  }

  /** Gives a backup up, or, where it has its own name, only what is kept or held besides. */
  async letGo(file: FollowedFile, hasOriginal: boolean): Promise<void> {
    const at = this.#files.indexOf(file);
    if (at < 0) return;
    const { retained } = file;
    if (hasOriginal) {
      await file.releaseUnnamed();
    } else {
      const detail = 'it was pruned before it was read, and what is held and retained had become too much';
      const { name, offset, remainingBytes } = file;
      this.#gaps.add({ reason: 'released', file: file.stem ?? name, offset, bytes: remainingBytes, detail });
      this.#files.splice(at, 1);
      await file.release();
      await this.#holdNext();
    }
    if (retained) this.#kept.remove(retained);
    file.retained = undefined;
  }

  /** The first file can't be read any more: its rest is a gap, unless another file holds what was read of it. */
  async loseFirst(): Promise<void> {
    const file = this.#files.shift();
    if (!file) return;
    const position = file.position();
    await file.release();
    for (const other of this.#files)
      if (position.offset > 0 && other.readOffset === 0 && (await other.hold()))
        if ((await other.compareWith(position)) === 'same') return;
    const detail = 'the file system no longer has the file that was open (ESTALE)';
    this.#gaps.add({ reason: 'pruned', file: file.name, offset: file.offset, detail });
  }

  async #holdNext(): Promise<void> {
    const next = this.#files[MAX_HELD - 1];
    if (next && !next.isLive) await next.hold();
  }

  /** Releases all files. May be called twice. */
  async close(): Promise<void> {
    for (const file of this.#files) await file.release();
  }

  async #boundHeld(): Promise<void> {
    for (const file of this.#files.slice(MAX_HELD))
      if (file.isHeld && file.stem !== null) await file.release();
  }

  #addPruned(file: FollowedFile): void {
    const detail = 'the file was deleted before it could be opened';
    const bytes = file.size > 0 ? { bytes: file.size } : {};
    this.#gaps.add({ reason: 'pruned', file: file.stem ?? file.name, offset: 0, ...bytes, detail });
  }

  /** For a file that was listed and then was gone. */
  #addPrunedUnlessKnown(file: FollowedFile): void {
    const isHeld = this.#files.some((other) => other.stem === file.stem);
    if (file.stem !== null && !isHeld && !this.#finished.has(file.stem, undefined)) this.#addPruned(file);
  }

  get #oldestUnread(): string | undefined {
    let oldest: string | undefined;
    for (const { stem } of this.#files)
      if (stem !== null && (oldest === undefined || stem < oldest)) oldest = stem;
    return oldest;
  }
}

/** The held file that `file` is a compressed, or otherwise copied, form of. */
async function findSame(
  file: FollowedFile,
  held: readonly FollowedFile[],
): Promise<FollowedFile | undefined> {
  const sample = await file.sample();
  for (const other of held) {
    // Where there is nothing to compare, the name has to do.
    if (other.stem === file.stem && !sample) return other;
    if (
      (other.stem === file.stem || other.stem === null) &&
      (await file.hasContentOf(other).catch(unlessStale))
    )
      return other;
  }
  return undefined;
}

function placeOf(target: string): Pick<FollowedFileOptions, 'directory' | 'liveName'> {
  return { directory: dirname(target), liveName: basename(target) };
}

function identity(file: { dev: number; ino: number }): string {
  return `${String(file.dev)}:${String(file.ino)}`;
}

/** What a network file system no longer has has no content and no size; reading it tells. */
function unlessStale(error: unknown): undefined {
  if (systemCode(error) !== 'ESTALE') throw error;
}
