// Finds members of objects in valid JSON: by a path, which goes through arrays, or by a key at any depth. Unlike the
// scanner, which takes the first of two equal keys, it finds all of them: what is to be taken out must not stay behind
// in a second one.
import type { ByteString } from './byte-string.js';
import type { FieldPath } from './field-path.js';
import { CLOSE_BRACE, CLOSE_BRACKET, COLON, COMMA, OPEN_BRACE, OPEN_BRACKET, QUOTE } from './json-reader.js';
import type { JsonReader } from './json-reader.js';
import { buildKeyTrie } from './key-trie.js';
import type { KeyNode } from './key-trie.js';
import { unescape } from './json-string.js';

/** A member of an object: positions of the opening quote of its key, and of its value. */
export interface Member {
  keyStart: number;
  valueStart: number;
  valueEnd: number;
}

export interface NamedMember extends Member {
  key: ByteString;
}

/** The members of an object that may turn out to be none, and where it ends; undefined where it is not valid. */
export function readMembers(
  reader: JsonReader,
  at: number,
): { members: NamedMember[]; end: number } | undefined {
  const members: NamedMember[] = [];
  const end = eachMember(reader, at, (keyStart, keyEnd, valueStart, valueEnd) => {
    members.push({ key: unescape(reader.data, keyStart + 1, keyEnd), keyStart, valueStart, valueEnd });
  });
  return end < 0 ? undefined : { members, end };
}

/** The members of the object whose brace is at `at`, in their order. */
export function membersOf(reader: JsonReader, at: number): NamedMember[] {
  return readMembers(reader, at)?.members ?? [];
}

/**
 * Visits them without making anything of their keys, whose closing quote is at `keyEnd`. Returns where the object ends, -1
 * where it is none or not valid, which may come out behind some of them.
 */
function eachMember(
  reader: JsonReader,
  at: number,
  visit: (keyStart: number, keyEnd: number, valueStart: number, valueEnd: number) => void,
): number {
  const { data } = reader;
  if (data[at] !== OPEN_BRACE) return -1;
  let p = reader.space(at + 1);
  if (data[p] === CLOSE_BRACE) return p + 1;
  for (;;) {
    if (data[p] !== QUOTE) return -1;
    const keyStart = p;
    p = reader.string(p + 1);
    if (p < 0) return -1;
    const keyEnd = p - 1;
    p = reader.space(p);
    if (data[p] !== COLON) return -1;
    const valueStart = reader.space(p + 1);
    const valueEnd = reader.value(valueStart);
    if (valueEnd < 0) return -1;
    visit(keyStart, keyEnd, valueStart, valueEnd);
    p = reader.space(valueEnd);
    if (data[p] === CLOSE_BRACE) return p + 1;
    if (data[p] !== COMMA) return -1;
    p = reader.space(p + 1);
  }
}

/** Where the object whose brace is at `at` has its closing brace. */
export function closingBrace(reader: JsonReader, at: number): number {
  return reader.value(at) - 1;
}

/** The elements of the array whose bracket is at `at`, those of arrays in it in their place. */
export function* elementsOf(reader: JsonReader, at: number): Generator<{ start: number; end: number }> {
  const { data } = reader;
  let nesting = 0;
  let p = at;
  // Not recursive: an event can nest as deep as its length allows.
  do {
    const byte = data[p];
    if (byte === OPEN_BRACKET) {
      nesting++;
      p++;
    } else if (byte === CLOSE_BRACKET) {
      nesting--;
      p++;
    } else if (byte === COMMA) {
      p++;
    } else {
      const end = reader.value(p);
      yield { start: p, end };
      p = end;
    }
    if (nesting > 0) p = reader.space(p);
  } while (nesting > 0);
}

/** All members that a path leads to; an array stands for each of its elements. */
export class PathMembers {
  /** For each segment of the path, a trie that knows that one key: no string is made of the keys of an event. */
  readonly #keys: readonly KeyNode[];

  constructor(path: FieldPath) {
    this.#keys = path.map((segment) => buildKeyTrie([[segment]]));
  }

  /** Visits those inside the value at `at`, in their order. */
  each(reader: JsonReader, at: number, visit: (member: Member) => void): void {
    this.#value(reader, at, 0, visit);
  }

  #value(reader: JsonReader, at: number, depth: number, visit: (member: Member) => void): void {
    const { data } = reader;
    if (data[at] === OPEN_BRACE) this.#object(reader, at, depth, visit);
    if (data[at] !== OPEN_BRACKET) return;
    for (const { start } of elementsOf(reader, at))
      if (data[start] === OPEN_BRACE) this.#object(reader, start, depth, visit);
  }

  // Recursive by segments of the path, never by nesting of the event.
  #object(reader: JsonReader, at: number, depth: number, visit: (member: Member) => void): void {
    const key = this.#keys[depth] as KeyNode;
    eachMember(reader, at, (keyStart, keyEnd, valueStart, valueEnd) => {
      if (key.findAny(reader.data, keyStart + 1, keyEnd) === undefined) return;
      if (depth === this.#keys.length - 1) visit({ keyStart, valueStart, valueEnd });
      else this.#value(reader, valueStart, depth + 1, visit);
    });
  }
}

/** All members with one of the keys of `keys` inside the value `[at, end)`, at any depth, but not inside each other. */
export function* membersNamed(reader: JsonReader, at: number, end: number, keys: KeyNode): Generator<Member> {
  const { data } = reader;
  let p = at;
  while (p < end) {
    if (data[p] !== QUOTE) {
      p++;
      continue;
    }
    const keyStart = p;
    p = reader.string(p + 1);
    const colon = reader.space(p);
    // In valid JSON a string with a colon behind it is a key, and nothing else is.
    if (data[colon] !== COLON || !keys.findAny(data, keyStart + 1, p - 1)) continue;
    const valueStart = reader.space(colon + 1);
    const valueEnd = reader.value(valueStart);
    yield { keyStart, valueStart, valueEnd };
    p = valueEnd;
  }
}

/** Whether the value at `at` is an object. */
export function isObjectAt(reader: JsonReader, at: number): boolean {
  return reader.data[at] === OPEN_BRACE;
}

/** Whether the value at `at` is an array. */
export function isArrayAt(reader: JsonReader, at: number): boolean {
  return reader.data[at] === OPEN_BRACKET;
}

/** Whether the object whose brace is at `at` has no members. */
export function isEmptyObject(reader: JsonReader, at: number): boolean {
  return reader.data[reader.space(at + 1)] === CLOSE_BRACE;
}

/** Whether the value at `at` is a string. */
export function isStringAt(reader: JsonReader, at: number): boolean {
  return reader.data[at] === QUOTE;
}

/** The text of the string value at `at`; undefined where it is none. */
export function stringAt(reader: JsonReader, at: number): ByteString | undefined {
  if (reader.data[at] !== QUOTE) return undefined;
  return unescape(reader.data, at + 1, reader.string(at + 1) - 1);
}
