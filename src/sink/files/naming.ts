// Which name a segment gets. A path with a time in it: the first segment of a slice has the plain name and keeps it
// when it closes, further ones are numbered from the start. A path without: the open segment has the plain name and
// is numbered when it closes. A name that is taken, by whomever, is left alone and the next number is used.
import { posix } from 'node:path';
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import type { Directories } from './directories.js';
import { nextSequence, numberedPath } from './segment-name.js';
import type { Output, Segment } from './segment.js';

/**
 * Gives a new segment its name, or a closing one its final name (then `from` is the old one). Resolves to whether
 * anything changed. Only looks at the disk.
 */
export async function nameSegment(
  fs: FileSystem,
  directories: Directories,
  segment: Segment,
  isClosing: boolean,
): Promise<boolean> {
  const { output } = segment;
  const isSliced = output.sliceEndMs !== Infinity;
  const plain = output.name.key;
  if (segment.path === '') {
    const mayBePlain = (isSliced || !isClosing) && !output.isPlainUsed;
    const isPlain = mayBePlain && (output.isPlainFreed || !(await isTaken(fs, directories, plain)));
    if (isPlain) {
      output.isPlainUsed = true;
      output.isPlainFreed = false;
    }
    segment.path = isPlain ? plain : await freeNumber(fs, directories, output);
    return true;
  }
  if (isClosing && !isSliced && segment.path === plain) {
    segment.path = await freeNumber(fs, directories, output);
    segment.from = plain;
    output.isPlainUsed = false;
    output.isPlainFreed = true;
    return true;
  }
  return false;
}

async function freeNumber(fs: FileSystem, directories: Directories, output: Output): Promise<string> {
  output.nextSequence ??= nextSequence(
    output.name,
    await namesIn(fs, directories.absolute(output.name.directory)),
  );
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

async function isTaken(fs: FileSystem, directories: Directories, path: string): Promise<boolean> {
  for (const name of [path, `${path}.gz`]) {
    try {
      await fs.lstat(posix.normalize(directories.absolute(name)));
      return true;
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  }
  return false;
}
