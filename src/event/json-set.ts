// Sets members of an object by splicing: a missing one is added at the end, one that is there gets the new value in its
// place, and everything else stays as it was.
import { toBuffer } from './byte-string.js';
import type { ByteString } from './byte-string.js';
import type { FieldPath } from './field-path.js';
import { closingBrace, isEmptyObject, isObjectAt, membersOf } from './json-members.js';
import type { JsonEdits } from './json-edit.js';
import { CLOSE_BRACE, isSpace, OPEN_BRACE } from './json-reader.js';
import type { JsonReader } from './json-reader.js';

/** JSON text as a byte string, or the members to be set in an object. */
export type NewValue = ByteString | ReadonlyMap<ByteString, NewValue>;

/** The values at their paths as one tree. A path that leads through another's value is a mistake of the caller. */
export function newValueTree(
  values: readonly { path: FieldPath; value: ByteString }[],
): ReadonlyMap<ByteString, NewValue> {
  const root = new Map<ByteString, NewValue>();
  for (const { path, value } of values) {
    let node = root;
    for (const key of path.slice(0, -1)) {
      const below = node.get(key) ?? new Map<ByteString, NewValue>();
      if (typeof below === 'string') throw new Error('impossible: a value has members');
      node.set(key, below);
      node = below as Map<ByteString, NewValue>;
    }
    node.set(path.at(-1) ?? '', value);
  }
  return root;
}

/** Adds to `edits` what sets `value` in the object whose brace is at `at`. */
export function setMembers(
  reader: JsonReader,
  at: number,
  value: ReadonlyMap<ByteString, NewValue>,
  edits: JsonEdits,
): void {
  const isMet = new Set<ByteString>();
  for (const { key, keyStart, valueStart, valueEnd } of membersOf(reader, at)) {
    const below = value.get(key);
    if (below === undefined) continue;
    // Of two equal keys some readers take the last: only one may stay.
    if (isMet.has(key)) edits.cutMember(keyStart, valueEnd);
    else if (typeof below !== 'string' && isObjectAt(reader, valueStart))
      setMembers(reader, valueStart, below, edits);
    else edits.replace(valueStart, valueEnd, toBuffer(toJson(below)));
    isMet.add(key);
  }
  const missing = [...value].filter(([key]) => !isMet.has(key));
  if (missing.length === 0) return;
  const text = missing.map(([key, below]) => `${jsonString(key)}:${toJson(below)}`).join(',');
  edits.insert(closingBrace(reader, at), toBuffer(isEmptyObject(reader, at) ? text : `,${text}`));
}

/**
 * The object whose text is `data[start, end)`, with white space behind it perhaps, and members added at its end, of which
 * it must have none yet.
 */
export function withMembers(
  data: Buffer,
  start: number,
  end: number,
  value: ReadonlyMap<ByteString, NewValue>,
): Buffer {
  const brace = data.subarray(start, end).lastIndexOf(CLOSE_BRACE) + start;
  const members = toJson(value).slice(1, -1);
  let last = brace - 1;
  while (isSpace(data[last])) last--;
  const text = data[last] === OPEN_BRACE ? members : `,${members}`;
  return Buffer.concat([data.subarray(start, brace), toBuffer(text), data.subarray(brace, end)]);
}

/** A new value as JSON. */
export function toJson(value: NewValue): ByteString {
  if (typeof value === 'string') return value;
  return `{${[...value].map(([key, below]) => `${jsonString(key)}:${toJson(below)}`).join(',')}}`;
}

/** A JSON string of these bytes; only what must be escaped is. */
export function jsonString(text: ByteString): ByteString {
  // eslint-disable-next-line no-control-regex -- RFC 8259 §7: these are what must be escaped
  return `"${text.replace(/["\\\u0000-\u001f]/g, escaped)}"`;
}

function escaped(character: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
