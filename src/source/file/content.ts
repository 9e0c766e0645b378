// Places in the content of an open file, found without reading it through.
import type { FileSystem } from '../../file-system.js';
import { FINGERPRINT_BYTES, Trail } from '../../position/fingerprint.js';
import { PlainReader, readFully } from './byte-reader.js';

// RFC 1952 §2.3: the last four bytes are the size of the input modulo 2^32.
const ISIZE_BYTES = 4;
const BLOCK_BYTES = 64 * 1024;

/** The trail that reading up to `offset` would have left; undefined where the file ends before. */
export async function trailAt(fs: FileSystem, fd: number, offset: number): Promise<Trail | undefined> {
  const first = Buffer.alloc(Math.min(FINGERPRINT_BYTES, offset));
  const last = Buffer.alloc(first.length);
  const isThere =
    (await readFully(new PlainReader(fs, fd, 0), first)) === first.length &&
    (await readFully(new PlainReader(fs, fd, offset - last.length), last)) === last.length;
  return isThere ? new Trail(offset, first, last) : undefined;
}

/** The start of the last line of a file of `size` bytes, or of the one that is being written. */
export async function lastLineStart(fs: FileSystem, fd: number, size: number): Promise<number> {
  const block = Buffer.alloc(BLOCK_BYTES);
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - block.length);
    const part = block.subarray(0, end - start);
    await readFully(new PlainReader(fs, fd, start), part);
    const newline = part.lastIndexOf(0x0a);
    if (newline >= 0) return start + newline + 1;
    end = start;
  }
  return 0;
}

/** How long the content of a file of `size` bytes is, decompressed, modulo 2^32. */
export async function contentLength(
  fs: FileSystem,
  fd: number,
  size: number,
  isGzip: boolean,
): Promise<number> {
  if (!isGzip) return size % 2 ** 32;
  const trailer = Buffer.alloc(ISIZE_BYTES);
  await readFully(new PlainReader(fs, fd, Math.max(0, size - ISIZE_BYTES)), trailer);
  return trailer.readUInt32LE();
}
