// The name of a field in a pipeline file: `objectRef.namespace`, and `annotations["authorization.k8s.io/decision"]`
// where a key holds dots. Names are checked against what an event has as far as that is known: the fields of an audit
// event, and what processors made (`shape.ts`); below `requestObject`, `responseObject` and the like anything may
// stand.
import { closest } from '../config/closest.js';
import { KNOWN_FIELDS } from './audit.js';
import { fromText, toText } from './byte-string.js';
import type { ByteString } from './byte-string.js';
import type { Fault } from './fault.js';
import { isYetToBeMade } from './shape.js';
import type { Fields, Shape } from './shape.js';

/** The keys from the event down to a field, each as the bytes that it has in the event. */
export type FieldPath = readonly ByteString[];

/** A field read from the beginning of a text, and where in the text it ended. */
export interface ReadPath {
  path: FieldPath;
  end: number;
}

/**
 * Parses a text that is a field and nothing else; the fault's offset counts from its beginning. Where the field is yet
 * to be made, or was checked before, `known` is `anything`.
 */
export function parseFieldPath(
  text: string,
  known: Shape = KNOWN_FIELDS,
): { path: FieldPath } | { fault: Fault } {
  const read = readFieldPath(text, 0, known);
  if ('fault' in read) return read;
  return read.end === text.length ? { path: read.path } : { fault: unexpected(text, read.end) };
}

/** Parses the field that begins at `start` and goes as far as a field can go. */
export function readFieldPath(
  text: string,
  start: number,
  known: Shape = KNOWN_FIELDS,
): ReadPath | { fault: Fault } {
  const path: ByteString[] = [];
  let above: Shape | undefined;
  let shape = known;
  let p = start;
  for (;;) {
    const segment = readSegment(text, p, path.length === 0);
    if ('fault' in segment) return segment;
    const below = shapeBelow(shape, path, segment.key, above);
    if ('fault' in below) return { fault: { ...below.fault, offset: p } };
    above = shape;
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

function shapeBelow(
  shape: Shape,
  path: FieldPath,
  key: string,
  above: Shape | undefined,
): { shape: Shape } | { fault: Fault } {
  if (shape === 'anything') return { shape };
  if (shape === 'key') return { shape: 'nothing' };
  if (typeof shape === 'string') {
    const field = formatFieldPath(path);
    const message = `\`${field}\` has no fields`;
    const hint =
      above === 'key'
        ? `a key with dots is written in quotes: \`${formatFieldPath(path.slice(0, -1))}["${toText(path.at(-1) ?? '')}.${key}…"]\``
        : `write \`${field}\``;
    return { fault: { code: 'CONFIG_FIELD', message, hint } };
  }
  const below = Object.hasOwn(shape, key) ? shape[key] : undefined;
  if (below !== undefined && !isYetToBeMade(below)) return { shape: below };
  const owner = path.length === 0 ? 'an audit event' : `\`${formatFieldPath(path)}\``;
  const message = `${owner} has no field \`${key}\``;
  const hint = below === undefined ? hintFor(shape, path, key) : tooEarly([...path, fromText(key)]);
  return { fault: { code: 'CONFIG_FIELD', message, hint } };
}

function tooEarly(path: FieldPath): string {
  return `\`${formatFieldPath(path)}\` is not set yet: a processor knows what the processors before it set`;
}

/** What was probably meant by a field that there is not at `path`. */
function hintFor(shape: Fields, path: FieldPath, key: string): string {
  const names = Object.keys(shape).filter((name) => !isYetToBeMade(shape[name]));
  const deeper = new Map<string, FieldPath>();
  for (const name of names) collectBelow(shape[name], [...path, fromText(name)], deeper);
  const near = closest(key, names);
  const meant =
    deeper.get(key) ??
    (near === undefined ? deeper.get(closest(key, deeper.keys()) ?? '') : [...path, fromText(near)]);
  if (meant) return `did you mean \`${formatFieldPath(meant)}\`?`;
  return `${path.length === 0 ? 'the fields are' : 'it has'} ${names.join(', ')}`;
}

/** Fields by their last name alone, as people tend to write them: `namespace`, `username`, `code`. */
function collectBelow(shape: Shape | undefined, path: FieldPath, found: Map<string, FieldPath>): void {
  if (typeof shape !== 'object') return;
  for (const [name, below] of Object.entries(shape)) {
    if (isYetToBeMade(below)) continue;
    const field = [...path, fromText(name)];
    if (!found.has(name)) found.set(name, field);
    collectBelow(below, field, found);
  }
}
