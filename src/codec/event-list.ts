// An EventList, as kube-apiserver posts it to a webhook: one object with events in `items`. They lack `kind` and
// `apiVersion`, which stand once in the list; in front of an item they are spliced in as the log backend writes them, and
// every other byte of the item stays.
//
// Read in one pass over bytes that nobody has looked at yet: what is broken is told by where it breaks, and the items
// before that are whole. A newline is never in it.
import type { ByteString } from '../event/byte-string.js';
import { stringAt } from '../event/json-members.js';
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
} from '../event/json-reader.js';
import type { JsonReader } from '../event/json-reader.js';
import { buildKeyTrie } from '../event/key-trie.js';
import type { KeyNode } from '../event/key-trie.js';

/** One item of a list: its range, and what an event needs in front of it. */
export interface ListItem {
  start: number;
  end: number;
  /** It is an object; else it is no event. */
  isObject: boolean;
  hasKind: boolean;
  hasVersion: boolean;
  isEmpty: boolean;
}

/** What was read of an object. */
export interface ReadList {
  /** It is an EventList, as far as it was read. */
  isList: boolean;
  /** As it stands in the list, in quotes; undefined where it has none that could be one. */
  apiVersion: ByteString | undefined;
  /** Those that are whole. */
  items: ListItem[];
  /** Behind the object; -1 where it is broken or has too many items. */
  end: number;
  /** Where nothing of it that is whole goes on, of a list that breaks inside its items; else -1. */
  brokenAt: number;
  hasTooMany: boolean;
}

const KIND = 'EventList';
/** It is copied to each item, so a longer one would be a way to make much of little. */
const MAX_VERSION_BYTES = 64;

const KEYS = buildKeyTrie([['kind'], ['apiVersion'], ['items']]);
const keyOf = (name: string): KeyNode | undefined => KEYS.find(Buffer.from(name), 0, name.length);
const KIND_KEY = keyOf('kind');
const VERSION_KEY = keyOf('apiVersion');
const ITEMS_KEY = keyOf('items');

/**
 * The items of the object whose brace is at `at`; undefined where it is broken, or is no EventList. Of equal keys the
 * first counts.
 */
export function readEventList(reader: JsonReader, at: number): ReadList | undefined {
  const list = readList(reader, at);
  return list.isList && list.end >= 0 ? list : undefined;
}

/** Reads the object whose brace is at `at`, whatever it is; gives up beyond `maxItems`. */
export function readList(reader: JsonReader, at: number, maxItems = Infinity): ReadList {
  const list: ReadList = {
    isList: false,
    apiVersion: undefined,
    items: [],
    end: -1,
    brokenAt: -1,
    hasTooMany: false,
  };
  const met = new Set<KeyNode>();
  list.end = readMembers(reader, at, (key, valueAt) => {
    if (key === undefined || met.has(key)) return reader.value(valueAt);
    met.add(key);
    if (key === ITEMS_KEY && reader.data[valueAt] === OPEN_BRACKET)
      return readItems(reader, valueAt, list, maxItems);
    const end = reader.value(valueAt);
    if (end < 0 || key === ITEMS_KEY) return end;
    const text = stringAt(reader, valueAt);
    if (key === KIND_KEY) list.isList = text === KIND;
    else if (text !== undefined && end - valueAt <= MAX_VERSION_BYTES)
      list.apiVersion = reader.data.toString('latin1', valueAt, end);
    return end;
  });
  return list;
}

/** Whether a line surely is no EventList: it begins as kube-apiserver begins an event. Quick. */
export function isPlainEvent(data: Buffer, start: number): boolean {
  // {"kind":"Event"
  return data[start + 2] === 0x6b && data[start + 9] === 0x45 && data[start + 14] === 0x22;
}

/** What stands in front of the items of a list that lack it. */
export class ItemPrefixes {
  readonly #version: string | undefined;
  readonly #made = new Map<number, Buffer>();

  constructor({ apiVersion }: Pick<ReadList, 'apiVersion'>) {
    this.#version = apiVersion;
  }

  /** With the brace that the item begins with; undefined where it lacks nothing. */
  of({ isObject, hasKind, hasVersion, isEmpty }: ListItem): Buffer | undefined {
    const needsVersion = !hasVersion && this.#version !== undefined;
    if (!isObject || (hasKind && !needsVersion)) return undefined;
    const form = (hasKind ? 1 : 0) + (needsVersion ? 2 : 0) + (isEmpty ? 4 : 0);
    let prefix = this.#made.get(form);
    if (!prefix) {
      const members = [
        ...(hasKind ? [] : ['"kind":"Event"']),
        ...(needsVersion ? [`"apiVersion":${this.#version ?? ''}`] : []),
      ];
      prefix = Buffer.from(`{${members.join(',')}${isEmpty ? '' : ','}`, 'latin1');
      this.#made.set(form, prefix);
    }
    return prefix;
  }
}

/** Not those of arrays inside it: such an item is no event. */
function readItems(reader: JsonReader, at: number, list: ReadList, maxItems: number): number {
  const { data } = reader;
  const { items } = list;
  let p = reader.space(at + 1);
  if (data[p] === CLOSE_BRACKET) return p + 1;
  for (;;) {
    list.brokenAt = p;
    if (items.length >= maxItems) {
      list.hasTooMany = true;
      return -1;
    }
    const item = readItem(reader, p);
    if (item.end < 0) return -1;
    items.push(item);
    p = list.brokenAt = reader.space(item.end);
    if (data[p] === CLOSE_BRACKET) break;
    if (data[p] !== COMMA) return reader.fail(p, 'a comma or the closing bracket');
    p = reader.space(p + 1);
  }
  list.brokenAt = reader.space(p + 1);
  return p + 1;
}

function readItem(reader: JsonReader, start: number): ListItem {
  const item: ListItem = {
    start,
    end: -1,
    isObject: reader.data[start] === OPEN_BRACE,
    hasKind: false,
    hasVersion: false,
    isEmpty: true,
  };
  if (!item.isObject) {
    item.end = reader.value(start);
    return item;
  }
  item.end = readMembers(reader, start, (key, valueAt) => {
    item.isEmpty = false;
    if (key === KIND_KEY) item.hasKind = true;
    else if (key === VERSION_KEY) item.hasVersion = true;
    return reader.value(valueAt);
  });
  return item;
}

/** Reads the object whose brace is at `at`; `readValue` returns where the value ends that begins there, or -1. */
function readMembers(
  reader: JsonReader,
  at: number,
  readValue: (key: KeyNode | undefined, valueAt: number) => number,
): number {
  const { data } = reader;
  let p = reader.space(at + 1);
  if (data[p] === CLOSE_BRACE) return p + 1;
  for (;;) {
    if (data[p] !== QUOTE) return reader.fail(p, 'a key in quotes');
    const keyStart = p + 1;
    p = reader.string(keyStart);
    if (p < 0) return -1;
    const key = KEYS.findAny(data, keyStart, p - 1);
    p = reader.space(p);
    if (data[p] !== COLON) return reader.fail(p, 'a colon');
    p = readValue(key, reader.space(p + 1));
    if (p < 0) return -1;
    p = reader.space(p);
    if (data[p] === CLOSE_BRACE) return p + 1;
    if (data[p] !== COMMA) return reader.fail(p, 'a comma or the closing brace');
    p = reader.space(p + 1);
  }
}
