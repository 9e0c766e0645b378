// From the body of a request to the lines that the spool stores: each item of an EventList is one, with what it lacks in
// front; a single event is one; and so is whatever can't be read, which the decoder quarantines like a line of a log.
// Nothing of it is lost, and nothing is parsed into objects. Pure.
//
// A line holds no newline, and JSON may, between its values: there each becomes a space, in place. In what can't be
// read every newline does.
import { ItemPrefixes, readList } from '../../codec/event-list.js';
import { BACKSLASH, JsonReader, NEWLINE, OPEN_BRACE, QUOTE } from '../../event/json-reader.js';

const SPACE = 0x20;
const NEWLINE_BYTES = Buffer.of(NEWLINE);

/** What is in a body. */
export interface BodyLines {
  /** Whole lines; none at all of a list without items. */
  lines: Buffer;
  /** How many. */
  count: number;
  /** Its rest, or all of it, is no JSON. */
  isBroken: boolean;
}

/** The lines of a body; changes it. Undefined where nothing is in it; `too many` where it holds more than `maxItems`. */
export function readBody(body: Buffer, maxItems: number): BodyLines | 'too many' | undefined {
  const { start, end } = contentOf(body);
  if (start === end) return undefined;
  const content = body.subarray(start, end);
  replaceNewlines(content, false);
  const reader = new JsonReader();
  reader.load(content);
  if (content[0] !== OPEN_BRACE) return oneLine(content, reader.value(0) !== content.length);
  const list = readList(reader, 0, maxItems);
  if (list.hasTooMany) return 'too many';
  const restStart = list.end >= 0 ? reader.space(list.end) : list.brokenAt;
  const isBroken = list.end < 0 || restStart < content.length;
  if (!list.isList || restStart < 0) return oneLine(content, isBroken);

  const prefixes = new ItemPrefixes(list);
  const pieces: Buffer[] = [];
  for (const item of list.items) {
    const prefix = prefixes.of(item);
    if (prefix) pieces.push(prefix);
    pieces.push(content.subarray(prefix ? item.start + 1 : item.start, item.end), NEWLINE_BYTES);
  }
  let count = list.items.length;
  if (isBroken && restStart < content.length) {
    const rest = content.subarray(restStart);
    replaceNewlines(rest, true);
    pieces.push(rest, NEWLINE_BYTES);
    count++;
  }
  return { lines: Buffer.concat(pieces), count, isBroken };
}

function oneLine(content: Buffer, isBroken: boolean): BodyLines {
  if (isBroken) replaceNewlines(content, true);
  return { lines: Buffer.concat([content, NEWLINE_BYTES]), count: 1, isBroken };
}

/** Without the white space around it. */
function contentOf(body: Buffer): { start: number; end: number } {
  let start = 0;
  let end = body.length;
  while (end > 0 && isWhiteSpace(body[end - 1])) end--;
  while (start < end && isWhiteSpace(body[start])) start++;
  return { start, end };
}

function isWhiteSpace(byte: number | undefined): boolean {
  return byte === SPACE || (byte !== undefined && byte >= 0x09 && byte <= 0x0d);
}

/** Makes spaces of newlines: of all, or of those that are not in a string, where none may be. */
function replaceNewlines(data: Buffer, isAll: boolean): void {
  const first = data.indexOf(NEWLINE);
  if (first < 0) return;
  let isInString = false;
  for (let p = isAll ? first : 0; p < data.length; p++) {
    const byte = data[p];
    if (byte === NEWLINE && (isAll || !isInString)) data[p] = SPACE;
    else if (byte === QUOTE) isInString = !isInString;
    else if (byte === BACKSLASH && isInString && !isAll) p++;
  }
}
