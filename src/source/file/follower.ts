// Reads one followed path: file after file of its list, each to its end. Which files there are, and in which order, is
// up to `file-list.ts`; what a line is, to `codec/lines.ts`.
//
// A file is finished when it was read to its end *after* it was seen that another one took its place, so nothing that
// the writer added in between is missed. An unfinished last line waits in the live file and is given out as it is at
// the end of a rotated one. A writer that goes on in a file for a moment after another took its place gets that moment.
import type { Piece } from '../../codec/lines.js';
import { relieveDescriptors } from '../../descriptor-relief.js';
import { systemCode } from '../../errors.js';
import type { Chunk } from '../../event/batch.js';
import type { ComponentContext } from '../../pipeline/component.js';
import type { PathPosition } from '../../position/position.js';
import { isWrittenAfterRename } from './backup-name.js';
import { FileList } from './file-list.js';
import type { FollowedFile } from './followed-file.js';
import { GapList } from './gap-list.js';
import { isMountPoint } from './mounts.js';
import { KeptFiles } from './kept-files.js';
import { MISSING_ALARM_MS, PathLog } from './path-log.js';

/** How long the end of a file is watched that may still be written to: the runtime takes milliseconds to let go of it. */
const LATE_WRITE_MS = 1_000;

/** How one path is followed. */
export interface FollowerOptions {
  path: string;
  maxLineBytes: number;
  /** How often it is looked for rotations while there is plenty to read. */
  pollIntervalMs: number;
  /** Where to begin where nothing is stored. */
  readFrom: 'beginning' | 'end';
  /** What exists at the start is all that is read. */
  isOnce: boolean;
  /** Where unread backups are kept, and whether new ones are. */
  retainDirectory: string;
  isKeeping: boolean;
}

/** One followed path. All methods may be called at any time; they take turns. */
export class Follower {
  readonly #options: FollowerOptions;
  readonly #context: ComponentContext;
  readonly #stored: PathPosition | undefined;
  readonly #log: PathLog;
  readonly #gaps: GapList;
  readonly #files: FileList;
  /** What is kept of unread backups. */
  readonly kept: KeptFiles;
  #hasBegun = false;
  #isComplete = false;
  #isClosed = false;
  /** With `isOnce`: so much of the live file existed at the start. */
  #limit = Infinity;
  #lookedAtMs = -Infinity;
  /** The live file was at its end when last looked at. */
  #isIdle = false;
  /** Since when there was nothing more in a rotated file, while it is the first. */
  #endReachedMs: number | undefined;
  #turn: Promise<unknown> = Promise.resolve();

  constructor(options: FollowerOptions, stored: PathPosition | undefined, context: ComponentContext) {
    this.#options = options;
    this.#context = context;
    this.#stored = stored;
    this.#log = new PathLog(options.path, context);
    this.#gaps = new GapList(options.path, stored, context);
    this.kept = new KeptFiles(context, options.retainDirectory, options.path, options.isKeeping);
    this.#files = new FileList(options, stored, this.#gaps, this.kept, context);
  }

  get path(): string {
    return this.#options.path;
  }

  /**
   * Finds its place. Where that fails for now, `next` tries again; it never begins anywhere else instead. Resolves to
   * whether it is certain that nothing is missing behind the stored place.
   */
  async open(): Promise<boolean> {
    await this.#exclusively(() => this.#begin());
    return this.#hasBegun ? this.#isComplete : this.#stored === undefined;
  }

  /** Its place was found. */
  get hasBegun(): boolean {
    return this.#hasBegun;
  }

  /** The next stretch of this path, or undefined while there is none. */
  next(): Promise<Chunk | undefined> {
    return this.#exclusively(() => this.#next());
  }

  /** Holds what is new on disk, for the time in which nobody calls `next`. At most once in a poll interval. */
  async look(): Promise<void> {
    if (this.#isDueToLook())
      await this.#exclusively(async () => {
        if (this.#hasBegun && !this.#isClosed && this.#isDueToLook()) await this.#look();
      });
  }

