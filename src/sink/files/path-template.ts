// The `path` of the files sink: literal text, `{{ }}` values, and strftime letters in the literal text that stand for
// the event's time in UTC. It is taken apart once; rendering an event then means encoding its values (cached by the
// sink) and naming its time slice (cached here).
import { toText } from '../../event/byte-string.js';
import type { Fault } from '../../event/fault.js';
import type { Shape } from '../../event/shape.js';
import { parseTemplate } from '../../event/template.js';
import type { Alternatives } from '../../event/template.js';
import { encodeValue, OVERFLOW, SMALLEST_LIMIT } from './encode.js';
import { GZIP_SUFFIX, LONGEST_NAME, SUFFIX_ROOM } from './segment-name.js';

const UNITS = ['Y', 'm', 'd', 'H', 'M', 'S'] as const;
type Unit = (typeof UNITS)[number];
/** Length of what each letter is rendered to. */
const LETTER_LENGTHS: Readonly<Record<string, number>> = { Y: 4, m: 2, d: 2, H: 2, M: 2, S: 2, j: 3 };
const FIXED_MS: Readonly<Partial<Record<Unit, number>>> = { d: 864e5, H: 36e5, M: 6e4, S: 1e3 };

export type PathPart =
  | { kind: 'text'; text: string }
  | { kind: 'time'; letter: string }
  /** `limit`: so many characters of its path segment are this value's. */
  | { kind: 'value'; alternatives: Alternatives; limit: number };

export interface PathTemplate {
  parts: readonly PathPart[];
  /** The extension of every name that it renders, `''` or with its dot. */
  ext: string;
  /** The finest unit of time in it; undefined where it holds no time. */
  unit: Unit | undefined;
}

interface Segment {
  parts: PathPart[];
  length: number;
  values: (PathPart & { kind: 'value' })[];
  text: string;
}

/** Takes a path apart. Faults: what `parseTemplate` says, an absolute path, `..`, an unknown letter, `~`, `.gz` at the end, names too long. */
export function parsePathTemplate(
  text: string,
  known?: Shape,
): { template: PathTemplate } | { faults: Fault[] } {
  const parsed = parseTemplate(text, known);
  if ('faults' in parsed) return parsed;
  const faults: Fault[] = [];
  const fault = (message: string, hint: string, offset = 0): void => {
    faults.push({ code: 'CONFIG_PATH', message, hint, offset });
  };
  if (text.startsWith('/')) {
    fault('the path is absolute', 'it is relative to base_dir: take the leading slash away');
    return { faults };
  }
  const segments: Segment[] = [{ parts: [], length: 0, values: [], text: '' }];
  let segment: Segment | undefined = segments[0];
  for (const part of parsed.template) {
    if (!segment) break;
    if (part.kind === 'alternatives') {
      const value = { kind: 'value' as const, alternatives: part, limit: 0 };
      segment.parts.push(value);
      segment.values.push(value);
      segment.text += '\0';
      continue;
    }
    for (const [i, piece] of toText(part.text).split('/').entries()) {
      if (i > 0) segments.push((segment = { parts: [], length: 0, values: [], text: '' }));
      readText(piece, segment, (message, hint) => {
        fault(message, hint, part.offset);
      });
    }
  }
  for (const [i, each] of segments.entries()) checkSegment(each, i === segments.length - 1, fault);
  if (faults.length > 0) return { faults };

  const parts: PathPart[] = [];
  for (const [i, each] of segments.entries()) {
    if (i > 0) parts.push({ kind: 'text', text: '/' });
    parts.push(...each.parts);
  }
  const letters = new Set(parts.map((part) => (part.kind === 'time' ? part.letter : '')));
  const unit = UNITS.findLast((each) => letters.has(each) || (each === 'd' && letters.has('j')));
  const ext = extensionOf(segments.at(-1));
  if (ext === GZIP_SUFFIX) {
    fault(
      'the path ends in `.gz`',
      'take it away: `compress` adds it to what is compressed',
      text.length - 3,
    );
    return { faults };
  }
  return { template: { parts, ext, unit } };
}

function readText(text: string, segment: Segment, fault: (message: string, hint: string) => void): void {
  segment.text += text;
  for (const match of text.matchAll(/%(.?)|[^%]+/gs)) {
    const letter = match[1];
    if (letter === undefined || letter === '%') {
      const literal = letter === '%' ? '%' : match[0];
      if (literal.includes('~')) fault('`~` is not allowed in a path', 'Headgate numbers its files with it');
      if (literal.includes('\0')) fault('a path holds no NUL byte', 'take it out');
      segment.parts.push({ kind: 'text', text: literal });
      segment.length += Buffer.byteLength(literal);
    } else if (letter in LETTER_LENGTHS) {
      segment.parts.push({ kind: 'time', letter });
      segment.length += LETTER_LENGTHS[letter] ?? 0;
    } else {
      fault(`%${letter} is no part of a time`, 'use %Y %m %d %H %M %S %j, and %% for a percent sign');
    }
  }
}

