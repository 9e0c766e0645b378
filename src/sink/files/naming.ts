// Which name a segment gets. A path with a time in it: the first segment of a slice has the plain name and keeps it
// when it closes, further ones are numbered from the start. A path without: the open segment has the plain name and
// is numbered when it closes. A name that is taken, by whomever, is left alone and the next number is used; the plain and
// the compressed form of a name are one name, since a plain file may become the other.
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { lstatIfThere } from '../../position/durable-file.js';
import type { Directories } from './directories.js';
import { GZIP_SUFFIX, highestSequences, numberedPath, sequenceKey } from './segment-name.js';
import type { Output, Segment } from './segment.js';

/**
 * The highest sequence of every output in a directory, as of one look at it. Made anew for each cycle: with a hundred
 * thousand outputs in a directory, a look for each of them would take hours.
 */
export class Listings {
  readonly #fs: FileSystem;
  readonly #directories: Directories;
  readonly #byDirectory = new Map<string, Map<string, number>>();

  constructor(fs: FileSystem, directories: Directories) {
    this.#fs = fs;
    this.#directories = directories;
  }

  /** The first sequence above those of an output's files. */
  async nextSequence({ name }: Output): Promise<number> {
    let sequences = this.#byDirectory.get(name.directory);
    if (!sequences) {
      sequences = highestSequences(await namesIn(this.#fs, this.#directories.absolute(name.directory)));
      this.#byDirectory.set(name.directory, sequences);
    }
    return (sequences.get(sequenceKey(name.stem, name.ext)) ?? 0) + 1;
  }
}

/**
 * Gives a new segment its name, or a closing one its final name (then `from` is the old one). Resolves to whether
 * anything changed. Only looks at the disk.
 */
export async function nameSegment(
  fs: FileSystem,
  directories: Directories,
  listings: Listings,
  segment: Segment,
  isClosing: boolean,
): Promise<boolean> {
  const { output } = segment;
  const isSliced = output.sliceEndMs !== Infinity;
  const plain = output.name.key + segment.suffix;
  if (segment.path === '') {
    const mayBePlain = (isSliced || !isClosing) && !output.isPlainUsed;
    const isPlain = mayBePlain && (output.isPlainFreed || !(await isTaken(fs, directories, output.name.key)));
    if (isPlain) {
      output.isPlainUsed = true;
      output.isPlainFreed = false;
    }
    segment.path = isPlain ? plain : (await freeNumber(fs, directories, listings, output)) + segment.suffix;
    return true;
  }
  if (isClosing && !isSliced && segment.path === plain) {
    segment.path = (await freeNumber(fs, directories, listings, output)) + segment.suffix;
    segment.from = plain;
    output.isPlainUsed = false;
    output.isPlainFreed = true;
    return true;
  }
  return false;
}

async function freeNumber(
  fs: FileSystem,
  directories: Directories,
  listings: Listings,
  output: Output,
): Promise<string> {
  output.nextSequence ??= await listings.nextSequence(output);
  for (;;) {
    const path = numberedPath(output.name, output.nextSequence++);
    if (!(await isTaken(fs, directories, path))) return path;
  }
}

async function namesIn(fs: FileSystem, directory: string): Promise<string[]> {
  try {
    return await fs.readdir(directory);
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return [];
    throw error;
  }
}

/** Whether either form of a name is there. */
async function isTaken(fs: FileSystem, directories: Directories, path: string): Promise<boolean> {
  const absolute = directories.absolute(path);
  return (
    (await lstatIfThere(fs, absolute)) !== undefined ||
    (await lstatIfThere(fs, `${absolute}${GZIP_SUFFIX}`)) !== undefined
  );
}
