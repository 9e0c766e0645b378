// Puts accepted events into segments, exactly once. Appending only copies bytes into memory; everything that touches
// the disk happens in cycles, one at a time, each over exactly what was accepted up to one moment:
//
//   1. names for new and for closing segments;
//   2. the record of what is about to be created or renamed is saved (`SegmentStore.begin`);
//   3. renames, then creations, then writes;
//   4. where the cycle ends at a marker: fdatasync, directories, receipts.
//
// A fault of the disk makes the step wait and try again (`retry`); memory stays bounded because `room` holds back
// the stream. What is done with closed segments afterwards (compression, retention) is `finish.ts`.
import { constants } from 'node:fs';
import { systemCode } from '../../errors.js';
import type { EventBatch } from '../../event/batch.js';
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
import { chunkPool, Segment } from './segment.js';
import type { Output } from './segment.js';

/** Accepted and not yet written bytes above which the stream is held back, and above which a cycle starts at once. */
const MAX_PENDING_BYTES = 12 * 1024 * 1024;
const FLUSH_BYTES = 6 * 1024 * 1024;
/**
 * What a segment that waits for its cycle counts besides its bytes: about the memory that it, its names and its entry in
 * the record take, so that a batch of small events for as many files is held back like any other.
 */
const SEGMENT_COST_BYTES = 1024;
/** libuv runs four file operations at a time by default. */
const PARALLEL = 4;

export interface WriterOptions extends RetryOptions {
  /** The sink's name in the record. */
  sink: string;
  fs: FileSystem;
  directories: Directories;
  store: SegmentStore;
  now: () => number;
  mode: number;
  maxBytes: number;
  maxOpenFiles: number;
  flushIntervalMs: number;
  isFsync: boolean;
}

/** What one cycle does to one segment. */
interface Job {
  segment: Segment;
  buffers: Buffer[];
  isClosing: boolean;
}

