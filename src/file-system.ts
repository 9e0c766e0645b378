// The edge to the file system: the few operations that Headgate uses, as promises over numeric descriptors.
// Everything that changes a disk goes through one of these, so that a test can wrap them and fail, delay or
// stop the process at the k-th change. No policy lives here: no retries, no logging.
import fs from 'node:fs';

export interface FileStat {
  dev: number;
  ino: number;
  size: number;
  /** How many names it has; 0 for an open file that was deleted. */
  nlink: number;
  mode: number;
  mtimeMs: number;
  isFile: boolean;
  isDirectory: boolean;
  isSymlink: boolean;
}

/** The room on a file system. */
export interface FileSystemRoom {
  /** What this user may still write. */
  freeBytes: number;
  totalBytes: number;
}

/** Every method rejects with Node's system error (`code`, `path`). */
export interface FileSystem {
  open: (path: string, flags: number, mode?: number) => Promise<number>;
  close: (fd: number) => Promise<void>;
  /** Reads up to `length` bytes at `position`; resolves to how many came, 0 at the end of the file. */
  read: (fd: number, buffer: Buffer, at: number, length: number, position: number) => Promise<number>;
  /** Writes at `position`; resolves to how many bytes were written, which can be fewer than asked. */
  write: (fd: number, buffer: Buffer, at: number, length: number, position: number) => Promise<number>;
  fdatasync: (fd: number) => Promise<void>;
  fsync: (fd: number) => Promise<void>;
  ftruncate: (fd: number, length: number) => Promise<void>;
  fchmod: (fd: number, mode: number) => Promise<void>;
  fstat: (fd: number) => Promise<FileStat>;
  stat: (path: string) => Promise<FileStat>;
  lstat: (path: string) => Promise<FileStat>;
  mkdir: (path: string, mode: number) => Promise<void>;
  rename: (from: string, to: string) => Promise<void>;
  link: (from: string, to: string) => Promise<void>;
  unlink: (path: string) => Promise<void>;
  readdir: (path: string) => Promise<string[]>;
  /** Copies to a new name by sharing the blocks (FICLONE), or rejects: never by moving bytes. */
  reflink: (from: string, to: string) => Promise<void>;
  statfs: (path: string) => Promise<FileSystemRoom>;
  /** Rejects with EINVAL where the path is no symbolic link. */
  readlink: (path: string) => Promise<string>;
}

function toFileStat(s: fs.Stats): FileStat {
  return {
    dev: s.dev,
    ino: s.ino,
    size: s.size,
    nlink: s.nlink,
    mode: s.mode & 0o7777,
    mtimeMs: s.mtimeMs,
    isFile: s.isFile(),
    isDirectory: s.isDirectory(),
    isSymlink: s.isSymbolicLink(),
  };
}

// Callback functions of the default export, looked up at each call: they cost less than FileHandle, and a test
// can replace them from a preloaded module.
type Callback<T> = (error: NodeJS.ErrnoException | null, value: T) => void;
function call<T>(run: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    run((error, value) => {
      if (error) reject(error);
      else resolve(value);
    });
  });
}
function callVoid(run: (done: fs.NoParamCallback) => void): Promise<void> {
  return call<void>((done) => {
    run((error) => {
      done(error, undefined);
    });
  });
}

/** The real one. */
export const nodeFileSystem: FileSystem = {
  open: (path, flags, mode) =>
    call((done) => {
      fs.open(path, flags, mode, done);
    }),
  close: (fd) =>
    callVoid((done) => {
      fs.close(fd, done);
    }),
  read: (fd, buffer, at, length, position) =>
    call((done) => {
      fs.read(fd, buffer, at, length, position, done);
    }),
  write: (fd, buffer, at, length, position) =>
    call((done) => {
      fs.write(fd, buffer, at, length, position, done);
    }),
  fdatasync: (fd) =>
    callVoid((done) => {
      fs.fdatasync(fd, done);
    }),
  fsync: (fd) =>
    callVoid((done) => {
      fs.fsync(fd, done);
    }),
  ftruncate: (fd, length) =>
    callVoid((done) => {
      fs.ftruncate(fd, length, done);
    }),
  fchmod: (fd, mode) =>
    callVoid((done) => {
      fs.fchmod(fd, mode, done);
    }),
  fstat: (fd) =>
    call<fs.Stats>((done) => {
      fs.fstat(fd, done);
    }).then(toFileStat),
  stat: (path) =>
    call<fs.Stats>((done) => {
      fs.stat(path, done);
    }).then(toFileStat),
  lstat: (path) =>
    call<fs.Stats>((done) => {
      fs.lstat(path, done);
    }).then(toFileStat),
  mkdir: (path, mode) =>
    callVoid((done) => {
      fs.mkdir(path, mode, done);
    }),
  rename: (from, to) =>
    callVoid((done) => {
      fs.rename(from, to, done);
    }),
  link: (from, to) =>
    callVoid((done) => {
      fs.link(from, to, done);
    }),
  unlink: (path) =>
    callVoid((done) => {
      fs.unlink(path, done);
    }),
  readdir: (path) =>
    call((done) => {
      fs.readdir(path, done);
    }),
  reflink: (from, to) =>
    callVoid((done) => {
      fs.copyFile(from, to, fs.constants.COPYFILE_EXCL | fs.constants.COPYFILE_FICLONE_FORCE, done);
    }),
  statfs: (path) =>
    call<fs.StatsFs>((done) => {
      fs.statfs(path, done);
    }).then(({ bavail, blocks, bsize }) => ({ freeBytes: bavail * bsize, totalBytes: blocks * bsize })),
  readlink: (path) =>
    call((done) => {
      fs.readlink(path, done);
    }),
};
