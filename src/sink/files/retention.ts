// Which closed files are pruned, of one group (a rendered path without its time) and of a whole sink: pure decisions,
// oldest first.

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
  /** How many bytes of closed files the whole sink keeps. */
  keepTotalBytes: number;
}

/** Whether anything is ever pruned. */
export function isLimited(options: RetentionOptions): boolean {
  const { keep, keepBytes, keepAgeMs, keepTotalBytes } = options;
  return [keep, keepBytes, keepAgeMs, keepTotalBytes].some((limit) => limit !== Infinity);
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

/** The files to prune, out of all closed files of a sink, oldest first, that are `totalBytes` together. */
export function filesOverTotal(
  files: Iterable<ClosedFile>,
  totalBytes: number,
  { keepTotalBytes }: RetentionOptions,
): ClosedFile[] {
  const over: ClosedFile[] = [];
  let bytes = totalBytes;
  for (const file of files) {
    if (bytes <= keepTotalBytes) break;
    over.push(file);
    bytes -= file.bytes;
  }
  return over;
}