export class SegmentWriter {
  readonly #options: WriterOptions;
  readonly #descriptors: Descriptors;
  /** Segments with something to do in the next cycle. */
  #queued: Segment[] = [];
  /** Segments written since the last marker. */
  readonly #dirty = new Set<Segment>();
  /** Segments that a settled and not yet committed marker closes, by id. */
  readonly #closed = new Map<number, Closed>();
  /** Accepted and not yet written, and what of it no cycle has taken yet. */
  #pendingBytes = 0;
  #untakenBytes = 0;
  #cycles: Promise<void> = Promise.resolve();
  /** The flush that is waiting for its turn; it takes what is there when that comes. */
  #dueFlush: symbol | undefined;
  #timer: NodeJS.Timeout | undefined;
  #roomWaiters: (() => void)[] = [];
  #failure: unknown;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#descriptors = new Descriptors(options.fs, options.directories, options.maxOpenFiles);
  }

  /** Appends event i to an output's open segment, or to a new one where that is full. `nowMs` is the time of the call. */
  append(output: Output, batch: EventBatch, i: number, nowMs: number): void {
    const length = batch.byteLength(i) + 1;
    this.#segmentFor(output, length, nowMs).append(batch, i, length);
  }

  /** Appends a whole line, given in pieces. */
  appendLine(output: Output, ...pieces: readonly Buffer[]): void {
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    const segment = this.#segmentFor(output, length, this.#options.now());
    let at = segment.reserve(length);
    for (const piece of pieces) at += piece.copy(segment.pending?.chunks.at(-1) ?? piece, at);
  }

  /** Resolves when there is room for more. Rejects when writing has failed for good. */
  async room(): Promise<void> {
    if (this.#failure !== undefined) throw this.#failure as Error;
    if (this.#untakenBytes >= FLUSH_BYTES) this.#flush();
    else if (this.#untakenBytes > 0) {
      this.#timer ??= setTimeout(() => {
        this.#flush();
      }, this.#options.flushIntervalMs);
    }
    while (this.#pendingBytes >= MAX_PENDING_BYTES && this.#failure === undefined) {
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    }
  }

  /** Writes and makes durable what was appended so far; resolves with the receipts of everything that changed. */
  settle(): Promise<Receipt[]> {
    // What belongs before the marker is taken now, before anything else can be appended. A flush that waits in front
    // of it must not run any more: it would write what is appended after the marker before what is taken here.
    this.#dueFlush = undefined;
    const jobs = this.#take();
    return this.#enqueue(async () => {
      await this.#write(jobs);
      return this.#commit();
    });
  }

  /** No more events for the output's open segment: it is closed with the next marker. */
  closeActive(output: Output): void {
    const { active } = output;
    if (!active) return;
    active.isClosing = true;
    output.active = undefined;
    this.#queue(active);
  }

  /** Takes in an open segment of the last run: events go on being appended to it. */
  adopt(output: Output, record: SegmentRecord, path: string): void {
    const segment = new Segment(record.id, output, record.openedAtMs);
    segment.path = path;
    segment.length = segment.size = record.length;
    segment.ino = record.ino;
    segment.lastAppendMs = this.#options.now();
    output.active = segment;
    if (path === output.name.key) output.isPlainUsed = true;
  }

  /** Something was appended or closed since the last marker. */
  get hasChanges(): boolean {
    return this.#queued.length > 0 || this.#dirty.size > 0 || this.#pendingBytes > 0;
  }

  /** The closed segments among those whose receipts were saved: nothing is ever written to them again. */
  takeClosed(receipts: readonly Receipt[]): Closed[] {
    const taken: Closed[] = [];
    for (const { id } of receipts) {
      const closed = this.#closed.get(id);
      if (closed) taken.push(closed);
      this.#closed.delete(id);
    }
    return taken;
  }

  /** Closes descriptors. What is pending and not settled is dropped: it will be read again. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#cycles;
    await this.#descriptors.closeAll();
  }

  #segmentFor(output: Output, length: number, nowMs: number): Segment {
    let segment = output.active;
    if (segment && segment.size + length > this.#options.maxBytes && segment.size > 0) {
      this.closeActive(output);
      segment = undefined;
    }
    segment ??= output.active = new Segment(this.#options.store.nextSegmentId(), output, nowMs);
    segment.lastAppendMs = nowMs;
    this.#queue(segment);
    this.#pendingBytes += length;
    this.#untakenBytes += length;
    return segment;
  }

  #queue(segment: Segment): void {
    if (segment.isQueued) return;
    segment.isQueued = true;
    this.#queued.push(segment);
    this.#pendingBytes += SEGMENT_COST_BYTES;
    this.#untakenBytes += SEGMENT_COST_BYTES;
  }

  #take(): Job[] {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const segments = this.#queued;
    this.#queued = [];
    this.#untakenBytes = 0;
    return segments.map((segment) => {
      segment.isQueued = false;
      return { segment, buffers: segment.takePending(), isClosing: segment.isClosing };
    });
  }

  #flush(): void {
    if (this.#dueFlush) return;
    const flush = (this.#dueFlush = Symbol('flush'));
    this.#enqueue(async () => {
      if (this.#dueFlush !== flush) return;
      this.#dueFlush = undefined;
      await this.#write(this.#take());
    }).catch(() => {
      // Kept in #failure: the next `room` or `settle` tells.
    });
  }

  /** Runs one cycle after those before it. After a failure none runs any more. */
  #enqueue<T>(cycle: () => Promise<T>): Promise<T> {
    const result = this.#cycles.then(async () => {
      if (this.#failure !== undefined) throw this.#failure as Error;
      try {
        return await cycle();
      } catch (error) {
        this.#failure = error;
        throw error;
      } finally {
        for (const wake of this.#roomWaiters.splice(0)) wake();
      }
    });
    this.#cycles = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }

  async #write(jobs: Job[]): Promise<void> {
    if (jobs.length === 0) return;
    const begun = await this.#name(jobs);
    if (begun.length > 0) await this.#options.store.begin(begun);
    await this.#renameAll(jobs);
    for (const { segment } of jobs) if (segment.fd < 0 && segment.ino === 0) await this.#create(segment);
    await eachInParallel(jobs, (job) => this.#writeOne(job));
  }

  /** Names what is new or is renamed; returns the entries that the record must hold before it happens. */
  async #name(jobs: Job[]): Promise<SegmentRecord[]> {
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

  async #renameAll(jobs: Job[]): Promise<void> {
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
        throw error;
      }
    });
    await this.#retry(`set the mode of ${segment.path}`, () => fs.fchmod(fd, mode));
    segment.ino = (await this.#retry(`look at ${segment.path}`, () => fs.fstat(fd))).ino;
    directories.touch(segment.output.name.directory);
    await this.#descriptors.adopt(segment, fd);
  }

  async #writeOne({ segment, buffers, isClosing }: Job): Promise<void> {
    this.#dirty.add(segment);
    for (const buffer of buffers) {
      await this.#retry(`write to ${segment.path}`, () =>
        this.#descriptors.use(segment, (fd) => writeAll(this.#options.fs, fd, buffer, segment.length)),
      );
      segment.length += buffer.length;
      this.#pendingBytes -= buffer.length;
      chunkPool.give(buffer);
    }
    this.#pendingBytes -= SEGMENT_COST_BYTES;
    if (isClosing) segment.isFinal = true;
  }

  async #commit(): Promise<Receipt[]> {
    const { fs, directories, isFsync } = this.#options;
    const segments = [...this.#dirty];
    await eachInParallel(segments, async (segment) => {
      await this.#retry(`make ${segment.path} durable`, () => this.#check(segment));
      if (isFsync) {
        await this.#retry(`make ${segment.path} durable`, () =>
          this.#descriptors.use(segment, (fd) => fs.fdatasync(fd)),
        );
      }
      if (segment.isFinal) await this.#descriptors.close(segment);
    });
    if (isFsync) await this.#retry('make directories durable', () => directories.sync());
    this.#dirty.clear();
    return segments.map((segment) => {
      const { id, length, ino, isFinal, output } = segment;
      const isRenamed = segment.from !== undefined;
      segment.from = undefined;
      const path = directories.absolute(segment.path);
      if (isFinal) this.#closed.set(id, { id, path, length, ino, group: output.group });
      return { id, length, ino, closed: isFinal, isRenamed };
    });
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
    };
  }

  #listings(): Listings {
    return new Listings(this.#options.fs, this.#options.directories);
  }

  #retry<T>(action: string, operation: () => Promise<T>): Promise<T> {
    return retry(this.#options, action, operation);
  }
}

async function eachInParallel<T>(items: readonly T[], run: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < items.length) {
      const item = items[next++];
      if (item !== undefined) await run(item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(PARALLEL, items.length) }, worker));
}
