// Takes events in and has them written, exactly once. Appending only copies bytes into memory; everything that touches
// the disk happens in cycles, one at a time, each over exactly what was accepted up to one moment: what a cycle does
// on disk is `segment-files.ts`. One that ends at a marker also makes everything durable and gives receipts.
//
// A plain file is written soon after its events were accepted. Where files are compressed as they are written
// (`isGzip`), bytes wait for a marker, or until too many wait: each cycle writes a file whole gzip members only
// (`members.ts`), so a receipt is always the end of one. Memory is bounded either way: `room` holds back the stream.
import { HeadgateError } from '../../errors.js';
import type { EventBatch } from '../../event/batch.js';
import type { Receipt, SegmentRecord } from '../../position/position.js';
import type { Closed } from './finish.js';
import { compressJobs } from './members.js';
import { SegmentFiles } from './segment-files.js';
import type { Job, SegmentFilesOptions } from './segment-files.js';
import { chunkPool, Segment } from './segment.js';
import type { Output } from './segment.js';

const MIB = 1024 * 1024;
/** Accepted bytes, not yet written: so many hold back the stream, and at so many that no cycle has taken one begins. */
const PLAIN_LIMITS = { pendingBytes: 12 * MIB, flushBytes: 6 * MIB };
/** Longer members are smaller; beyond 1 MiB each hardly. Half of what waits stays when a cycle begins for its size. */
const GZIP_LIMITS = { pendingBytes: 24 * MIB, flushBytes: 16 * MIB };

/**
 * What a segment that waits for its cycle counts besides its bytes: about the memory that it, its names and its entry in
 * the record take, so that a batch of small events for as many files is held back like any other.
 */
const SEGMENT_COST_BYTES = 1024;

export interface WriterOptions extends SegmentFilesOptions {
  now: () => number;
  maxBytes: number;
  flushIntervalMs: number;
  /** New segments are compressed as they are written. Default: no. */
  isGzip?: boolean;
}

/** A flush that waits for its turn, and whether it takes all or only what makes the most room. */
interface DueFlush {
  isAll: boolean;
}

export class SegmentWriter {
  readonly #options: WriterOptions;
  readonly #isGzip: boolean;
  readonly #limits: typeof PLAIN_LIMITS;
  readonly #files: SegmentFiles;
  /** Segments with something to do in the next cycle. */
  #queued: Segment[] = [];
  /** Accepted and not yet written, and what of it no cycle has taken yet. */
  #pendingBytes = 0;
  #untakenBytes = 0;
  #cycles: Promise<void> = Promise.resolve();
  /** It takes what is there when its turn comes. */
  #dueFlush: DueFlush | undefined;
  #timer: NodeJS.Timeout | undefined;
  #roomWaiters: (() => void)[] = [];
  #failure: unknown;

