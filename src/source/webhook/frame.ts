// How a batch stands in the spool: a header line, then the lines of its events. The header is an EventList without items,
// so to whoever reads the spool as a log it is a blank line; to the spool it says which batch follows, how long it is, and
// whether it is whole. Every other line begins with the first byte of a value, and a header with a space: no
// event can pass for one. Pure.
import { crc32 } from 'node:zlib';

const SPACE = ' ';
const BEGIN = `${SPACE}{"kind":"EventList","apiVersion":"headgate.io/v1","metadata":{"batch":"`;
const HEADER =
  /^ \{"kind":"EventList","apiVersion":"headgate\.io\/v1","metadata":\{"batch":"([\w-]{43})","bytes":(\d{1,12}),"synced":(\d{1,15}),"crc32":"([0-9a-f]{8})"\},"items":\[\]\}\n/;
/** No header is longer. */
export const MAX_HEADER_BYTES = 256;
/** What a header begins with, and the end of the line before. */
export const NEXT_HEADER = Buffer.from(`\n${BEGIN}`);

/** What stands in a header. */
export interface FrameHeader {
  /** The hash of the body that the batch came in: base64url of a SHA-256. */
  batch: string;
  /** How long the lines are that follow, with their newlines. */
  bytes: number;
  /** How much of the segment was durable when the frame was written. */
  synced: number;
  /** Of what stands before it in the header, and the lines. */
  crc32: number;
}

/** The header of a batch whose lines are `lines`. */
export function encodeHeader(batch: string, lines: Buffer, synced: number): Buffer {
  const covered = coveredText({ batch, bytes: lines.length, synced });
  const crc = crc32(lines, crc32(covered)).toString(16).padStart(8, '0');
  return Buffer.from(`${covered},"crc32":"${crc}"},"items":[]}\n`, 'latin1');
}

/** Reads the header that `data` begins with; undefined where it does not begin with one. */
export function parseHeader(data: Buffer): { header: FrameHeader; length: number } | undefined {
  const match = HEADER.exec(data.toString('latin1', 0, MAX_HEADER_BYTES));
  if (!match) return undefined;
  const [text, batch = '', bytes, synced, crc = ''] = match;
  const header = { batch, bytes: Number(bytes), synced: Number(synced), crc32: parseInt(crc, 16) };
  return { header, length: text.length };
}

/** The checksum that a header's lines go on from. */
export function startOfCrc(header: FrameHeader): number {
  return crc32(coveredText(header));
}

function coveredText({ batch, bytes, synced }: Omit<FrameHeader, 'crc32'>): string {
  return `${BEGIN}${batch}","bytes":${String(bytes)},"synced":${String(synced)}`;
}
