// The file system as the spool's reader sees it: what is not durable yet does not exist. Else a batch could be
// delivered, then be taken back by a crash or by a failed sync, and be delivered again when it is sent again.
import type { FileStat, FileSystem } from '../../file-system.js';

/** `limitOf` says how much of the file with this inode exists; undefined: all of it. */
export function durableView(fs: FileSystem, limitOf: (ino: number) => number | undefined): FileSystem {
  /** By descriptor. */
  const inodes = new Map<number, number>();
  const limited = (stat: FileStat): FileStat => {
    const limit = limitOf(stat.ino);
    return limit === undefined || stat.size <= limit ? stat : { ...stat, size: limit };
  };
  return {
    ...fs,
    open: async (path, flags, mode) => {
      const fd = await fs.open(path, flags, mode);
      try {
        inodes.set(fd, (await fs.fstat(fd)).ino);
      } catch (error) {
        await fs.close(fd);
        throw error;
      }
      return fd;
    },
    close: async (fd) => {
      inodes.delete(fd);
      await fs.close(fd);
    },
    stat: async (path) => limited(await fs.stat(path)),
    lstat: async (path) => limited(await fs.lstat(path)),
    fstat: async (fd) => limited(await fs.fstat(fd)),
    read: async (fd, buffer, at, length, position) => {
      const limit = limitOf(inodes.get(fd) ?? -1) ?? Infinity;
      const left = Math.max(0, Math.min(length, limit - position));
      return left === 0 ? 0 : fs.read(fd, buffer, at, left, position);
    },
  };
}
