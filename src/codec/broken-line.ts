// What a line is that is not one JSON object. On a full disk, or when it is killed, the API server leaves half an
// event without a newline, and its next event follows on the same line: the half is quarantined, the whole one is
// saved. Everything here is linear in the length of the line, whatever it holds.
//
// An event is one write that ends with a newline, so the object that a line ends with is the last write and whole:
// going backwards from there finds its beginning, and never an object inside its bodies. Where the newline is
// missing (the end of a rotated file) the last write may have been cut behind an inner object; then an event is
// only believed where the half before it broke off exactly.
import type { QuarantineReason } from '../event/batch.js';
import { CARRIAGE_RETURN } from '../event/json-reader.js';
import type { Expected } from '../event/json-reader.js';
import { EVENT_NEEDLE } from '../event/scan.js';
import { findLastObject } from './last-object.js';

/** A line, `data[start..end)` without its newline, and where and why the scanner gave it up. */
export interface BrokenLine {
  data: Buffer;
  start: number;
  end: number;
  failedAt: number;
  expected: Expected;
  /** False for the end of a finished file that lacks its newline. */
  isTerminated: boolean;
}

const SPACE = 0x20;
const TAB = 0x09;
const NUL = 0x00;

/** Whether the line is only white space. */
export function isBlank(line: BrokenLine): boolean {
  return line.expected === 'an object' && line.failedAt === line.end;
}

/** Whether a whole object ended where the scanner stopped, and the next event begins there: a newline was lost. */
export function isNextEvent(line: BrokenLine): boolean {
  return line.expected === 'the end of the line' && isNeedleAt(line.data, line.failedAt);
}

/** Where a whole event seems to begin that the line ends with, or -1; the caller must validate it. */
export function eventInside(line: BrokenLine): number {
  const { data, start, failedAt } = line;
  let { end } = line;
  while (end > start && isWhiteSpace(data[end - 1])) end--;
  const event = findLastObject(data, start, end);
  if (event <= start || !isNeedleAt(data, event)) return -1;
  const isBrokenThere = failedAt >= event && failedAt < event + EVENT_NEEDLE.length;
  return line.isTerminated || isBrokenThere ? event : -1;
}

/** What is wrong with the part of a line before an event that was saved from it. */
export function tornDetail(line: BrokenLine, event: number): string {
  let nuls = 0;
  while (line.start + nuls < event && line.data[line.start + nuls] === NUL) nuls++;
  if (nuls === event - line.start) {
    return `${nuls} NUL bytes before an event: the file was truncated while it was being written (copytruncate)`;
  }
  return 'half an event without a newline, followed by a whole one on the same line: the disk was full, or the API server was killed';
}

/** Why nothing can be saved from a line; `isValue` tells whether it is valid JSON of some kind. */
export function explainBroken(
  line: BrokenLine,
  isValue: boolean,
): { reason: QuarantineReason; detail: string } {
  const where = `${line.expected} was expected at byte ${line.failedAt - line.start} of the line`;
  if (!line.isTerminated) return { reason: 'torn', detail: `the file ends inside a line: ${where}` };
  if (isValue) return { reason: 'not_an_object', detail: 'valid JSON, but no object: an event is one' };
  if (line.data[line.start] === NUL) {
    return {
      reason: 'malformed',
      detail: `begins with NUL bytes, as after copytruncate, and holds no whole event`,
    };
  }
  const hint = isPrettyPrinted(line)
    ? '; this looks like pretty-printed JSON, but an event must be one line (`jq -c .` makes it one)'
    : '';
  return { reason: 'malformed', detail: `${where}${hint}` };
}

// A line of indented JSON: only a bracket, or a key or text behind white space.
function isPrettyPrinted(line: BrokenLine): boolean {
  const text = line.data.toString('latin1', line.start, Math.min(line.end, line.start + 200));
  return /^\s*[{}[\]]+,?\s*$|^\s+"/.test(text);
}

function isNeedleAt(data: Buffer, at: number): boolean {
  return (
    data.compare(
      EVENT_NEEDLE,
      0,
      EVENT_NEEDLE.length,
      at,
      Math.min(at + EVENT_NEEDLE.length, data.length),
    ) === 0
  );
}

function isWhiteSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === TAB || byte === CARRIAGE_RETURN;
}
