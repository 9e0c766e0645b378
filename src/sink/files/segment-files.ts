// The files of segments. One call of `write` is one cycle on disk, in the order that recovery rests on:
//
//   1. names for new and for closing segments;
//   2. the record of what is about to be created or renamed is saved (`SegmentStore.begin`);
//   3. renames, then creations, then writes.
//
// `commit` makes what was written durable and gives its receipts. Calls never overlap: `writer.ts` sees to that, and to
// what is in a cycle. A fault of the disk makes the step wait and try again (`retry`), except for a sync (`notDurable`).
// What is done with closed segments afterwards (compression, retention) is `finish.ts`.
import { constants } from 'node:fs';
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { writeAll } from '../../position/durable-file.js';
import type { Receipt, SegmentRecord } from '../../position/position.js';
import { retry } from '../../pipeline/backoff.js';
import type { RetryOptions } from '../../pipeline/backoff.js';
import type { SegmentStore } from '../../pipeline/component.js';
import { Descriptors, touched } from './descriptors.js';
import type { Directories } from './directories.js';
import type { Closed } from './finish.js';
import { Listings, nameSegment } from './naming.js';
import { eachInParallel } from './parallel.js';
import type { Segment } from './segment.js';

export interface SegmentFilesOptions extends RetryOptions {
  /** The sink's name in the record. */
  sink: string;
  fs: FileSystem;
  directories: Directories;
  store: SegmentStore;
  mode: number;
  maxOpenFiles: number;
  isFsync: boolean;
}

/** What one cycle does to one segment. */
export interface Job {
  segment: Segment;
  buffers: Buffer[];
  isClosing: boolean;
}

export class SegmentFiles {
  readonly #options: SegmentFilesOptions;
  readonly #descriptors: Descriptors;
  /** Segments written since the last commit. */
  readonly #dirty = new Set<Segment>();
  /** Segments that a settled and not yet committed marker closes, by id. */
  readonly #closed = new Map<number, Closed>();
  /** Aborted with the first failure, so that what runs beside it does not wait any longer. */
  readonly #stop = new AbortController();

  constructor(options: SegmentFilesOptions) {
    this.#options = { ...options, signal: AbortSignal.any([options.signal, this.#stop.signal]) };
    this.#descriptors = new Descriptors(options.fs, options.directories, options.maxOpenFiles);
  }

  /** Something was written since the last commit. */
  get isDirty(): boolean {
    return this.#dirty.size > 0;
  }

  /** Runs one cycle; `written` gets each buffer when it is in its file. */
  async write(jobs: readonly Job[], written: (buffer: Buffer) => void): Promise<void> {
    if (jobs.length === 0) return;
    const begun = await this.#name(jobs);
    if (begun.length > 0) await this.#options.store.begin(begun);
    await this.#renameAll(jobs);
    for (const { segment } of jobs) if (segment.fd < 0 && segment.ino === 0) await this.#create(segment);
    await this.#eachInParallel(jobs, (job) => this.#writeOne(job, written));
  }

