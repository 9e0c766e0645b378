// Which closed files of one group (a rendered path without its time) are pruned: pure decisions, oldest first.

export interface ClosedFile {
  /** Absolute, with `.gz` where compressed. */
  path: string;
  group: string;
  bytes: number;
  ino: number;
  closedAtMs: number;
}

export interface RetentionOptions {
  /** How many closed files a group keeps. */
  keep: number;
  keepBytes: number;
  keepAgeMs: number;
}

/** Whether anything is ever pruned. */
export function isLimited(options: RetentionOptions): boolean {
  return options.keep !== Infinity || options.keepBytes !== Infinity || options.keepAgeMs !== Infinity;
}

/** The files to prune, out of the closed files of one group, oldest first. */
export function filesToPrune(
  files: readonly ClosedFile[],
  options: RetentionOptions,
  nowMs: number,
): readonly ClosedFile[] {
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  let count = files.length;
  for (const [i, file] of files.entries()) {
    const isTooOld = nowMs - file.closedAtMs > options.keepAgeMs;
    if (!isTooOld && count <= options.keep && bytes <= options.keepBytes) return files.slice(0, i);
    bytes -= file.bytes;
    count--;
  }
  return files;
}
