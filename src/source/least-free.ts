// How much room a source leaves on a file system that it keeps events on, where `min_free_bytes` does not say: enough
// for the node to go on, on small file systems too.
import type { FileSystemRoom } from '../file-system.js';

const SMALL_SYSTEM_SHARE = 0.05;
const DEFAULT_MIN_FREE_BYTES = 2 ** 30;

/** In bytes; `configured` is the option. */
export function leastFreeBytes(configured: number | undefined, { totalBytes }: FileSystemRoom): number {
  return configured ?? Math.min(DEFAULT_MIN_FREE_BYTES, totalBytes * SMALL_SYSTEM_SHARE);
}
