// Where events wait that were answered: appended, made durable in groups, and only then answered; read by the follower of
// any audit log; deleted once a position is durable that is behind them.
//
// Invariant: an `append` resolves when the batch and its hash are durable, both in one frame of one file. Where that
// fails nothing of it stays: it is as if it had never come. What waits is bounded by whoever admits requests, and
// what is stored by `maxBytes`.
import { RareLog } from '../file/rare-log.js';
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import type { Logger } from '../../log.js';
import type { PipelineMetrics, WebhookMetrics } from '../../metrics.js';
import { writeAll } from '../../position/durable-file.js';
import type { SourcePosition } from '../../position/position.js';
import { retry } from '../../pipeline/backoff.js';
import { FinishedBackups } from '../file/finished.js';
import { leastFreeBytes } from '../least-free.js';
import { WakeUp } from '../wake-up.js';
import { encodeHeader } from './frame.js';
import { KnownBatches } from './known-batches.js';
import type { SpoolSettings } from './options.js';
import { livePath, Segments } from './segments.js';

/** Of the spool's bound, and at most. */
const SEGMENT_SHARE = 64;
const MAX_SEGMENT_BYTES = 64 * 1024 * 1024;
const MIN_SEGMENT_BYTES = 256 * 1024;
/** A batch that takes more of the spool than one in this many might never find room. */
const MAX_BATCH_SHARE = 4;
/** What goes into one write and one sync. */
const GROUP_BYTES = 16 * 1024 * 1024;
const ROOM_CHECK_MS = 500;

export interface SpoolContext {
  component: string;
  fs: FileSystem;
  log: Logger;
  metrics: PipelineMetrics & { webhook: WebhookMetrics };
  now: () => number;
}

/** `duplicate`: it is durable already. */
export type Stored = 'stored' | 'duplicate';

/** Why a batch was not stored; nothing of it stays. */
export class NotStoredError extends Error {
  /** `full`: there is no room now; `large`: there never will be; `fault`: the disk does not work. */
  readonly reason: 'full' | 'large' | 'fault';
  constructor(reason: NotStoredError['reason'], cause?: unknown) {
    super(`the batch was not stored: ${reason}`, { cause });
    this.reason = reason;
  }
}

interface Waiting {
  batch: string;
  lines: Buffer;
  resolve: () => void;
  reject: (error: unknown) => void;
}

export class Spool {
  /** The file that the reader follows. */
  readonly path: string;
  readonly #settings: SpoolSettings;
  readonly #context: SpoolContext;
  readonly #segments: Segments;
  readonly #known = new KnownBatches();
  readonly #segmentBytes: number;
  readonly #log: RareLog;
  /** By batch: in the queue, or on its way to the disk. */
  readonly #pending = new Map<string, Promise<void>>();
  #queue: Waiting[] = [];
  #pendingBytes = 0;
  /** Writing, removing: one thing at a time. */
  #turn: Promise<void> = Promise.resolve();
  #isWriting = false;
  /** A write or a sync failed: what is not durable must be taken back before anything else is written. */
  #isBroken = false;
  /** What was told, by `headgate_components_waiting`. */
  #isWaiting = false;
  #roomCheckedMs = -Infinity;
  #hasRoom = true;
  readonly #more = new WakeUp();
  /** How many groups were made durable. */
  #groups = 0;

  constructor(settings: SpoolSettings, context: SpoolContext) {
    this.#settings = settings;
    this.#context = context;
    this.path = livePath(settings.directory);
    this.#segments = new Segments(context.fs, settings.directory, context.now);
    const share = Math.floor(settings.maxBytes / SEGMENT_SHARE);
    this.#segmentBytes = Math.max(MIN_SEGMENT_BYTES, Math.min(MAX_SEGMENT_BYTES, share));
    this.#log = new RareLog(context.log);
  }

