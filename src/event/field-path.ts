// The name of a field in a pipeline file: `objectRef.namespace`, and `annotations["authorization.k8s.io/decision"]`
// where a key holds dots. Names are checked against what an audit event has as far as that is known; below
// `requestObject`, `responseObject` and the like anything may stand.
import { closest } from '../config/closest.js';
import { COMPUTED_FIELDS, EVENT_SHAPE, KNOWN_FIELDS } from './audit.js';
import type { Shape } from './audit.js';
import { fromText, toText } from './byte-string.js';
import type { ByteString } from './byte-string.js';
import type { Fault } from './fault.js';

/** The keys from the event down to a field, each as the bytes that it has in the event. */
export type FieldPath = readonly ByteString[];

/** A field read from the beginning of a text, and where in the text it ended. */
export interface ReadPath {
  path: FieldPath;
  end: number;
}

/**
 * Parses a text that is a field and nothing else; the fault's offset counts from its beginning. Where the field is yet
 * to be made, `shape` is `anything`.
 */
export function parseFieldPath(
  text: string,
  shape: Shape = EVENT_SHAPE,
): { path: FieldPath } | { fault: Fault } {
  const read = readFieldPath(text, 0, shape);
  if ('fault' in read) return read;
  return read.end === text.length ? { path: read.path } : { fault: unexpected(text, read.end) };
}

/** Parses the field that begins at `start` and goes as far as a field can go. */
export function readFieldPath(
  text: string,
  start: number,
  eventShape: Shape = EVENT_SHAPE,
): ReadPath | { fault: Fault } {
  const path: ByteString[] = [];
  let shape = eventShape;
  let p = start;
  for (;;) {
    const segment = readSegment(text, p, path.length === 0);
    if ('fault' in segment) return segment;
    const below = shapeBelow(shape, path, segment.key);
    if ('fault' in below) return { fault: { ...below.fault, offset: p } };
    shape = below.shape;
    path.push(fromText(segment.key));
    p = segment.end;
    if (text[p] === '.') p++;
    else if (text[p] !== '[') return { path, end: p };
  }
}

/** The field as it is written in a pipeline file. */
export function formatFieldPath(path: FieldPath): string {
  return path
    .map(toText)
    .map((key, i) =>
      /^[^\s.[\]{}"|?]+$/.test(key) ? `${i === 0 ? '' : '.'}${key}` : `[${JSON.stringify(key)}]`,
    )
    .join('');
}

function readSegment(
  text: string,
  start: number,
  isFirst: boolean,
): { key: string; end: number } | { fault: Fault } {
  if (text[start] === '[' && !isFirst) {
    const quoted = /^\["((?:[^"\\]|\\["\\])*)"\]/.exec(text.slice(start));
    if (quoted) return { key: (quoted[1] ?? '').replace(/\\(.)/g, '$1'), end: start + quoted[0].length };
    return {
      fault: {
        code: 'CONFIG_FIELD',
        message: 'a key in brackets is not closed',
        hint: 'write the key in double quotes, as in `annotations["authorization.k8s.io/decision"]`',
        offset: start,
      },
    };
  }
  const plain = /^[^\s.[\]{}"|?]+/.exec(text.slice(start));
  return plain ? { key: plain[0], end: start + plain[0].length } : { fault: unexpected(text, start) };
}

// Inside `{ }` YAML takes `annotations["x"]: y` apart: a key `annotations`, a list, and a key without a name.
/** The fault of a text in which something stands that no field can hold. */
export function unexpected(text: string, offset: number): Fault {
  const isTornApart = offset === 0 && (text === '' || text.startsWith('['));
  return {
    code: 'CONFIG_FIELD',
    message:
      text.length === offset ? 'the name of a field is missing' : 'this can not stand in the name of a field',
    hint: isTornApart
      ? 'inside `{ }` a key with brackets must be quoted as a whole: `\'annotations["authorization.k8s.io/decision"]\'`'
      : 'a field is written `objectRef.namespace`, and `annotations["a.b/c"]` where a key holds dots or other signs',
    offset,
  };
}

function shapeBelow(shape: Shape, path: FieldPath, key: string): { shape: Shape } | { fault: Fault } {
  if (shape === 'anything') return { shape };
  if (shape === 'key') return { shape: 'nothing' };
  const parent = formatFieldPath(path);
  if (shape === 'nothing') {
    const above = path.slice(0, -1);
    const message = `\`${parent}\` has no fields`;
    const isDottedKey = KEYED.has(formatFieldPath(above));
    const hint = isDottedKey
      ? `a key with dots is written in quotes: \`${formatFieldPath(above)}["${toText(path.at(-1) ?? '')}.${key}…"]\``
      : `write \`${parent}\``;
    return { fault: { code: 'CONFIG_FIELD', message, hint } };
  }
  const below = Object.hasOwn(shape, key) ? shape[key] : undefined;
  if (below !== undefined) return { shape: below };
  if (path.length > 0) {
    const names = Object.keys(shape);
    const near = closest(key, names);
    return {
      fault: {
        code: 'CONFIG_FIELD',
        message: `\`${parent}\` has no field \`${key}\``,
        hint: near === undefined ? `it has ${names.join(', ')}` : `did you mean \`${parent}.${near}\`?`,
      },
    };
  }
  if ((COMPUTED_FIELDS as readonly string[]).includes(key)) return { shape: 'nothing' };
  const near = DEEPER.get(key) ?? closest(key, KNOWN_FIELDS) ?? DEEPER.get(closest(key, DEEPER.keys()) ?? '');
  return {
    fault: {
      code: 'CONFIG_FIELD',
      message: `an audit event has no field \`${key}\``,
      hint: near === undefined ? `the fields are ${KNOWN_FIELDS.join(', ')}` : `did you mean \`${near}\`?`,
    },
  };
}

// Fields below others by their last name, as people tend to write them: `namespace`, `username`, `code`. And the
// fields whose keys have any name.
const DEEPER = new Map<string, string>();
const KEYED = new Set<string>();
collect(EVENT_SHAPE, '');

function collect(shape: { readonly [field: string]: Shape }, prefix: string): void {
  for (const [name, below] of Object.entries(shape)) {
    const path = `${prefix}${name}`;
    if (prefix !== '' && !DEEPER.has(name)) DEEPER.set(name, path);
    if (below === 'key') KEYED.add(path);
    if (typeof below === 'object') collect(below, `${path}.`);
  }
}