function checkSegment(
  segment: Segment,
  isLast: boolean,
  fault: (message: string, hint: string) => void,
): void {
  if (segment.text === '..') fault('`..` is not allowed in a path', 'every file is inside base_dir');
  else if (segment.text === '.' || segment.text === '')
    fault('a part of the path is empty', 'take the extra `/` or `.` away');
  const room = LONGEST_NAME - segment.length - (isLast ? SUFFIX_ROOM : 0);
  const limit = Math.floor(room / Math.max(1, segment.values.length));
  if (room < 0 || (segment.values.length > 0 && limit < SMALLEST_LIMIT)) {
    fault(
      'a file name of this path can become longer than 255 bytes',
      'shorten its text, or put its values into more directories',
    );
  }
  for (const value of segment.values) value.limit = limit;
}

/** Only the template's own text makes an extension: no value can. */
function extensionOf(segment: Segment | undefined): string {
  const last = segment?.parts.at(-1);
  if (last?.kind !== 'text') return '';
  const dot = last.text.lastIndexOf('.');
  const isWholeName = segment?.parts.length === 1 && dot === 0;
  return dot < 0 || isWholeName ? '' : last.text.slice(dot);
}

/** A stretch of time whose events share a file: from `startMs` to before `endMs`. */
export interface TimeSlice {
  startMs: number;
  endMs: number;
  date: Date;
}

/** The slice of the finest unit that holds a time; one slice for all time where the path holds no time. */
export function sliceOf(unit: Unit | undefined, timeMs: number): TimeSlice {
  if (unit === undefined) return { startMs: -Infinity, endMs: Infinity, date: new Date(0) };
  const fixedMs = FIXED_MS[unit];
  if (fixedMs !== undefined) {
    const startMs = Math.floor(timeMs / fixedMs) * fixedMs;
    return { startMs, endMs: startMs + fixedMs, date: new Date(startMs) };
  }
  const date = new Date(timeMs);
  const year = date.getUTCFullYear();
  const month = unit === 'm' ? date.getUTCMonth() : 0;
  const startMs = Date.UTC(year, month);
  const endMs = unit === 'm' ? Date.UTC(year, month + 1) : Date.UTC(year + 1, 0);
  return { startMs, endMs, date: new Date(startMs) };
}

function renderLetter(letter: string, date: Date): string {
  const iso = date.toISOString(); // Times outside the years 0 to 9999 never get here: see `event/audit.ts`.
  switch (letter) {
    case 'Y':
      return iso.slice(0, 4);
    case 'm':
      return iso.slice(5, 7);
    case 'd':
      return iso.slice(8, 10);
    case 'H':
      return iso.slice(11, 13);
    case 'M':
      return iso.slice(14, 16);
    case 'S':
      return iso.slice(17, 19);
    default: {
      const dayOfYear = (date.getTime() - Date.UTC(date.getUTCFullYear(), 0)) / 864e5;
      return String(Math.floor(dayOfYear) + 1).padStart(3, '0');
    }
  }
}

/**
 * The path of an event, relative to `base_dir`, and its group: the same without the time. `values` are in order of
 * the template's value parts, and `encode` makes them fit; without them it is the path of the overflow file.
 */
export function renderPath(
  template: PathTemplate,
  slice: TimeSlice,
  values: readonly string[] | undefined,
  encode = encodeValue,
): { key: string; group: string } {
  let key = '';
  let group = '';
  let next = 0;
  for (const part of template.parts) {
    if (part.kind === 'time') {
      key += renderLetter(part.letter, slice.date);
      continue;
    }
    let text = OVERFLOW;
    if (part.kind === 'text') ({ text } = part);
    else if (values) text = encode(values[next++] ?? '', part.limit);
    key += text;
    group += text;
  }
  return template.parts.at(-1)?.kind === 'value'
    ? { key: withoutSuffix(key), group: withoutSuffix(group) }
    : { key, group };
}

// A value at the end of a name must not make it look like another output that was compressed.
function withoutSuffix(path: string): string {
  return path.endsWith('.gz') ? `${path.slice(0, -3)}%2Egz` : path;
}
