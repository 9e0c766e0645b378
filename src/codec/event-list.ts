// An EventList, as kube-apiserver posts it to a webhook: one object with events in `items`. They lack `kind` and
// `apiVersion`, which stand once in the list; in front of an item they are spliced in as the log backend writes them, and
// every other byte of the item stays.
//
// Works on one valid JSON object; a newline is never in it.
import type { ByteString } from '../event/byte-string.js';
import { isArrayAt, isEmptyObject, isObjectAt, membersOf, stringAt } from '../event/json-members.js';
import { COMMA } from '../event/json-reader.js';
import type { JsonReader } from '../event/json-reader.js';

/** One item of a list: its range, and its bytes as an event; `bytes` is undefined where it is no object. */
export interface ListItem {
  start: number;
  end: number;
  bytes: Buffer | undefined;
}

const KIND = 'EventList';
const MEMBERS = ['kind', 'apiVersion', 'items'] as const;

/** The items of the object whose brace is at `at`; undefined where it is no EventList. Of equal keys the first counts. */
export function readEventList(reader: JsonReader, at: number): ListItem[] | undefined {
  const found = new Map<ByteString, number>();
  for (const { key, valueStart } of membersOf(reader, at))
    if ((MEMBERS as readonly string[]).includes(key) && !found.has(key)) found.set(key, valueStart);
  const [kind, version, items] = MEMBERS.map((name) => found.get(name));
  if (kind === undefined || stringAt(reader, kind) !== KIND) return undefined;
  if (items === undefined || !isArrayAt(reader, items)) return [];
  const apiVersion =
    version === undefined || stringAt(reader, version) === undefined
      ? undefined
      : reader.data.toString('latin1', version, reader.value(version));
  return rangesOf(reader, items).map(({ start, end }) => ({
    start,
    end,
    bytes: isObjectAt(reader, start) ? asEvent(reader, start, end, apiVersion) : undefined,
  }));
}

/** Whether a line surely is no EventList: it begins as kube-apiserver begins an event. Quick. */
export function isPlainEvent(data: Buffer, start: number): boolean {
  // {"kind":"Event"
  return data[start + 2] === 0x6b && data[start + 9] === 0x45 && data[start + 14] === 0x22;
}

/** Not those of arrays inside it: such an item is no event. */
function rangesOf(reader: JsonReader, at: number): { start: number; end: number }[] {
  const ranges = [];
  const last = reader.value(at) - 1;
  let p = reader.space(at + 1);
  while (p < last) {
    const end = reader.value(p);
    ranges.push({ start: p, end });
    p = reader.space(end);
    if (reader.data[p] === COMMA) p = reader.space(p + 1);
  }
  return ranges;
}

function asEvent(reader: JsonReader, start: number, end: number, apiVersion: ByteString | undefined): Buffer {
  const keys = new Set(membersOf(reader, start).map(({ key }) => key));
  const missing = [
    ...(keys.has('kind') ? [] : ['"kind":"Event"']),
    ...(keys.has('apiVersion') || apiVersion === undefined ? [] : [`"apiVersion":${apiVersion}`]),
  ].join(',');
  const item = reader.data.subarray(start, end);
  if (missing === '') return item;
  const comma = isEmptyObject(reader, start) ? '' : ',';
  return Buffer.concat([Buffer.from(`{${missing}${comma}`, 'latin1'), item.subarray(1)]);
}
