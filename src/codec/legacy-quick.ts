// Reads legacy lines that are as the API server writes them without looking at each of their values: the pairs between
// id and namespace come again and again, and what is known of them is found by their bytes. Those behind are found from
// the end of the line. Invariant: what is read is what `LegacyLine.read` finds; a line that is unusual in any way, or
// holds what is not known, is left to that.
//
// That is sound since known bytes were read once, in front of `namespace="` like here, so they are whole pairs; then
// those of namespace and URI follow, and nothing else: known too, and read where they began and ended like here, or two
// values without quotes and backslashes.
import { BACKSLASH, QUOTE } from '../event/json-reader.js';
import { SAFE } from '../event/json-writer.js';
import { ID, NAMESPACE, RESPONSE, STAGE, URI } from './legacy-keys.js';
import { hasStage, methodOfTraits, targetSalt } from './legacy-known.js';
import type { KnownParts } from './legacy-known.js';
import type { LegacyKind, LegacyLine } from './legacy-line.js';
import { methodIndex } from './legacy-target.js';
import { TimeReader } from './legacy-time.js';

const SPACE = 0x20;
/** A longer line is none that comes again and again. */
const MAX_LINE_BYTES = 16 * 1024;
const MIN_LINE_BYTES = 64;
const MIN_TIME_BYTES = 20;
const MAX_TIME_BYTES = 35;

/** Words of four bytes. */
function wordsOf(text: string): number[] {
  const bytes = Buffer.from(text);
  return Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readInt32LE(i * 4));
}

const [BEFORE_ID_0, BEFORE_ID_1, BEFORE_ID_2] = wordsOf(' AUDIT: id="') as [number, number, number];
const [RESPONSE_0, RESPONSE_1, RESPONSE_2] = wordsOf('" response="') as [number, number, number];
const [DEFERRED_0, DEFERRED_1, DEFERRED_2] = wordsOf('"<deferred>"') as [number, number, number];
const [URI_KEY] = wordsOf('uri=') as [number];
const [NAMESPACE_0, NAMESPACE_1] = wordsOf('namespac') as [number, number];
const [NAMESPACE_2] = wordsOf('ace=') as [number];
const RESPONSE_KEY_BYTES = '" response="'.length;
const CODE_BYTES = 3;

export class LegacyQuickReader {
  readonly #callers: KnownParts['callers'];
  readonly #targets: KnownParts['targets'];
  readonly #times = new TimeReader();
  /** How long the time of the last line is. */
  #timeBytes = MIN_TIME_BYTES;

  constructor({ callers, targets }: KnownParts) {
    this.#callers = callers;
    this.#targets = targets;
  }

  /** Reads the line `data[start..end)`, behind which a newline stands; false where it is no legacy line. */
  read(line: LegacyLine, data: Buffer, start: number, end: number): boolean {
    line.callerStart = line.targetStart = -1;
    if (this.#readQuickly(line, data, start, end)) return true;
    const namespaceStart = line.startOf(NAMESPACE);
    const uriStart = line.startOf(URI);
    const uriEnd = line.endOf(URI);
    if (!line.read(data, start, end)) return false;
    const isUsual =
      line.startOf(NAMESPACE) === namespaceStart &&
      line.startOf(URI) === uriStart &&
      line.endOf(URI) === uriEnd &&
      line.has(STAGE) === line.has(RESPONSE);
    if (!isUsual) line.callerStart = line.targetStart = -1;
    else if (line.targetStart >= 0) this.#findTarget(line, methodIndex(line), uriEnd);
    return true;
  }

  #readQuickly(line: LegacyLine, data: Buffer, start: number, end: number): boolean {
    line.begin(data, start, end);
    if (end - start > MAX_LINE_BYTES || end - start < MIN_LINE_BYTES) return false;
    const { view } = line;
    let p = start + this.#timeBytes;
    // A time holds no space, or it is none.
    if (data[p] !== SPACE) {
      p = start + MIN_TIME_BYTES;
      while (data[p] !== SPACE) if (++p > start + MAX_TIME_BYTES) return false;
      this.#timeBytes = p - start;
    }
    const timeEnd = p;
    if (
      view.getInt32(p, true) !== BEFORE_ID_0 ||
      view.getInt32(p + 4, true) !== BEFORE_ID_1 ||
      view.getInt32(p + 8, true) !== BEFORE_ID_2
    )
      return false;
    p += 12;
    const idStart = p;
    while (p + 4 <= end && isSafeWord(view.getInt32(p, true))) p += 4;
    while (SAFE[data[p] as number] === 1) p++;
    if (data[p] !== QUOTE) return false;
    line.set(ID, idStart, p, true);
    const kind = this.#readRest(line, p, end);
    if (kind === undefined) return false;
    line.kind = kind;
    line.timeUs = this.#times.read(data, view, start, timeEnd);
    return !Number.isNaN(line.timeUs);
  }