  /** Finds what the last run left. Waits while the disk does not work; rejects when `signal` aborts. */
  async open(position: SourcePosition | undefined, signal: AbortSignal): Promise<void> {
    const { component, fs, log, metrics } = this.#context;
    const stored = position?.paths.find(({ path }) => path === this.path);
    const newest = [stored?.finishedThrough, ...(stored?.finished ?? []), ...(stored?.unread ?? [])];
    const committedOf = (ino: number): number => (stored?.current?.ino === ino ? stored.current.offset : 0);
    const options = { component, log, metrics, signal, code: 'SOURCE_WAITING' as const };
    const found = await retry(options, 'open the spool', async () => {
      await this.#known.read(fs, this.#settings.directory);
      return this.#segments.open(committedOf);
    });
    for (const entry of newest)
      if (entry) this.#segments.useTimesAfter(typeof entry === 'string' ? entry : entry.stem);
    for (const batch of found.batches) this.#known.add(batch);
    this.#measure();
    const { damagedBytes, cutBytes } = found;
    if (cutBytes > 0) log.info({ component, path: this.path, cutBytes }, 'cut off what was not answered');
    if (damagedBytes > 0)
      log.error(
        { code: 'SOURCE_READ', component, path: this.path, damagedBytes },
        'the spool is damaged: what can be read of it is delivered, the rest is quarantined',
      );
  }

  /** How much of a file with this inode is durable; undefined: all of it. */
  durableBytesOf(ino: number): number | undefined {
    const { live } = this.#segments;
    return live.ino === ino ? live.length : undefined;
  }

