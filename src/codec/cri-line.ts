// What a container runtime puts around a line that a container writes, and what of such lines is no audit log. Two forms:
//   containerd, CRI-O   2026-11-21T09:31:11.123456789Z stdout F content     (P: the line goes on in the next one)
//   Docker              {"log":"content\n","stream":"stdout","time":"…"}    (without `\n`: it goes on in the next one)
// (kubelet pkg/kubelet/kuberuntime/logs/logs.go reads both; a line is cut after 16 KiB.) Pure, and linear in the line.
import { SLOT_STRIDE } from '../event/batch.js';
import { unescapeTo } from '../event/json-string.js';
import { BACKSLASH, COLON, QUOTE } from '../event/json-reader.js';
import { compileScanner } from '../event/scan.js';

/** Where a container wrote a line to. */
export type Stream = 'stdout' | 'stderr';

const SPACE = 0x20;
const DASH = 0x2d;
const LETTER_F = 0x46;
const LETTER_P = 0x50;
const LETTER_T = 0x54;
const LETTER_N = 0x6e;
/** `2026-11-21T09:31:11Z`, and with nine digits of fraction and an offset. */
const MIN_TIME_BYTES = 20;
const MAX_TIME_BYTES = 35;
const STDOUT = Buffer.from(' stdout ');
const STDERR = Buffer.from(' stderr ');
const DOCKER = Buffer.from('{"log":"');
const KLOG = /^[IWEF]\d{4} \d{2}:\d{2}:\d{2}\.\d{6} +\d+ [^ \]]+:\d+\] /;
const KLOG_BYTES = 200;
const JSON_LOG = Buffer.from('{"ts":');

/** Reads lines of one buffer, in ascending order; what it holds is about the line that was read last. */
export class ContainerLine {
  stream: Stream = 'stdout';
  /** The line that the container wrote goes on in a later one of this stream. */
  isPartial = false;
  /** Where the content stands; with escapes, where `isEscaped`, and without its newline. */
  start = 0;
  end = 0;
  isEscaped = false;
  #data: Buffer = Buffer.alloc(0);
  readonly #scanner = compileScanner([['log'], ['stream'], ['time']]);
  readonly #slots = new Int32Array(3 * SLOT_STRIDE);

  /** Its last byte must be a newline. */
  load(data: Buffer): void {
    this.#data = data;
    this.#scanner.load(data);
  }

  /** Reads the line `[start, end)`, without its newline; false where no runtime wrote it. */
  read(start: number, end: number): boolean {
    return isDocker(this.#data, start) ? this.#readDocker(start, end) : this.#readCri(start, end);
  }

  /** Writes the content to `target` at `at`, where `end - start` bytes must have room; returns how many it has. */
  copyContent(target: Buffer, at: number): number {
    if (!this.isEscaped) return this.#data.copy(target, at, this.start, this.end);
    return unescapeTo(target.subarray(at), this.#data, this.start, this.end);
  }

  #readCri(start: number, end: number): boolean {
    const data = this.#data;
    const tags = tagsOf(data, start, end);
    if (tags < 0) return false;
    const tag = data[tags];
    let p = tags + 1;
    // Tags are joined by colons; only the first one has a meaning.
    if (data[p] === COLON) while (p < end && data[p] !== SPACE) p++;
    if (p < end && data[p] !== SPACE) return false;
    this.stream = isAt(data, tags - STDOUT.length, STDOUT) ? 'stdout' : 'stderr';
    this.isPartial = tag === LETTER_P;
    this.start = Math.min(p + 1, end);
    this.end = end;
    this.isEscaped = false;
    return true;
  }

  #readDocker(start: number, end: number): boolean {
    const data = this.#data;
    const slots = this.#slots;
    if (this.#scanner.scanLine(start, slots, 0, false) !== end) return false;
    const [log = -1, logEnd = -1, , stream = -1, streamEnd = -1, , time = -1] = slots;
    if (data[log] !== QUOTE || data[stream] !== QUOTE || data[time] !== QUOTE) return false;
    const name = data.toString('latin1', stream + 1, streamEnd - 1);
    if (name !== 'stdout' && name !== 'stderr') return false;
    this.stream = name;
    this.start = log + 1;
    this.end = logEnd - 1;
    this.isPartial = !endsWithNewline(data, this.start, this.end);
    if (!this.isPartial) this.end -= 2;
    this.isEscaped = data.subarray(this.start, this.end).includes(BACKSLASH);
    return true;
  }
}

/** Whether a runtime seems to have written the line `[start, end)`. Quick. */
export function mayBeWrapped(data: Buffer, start: number, end: number): boolean {
  return isDocker(data, start) || tagsOf(data, start, end) >= 0;
}

/** Whether the line is one of the API server's own log: as klog writes it, or, in a container's log, as JSON. */
export function isServerLog(data: Buffer, start: number, end: number, isWrapped: boolean): boolean {
  if (isWrapped && isAt(data, start, JSON_LOG)) return true;
  return KLOG.test(data.toString('latin1', start, Math.min(end, start + KLOG_BYTES)));
}

/** Where the tags behind a time and the name of a stream begin; -1 where there are none. */
function tagsOf(data: Buffer, start: number, end: number): number {
  if (data[start + 4] !== DASH || data[start + 10] !== LETTER_T || data[start + 13] !== COLON) return -1;
  let p = start + MIN_TIME_BYTES;
  const last = Math.min(start + MAX_TIME_BYTES, end);
  while (p < last && data[p] !== SPACE) p++;
  const tags = p + STDOUT.length;
  if (tags >= end || !(isAt(data, p, STDOUT) || isAt(data, p, STDERR))) return -1;
  return data[tags] === LETTER_F || data[tags] === LETTER_P ? tags : -1;
}

function isDocker(data: Buffer, start: number): boolean {
  return isAt(data, start, DOCKER);
}

function isAt(data: Buffer, at: number, bytes: Buffer): boolean {
  for (let i = 0; i < bytes.length; i++) if (data[at + i] !== bytes[i]) return false;
  return true;
}

/** Whether the content of a JSON string ends with the escape of a newline. */
function endsWithNewline(data: Buffer, start: number, end: number): boolean {
  if (end - start < 2 || data[end - 1] !== LETTER_N) return false;
  let backslashes = 0;
  for (let p = end - 2; p >= start && data[p] === BACKSLASH; p--) backslashes++;
  return backslashes % 2 === 1;
}
