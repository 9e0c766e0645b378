// Which segments have an open descriptor: the most recently used ones, at most `max_open_files`. A segment without
// one is opened again when it is needed, and must then still be the file that it was.
import { constants } from 'node:fs';
import { RestartError, systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import type { Directories } from './directories.js';
import type { Segment } from './segment.js';

export class Descriptors {
  readonly #fs: FileSystem;
  readonly #directories: Directories;
  readonly #limit: number;
  /** In order of use, the least recent first. */
  readonly #open = new Set<Segment>();

  constructor(fs: FileSystem, directories: Directories, limit: number) {
    this.#fs = fs;
    this.#directories = directories;
    this.#limit = limit;
  }

  /** Runs with the segment's descriptor. Throws RestartError where its file is not the same any more. */
  async use<T>(segment: Segment, run: (fd: number) => Promise<T>): Promise<T> {
    segment.isBusy = true;
    try {
      if (segment.fd < 0) await this.#reopen(segment);
      this.#open.delete(segment);
      this.#open.add(segment);
      return await run(segment.fd);
    } finally {
      segment.isBusy = false;
    }
  }

  /** Takes in a descriptor that was just created. */
  async adopt(segment: Segment, fd: number): Promise<void> {
    segment.fd = fd;
    this.#open.add(segment);
    await this.#evict(segment);
  }

  async close(segment: Segment): Promise<void> {
    this.#open.delete(segment);
    const { fd } = segment;
    segment.fd = -1;
    if (fd >= 0) await this.#fs.close(fd);
  }

  async closeAll(): Promise<void> {
    for (const segment of this.#open) await this.close(segment);
  }

  async #reopen(segment: Segment): Promise<void> {
    const path = this.#directories.absolute(segment.path);
    let fd: number;
    try {
      fd = await this.#fs.open(path, constants.O_WRONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ELOOP')
        throw touched(path, 'it was taken away');
      throw error;
    }
    segment.fd = fd;
    this.#open.add(segment);
    const { ino } = await this.#fs.fstat(fd);
    if (ino !== segment.ino) {
      await this.close(segment);
      throw touched(path, 'another file is in its place');
    }
    await this.#evict(segment);
  }

  async #evict(keep: Segment): Promise<void> {
    for (const segment of this.#open) {
      if (this.#open.size <= this.#limit) return;
      if (segment !== keep && !segment.isBusy) await this.close(segment);
    }
  }
}

/** An output that someone else changed while it was being written; `start` tells the rest. */
export function touched(path: string, what: string): RestartError {
  return new RestartError('OUTPUT_TOUCHED', `${path} was changed by someone else: ${what}`, { path });
}
