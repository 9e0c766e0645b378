// The batches that were answered, the newest ones: a body that comes again, because its answer came too late or was lost,
// is known by its hash and not stored twice. Each stands in the spool with its lines; those whose lines were delivered
// and deleted stand in a file beside it, which is written before they are deleted. So what is known after a crash is
// exactly what is durable.
import { join } from 'node:path';
import type { FileSystem } from '../../file-system.js';
import { readSmallFile, replaceFile } from '../../position/durable-file.js';

/** At ten batches a second from each of three API servers these are 18 minutes; tries end after four. */
export const MAX_KNOWN = 32_768;
const NAME = 'answered-batches.txt';
const HASH = /^[\w-]{43}$/;

/** See above. */
export class KnownBatches {
  readonly #max: number;
  /** In the order in which they were stored. */
  readonly #batches = new Set<string>();

  constructor(max = MAX_KNOWN) {
    this.#max = max;
  }

  has(batch: string): boolean {
    return this.#batches.has(batch);
  }

  add(batch: string): void {
    this.#batches.add(batch);
    if (this.#batches.size <= this.#max) return;
    for (const oldest of this.#batches) {
      this.#batches.delete(oldest);
      return;
    }
  }

  /** Adds those of the file. Lines of it that are none are left out. */
  async read(fs: FileSystem, directory: string): Promise<void> {
    const data = await readSmallFile(fs, join(directory, NAME));
    for (const line of data?.toString('latin1').split('\n') ?? []) if (HASH.test(line)) this.add(line);
  }

  /** Writes all of them; resolves when that is durable. */
  async write(fs: FileSystem, directory: string): Promise<void> {
    const text = [...this.#batches, ''].join('\n');
    await replaceFile(fs, join(directory, NAME), Buffer.from(text, 'latin1'));
  }
}