  /** Makes everything written so far durable; resolves with the receipts of what changed. */
  async commit(): Promise<Receipt[]> {
    const { directories, isFsync } = this.#options;
    const segments = [...this.#dirty];
    await this.#eachInParallel(segments, async (segment) => {
      await this.#retry(`make ${segment.path} durable`, () => this.#check(segment));
      if (isFsync) {
        await this.#retry(`make ${segment.path} durable`, () => this.#descriptors.sync(segment));
      }
      if (segment.isFinal) await this.#retry(`close ${segment.path}`, () => this.#descriptors.close(segment));
    });
    if (isFsync) await this.#retry('make directories durable', () => directories.sync());
    this.#dirty.clear();
    return segments.map((segment) => {
      const { id, length, ino, isFinal, isGzip, output } = segment;
      const isRenamed = segment.from !== undefined;
      segment.from = undefined;
      const path = directories.absolute(segment.path);
      if (isFinal) this.#closed.set(id, { id, path, length, ino, gzip: isGzip, group: output.group });
      return { id, length, ino, closed: isFinal, isRenamed };
    });
  }

  /** The segments that are closed by receipts which were saved: nothing is ever written to them again. */
  takeClosed(receipts: readonly Receipt[]): Closed[] {
    const taken: Closed[] = [];
    for (const { id, closed: isClosed } of receipts) {
      // A later marker may have closed it that is not saved yet.
      if (!isClosed) continue;
      const closed = this.#closed.get(id);
      if (closed) taken.push(closed);
      this.#closed.delete(id);
    }
    return taken;
  }

  async close(): Promise<void> {
    await this.#descriptors.closeAll();
  }

  /** Names what is new or is renamed; returns the entries that the record must hold before it happens. */
  async #name(jobs: readonly Job[]): Promise<SegmentRecord[]> {
    const begun: SegmentRecord[] = [];
    const listings = this.#listings();
    for (const { segment, isClosing } of jobs) {
      const isNamed = await this.#retry('look for a free name', () =>
        nameSegment(this.#options.fs, this.#options.directories, listings, segment, isClosing),
      );
      if (isNamed) begun.push(this.#recordOf(segment));
    }
    return begun;
  }

  async #renameAll(jobs: readonly Job[]): Promise<void> {
    const { fs, directories } = this.#options;
    let isAny = false;
    for (const { segment } of jobs) {
      const { from, path } = segment;
      if (from === undefined || segment.ino === 0) continue;
      isAny = true;
      await this.#retry(`rename ${from}`, async () => {
        const target = directories.absolute(path);
        try {
          await fs.rename(directories.absolute(from), target);
        } catch (error) {
          if (systemCode(error) !== 'ENOENT') throw error;
          throw touched(directories.absolute(from), 'it was taken away');
        }
      });
      directories.touch(segment.output.name.directory);
    }
    // A name that becomes free is not used again before its old file is durably elsewhere.
    if (isAny) await this.#retry('make renames durable', () => directories.sync());
  }

  async #create(segment: Segment): Promise<void> {
    const { fs, directories, mode, store } = this.#options;
    const fd = await this.#retry(`create ${segment.path}`, async () => {
      await directories.ensure(segment.output.name.directory);
      try {
        const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
        return await fs.open(directories.absolute(segment.path), flags, mode);
      } catch (error) {
        if (systemCode(error) === 'EEXIST') {
          // Someone was faster: theirs stays, ours gets the next free name, and the record says so first.
          segment.path = '';
          await nameSegment(fs, directories, this.#listings(), segment, segment.isClosing);
          await store.begin([this.#recordOf(segment)]);
        }
        if (systemCode(error) === 'ENOENT') directories.forget(); // Its directory was taken away.
        throw error;
      }
    });
    try {
      await this.#retry(`set the mode of ${segment.path}`, () => fs.fchmod(fd, mode));
      segment.ino = (await this.#retry(`look at ${segment.path}`, () => fs.fstat(fd))).ino;
    } catch (error) {
      await fs.close(fd).catch(() => undefined); // Nothing is in it yet.
      throw error;
    }
    directories.touch(segment.output.name.directory);
    await this.#retry(`make room for ${segment.path}`, () => this.#descriptors.adopt(segment, fd));
  }

  async #writeOne({ segment, buffers, isClosing }: Job, written: (buffer: Buffer) => void): Promise<void> {
    this.#dirty.add(segment);
    for (const buffer of buffers) {
      await this.#retry(`write to ${segment.path}`, () =>
        this.#descriptors.use(segment, (fd) => writeAll(this.#options.fs, fd, buffer, segment.length)),
      );
      segment.length += buffer.length;
      written(buffer);
    }
    if (isClosing) segment.isFinal = true;
  }

  /** The file under the segment's name must still be ours and whole: what goes into a removed one is lost. */
  async #check(segment: Segment): Promise<void> {
    const path = this.#options.directories.absolute(segment.path);
    const found = await this.#options.fs.lstat(path).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') throw touched(path, 'it was taken away');
      throw error;
    });
    if (found.ino !== segment.ino) throw touched(path, 'another file is in its place');
    if (found.size < segment.length) throw touched(path, 'it became shorter');
  }

  #recordOf(segment: Segment): SegmentRecord {
    const { output, path, from } = segment;
    const { sink, directories } = this.#options;
    return {
      id: segment.id,
      sink,
      path: directories.absolute(path),
      ...(from === undefined ? {} : { from: directories.absolute(from) }),
      key: output.name.key,
      ...(output.group === output.name.key ? {} : { group: output.group }),
      ...(output.sliceEndMs === Infinity ? {} : { sliceEndMs: output.sliceEndMs }),
      length: 0,
      ino: 0,
      openedAtMs: segment.openedAtMs,
      ...(segment.isGzip ? { gzip: true as const } : {}),
    };
  }

  #listings(): Listings {
    return new Listings(this.#options.fs, this.#options.directories);
  }

  #eachInParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
    return eachInParallel(items, run, (error) => {
      this.#stop.abort(error);
    });
  }

  #retry<T>(action: string, operation: () => Promise<T>): Promise<T> {
    return retry(this.#options, action, operation);
  }
}