  /** Whether there is room for so many bytes now. */
  hasRoomFor(bytes: number): boolean {
    if (!this.#hasRoom) void this.#checkRoom();
    return this.#segments.bytes + this.#pendingBytes + bytes <= this.#settings.maxBytes && this.#hasRoom;
  }

  /** Whether this batch is durable. */
  isKnown(batch: string): boolean {
    return this.#known.has(batch);
  }

  /** Resolves when the batch is durable, or was before; rejects with `NotStoredError`. `lines` are not copied. */
  async append(batch: string, lines: Buffer): Promise<Stored> {
    if (this.#known.has(batch)) return 'duplicate';
    const pending = this.#pending.get(batch);
    if (pending) {
      await pending;
      return 'duplicate';
    }
    if (lines.length > this.#settings.maxBytes / MAX_BATCH_SHARE) throw new NotStoredError('large');
    if (!this.hasRoomFor(lines.length)) throw new NotStoredError('full');
    const stored = new Promise<void>((resolve, reject) => {
      this.#queue.push({ batch, lines, resolve, reject });
    });
    this.#pending.set(batch, stored);
    this.#pendingBytes += lines.length;
    this.#write();
    try {
      await stored;
      return 'stored';
    } finally {
      this.#pending.delete(batch);
      this.#pendingBytes -= lines.length;
    }
  }

  /** Deletes what this position, which is durable, is behind. */
  committed(position: SourcePosition): void {
    const stored = position.paths.find(({ path }) => path === this.path);
    if (!stored) return;
    const finished = new FinishedBackups(stored.finished, stored.finishedThrough);
    const isDone = (stem: string): boolean => finished.has(stem, undefined);
    if (!this.#segments.full.some(({ stem }) => isDone(stem))) return;
    this.#inTurn(async () => {
      if (!this.#segments.full.some(({ stem }) => isDone(stem))) return;
      await this.#known.write(this.#context.fs, this.#settings.directory);
      await this.#segments.remove(isDone);
      this.#measure();
      await this.#checkRoom(true);
    }, 'delete what was delivered');
  }

  /** Rises whenever there is more to read. */
  get version(): number {
    return this.#groups;
  }

  /**
   * Resolves when there is more to read than at `version`, at the latest after `timeoutMs`, at once when `signal`
   * aborts.
   */
  wait(version: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    return version === this.#groups ? this.#more.wait(timeoutMs, signal) : Promise.resolve();
  }

  /** Ends what is under way; nothing may be appended any more. */
  async close(): Promise<void> {
    await this.#turn;
    this.#tellWaiting(undefined);
    await this.#segments.close();
  }

  #write(): void {
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#inTurn(async () => {
      try {
        while (this.#queue.length > 0) await this.#writeGroup(this.#takeGroup());
      } finally {
        this.#isWriting = false;
      }
    }, 'write the spool');
  }

  #takeGroup(): Waiting[] {
    let bytes = 0;
    const limit = Math.min(GROUP_BYTES, this.#segmentBytes);
    const end = this.#queue.findIndex(({ lines }, i) => (bytes += lines.length) > limit && i > 0);
    return this.#queue.splice(0, end < 0 ? this.#queue.length : end);
  }

  /** Never throws: those who wait are told. */
  async #writeGroup(group: readonly Waiting[]): Promise<void> {
    try {
      if (this.#isBroken) await this.#segments.restore();
      this.#isBroken = false;
      await this.#checkRoom(true);
      if (!this.#hasRoom) throw new NotStoredError('full');
      await this.#append(group);
    } catch (error) {
      const isFull =
        error instanceof NotStoredError || ['ENOSPC', 'EDQUOT'].includes(systemCode(error) ?? '');
      if (!(error instanceof NotStoredError)) this.#tellWaiting(error);
      const notStored = new NotStoredError(isFull ? 'full' : 'fault', error);
      for (const { reject } of group) reject(notStored);
      return;
    }
    this.#tellWaiting(undefined);
    for (const { batch, resolve } of group) {
      this.#known.add(batch);
      resolve();
    }
    this.#groups++;
    this.#measure();
    this.#more.wake();
  }

  async #append(group: readonly Waiting[]): Promise<void> {
    const { fs } = this.#context;
    const bytes = group.reduce((sum, { lines }) => sum + lines.length, 0);
    const { length, isFull } = this.#segments.live;
    if (isFull || (length > 0 && length + bytes > this.#segmentBytes)) await this.#segments.rotate();
    const { live } = this.#segments;
    let at = live.length;
    this.#isBroken = true; // Until all of it is durable.
    for (const { batch, lines } of group) {
      const header = encodeHeader(batch, lines, live.length);
      await writeAll(fs, live.fd, header, at);
      await writeAll(fs, live.fd, lines, at + header.length);
      at += header.length + lines.length;
    }
    await fs.fdatasync(live.fd);
    live.length = at;
    this.#isBroken = false;
  }

  /** Whether the file system has room; at most so often, unless `isNow`. */
  async #checkRoom(isDue = false): Promise<void> {
    const nowMs = performance.now();
    if (nowMs - this.#roomCheckedMs < ROOM_CHECK_MS && !(isDue && !this.#hasRoom)) return;
    this.#roomCheckedMs = nowMs;
    const { fs } = this.#context;
    const room = await fs.statfs(this.#settings.directory).catch(() => undefined); // Writing tells what is wrong.
    if (!room) return;
    this.#hasRoom = room.freeBytes >= leastFreeBytes(this.#settings.minFreeBytes, room);
  }

  /** Runs after what is under way; a fault is told, and whoever called does it again. */
  #inTurn(run: () => Promise<void>, action: string): void {
    this.#turn = this.#turn.then(run).catch((error: unknown) => {
      this.#tellFault(error, action);
    });
  }

  /** A fault, or that there is none any more. */
  #tellWaiting(error: unknown): void {
    const { metrics } = this.#context;
    if (error !== undefined) {
      metrics.retries++;
      this.#tellFault(error, 'store a batch');
    }
    const isWaiting = error !== undefined;
    if (isWaiting === this.#isWaiting) return;
    this.#isWaiting = isWaiting;
    metrics.componentsWaiting += isWaiting ? 1 : -1;
  }

  #tellFault(error: unknown, action: string): void {
    const { component } = this.#context;
    const cause = systemCode(error) ?? String(error);
    const data = { code: 'SOURCE_WAITING', component, path: this.path, cause };
    this.#log.error(action, data, `could not ${action}, trying again: ${String(error)}`);
  }

  #measure(): void {
    this.#context.metrics.webhook.spoolBytes = this.#segments.bytes;
  }
}
