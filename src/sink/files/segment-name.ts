// The names of one output and of its segments. An output is a rendered path (`audit.team-a.2026112110.log`); its
// segments are files: `<stem><ext>`, then `<stem>~000001<ext>` and so on, each perhaps with `.gz`. `~` is never part
// of a value or of a template's text, so no other output can have such a name.
import { posix } from 'node:path';

/** A file name may be this long on every file system in use. */
export const LONGEST_NAME = 255;
/**
 * Room that a rendered name leaves for `~`, up to nine digits, `.gz` and the suffix of a temporary file, and for the dot of
 * a value that ends in `.gz`, which is encoded.
 */
export const SUFFIX_ROOM = 1 + 9 + 3 + 3 + 2;

export const GZIP_SUFFIX = '.gz';
/** Added to a segment's name while its compressed form is being written. */
export const TEMPORARY_SUFFIX = '~gz';

export interface OutputName {
  /** The rendered path, relative to `base_dir`. */
  key: string;
  /** Its directory, `''` for `base_dir` itself. */
  directory: string;
  /** Its file name in two parts; segments put their sequence between them. */
  stem: string;
  ext: string;
}

/** Splits a rendered path; `ext` is what the template says that its extension is. */
export function outputName(key: string, ext: string): OutputName {
  const directory = posix.dirname(key);
  const base = posix.basename(key);
  return {
    key,
    directory: directory === '.' ? '' : directory,
    stem: base.slice(0, base.length - ext.length),
    ext,
  };
}

/** The path of a numbered segment in its plain form, relative to `base_dir`. */
export function numberedPath(name: OutputName, sequence: number): string {
  return posix.join(name.directory, `${name.stem}~${String(sequence).padStart(6, '0')}${name.ext}`);
}

/** One string for the stem and the extension of an output. */
export function sequenceKey(stem: string, ext: string): string {
  return `${stem}/${ext}`;
}

/**
 * The highest sequence of the numbered segments, in any form, of each output among `names`, which are base names of one
 * directory; by `sequenceKey`.
 */
export function highestSequences(names: readonly string[]): Map<string, number> {
  const highest = new Map<string, number>();
  for (const name of names) {
    const match = /^(.*)~(\d{6,9})(.*?)(?:\.gz)?(?:~gz)?$/s.exec(name);
    if (!match) continue;
    const key = sequenceKey(match[1] ?? '', match[3] ?? '');
    highest.set(key, Math.max(highest.get(key) ?? 0, Number(match[2])));
  }
  return highest;
}
