// How much of the disk unread backups may take, over all paths of a source, and which of them are copied. Held
// descriptors of pruned files and everything kept of them share one bound; over it, or where a file system runs out of
// room, the oldest are let go, each with a gap. A backup that is read out in time is neither copied nor let go, whatever
// the bound says: that would cost the disk's bandwidth, or evidence, for nothing.
import { dirname } from 'node:path';
import type { FileSystemRoom } from '../../file-system.js';
import type { ComponentContext } from '../../pipeline/component.js';
import { statIfExists } from './discover.js';
import type { FileList } from './file-list.js';
import { leastFreeBytes } from '../least-free.js';
import type { FollowedFile } from './followed-file.js';
import type { Follower } from './follower.js';
import { planRelease } from './release.js';
import type { KeptFacts } from './release.js';

/** A backup that is not read this long after it was seen, or pruned, is not read in time. */
export const LAG_MS = 5_000;

/** The option `retain_unread` as numbers. */
export interface RetentionSettings {
  /** Backups are kept beside their own names. Else the bounds hold for descriptors alone. */
  isKeeping: boolean;
  maxBytes: number;
  /** Undefined: 1 GiB, or 5 % of a small file system. */
  minFreeBytes: number | undefined;
  /** Holds a directory for each path. */
  directory: string;
}

interface Unread extends KeptFacts {
  follower: Follower;
  file: FollowedFile;
  seenAtMs: number;
}

/** See above. */
export class Retention {
  readonly #settings: RetentionSettings;
  readonly #context: ComponentContext;
  #copying: Promise<void> | undefined;
  #isClosed = false;

  constructor(settings: RetentionSettings, context: ComponentContext) {
    this.#settings = settings;
    this.#context = context;
  }

  /** Brings what is held and kept within the bounds, and begins at most one copy, which goes on in the background. */
  async check(followers: readonly Follower[]): Promise<void> {
    const unread: Unread[] = [];
    for (const follower of followers)
      unread.push(...((await follower.withFiles((files) => collect(follower, files))) ?? []));
    unread.sort((a, b) => a.seenAtMs - b.seenAtMs);
    let keptBytes = sum(unread);
    const roomOf = await this.#rooms(followers);
    const lacking = new Map([...roomOf].map(([dev, room]) => [dev, this.#minFree(room) - room.freeBytes]));
    for (const i of planRelease(unread, { bytes: keptBytes - this.#settings.maxBytes, lacking })) {
      const { follower, file, hasOriginal, costs } = unread[i] as Unread;
      await follower.withFiles((files) => files.letGo(file, hasOriginal));
      keptBytes -= costs.reduce((bytes, cost) => bytes + cost.bytes, 0);
    }
    this.#context.metrics.retainedBytes = Math.max(0, keptBytes);
    this.#copying ??= this.#copyNext(unread, this.#settings.maxBytes - keptBytes)?.finally(() => {
      this.#copying = undefined;
    });
  }

  /** Resolves when nothing is under way; a copy that is not whole is dropped. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#copying;
  }

  /** The room on the devices of the logs and of what is kept. */
  async #rooms(followers: readonly Follower[]): Promise<Map<number, FileSystemRoom>> {
    const { fs } = this.#context;
    const rooms = new Map<number, FileSystemRoom>();
    for (const path of [this.#settings.directory, ...followers.map((follower) => dirname(follower.path))]) {
      const stat = await statIfExists(fs, path).catch(() => undefined); // Following tells what is wrong there.
      if (!stat || rooms.has(stat.dev)) continue;
      const room = await fs.statfs(path).catch(() => undefined);
      if (room) rooms.set(stat.dev, room);
    }
    return rooms;
  }

  #minFree(room: FileSystemRoom): number {
    return leastFreeBytes(this.#settings.minFreeBytes, room);
  }

  /** Copies the oldest of those that lag, if there is room for it. */
  #copyNext(unread: readonly Unread[], leftBytes: number): Promise<void> | undefined {
    if (!this.#settings.isKeeping || this.#isClosed) return undefined;
    const nowMs = performance.now();
    const next = unread.find(({ file, follower }) => {
      const sighting = follower.kept.sightingOf(file);
      const isLagging = nowMs - Math.max(sighting.seenAtMs, sighting.stillSinceMs) >= LAG_MS;
      return isLagging && sighting.needsCopy && !file.retained && file.size <= leftBytes;
    });
    return next && this.#copy(next).catch(next.follower.kept.tellFault);
  }

  async #copy({ follower, file }: Unread): Promise<void> {
    const { fs } = this.#context;
    const { kept } = follower;
    const fd = await follower.withFiles(async () =>
      follower.undelivered.includes(file) ? file.openAgain() : undefined,
    );
    if (fd === undefined) return;
    try {
      await kept.directory.make();
      const room = await fs.statfs(kept.directory.directory);
      if (room.freeBytes - file.size < this.#minFree(room)) return;
      const isWanted = (): boolean => !this.#isClosed && follower.undelivered.includes(file);
      const retained = await kept.directory.copy(file, fd, kept.stemOf(file), isWanted);
      if (!retained) return;
      const isTaken = await follower.withFiles((files) => kept.takeCopy(file, retained, files.backups));
      if (isTaken !== true) kept.remove(retained);
    } finally {
      await fs.close(fd);
    }
  }
}

/** The facts of all unread backups of one path. */
async function collect(follower: Follower, files: FileList): Promise<Unread[]> {
  const nowMs = performance.now();
  const unread: Unread[] = [];
  await follower.kept.keep(files.backups);
  for (const file of follower.undelivered) {
    const sighting = follower.kept.sightingOf(file);
    const isUnread = files.backups.includes(file);
    if (isUnread) await follower.kept.tidy(file);
    const { costs, hasOriginal } = await follower.kept.costsOf(file, files.backups);
    if (sighting.offset !== file.offset) {
      sighting.offset = file.offset;
      sighting.stillSinceMs = nowMs;
    }
    const isAlone = isUnread && !hasOriginal && costs.some(({ bytes }) => bytes > 0);
    sighting.aloneSinceMs = isAlone ? (sighting.aloneSinceMs ?? nowMs) : undefined;
    const isDue = isAlone && nowMs - (sighting.aloneSinceMs ?? nowMs) >= LAG_MS;
    unread.push({ follower, file, costs, hasOriginal, isDue, seenAtMs: sighting.seenAtMs });
  }
  return unread;
}

function sum(unread: readonly KeptFacts[]): number {
  return unread.flatMap(({ costs }) => costs).reduce((bytes, cost) => bytes + cost.bytes, 0);
}
