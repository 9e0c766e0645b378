// Replacing a small file so that after any crash either the old or the new content is there, whole: temporary
// file, fsync, rename, fsync of the directory. The previous content stays beside it as `<path>.1`.
import { constants } from 'node:fs';
import { dirname } from 'node:path';
import { systemCode } from '../errors.js';
import type { FileStat, FileSystem } from '../file-system.js';

const NO_FOLLOW = constants.O_NOFOLLOW;

/** Opens, runs, closes. */
export async function withFile<T>(
  fs: FileSystem,
  path: string,
  flags: number,
  run: (fd: number) => Promise<T>,
  mode = 0o600,
): Promise<T> {
  const fd = await fs.open(path, flags | NO_FOLLOW, mode);
  try {
    return await run(fd);
  } finally {
    await fs.close(fd);
  }
}

/** Makes creations, renames and removals in a directory durable. */
export async function syncDirectory(fs: FileSystem, directory: string): Promise<void> {
  await withFile(fs, directory, constants.O_RDONLY | constants.O_DIRECTORY, (fd) => fs.fsync(fd));
}

/** The same where the directory may be gone, with what was in it. */
export async function syncIfThere(fs: FileSystem, directory: string): Promise<void> {
  try {
    await syncDirectory(fs, directory);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT' && systemCode(error) !== 'ENOTDIR') throw error;
  }
}

/** What a directory above ours can answer: it is somebody else's, and making it durable is up to them. */
const NOT_OURS: ReadonlySet<string | undefined> = new Set([
  'EACCES',
  'EINVAL',
  'ELOOP',
  'ENOENT',
  'ENOTDIR',
  'EPERM',
  'EROFS',
]);

/**
 * Makes durable what a killed process may have left to be written in a directory and in those above it, which it may
 * have made. Those in `done` are left out, and are more afterwards.
 */
export async function syncUpwards(
  fs: FileSystem,
  directory: string,
  done: Set<string> = new Set(),
): Promise<void> {
  for (let path = directory; !done.has(path); path = dirname(path)) {
    try {
      await syncDirectory(fs, path);
    } catch (error) {
      if (!NOT_OURS.has(systemCode(error))) throw error;
    }
    done.add(path);
  }
}

/** Writes all of `data` at `position`. */
export async function writeAll(fs: FileSystem, fd: number, data: Buffer, position: number): Promise<void> {
  for (let done = 0; done < data.length;) {
    done += await fs.write(fd, data, done, data.length - done, position + done);
  }
}

/** The first `size` bytes of a file; fewer where it is shorter. */
export async function readBytes(fs: FileSystem, fd: number, size: number): Promise<Buffer> {
  const data = Buffer.alloc(size);
  let length = 0;
  while (length < size) {
    const read = await fs.read(fd, data, length, size - length, length);
    if (read === 0) break;
    length += read;
  }
  return data.subarray(0, length);
}

/** The whole content of a small file, or undefined where there is none. */
export async function readSmallFile(fs: FileSystem, path: string): Promise<Buffer | undefined> {
  try {
    return await withFile(fs, path, constants.O_RDONLY, async (fd) =>
      readBytes(fs, fd, (await fs.fstat(fd)).size),
    );
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

/** What lies under a name, without following a link; undefined where nothing does. */
export async function lstatIfThere(fs: FileSystem, path: string): Promise<FileStat | undefined> {
  try {
    return await fs.lstat(path);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  }
}

export async function unlinkIfThere(fs: FileSystem, path: string): Promise<void> {
  try {
    await fs.unlink(path);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
}

/**
 * Replaces `path` by `data` (mode 0600), keeping what was there as `<path>.1`. May be tried again after a failure, also of
 * a sync: every byte is written anew then, so none is taken for durable because the kernel has forgotten that it is not.
 */
export async function replaceFile(fs: FileSystem, path: string, data: Buffer): Promise<void> {
  const temporary = `${path}.tmp`;
  const previous = `${path}.1`;
  await withFile(fs, temporary, constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC, async (fd) => {
    await writeAll(fs, fd, data, 0);
    await fs.fdatasync(fd);
  });
  await unlinkIfThere(fs, previous);
  try {
    await fs.link(path, previous);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error;
  }
  await fs.rename(temporary, path);
  await syncDirectory(fs, dirname(path));
}
