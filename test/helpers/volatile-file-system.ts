// One process on a machine with a `VolatileDisk`: the file system that it sees, until it dies at its k-th change. That
// change is the last one; a write is done by half, a sync not at all. Whether only the process died or the power was
// cut is up to the caller: `disk.cutPower` says what is left then.
import { constants } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { FileStat, FileSystem } from '../../src/file-system.js';
import { isChange } from './disk-changes.mjs';
import { systemError } from './file-system.js';
import { DirectoryNode, FileNode } from './volatile-disk.js';
import type { Node, VolatileDisk } from './volatile-disk.js';

export interface Process {
  fs: FileSystem;
  /** Aborted when it dies. */
  signal: AbortSignal;
  /** How many changes it made. */
  changes: () => number;
}

/** Starts one; those before it on the same disk must be dead or done. */
export function startProcess(disk: VolatileDisk, dieAt = Infinity): Process {
  const death = new AbortController();
  const operations = operationsOn(disk);
  let changes = 0;
  const fs = new Proxy(operations, {
    get:
      (_, name: keyof FileSystem) =>
      async (...args: unknown[]) => {
        // What is asked for at the same time is under way at the same time.
        await new Promise((resolve) => setImmediate(resolve));
        death.signal.throwIfAborted();
        const run = operations[name] as (...given: unknown[]) => unknown;
        if (!isChange(name, args) || ++changes < dieAt) return run(...args);
        if (name === 'write') args[3] = Math.floor(Number(args[3]) / 2);
        try {
          if (!name.endsWith('sync')) run(...args);
        } catch {
          // Nobody is there any more to see a result.
        }
        disk.held.clear();
        death.abort(new Error('died'));
        return death.signal.throwIfAborted();
      },
  });
  return { fs: fs as unknown as FileSystem, signal: death.signal, changes: () => changes };
}

type Synchronous = {
  [K in keyof FileSystem]: (...args: Parameters<FileSystem[K]>) => Awaited<ReturnType<FileSystem[K]>>;
};

function operationsOn(disk: VolatileDisk): Synchronous {
  const descriptors = new Map<number, Node>();
  let nextDescriptor = 3;
  const close = (fd: number): void => {
    const node = descriptors.get(fd);
    descriptors.delete(fd);
    if (node && ![...descriptors.values()].includes(node)) disk.held.delete(node);
  };

  const nodeAt = (path: string): Node => {
    const node = disk.find(path);
    if (!node) throw systemError('ENOENT', path);
    return node;
  };
  const parentOf = (path: string): DirectoryNode => {
    const parent = nodeAt(dirname(path));
    if (!(parent instanceof DirectoryNode)) throw systemError('ENOTDIR', path);
    return parent;
  };
  const nodeOf = (fd: number): Node => {
    const node = descriptors.get(fd);
    if (!node) throw systemError('EBADF');
    return node;
  };
  const fileOf = (fd: number): FileNode => {
    const node = nodeOf(fd);
    if (!(node instanceof FileNode)) throw systemError('EISDIR');
    return node;
  };
  const statOf = (node: Node): FileStat => {
    const isFile = node instanceof FileNode;
    const { ino } = node;
    const [size, mode] = isFile ? [node.data.length, node.mode] : [4096, 0o750];
    // Names are not counted: no sink asks how many a file has.
    const common = { dev: 1, nlink: 1, mtimeMs: 0, isSymlink: false };
    return { ...common, ino, size, mode, isFile, isDirectory: !isFile };
  };

  return {
    open: (path, flags, mode = 0o666) => {
      const there = disk.find(path);
      const isCreating = (flags & constants.O_CREAT) !== 0;
      if (there && isCreating && (flags & constants.O_EXCL) !== 0) throw systemError('EEXIST', path);
      if (!there && !isCreating) throw systemError('ENOENT', path);
      const node = there ?? new FileNode(disk.freeInode(), mode);
      if (!there) parentOf(path).change([basename(path), node]);
      const isDirectory = node instanceof DirectoryNode;
      if (!isDirectory && (flags & constants.O_DIRECTORY) !== 0) throw systemError('ENOTDIR', path);
      if (!isDirectory && (flags & constants.O_TRUNC) !== 0) node.edit({ length: 0 });
      disk.held.add(node);
      descriptors.set(nextDescriptor, node);
      return nextDescriptor++;
    },
    close,
    reflink: (from) => {
      throw systemError('ENOTSUP', from);
    },
    statfs: () => ({ freeBytes: 2 ** 40, totalBytes: 2 ** 41 }),
    read: (fd, buffer, at, length, position) =>
      fileOf(fd)
        .data.subarray(position, position + length)
        .copy(buffer, at),
    write: (fd, buffer, at, length, position) => {
      fileOf(fd).edit({ at: position, bytes: Buffer.from(buffer.subarray(at, at + length)) });
      return length;
    },
    fdatasync: (fd) => {
      nodeOf(fd).sync();
    },
    fsync: (fd) => {
      nodeOf(fd).sync();
    },
    ftruncate: (fd, length) => {
      fileOf(fd).edit({ length });
    },
    fchmod: (fd, mode) => {
      fileOf(fd).mode = mode;
    },
    fstat: (fd) => statOf(nodeOf(fd)),
    stat: (path) => statOf(nodeAt(path)),
    lstat: (path) => statOf(nodeAt(path)),
    mkdir: (path) => {
      if (disk.find(path)) throw systemError('EEXIST', path);
      parentOf(path).change([basename(path), new DirectoryNode(disk.freeInode())]);
    },
    rename: (from, to) => {
      const node = nodeAt(from);
      const parent = parentOf(from);
      // What would be durable of a rename between directories is not modelled.
      if (parent !== parentOf(to)) throw systemError('EXDEV', to);
      if (disk.find(to) !== node) parent.change([basename(from), undefined], [basename(to), node]);
    },
    link: (from, to) => {
      const node = nodeAt(from);
      if (disk.find(to)) throw systemError('EEXIST', to);
      parentOf(to).change([basename(to), node]);
    },
    unlink: (path) => {
      if (!(nodeAt(path) instanceof FileNode)) throw systemError('EISDIR', path);
      parentOf(path).change([basename(path), undefined]);
    },
    readdir: (path) => {
      const node = nodeAt(path);
      if (!(node instanceof DirectoryNode)) throw systemError('ENOTDIR', path);
      return [...node.entries.keys()];
    },
    readlink: (path) => {
      nodeAt(path);
      throw systemError('EINVAL', path);
    },
  };
}
