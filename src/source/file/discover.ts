// What there is to follow: the paths that a configuration names or matches, and the backups beside one path. Looks,
// and decides nothing.
import { basename, dirname, isAbsolute, join } from 'node:path';
import picomatch from 'picomatch';
import { glob, isDynamicPattern } from 'tinyglobby';
import { systemCode } from '../../errors.js';
import type { FileStat, FileSystem } from '../../file-system.js';
import { isBackupName, parseBackupName } from './backup-name.js';
import type { BackupName } from './backup-name.js';

// A directory in which something is renamed at every listing would be listed for ever; what the last listing missed
// is seen at the next look.
const MAX_LISTINGS = 8;
// As many as Linux follows.
const MAX_LINKS = 40;

/** The configured paths: those without wildcards, and patterns for the rest. */
export class PathPatterns {
  /** Followed whether they exist or not. */
  readonly literal: readonly string[];
  readonly #patterns: string[];
  readonly #isMatch: (path: string) => boolean;

  constructor(paths: readonly string[]) {
    this.literal = [...new Set(paths.filter((path) => !isDynamicPattern(path)))];
    this.#patterns = paths.filter((path) => isDynamicPattern(path));
    this.#isMatch = picomatch(this.#patterns, { dot: true });
  }

  /** Whether a pattern would find this path if it existed. */
  matches(path: string): boolean {
    return this.#isMatch(path) && !isBackupName(basename(path));
  }

  /** The existing files that patterns match, without backups: those belong to their live file. */
  async expand(): Promise<string[]> {
    if (this.#patterns.length === 0) return [];
    const found = await glob(this.#patterns, {
      absolute: true,
      cwd: '/',
      dot: true,
      expandDirectories: false,
    });
    return found.filter((path) => !isBackupName(basename(path))).sort();
  }
}

/** Where a followed path leads: backups are beside that. A path that is no symbolic link, or where nothing is, leads to itself. */
export async function targetOf(fs: FileSystem, path: string): Promise<string> {
  let target = path;
  for (let i = 0; i < MAX_LINKS; i++) {
    try {
      const link = await fs.readlink(target);
      target = isAbsolute(link) ? link : `${dirname(target)}/${link}`;
    } catch (error) {
      if (systemCode(error) === 'EINVAL' || isMissing(error)) return target;
      throw error;
    }
  }
  return target;
}

/** A backup as listed. */
export interface ListedBackup extends BackupName {
  stat: FileStat;
}

/**
 * The backups beside `path`, oldest first, one for each stem: the plain file while it exists, because its `.gz` is not
 * whole before the plain one goes. A directory listing is no snapshot, so it is repeated until two agree. A directory
 * that does not exist holds none; other errors are thrown.
 */
export async function listBackups(fs: FileSystem, path: string): Promise<ListedBackup[]> {
  let names = await listNames(fs, path);
  for (let i = 1; ; i++) {
    const backups = await statAll(fs, dirname(path), names);
    const namesNow = await listNames(fs, path);
    const isSame = names.length === namesNow.length && names.every((b, j) => b.name === namesNow[j]?.name);
    if (isSame || i === MAX_LISTINGS) return backups;
    names = namesNow;
  }
}

async function listNames(fs: FileSystem, path: string): Promise<BackupName[]> {
  let names: string[];
  try {
    names = await fs.readdir(dirname(path));
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  const byStem = new Map<string, BackupName>();
  for (const name of names) {
    const backup = parseBackupName(basename(path), name);
    if (backup && (!backup.isGzip || !byStem.has(backup.stem))) byStem.set(backup.stem, backup);
  }
  return [...byStem.values()].sort((a, b) => (a.stem < b.stem ? -1 : 1));
}

async function statAll(fs: FileSystem, directory: string, names: BackupName[]): Promise<ListedBackup[]> {
  const listed: ListedBackup[] = [];
  for (const backup of names) {
    // A plain one that is gone was compressed meanwhile. Left out, it would come up after those that are younger.
    const compressed = { ...backup, name: `${backup.stem}.gz`, isGzip: true };
    for (const each of backup.isGzip ? [backup] : [backup, compressed]) {
      const stat = await statIfExists(fs, join(directory, each.name));
      if (!stat?.isFile) continue;
      listed.push({ ...each, stat });
      break;
    }
  }
  return listed;
}

/** Undefined where nothing has that name; other errors are thrown. */
export async function statIfExists(fs: FileSystem, path: string): Promise<FileStat | undefined> {
  try {
    return await fs.stat(path);
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** Whether this is the error of a path at which nothing is. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}
