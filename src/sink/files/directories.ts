// The directories that outputs live in: created when first needed, never through a symbolic link below `base_dir`,
// and made durable when something in them was created, renamed or removed.
import { constants } from 'node:fs';
import { posix } from 'node:path';
import { HeadgateError, systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { withFile } from '../../position/durable-file.js';
import { notDurable, touched } from './descriptors.js';

const DIRECTORY_MODE = 0o750;

export class Directories {
  readonly #fs: FileSystem;
  readonly #baseDir: string;
  /** Relative paths known to be real directories. */
  #known = new Set<string>();
  /** Absolute paths of directories with changes that are not durable yet. */
  readonly #touched = new Set<string>();

  constructor(fs: FileSystem, baseDir: string) {
    this.#fs = fs;
    this.#baseDir = baseDir;
  }

  /** The absolute path of a path relative to `base_dir`. */
  absolute(relative: string): string {
    return posix.join(this.#baseDir, relative);
  }

  /** Makes sure that a directory (relative, `''` for `base_dir`) exists. Rejects with the system's error, or OUTPUT_SYMLINK. */
  async ensure(relative: string): Promise<void> {
    if (this.#known.has(relative)) return;
    if (this.#known.size > 100_000) this.#known = new Set();
    if (relative === '') {
      await this.#ensureBase(this.#baseDir);
    } else {
      const parent = posix.dirname(relative);
      await this.ensure(parent === '.' ? '' : parent);
      await this.#make(this.absolute(relative), false);
    }
    this.#known.add(relative);
  }

  /** Says that an entry of this directory (relative) was created, renamed or removed. */
  touch(relative: string): void {
    this.#touched.add(this.absolute(relative));
  }

  /** Makes what was touched durable. Throws RestartError where a sync fails (see `notDurable`) or a directory is gone. */
  async sync(): Promise<void> {
    for (const path of this.#touched) {
      await this.#sync(path);
      this.#touched.delete(path);
    }
  }

  async #sync(path: string): Promise<void> {
    try {
      await withFile(this.#fs, path, constants.O_RDONLY | constants.O_DIRECTORY, (fd) =>
        this.#fs.fsync(fd).catch((error: unknown) => {
          throw notDurable(path, error);
        }),
      );
    } catch (error) {
      if (systemCode(error) === 'ENOENT') throw touched(path, 'the directory was taken away');
      throw error;
    }
  }

  /** After a fault: directories may have been removed, so each is looked at again. */
  forget(): void {
    this.#known = new Set();
  }

  async #ensureBase(path: string): Promise<void> {
    try {
      await this.#make(path, true);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
      await this.#ensureBase(posix.dirname(path));
      await this.#make(path, true);
    }
  }

  async #make(path: string, mayBeLink: boolean): Promise<void> {
    const found = await this.#fs[mayBeLink ? 'stat' : 'lstat'](path).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (!found) {
      try {
        await this.#fs.mkdir(path, DIRECTORY_MODE);
      } catch (error) {
        if (systemCode(error) !== 'EEXIST') throw error; // Two segments may want it at the same time.
      }
      this.#touched.add(posix.dirname(path));
    } else if (!found.isDirectory) {
      throw new HeadgateError(
        'OUTPUT_SYMLINK',
        `${path} is in the way: a directory is needed there, and no symbolic link is followed`,
        { path },
      );
    }
  }
}
