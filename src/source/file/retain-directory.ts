// Where unread backups of one followed path are kept when kube-apiserver prunes them: a directory with other names for
// them, or copies. What is whole has its final name, `<stem>~<inode>` with `.gz` for compressed content; the inode
// tells two backups apart that had one name. Nothing but files with such names is ever deleted. What is to be kept, and
// for how long, is decided elsewhere (`kept-files.ts`, `retention.ts`).
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { syncDirectory, unlinkIfThere, withFile, writeAll } from '../../position/durable-file.js';
import { parseBackupName } from './backup-name.js';
import { isMissing } from './discover.js';
import type { FollowedFile } from './followed-file.js';

const TEMPORARY = '.tmp';
const KEPT_NAME = /^(.*)~(\d+)(\.gz)?$/;
const MODE = 0o600;
const DIRECTORY_MODE = 0o700;
const COPY_BYTES = 1024 * 1024;
// A file of another user (`fs.protected_hardlinks`), of another mount, or of a file system that can't do it.
const IMPOSSIBLE = new Set([
  ...['EPERM', 'EXDEV', 'EACCES', 'EMLINK', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'ENOTTY', 'EINVAL', 'ENOENT'],
]);

/** A backup, or a copy of one, in the directory. */
export interface RetainedFile {
  directory: string;
  name: string;
  /** The backup's name without `.gz`. */
  stem: string;
}

/** The directory of one followed path below `root`. */
export class RetainDirectory {
  readonly #fs: FileSystem;
  readonly #root: string;
  readonly #liveName: string;
  readonly directory: string;

  constructor(fs: FileSystem, root: string, path: string) {
    this.#fs = fs;
    this.#root = root;
    this.#liveName = basename(path);
    // The hash keeps paths apart, the name is for people.
    const hash = createHash('sha256').update(path).digest('hex').slice(0, 16);
    this.directory = join(root, `${hash}~${this.#liveName.replaceAll(/[^\w.-]/g, '_').slice(0, 100)}`);
  }

  /** What is kept, by stem. Removes what a crash left half done. */
  async list(): Promise<RetainedFile[]> {
    let names: string[];
    try {
      names = await this.#fs.readdir(this.directory);
    } catch (error) {
      if (isMissing(error)) return [];
      throw error;
    }
    const kept: RetainedFile[] = [];
    for (const name of names.sort()) {
      const isTemporary = name.endsWith(TEMPORARY);
      const retained = this.#parse(isTemporary ? name.slice(0, -TEMPORARY.length) : name);
      if (!retained) continue;
      if (isTemporary) await unlinkIfThere(this.#fs, join(this.directory, name));
      else kept.push(retained);
    }
    return kept;
  }

  /** Gives a held file another name. Undefined where that is not possible; not durable before `sync`. */
  async link(file: FollowedFile, stem: string): Promise<RetainedFile | undefined> {
    const retained = this.#nameOf(file, stem);
    const to = pathOf(retained);
    await this.make();
    try {
      await this.#fs.link(file.location, to);
    } catch (error) {
      const code = systemCode(error) ?? '';
      if (IMPOSSIBLE.has(code)) return undefined;
      if (code !== 'EEXIST') throw error;
    }
    if (file.is(await this.#fs.lstat(to))) return retained;
    // Another file has got the name that was linked.
    await unlinkIfThere(this.#fs, to);
    return undefined;
  }

  /** Copies a file by sharing its blocks. Undefined where that is not possible; not durable before `sync`. */
  async reflink(file: FollowedFile, stem: string): Promise<RetainedFile | undefined> {
    const retained = this.#nameOf(file, stem);
    const temporary = pathOf(retained) + TEMPORARY;
    await this.make();
    await unlinkIfThere(this.#fs, temporary);
    try {
      await this.#fs.reflink(file.descriptorPath, temporary);
    } catch (error) {
      if (IMPOSSIBLE.has(systemCode(error) ?? '')) return undefined;
      throw error;
    }
    await withFile(this.#fs, temporary, constants.O_WRONLY, async (fd) => {
      await this.#fs.fchmod(fd, MODE);
      await this.#fs.fsync(fd);
    });
    await this.#fs.rename(temporary, pathOf(retained));
    return retained;
  }

  /** Copies what `fd` leads to, durably. Undefined, with nothing left behind, once `isWanted` says no. */
  async copy(
    file: FollowedFile,
    fd: number,
    stem: string,
    isWanted: () => boolean,
  ): Promise<RetainedFile | undefined> {
    const retained = this.#nameOf(file, stem);
    const temporary = pathOf(retained) + TEMPORARY;
    const flags = constants.O_WRONLY | constants.O_CREAT | constants.O_TRUNC;
    await this.make();
    try {
      const isWhole = await withFile(
        this.#fs,
        temporary,
        flags,
        async (to) => {
          const buffer = Buffer.allocUnsafe(COPY_BYTES);
          for (let offset = 0; isWanted();) {
            const bytes = await this.#fs.read(fd, buffer, 0, buffer.length, offset);
            if (bytes === 0) {
              await this.#fs.fsync(to);
              return true;
            }
            await writeAll(this.#fs, to, buffer.subarray(0, bytes), offset);
            offset += bytes;
          }
          return false;
        },
        MODE,
      );
      if (isWhole) {
        await this.#fs.rename(temporary, pathOf(retained));
        await this.sync();
        return retained;
      }
    } catch (error) {
      await unlinkIfThere(this.#fs, temporary).catch(() => undefined); // The first fault is the one to tell.
      throw error;
    }
    await unlinkIfThere(this.#fs, temporary);
    return undefined;
  }

  /** Makes new names durable. */
  sync(): Promise<void> {
    return syncDirectory(this.#fs, this.directory);
  }

  /** Deletes one of `list`'s, `link`'s, `reflink`'s or `copy`'s; gone already is fine. */
  remove(retained: RetainedFile): Promise<void> {
    return unlinkIfThere(this.#fs, pathOf(retained));
  }

  /** Makes the directory where it is missing; not its parents. */
  async make(): Promise<void> {
    for (const directory of [this.#root, this.directory])
      await this.#fs.mkdir(directory, DIRECTORY_MODE).then(
        () => syncDirectory(this.#fs, dirname(directory)),
        (error: unknown) => {
          if (systemCode(error) !== 'EEXIST') throw error;
        },
      );
  }

  #nameOf(file: FollowedFile, stem: string): RetainedFile {
    const name = `${stem}~${String(file.ino)}${file.isGzip ? '.gz' : ''}`;
    return { directory: this.directory, name, stem };
  }

  #parse(name: string): RetainedFile | undefined {
    const stem = KEPT_NAME.exec(name)?.[1];
    const backup = stem === undefined ? undefined : parseBackupName(this.#liveName, stem);
    return backup && !backup.isGzip ? { directory: this.directory, name, stem: backup.stem } : undefined;
  }
}

/** Its path. */
export function pathOf(retained: RetainedFile): string {
  return join(retained.directory, retained.name);
}
