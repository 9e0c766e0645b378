// Which segments have an open descriptor: the most recently used ones, at most `max_open_files`. A segment without
// one is opened again when it is needed, and must then still be the file that it was. Where the process runs out of
// descriptors, half of them are closed and fewer are kept from then on.
import { constants } from 'node:fs';
import { registerRelief } from '../../descriptor-relief.js';
import { RestartError, systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import type { Directories } from './directories.js';
import type { Segment } from './segment.js';

export class Descriptors {
  readonly #fs: FileSystem;
  readonly #directories: Directories;
  #limit: number;
  /** In order of use, the least recent first. */
  readonly #open = new Set<Segment>();
  readonly #endRelief: () => void;
  /** A descriptor could not be closed when nobody waited for it: the next use tells. */
  #failure: unknown;

  constructor(fs: FileSystem, directories: Directories, limit: number) {
    this.#fs = fs;
    this.#directories = directories;
    this.#limit = limit;
    this.#endRelief = registerRelief(() => this.#relieve());
  }

  /** Runs with the segment's descriptor. Throws RestartError where its file is not the same any more. */
  async use<T>(segment: Segment, run: (fd: number) => Promise<T>): Promise<T> {
    if (this.#failure !== undefined) throw this.#failure as Error;
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

  /** Makes what was written to the segment durable. Throws RestartError where that fails: see `notDurable`. */
  async sync(segment: Segment): Promise<void> {
    await this.use(segment, (fd) =>
      this.#fs.fdatasync(fd).catch((error: unknown) => {
        throw notDurable(this.#directories.absolute(segment.path), error);
      }),
    );
  }

  /** Throws RestartError where it fails: a file system may tell only now that it did not keep what was written. */
  async close(segment: Segment): Promise<void> {
    this.#open.delete(segment);
    const { fd } = segment;
    segment.fd = -1;
    if (fd < 0) return;
    await this.#fs.close(fd).catch((error: unknown) => {
      throw notDurable(this.#directories.absolute(segment.path), error);
    });
  }

  /** At the end: what is not committed by now is written again anyhow. */
  async closeAll(): Promise<void> {
    this.#endRelief();
    for (const segment of this.#open) await this.close(segment).catch(() => undefined);
  }

  async #relieve(): Promise<void> {
    this.#limit = Math.max(1, Math.floor(this.#open.size / 2));
    await this.#evict(undefined).catch((error: unknown) => {
      this.#failure = error;
    });
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
    try {
      const { ino } = await this.#fs.fstat(fd);
      if (ino !== segment.ino) throw touched(path, 'another file is in its place');
    } catch (error) {
      await this.#fs.close(fd).catch(() => undefined); // The first error tells more.
      throw error;
    }
    segment.fd = fd;
    this.#open.add(segment);
    await this.#evict(segment);
  }

  async #evict(keep: Segment | undefined): Promise<void> {
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

/**
 * A sync that failed is never tried again: the kernel reports a failed write-back once, and may by then have marked the
 * pages clean or dropped them, so that the next fdatasync succeeds over data that are lost (Linux
 * Documentation/filesystems/vfs.rst "Handling errors during writeback"; PostgreSQL's "fsyncgate", 2018). The same goes for
 * ENOSPC and EDQUOT where space is allocated late, and for errors that only `close` reports. So the pipeline starts
 * again from its last commit: what is behind the receipts is cut off, read again, and written to fresh pages.
 */
export function notDurable(path: string, cause: unknown): RestartError {
  return new RestartError('SINK_WAITING', `${path} could not be made durable`, { path, cause });
}
