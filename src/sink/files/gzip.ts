// Compresses a closed segment: to a temporary name, fsync, verified by inflating it, then given its name, made
// durable, and only then the plain file goes. After a crash at any point the same call does what is left to do. A
// `.gz` is always whole.
import { constants } from 'node:fs';
import { posix } from 'node:path';
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip, createGzip } from 'node:zlib';
import { HeadgateError, systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import {
  lstatIfThere,
  syncDirectory,
  syncIfThere,
  unlinkIfThere,
  withFile,
  writeAll,
} from '../../position/durable-file.js';
import { GZIP_SUFFIX, TEMPORARY_SUFFIX } from './segment-name.js';

const READ_BYTES = 256 * 1024;
const READ = constants.O_RDONLY;
const CREATE = constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL;

/** A segment that is closed and committed. */
export interface ClosedSegment {
  /** Absolute. */
  path: string;
  length: number;
  ino: number;
  /** It was compressed as it was written. */
  gzip?: boolean;
}

/** What lies on disk for a closed segment afterwards; undefined where somebody took it away. */
export interface FinishedFile {
  path: string;
  bytes: number;
  ino: number;
}

/**
 * Replaces the plain file by `<path>.gz`. Throws OUTPUT_TOUCHED where the plain file is not what was closed, or
 * where a foreign file has the name of the compressed one: then the plain file stays. Rejects with the
 * system's error, or `signal`'s reason, and may be called again then.
 */
export async function compressSegment(
  fs: FileSystem,
  segment: ClosedSegment,
  mode: number,
  signal: AbortSignal,
): Promise<FinishedFile | undefined> {
  const { path } = segment;
  const compressed = path + GZIP_SUFFIX;
  const temporary = `${path}${TEMPORARY_SUFFIX}`;
  const found = await lstatIfThere(fs, path);
  if (found) {
    if (found.ino !== segment.ino || found.size !== segment.length) {
      throw new HeadgateError('OUTPUT_TOUCHED', `${path} was changed by someone else after it was closed`, {
        path,
      });
    }
    await unlinkIfThere(fs, temporary);
    await writeCompressed(fs, path, temporary, mode, signal);
    await verify(fs, temporary, segment.length, signal);
    await giveName(fs, path, temporary, compressed);
    await syncDirectory(fs, posix.dirname(path));
    await fs.unlink(path);
  }
  // Also where a killed process unlinked it: once the record lets go of the segment, nobody would remove it again.
  await syncIfThere(fs, posix.dirname(path));
  const finished = await lstatIfThere(fs, compressed);
  return finished && { path: compressed, bytes: finished.size, ino: finished.ino };
}

/** What lies under the name of a closed segment that stays as it is. */
export async function fileAsClosed(
  fs: FileSystem,
  segment: ClosedSegment,
): Promise<FinishedFile | undefined> {
  const found = await lstatIfThere(fs, segment.path);
  return found && { path: segment.path, bytes: found.size, ino: found.ino };
}

async function* chunksOf(fs: FileSystem, fd: number, signal: AbortSignal): AsyncGenerator<Buffer> {
  for (let position = 0; ;) {
    signal.throwIfAborted();
    const buffer = Buffer.allocUnsafe(READ_BYTES);
    const length = await fs.read(fd, buffer, 0, READ_BYTES, position);
    if (length === 0) return;
    position += length;
    yield buffer.subarray(0, length);
  }
}

async function writeCompressed(fs: FileSystem, from: string, to: string, mode: number, signal: AbortSignal) {
  await withFile(fs, from, READ, (source) =>
    withFile(
      fs,
      to,
      CREATE,
      async (target) => {
        await fs.fchmod(target, mode);
        let position = 0;
        await pipeline(
          Readable.from(chunksOf(fs, source, signal)),
          createGzip({ chunkSize: READ_BYTES }),
          async (output: AsyncIterable<Buffer>) => {
            for await (const chunk of output) {
              await writeAll(fs, target, chunk, position);
              position += chunk.length;
            }
          },
        );
        await fs.fdatasync(target);
      },
      mode,
    ),
  );
}

/** Inflates the file: zlib checks its CRC, we its length. */
async function verify(fs: FileSystem, path: string, length: number, signal: AbortSignal): Promise<void> {
  const inflated = await withFile(fs, path, READ, (fd) => digest(fs, fd, true, signal));
  if (inflated.length !== length)
    throw new Error(`${path} inflates to ${inflated.length} bytes instead of ${length}`);
}

async function giveName(fs: FileSystem, plain: string, temporary: string, compressed: string): Promise<void> {
  try {
    await fs.link(temporary, compressed); // Unlike rename, this never replaces a file.
  } catch (error) {
    if (systemCode(error) !== 'EEXIST') throw error;
    if (!(await isSameContent(fs, plain, compressed))) {
      await fs.unlink(temporary);
      throw new HeadgateError(
        'OUTPUT_TOUCHED',
        `${compressed} was put there by someone else: ${plain} stays uncompressed`,
        { path: compressed },
      );
    }
  }
  await fs.unlink(temporary);
}

async function isSameContent(fs: FileSystem, plain: string, compressed: string): Promise<boolean> {
  const { signal } = new AbortController();
  try {
    const a = await withFile(fs, plain, READ, (fd) => digest(fs, fd, false, signal));
    const b = await withFile(fs, compressed, READ, (fd) => digest(fs, fd, true, signal));
    return a.length === b.length && a.hash === b.hash;
  } catch (error) {
    if (systemCode(error)?.startsWith('Z_') || systemCode(error) === 'ELOOP') return false;
    throw error;
  }
}

async function digest(fs: FileSystem, fd: number, isCompressed: boolean, signal: AbortSignal) {
  const hash = createHash('sha256');
  let length = 0;
  const consume = async (source: AsyncIterable<Buffer>): Promise<void> => {
    for await (const chunk of source) {
      hash.update(chunk);
      length += chunk.length;
    }
  };
  const source = Readable.from(chunksOf(fs, fd, signal));
  await (isCompressed
    ? pipeline(source, createGunzip({ chunkSize: READ_BYTES }), consume)
    : pipeline(source, consume));
  return { length, hash: hash.digest('hex') };
}
