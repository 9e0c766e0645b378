// One entry of the quarantine as a line of JSON. An entry can be as long as the longest line, so it is made in pieces: a
// second and a third copy of 64 MiB as a string would cost more memory than everything else. Bytes that a JSON
// string can't give back are written in base64, and so are those that it would blow up: a NUL takes six bytes there.
import { isUtf8 } from 'node:buffer';
import type { QuarantineEntry } from '../event/batch.js';

/** Whole groups of base64. */
const PIECE_BYTES = 3 * 16 * 1024;
/** With more control characters than one in so many bytes, base64 it is. */
const BYTES_PER_CONTROL = 8;

/** The line, with its newline, in pieces; copies everything that it needs of the entry. */
export function quarantineLine(entry: QuarantineEntry, pipeline: string, timeMs: number): Buffer[] {
  const { reason, path, offset, length, detail, raw, sink } = entry;
  const time = new Date(timeMs).toISOString();
  const about = {
    time,
    pipeline,
    reason,
    path,
    offset,
    length,
    ...(sink === undefined ? {} : { sink }),
    detail,
  };
  const isText = isUtf8(raw) && countControls(raw) * BYTES_PER_CONTROL <= raw.length;
  const before = `${JSON.stringify(about).slice(0, -1)},"${isText ? 'raw' : 'raw_base64'}":"`;
  const after = `","truncated":${raw.length < length}}\n`;
  if (raw.length <= PIECE_BYTES) return [Buffer.from(before + encode(raw, isText) + after)];
  const pieces = [Buffer.from(before)];
  for (let start = 0; start < raw.length;) {
    const end = isText ? endOfCharacter(raw, start + PIECE_BYTES) : Math.min(start + PIECE_BYTES, raw.length);
    pieces.push(Buffer.from(encode(raw.subarray(start, end), isText)));
    start = end;
  }
  pieces.push(Buffer.from(after));
  return pieces;
}

function encode(bytes: Buffer, isText: boolean): string {
  return isText ? JSON.stringify(bytes.toString('utf8')).slice(1, -1) : bytes.toString('base64');
}

/** The last place not behind `at` where no character of valid UTF-8 is cut in two. */
function endOfCharacter(bytes: Buffer, at: number): number {
  let end = Math.min(at, bytes.length);
  while (end < bytes.length && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return end;
}

function countControls(bytes: Buffer): number {
  let count = 0;
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] as number) < 0x20) count++;
  return count;
}
