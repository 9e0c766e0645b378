// The closed files that retention may prune, on disk: one JSON line when a file is closed, one when it is gone, made
// durable before the position record lets go of the file. Files that are not in it are never pruned. It is
// rewritten at start, without what no longer exists, so it stays as small as what is kept. Its methods must not run
// at the same time (`finish.ts` takes turns): each line begins where the one before ended. Where nothing is ever pruned
// and it serves only to know the groups that have files, it holds the newest file of each.
import { constants } from 'node:fs';
import { posix } from 'node:path';
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import {
  readSmallFile,
  replaceFile,
  syncIfThere,
  unlinkIfThere,
  withFile,
  writeAll,
} from '../../position/durable-file.js';
import type { ClosedFile } from './retention.js';

export class Catalog {
  readonly #fs: FileSystem;
  readonly #path: string;
  readonly #isNewestOnly: boolean;
  /** By path, oldest first. */
  readonly #files = new Map<string, ClosedFile>();
  /** By group, oldest first. */
  readonly #groups = new Map<string, ClosedFile[]>();
  #totalBytes = 0;
  #length = 0;

  constructor(fs: FileSystem, path: string, isNewestOnly: boolean) {
    this.#fs = fs;
    this.#path = path;
    this.#isNewestOnly = isNewestOnly;
  }

  /** Every file in it, oldest first. */
  get files(): Iterable<ClosedFile> {
    return this.#files.values();
  }

  get totalBytes(): number {
    return this.#totalBytes;
  }

  get groups(): ReadonlyMap<string, readonly ClosedFile[]> {
    return this.#groups;
  }

  /** Reads what the last run left; a half-written last line is ignored. May be tried again after a failure. */
  async open(): Promise<void> {
    const text = (await readSmallFile(this.#fs, this.#path))?.toString('utf8') ?? '';
    const files = new Map<string, ClosedFile>();
    for (const line of text.split('\n').slice(0, -1)) {
      const entry = parseEntry(line);
      if (!entry) continue;
      if (entry.gone) files.delete(entry.path);
      else files.set(entry.path, entry);
    }
    this.#files.clear();
    this.#groups.clear();
    this.#totalBytes = 0;
    const directories = new Set<string>();
    for (const file of files.values()) {
      if (await this.#isThere(file)) this.#insert(file);
      else directories.add(posix.dirname(file.path));
    }
    // A process that was killed may have removed them without making that durable.
    for (const directory of directories) await syncIfThere(this.#fs, directory);
    const kept = [...this.#files.values()].map((file) => `${JSON.stringify(file)}\n`);
    const data = Buffer.from(kept.join(''));
    await replaceFile(this.#fs, this.#path, data);
    await unlinkIfThere(this.#fs, `${this.#path}.1`);
    this.#length = data.length;
  }

  /** Takes in a closed file; durable when it resolves. A file that is in it already changes nothing. */
  async add(file: ClosedFile): Promise<void> {
    if (this.#files.has(file.path)) return;
    await this.#append(`${JSON.stringify(file)}\n`);
    this.#insert(file);
  }

  /** Removes a file from disk, if it is still the one that was closed, and from the catalog. */
  async prune(file: ClosedFile): Promise<void> {
    if (await this.#isThere(file)) await this.#fs.unlink(file.path);
    // Else a power cut could bring it back, and nobody would know that it is to be pruned.
    await syncIfThere(this.#fs, posix.dirname(file.path));
    await this.#append(`${JSON.stringify({ path: file.path, gone: true })}\n`);
    this.#remove(file);
  }

  #insert(file: ClosedFile): void {
    const files = this.#groups.get(file.group);
    if (this.#isNewestOnly) for (const older of files ?? []) this.#remove(older);
    if (files && !this.#isNewestOnly) files.push(file);
    else this.#groups.set(file.group, [file]);
    this.#files.set(file.path, file);
    this.#totalBytes += file.bytes;
  }

  #remove(file: ClosedFile): void {
    if (this.#files.delete(file.path)) this.#totalBytes -= file.bytes;
    const rest = (this.#groups.get(file.group) ?? []).filter(({ path }) => path !== file.path);
    if (rest.length > 0) this.#groups.set(file.group, rest);
    else this.#groups.delete(file.group);
  }

  async #isThere(file: ClosedFile): Promise<boolean> {
    try {
      const found = await this.#fs.lstat(file.path);
      return found.isFile && found.ino === file.ino;
    } catch (error) {
      if (systemCode(error) === 'ENOENT' || systemCode(error) === 'ENOTDIR') return false;
      throw error;
    }
  }

  async #append(line: string): Promise<void> {
    const data = Buffer.from(line);
    await withFile(this.#fs, this.#path, constants.O_WRONLY | constants.O_CREAT, async (fd) => {
      await writeAll(this.#fs, fd, data, this.#length);
      await this.#fs.fdatasync(fd);
    });
    this.#length += data.length;
  }
}

// A damaged line costs no more than that its file is not pruned.
function parseEntry(line: string): (ClosedFile & { gone?: boolean }) | undefined {
  try {
    return JSON.parse(line) as ClosedFile & { gone?: boolean };
  } catch {
    return undefined;
  }
}
