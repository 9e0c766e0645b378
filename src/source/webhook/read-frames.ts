// Looks which frames stand in a segment of the spool and which of them are whole. Looks, and decides nothing: that is
// `recover.ts`. Memory is bounded whatever stands there.
import { crc32 } from 'node:zlib';
import type { FileSystem } from '../../file-system.js';
import { PlainReader, readFully } from '../file/byte-reader.js';
import { MAX_HEADER_BYTES, NEXT_HEADER, parseHeader, startOfCrc } from './frame.js';

const READ_BYTES = 256 * 1024;

/** A stretch of a segment: a frame, or what stands in the place of one. */
export interface FoundFrame {
  start: number;
  end: number;
  /** Undefined where no header stands. */
  batch: string | undefined;
  /** As the header says; 0 where none stands. */
  synced: number;
  /** It is there to its end and, where that was looked at, its checksum is right. */
  isIntact: boolean;
}

/** The stretches of the first `size` bytes of a segment, in order, none missing. `mustVerify`: look at every byte. */
export async function readFrames(
  fs: FileSystem,
  fd: number,
  size: number,
  mustVerify: boolean,
): Promise<FoundFrame[]> {
  const frames: FoundFrame[] = [];
  const buffer = Buffer.alloc(READ_BYTES);
  for (let start = 0; start < size;) {
    const frame = await frameAt(fs, fd, start, size, mustVerify, buffer);
    frames.push(frame);
    start = frame.end;
  }
  return frames;
}

async function frameAt(
  fs: FileSystem,
  fd: number,
  start: number,
  size: number,
  mustVerify: boolean,
  buffer: Buffer,
): Promise<FoundFrame> {
  const head = buffer.subarray(0, MAX_HEADER_BYTES);
  const got = await readFully(new PlainReader(fs, fd, start), head);
  const parsed = parseHeader(head.subarray(0, Math.min(got, size - start)));
  if (!parsed) {
    const end = (await nextHeader(fs, fd, start, size, buffer)) ?? size;
    return { start, end, batch: undefined, synced: 0, isIntact: false };
  }
  const { header, length } = parsed;
  const { batch, synced, bytes } = header;
  const linesStart = start + length;
  const end = linesStart + bytes;
  if (end > size) {
    const next = (await nextHeader(fs, fd, start, size, buffer)) ?? size;
    return { start, end: next, batch, synced: 0, isIntact: false };
  }
  const isIntact =
    !mustVerify || (await crcOf(fs, fd, linesStart, end, startOfCrc(header), buffer)) === header.crc32;
  return { start, end, batch, synced: isIntact ? synced : 0, isIntact };
}

async function crcOf(
  fs: FileSystem,
  fd: number,
  start: number,
  end: number,
  before: number,
  buffer: Buffer,
): Promise<number> {
  let crc = before;
  const reader = new PlainReader(fs, fd, start);
  for (let at = start; at < end;) {
    const bytes = await readFully(reader, buffer.subarray(0, Math.min(buffer.length, end - at)));
    if (bytes === 0) break;
    crc = crc32(buffer.subarray(0, bytes), crc);
    at += bytes;
  }
  return crc;
}

/** Where the next header begins behind `start`. */
async function nextHeader(
  fs: FileSystem,
  fd: number,
  start: number,
  size: number,
  buffer: Buffer,
): Promise<number | undefined> {
  const overlap = NEXT_HEADER.length - 1;
  for (let at = start; at < size; at += buffer.length - overlap) {
    const wanted = buffer.subarray(0, Math.min(buffer.length, size - at));
    const bytes = await readFully(new PlainReader(fs, fd, at), wanted);
    const found = wanted.subarray(0, bytes).indexOf(NEXT_HEADER);
    if (found >= 0) return at + found + 1;
    if (bytes < wanted.length) break;
  }
  return undefined;
}
