// Brings a sink's files back to the last commit after a stop of any kind: collects what lies on disk for each
// segment of the record, and carries out what `recover.ts` decides. Everything is durable, in the files and in the record,
// before anything is read or written again; stopped half way, it can be done again.
import { constants } from 'node:fs';
import { posix } from 'node:path';
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { retry } from '../../pipeline/backoff.js';
import type { RetryOptions } from '../../pipeline/backoff.js';
import type { Recovery, SegmentStore } from '../../pipeline/component.js';
import { syncUpwards, unlinkIfThere, withFile } from '../../position/durable-file.js';
import type { SegmentRecord } from '../../position/position.js';
import { endOfLastMember } from './members.js';
import { recoverSegment } from './recover.js';
import type { FoundFile, Verdict } from './recover.js';
import { GZIP_SUFFIX } from './segment-name.js';

export interface RestoreOptions extends RetryOptions {
  fs: FileSystem;
  store: SegmentStore;
}

/** The segments to go on with, open and closed ones, in order of id. */
export async function restoreSegments(options: RestoreOptions, recovery: Recovery): Promise<SegmentRecord[]> {
  const { fs, store } = options;
  const kept: SegmentRecord[] = [];
  const amended: SegmentRecord[] = [];
  const gone: number[] = [];
  for (const record of [...recovery.segments].sort((a, b) => a.id - b.id)) {
    const next = await retry(options, `restore ${record.path}`, async () => {
      const verdict = recoverSegment(record, await lookAt(fs, record), recovery);
      return carryOut(options, record, verdict, recovery.isClean);
    });
    if (!next) gone.push(record.id);
    else kept.push(next);
    if (next && next !== record) amended.push(next);
  }
  if (!recovery.isClean) await syncDirectories(options, recovery.segments);
  // Before anything is written again: the next save, which comes first, has both.
  store.forget(gone);
  await store.amend(amended);
  return kept;
}

/**
 * Also where nothing was left to do: a process that was killed may have done it, or made the directories, and after a
 * power cut it would be undone, with a record that no longer knows of it.
 */
async function syncDirectories(options: RestoreOptions, segments: readonly SegmentRecord[]): Promise<void> {
  const done = new Set<string>();
  for (const { path } of segments) {
    const directory = posix.dirname(path);
    await retry(options, `make ${directory} durable`, () => syncUpwards(options.fs, directory, done));
  }
}

async function find(fs: FileSystem, path: string): Promise<FoundFile | undefined> {
  try {
    const { ino, size } = await fs.lstat(path);
    return { ino, size };
  } catch (error) {
    if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return undefined;
    throw error;
  }
}

async function lookAt(fs: FileSystem, record: SegmentRecord) {
  const at = await find(fs, record.path);
  const old = record.from === undefined ? undefined : await find(fs, record.from);
  const isCompressed = !at && !record.gzip && (await find(fs, record.path + GZIP_SUFFIX)) !== undefined;
  return { at, old, isCompressed };
}

async function carryOut(
  { fs, log, metrics, component }: RestoreOptions,
  record: SegmentRecord,
  verdict: Verdict,
  isClean: boolean,
): Promise<SegmentRecord | undefined> {
  const { path, from } = record;
  switch (verdict.kind) {
    case 'forget':
      // Compressed and not yet forgotten: the entry goes through the finisher once more, for the catalog.
      return record.closed ? record : undefined;
    case 'remove':
      if (verdict.path !== undefined) await unlinkIfThere(fs, verdict.path);
      return undefined;
    case 'touched':
      metrics.outputsTouched++;
      log.error(
        { code: 'OUTPUT_TOUCHED', component, path, committedBytes: record.length },
        `${path} was changed by someone else: ${verdict.detail}; it is left as it is and a new file is begun`,
      );
      return undefined;
    case 'keep':
    case 'seal': {
      if (verdict.isRename && from !== undefined) await fs.rename(from, path);
      const settled = { ...record };
      delete settled.from;
      if (verdict.kind === 'seal') return seal(fs, settled);
      // Of a closed one, or after a clean end, nothing is left to be written.
      if (!record.closed && !isClean) await cut(fs, path, verdict.length);
      return from === undefined ? record : settled;
    }
  }
}

/** Durable when it resolves, also where a process that was killed had cut it already. */
async function cut(fs: FileSystem, path: string, length: number): Promise<void> {
  await withFile(fs, path, constants.O_WRONLY, async (fd) => {
    if ((await fs.fstat(fd)).size !== length) await fs.ftruncate(fd, length);
    await fs.fdatasync(fd);
  });
}

/** Keeps every whole line, or gzip member, of a file whose end was not committed, and closes it. */
async function seal(fs: FileSystem, record: SegmentRecord): Promise<SegmentRecord> {
  const { path } = record;
  const { length, ino } = await withFile(fs, path, constants.O_RDONLY, async (fd) => {
    const { size, ino } = await fs.fstat(fd);
    const length = await (record.gzip
      ? endOfLastMember(fs, fd, record.length, size)
      : endOfLastLine(fs, fd, size));
    return { length, ino };
  });
  await cut(fs, path, length);
  return { ...record, length, ino, closed: true };
}

async function endOfLastLine(fs: FileSystem, fd: number, size: number): Promise<number> {
  const buffer = Buffer.alloc(64 * 1024);
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - buffer.length);
    const length = await fs.read(fd, buffer, 0, end - start, start);
    const newline = buffer.subarray(0, length).lastIndexOf(0x0a);
    if (newline >= 0) return start + newline + 1;
    end = start;
  }
  return 0;
}