  // Reads what is between the closing quote of the id and the end of the line.
  #readRest(line: LegacyLine, idEnd: number, end: number): LegacyKind | undefined {
    const { data } = line;
    const valuesEnd = readResponse(line, end);
    if (valuesEnd === idEnd) return line.isDeferred ? undefined : 'response';
    if (valuesEnd < idEnd || data[valuesEnd] !== QUOTE || data[idEnd + 1] !== SPACE) return undefined;
    const callerStart = idEnd + 2;
    const targetStart = findTargetStart(line, callerStart, valuesEnd);
    if (targetStart <= callerStart) return undefined;
    line.callerStart = callerStart;
    line.targetStart = targetStart;
    const isComplete = valuesEnd !== end - 1;
    const callers = this.#callers;
    const caller = callers.find(line.view, callerStart, targetStart, 0);
    if (caller < 0) return undefined;
    const traits = callers.words[callers.valueOf(caller)] as number;
    if (hasStage(traits) !== isComplete) return undefined;
    line.caller = caller;
    line.callerSerial = callers.serialOf(caller);
    line.kind = isComplete ? 'complete' : 'request';
    this.#findTarget(line, methodOfTraits(traits), valuesEnd);
    // What is known was read once; of what is not, the values are needed.
    return line.target >= 0 || readTarget(line) ? line.kind : undefined;
  }

  /** Looks up what is known of the pairs of namespace and URI. */
  #findTarget(line: LegacyLine, method: number, end: number): void {
    if (method < 0) return;
    const targets = this.#targets;
    const salt = targetSalt(method, line.kind === 'complete');
    line.target = targets.find(line.view, line.targetStart, end, salt);
    if (line.target >= 0) line.targetSerial = targets.serialOf(line.target);
  }
}

/** Whether four bytes stand for themselves in a JSON string; false for some that do. As in `LegacyLine.read`. */
function isSafeWord(word: number): boolean {
  const stops =
    (((word | 0x04040404) ^ 0x26262626) - 0x01010101) |
    ((word ^ 0x5c5c5c5c) - 0x01010101) |
    (((word | 0x02020202) ^ 0x3e3e3e3e) - 0x01010101) |
    (word - 0x20202020);
  return ((stops | word) & 0x80808080) === 0;
}

/** Reads the response at the end of the line; returns where the quote is that closes the value before it, or may be. */
function readResponse(line: LegacyLine, end: number): number {
  const { view, data } = line;
  line.isDeferred = false;
  let valueEnd = end - 1;
  let valueStart = valueEnd - CODE_BYTES;
  if (isResponseKey(view, valueStart - RESPONSE_KEY_BYTES)) {
    if (!isCode(data, valueStart)) return -1;
  } else {
    valueStart = end - 11;
    if (
      view.getInt32(end - 12, true) !== DEFERRED_0 ||
      view.getInt32(end - 8, true) !== DEFERRED_1 ||
      view.getInt32(end - 4, true) !== DEFERRED_2 ||
      !isResponseKey(view, valueStart - RESPONSE_KEY_BYTES)
    )
      return end - 1;
    line.isDeferred = true;
  }
  if (data[valueEnd] !== QUOTE) return -1;
  line.set(RESPONSE, valueStart, valueEnd, true);
  valueEnd = valueStart - RESPONSE_KEY_BYTES;
  return valueEnd;
}

function isResponseKey(view: DataView, at: number): boolean {
  return (
    view.getInt32(at, true) === RESPONSE_0 &&
    view.getInt32(at + 4, true) === RESPONSE_1 &&
    view.getInt32(at + 8, true) === RESPONSE_2
  );
}

/** Three digits, of which the first is not 0. */
function isCode(data: Buffer, at: number): boolean {
  const [a, b, c] = [data[at] as number, data[at + 1] as number, data[at + 2] as number];
  return a > 0x30 && a <= 0x39 && b >= 0x30 && b <= 0x39 && c >= 0x30 && c <= 0x39;
}

/**
 * Finds `namespace="…" uri="…"` backwards from the quote that closes it, by its quotes alone; returns where it begins, or
 * -1 where it does not begin behind `from`.
 */
function findTargetStart(line: LegacyLine, from: number, end: number): number {
  const { view, data } = line;
  const uriQuote = lastQuote(data, view, from, end);
  if (uriQuote < from || view.getInt32(uriQuote - 4, true) !== URI_KEY) return -1;
  const namespaceEnd = uriQuote - 6;
  if (data[uriQuote - 5] !== SPACE || data[namespaceEnd] !== QUOTE) return -1;
  const quote = lastQuote(data, view, from, namespaceEnd);
  if (quote < from || view.getInt32(quote - 4, true) !== NAMESPACE_2) return -1;
  if (view.getInt32(quote - 10, true) !== NAMESPACE_0 || view.getInt32(quote - 6, true) !== NAMESPACE_1)
    return -1;
  line.set(URI, uriQuote + 1, end, true);
  line.set(NAMESPACE, quote + 1, namespaceEnd, true);
  return quote - 10;
}

/** The last quote of `[from, end)`; a position before where there is none. */
function lastQuote(data: Buffer, view: DataView, from: number, end: number): number {
  let p = end - 4;
  for (; p >= from; p -= 4) {
    const others = view.getInt32(p, true) ^ 0x22222222;
    if (((others - 0x01010101) & ~others & 0x80808080) !== 0) break;
  }
  p += 3;
  while (p >= from && data[p] !== QUOTE) p--;
  return p;
}

/** Reads the values of namespace and URI, whose places were found; false where they hold escapes. */
function readTarget(line: LegacyLine): boolean {
  return readPlain(line, NAMESPACE) && readPlain(line, URI);
}

function readPlain(line: LegacyLine, key: number): boolean {
  const { data } = line;
  const start = line.startOf(key);
  const end = line.endOf(key);
  let isPlain = 1;
  for (let p = start; p < end; p++) {
    const byte = data[p] as number;
    if (byte === BACKSLASH) return false;
    isPlain &= SAFE[byte] as number;
  }
  line.set(key, start, end, isPlain === 1);
  return true;
}