  /** The place after the last chunk that `next` returned; undefined while none was found and none is stored. */
  position(): PathPosition | undefined {
    if (!this.#hasBegun) return this.#stored;
    const { first, finished, unread } = this.#files;
    return {
      path: this.path,
      current: first?.position() ?? null,
      finishedThrough: finished.through,
      finished: [...finished.entries],
      ...(unread.length > 0 && { unread }),
      ...this.#gaps.snapshot(),
    };
  }

  /** With `isOnce`: everything that existed at the start was returned. */
  isFinished(): boolean {
    const { first } = this.#files;
    return this.#options.isOnce && this.#hasBegun && (!first || this.#isAtLimit(first));
  }

  /** Bytes on disk that were not returned yet, as last seen. */
  remainingBytes(): number {
    return this.#files.remainingBytes;
  }

  /** Whether nothing is at the path, other than for the moment that a rotation takes. */
  get isMissing(): boolean {
    const { live, missingSinceMs } = this.#files;
    if (!this.#hasBegun) return this.#log.hasToldMissing;
    if (missingSinceMs === undefined) return live?.nlink === 0;
    return !live || performance.now() - missingSinceMs >= MISSING_ALARM_MS;
  }

  /** Runs something that looks at the files or changes them, in its turn; not before a place was found. */
  withFiles<T>(run: (files: FileList) => Promise<T>): Promise<T | undefined> {
    return this.#exclusively(async () =>
      this.#hasBegun && !this.#isClosed ? await run(this.#files) : undefined,
    );
  }

  /** The backups that are not durably delivered, as far as they may have to be copied. */
  get undelivered(): FollowedFile[] {
    return [...this.kept.undelivered, ...this.#files.backups];
  }

  /** Closes all files once a `next` that is under way is through. May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#exclusively(() => this.#files.close());
    await this.kept.close();
  }

  /**
   * `next` and `look` take turns, since both change the list. A fault of the file system never stops the collector: it
   * is told, and the next call tries again where this one stood.
   */
  #exclusively<T>(run: () => Promise<T>): Promise<T | undefined> {
    const result = this.#turn.then(run).catch(async (error: unknown) => {
      const code = systemCode(error);
      if (code === undefined || code.startsWith('ERR_')) throw error;
      this.#log.fault(code, error);
      await relieveDescriptors(error);
      return undefined;
    });
    this.#turn = result.catch(() => undefined);
    return result;
  }

  async #begin(): Promise<void> {
    if (this.#isClosed || this.#hasBegun) return;
    const { isOnce, readFrom } = this.#options;
    // A disk that is not mounted yet, most likely; to begin without it would double what was read of it.
    const wasRead = (this.#stored?.current?.offset ?? 0) > 0;
    if (wasRead && !isOnce && !(await this.#files.isAnythingThere())) {
      this.#log.waiting();
      return;
    }
    this.#isComplete = await this.#files.begin(this.#stored, readFrom);
    this.#hasBegun = true;
    this.#log.begun();
    if (this.#options.isOnce) this.#limit = this.#files.live?.size ?? 0;
    if (await isMountPoint(this.#context.fs, this.path)) this.#log.mount();
    this.#log.seen(this.#files);
  }

  async #look(): Promise<void> {
    this.#lookedAtMs = performance.now();
    await this.#files.look();
    this.#log.seen(this.#files);
  }

  async #next(): Promise<Chunk | undefined> {
    await this.#begin();
    if (!this.#hasBegun) return undefined;
    let canLook = !this.#options.isOnce;
    const lookAgain = async (): Promise<void> => {
      if (canLook) await this.#look();
      canLook = false;
    };
    if (this.#isDueToLook()) await lookAgain();
    while (!this.#isClosed) {
      if (!this.#files.first) await lookAgain();
      const file = this.#files.first;
      if (!file) return undefined;
      if (!(await this.#files.holdFirst())) continue;
      const { isLive } = file;
      if (isLive) {
        if (this.#isAtLimit(file)) return undefined;
        if (file.size <= file.readOffset) await lookAgain();
        if (!file.isLive) continue;
        if (file.size === file.readOffset) {
          this.#isIdle = true;
          return undefined;
        }
        if (await this.#isRewritten(file)) {
          const rest = this.#startOver(file);
          if (rest) return rest;
          continue;
        }
      }
      const { bytes, piece } = await this.#read(file);
      if (bytes > 0) this.#endReachedMs = undefined;
      if (piece) return this.#chunk(file, piece);
      if (bytes > 0 || file !== this.#files.first) continue;
      if (isLive) {
        // It may have shrunk since it was looked at.
        await file.updateSize();
        if (file.size >= file.readOffset) {
          if (this.#options.isOnce) this.#limit = file.readOffset;
          return undefined;
        }
        continue;
      }
      if (this.#mayGrow(file)) return undefined;
      const rest = file.takeRest();
      if (rest) return this.#chunk(file, rest);
      await this.#files.finishFirst();
      this.#endReachedMs = undefined;
    }
    return undefined;
  }

  #isDueToLook(): boolean {
    const isDue = performance.now() - this.#lookedAtMs >= this.#options.pollIntervalMs;
    return isDue && !this.#options.isOnce;
  }

  #isAtLimit(file: FollowedFile): boolean {
    return file.isLive && file.readOffset >= this.#limit;
  }

  /** At the end of a rotated file: whether its writer may not be done with it. */
  #mayGrow(file: FollowedFile): boolean {
    if (file.stem === null || file.isGzip || !isWrittenAfterRename(file.stem)) return false;
    this.#endReachedMs ??= performance.now();
    return performance.now() - this.#endReachedMs < LATE_WRITE_MS;
  }

  /** Whether the live file was truncated, or truncated and filled again while nothing was read of it. */
  async #isRewritten(file: FollowedFile): Promise<boolean> {
    if (file.size < file.readOffset) return true;
    const wasIdle = this.#isIdle;
    this.#isIdle = false;
    return wasIdle && !(await file.isUnchanged());
  }

  /** Records the gap and begins at the new beginning; returns what was read of the last line before. */
  #startOver(file: FollowedFile): Chunk | undefined {
    const isShorter = file.size < file.readOffset;
    const rest = file.takeRest();
    const chunk = rest && this.#chunk(file, rest);
    this.#gaps.add({
      reason: isShorter ? 'truncated' : 'replaced',
      file: file.name,
      offset: file.offset,
      detail: isShorter
        ? `the file shrank to ${String(file.size)} bytes; use the rotation of kube-apiserver instead of truncating it`
        : 'the bytes before this offset are no longer what was read',
    });
    file.startOver();
    if (this.#options.isOnce) this.#limit = file.size;
    return chunk;
  }

  async #read(file: FollowedFile): Promise<{ bytes: number; piece: Piece | undefined }> {
    try {
      return await file.read();
    } catch (error) {
      // The fault that is told is the one of the read; the next call reads from the same offset either way.
      const isThere = await file.reopen().catch(() => undefined);
      if (systemCode(error) !== 'ESTALE' || isThere !== false) throw error;
      // A network file system no longer has it, and no waiting brings it back.
      await this.#files.loseFirst();
      return { bytes: 0, piece: undefined };
    }
  }

  #chunk(file: FollowedFile, piece: Piece): Chunk {
    this.#context.metrics.bytesRead += piece.bytes;
    const { data, offset, quarantined } = piece;
    const readAtMs = this.#context.clock.now();
    return { kind: 'chunk', data, path: this.path, file: file.name, offset, readAtMs, quarantined };
  }
}