  constructor(options: WriterOptions) {
    this.#options = options;
    this.#isGzip = options.isGzip ?? false;
    this.#limits = this.#isGzip ? GZIP_LIMITS : PLAIN_LIMITS;
    this.#files = new SegmentFiles(options);
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
    if (this.#untakenBytes >= this.#limits.flushBytes) this.#flush(!this.#isGzip);
    if (this.#untakenBytes > 0) {
      this.#timer ??= setTimeout(() => {
        this.#flush(true);
      }, this.#options.flushIntervalMs);
    }
    while (this.#pendingBytes >= this.#limits.pendingBytes && this.#failure === undefined) {
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
      return this.#files.commit();
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

  /**
   * Takes in an open segment of the last run: events go on being appended to it, unless it is compressed otherwise
   * than new ones are; then it is closed.
   */
  adopt(output: Output, record: SegmentRecord, path: string): void {
    this.closeActive(output);
    const segment = new Segment(record.id, output, record.openedAtMs, record.gzip);
    segment.path = path;
    segment.length = segment.size = record.length;
    segment.ino = record.ino;
    segment.lastAppendMs = this.#options.now();
    output.active = segment;
    if (path === output.name.key + segment.suffix) output.isPlainUsed = true;
    if (segment.isGzip !== this.#isGzip) this.closeActive(output);
  }

  /** Something was appended or closed since the last marker. */
  get hasChanges(): boolean {
    return this.#queued.length > 0 || this.#files.isDirty || this.#pendingBytes > 0;
  }

  /** The segments that are closed by receipts which were saved: nothing is ever written to them again. */
  takeClosed(receipts: readonly Receipt[]): Closed[] {
    return this.#files.takeClosed(receipts);
  }

  /** Closes descriptors. What is pending and not settled is dropped: it will be read again. */
  async close(): Promise<void> {
    this.#failure ??= new HeadgateError('PIPELINE_HALTED', 'the sink is closed');
    clearTimeout(this.#timer);
    for (const wake of this.#roomWaiters.splice(0)) wake();
    await this.#cycles;
    await this.#files.close();
  }

  #segmentFor(output: Output, length: number, nowMs: number): Segment {
    const { maxBytes, store } = this.#options;
    let segment = output.active;
    // How long the bytes become that are compressed is known only when they are: `#divide`.
    if (!this.#isGzip && segment && segment.size + length > maxBytes && segment.size > 0) {
      this.closeActive(output);
      segment = undefined;
    }
    segment ??= output.active = new Segment(store.nextSegmentId(), output, nowMs, this.#isGzip);
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
    return segments.map(jobOf);
  }

  /** Takes what makes the most room: the longest members, half of the bytes that wait; and what is to be closed. */
  #takeLongest(): Job[] {
    // A closing segment goes before the next one of its output, which must not be named or written first.
    const weight = ({ isClosing, pending }: Segment): number =>
      isClosing ? Infinity : (pending?.bytes ?? 0);
    const segments = this.#queued.sort((a, b) => (weight(a) === weight(b) ? 0 : weight(b) - weight(a)));
    const enoughBytes = this.#untakenBytes / 2;
    let bytes = 0;
    let count = 0;
    for (const segment of segments) {
      if (bytes >= enoughBytes && !segment.isClosing) break;
      bytes += SEGMENT_COST_BYTES + (segment.pending?.bytes ?? 0);
      count++;
    }
    this.#queued = segments.slice(count);
    this.#untakenBytes -= bytes;
    return segments.slice(0, count).map(jobOf);
  }

  #flush(isAll: boolean): void {
    if (this.#dueFlush) {
      this.#dueFlush.isAll ||= isAll;
      return;
    }
    const flush: DueFlush = (this.#dueFlush = { isAll });
    this.#enqueue(async () => {
      if (this.#dueFlush !== flush) return;
      this.#dueFlush = undefined;
      await this.#write(flush.isAll ? this.#take() : this.#takeLongest());
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
    if (this.#isGzip) await this.#writeMembers(jobs);
    else {
      await this.#files.write(jobs, (buffer) => {
        this.#pendingBytes -= buffer.length;
        chunkPool.give(buffer);
      });
    }
    this.#pendingBytes -= jobs.length * SEGMENT_COST_BYTES;
  }

  async #writeMembers(jobs: Job[]): Promise<void> {
    const compressed = await compressJobs(jobs, (plainBytes, memberBytes) => {
      this.#pendingBytes += memberBytes - plainBytes;
    });
    const divided = compressed.flatMap((job) => this.#divide(job));
    await this.#files.write(divided, (member) => {
      this.#pendingBytes -= member.length;
    });
  }

  /** Closes the file of a job before a member that would make it longer than a file may be: a new one has the rest. */
  #divide(job: Job): Job[] {
    const { maxBytes } = this.#options;
    const parts: Job[] = [];
    let segment = newestOf(job.segment);
    let { length } = segment;
    let buffers: Buffer[] = [];
    for (const member of job.buffers) {
      if (length > 0 && length + member.length > maxBytes) {
        parts.push({ segment, buffers, isClosing: true });
        segment = this.#succeed(segment);
        length = 0;
        buffers = [];
      }
      buffers.push(member);
      length += member.length;
    }
    return [...parts, { segment, buffers, isClosing: job.isClosing }];
  }

  /** A new segment in the place of one that is full, also for what was appended to that one meanwhile. */
  #succeed(full: Segment): Segment {
    const { store, now } = this.#options;
    const next = new Segment(store.nextSegmentId(), full.output, now(), true);
    next.takeOver(full);
    if (full.output.active === full) full.output.active = next;
    if (next.isQueued) this.#queued[this.#queued.indexOf(full)] = next;
    return next;
  }
}

function jobOf(segment: Segment): Job {
  segment.isQueued = false;
  return { segment, buffers: segment.takePending(), isClosing: segment.isClosing };
}

/** What is now in the place of a segment that was perhaps full before its job's turn came. */
function newestOf(segment: Segment): Segment {
  let newest = segment;
  while (newest.successor) newest = newest.successor;
  return newest;
}
