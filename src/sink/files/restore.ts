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
import { syncDirectory, unlinkIfThere, withFile } from '../../position/durable-file.js';
import type { SegmentRecord } from '../../position/position.js';
import { recoverSegment } from './recover.js';
import type { FoundFile, Verdict } from './recover.js';

export interface RestoreOptions extends RetryOptions {
  fs: FileSystem;
  store: SegmentStore;
}

/** The segments to go on with, open and closed ones, in order of id. */
export async function restoreSegments(options: RestoreOptions, recovery: Recovery): Promise<SegmentRecord[]> {
  const { fs, store } = options;
  const directories = new Set<string>();
  const kept: SegmentRecord[] = [];
  const amended: SegmentRecord[] = [];
  const gone: number[] = [];
  for (const record of [...recovery.segments].sort((a, b) => a.id - b.id)) {
    const next = await retry(options, `restore ${record.path}`, async () => {
      const verdict = recoverSegment(record, await lookAt(fs, record), recovery);
      return carryOut(options, record, verdict, directories);
    });
    if (!next) gone.push(record.id);
    else kept.push(next);
    if (next && next !== record) amended.push(next);
  }
  for (const directory of directories) {
    await retry(options, `make ${directory} durable`, () => syncDirectory(fs, directory));
  }
  // Before anything is written again: the next save, which comes first, has both.
  store.forget(gone);
  await store.amend(amended);
  return kept;
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
  const isCompressed = !at && (await find(fs, `${record.path}.gz`)) !== undefined;
  return { at, old, isCompressed };
}

async function carryOut(
  { fs, log, metrics, component }: RestoreOptions,
  record: SegmentRecord,
  verdict: Verdict,
  directories: Set<string>,
): Promise<SegmentRecord | undefined> {
  const { path, from } = record;
  const directory = posix.dirname(path);
  switch (verdict.kind) {
    case 'forget':
      // Compressed and not yet forgotten: the entry goes through the finisher once more, for the catalog.
      return record.closed ? record : undefined;
    case 'remove':
      if (verdict.path !== undefined) {
        await unlinkIfThere(fs, verdict.path);
        directories.add(directory);
      }
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
      if (verdict.isRename && from !== undefined) {
        await fs.rename(from, path);
        directories.add(directory);
      }
      const settled = { ...record };
      delete settled.from;
      if (verdict.kind === 'seal') return seal(fs, settled);
      await cut(fs, path, verdict.length);
      return from === undefined ? record : settled;
    }
  }
}

async function cut(fs: FileSystem, path: string, length: number): Promise<void> {
  await withFile(fs, path, constants.O_WRONLY, async (fd) => {
    if ((await fs.fstat(fd)).size === length) return;
    await fs.ftruncate(fd, length);
    await fs.fdatasync(fd);
  });
}

/** Keeps every whole line of a file whose end was not committed, and closes it. */
async function seal(fs: FileSystem, record: SegmentRecord): Promise<SegmentRecord> {
  const { path } = record;
  const { length, ino } = await withFile(fs, path, constants.O_RDONLY, async (fd) => {
    const { size, ino } = await fs.fstat(fd);
    return { length: await endOfLastLine(fs, fd, size), ino };
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
