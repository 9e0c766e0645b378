// The bodies of an event in a document: `requestObject` and `responseObject`, whose shape is up to whoever sent the
// request. So that no shape makes the server reject the event: as `flattened` a body that is no object (a JSON Patch is a
// list of them) is put into one, and as `text` it becomes one string. All by splicing.
import { toBuffer } from '../../event/byte-string.js';
import { JsonEdits } from '../../event/json-edit.js';
import {
  elementsOf,
  isArrayAt,
  isObjectAt,
  membersNamed,
  membersOf,
  stringAt,
} from '../../event/json-members.js';
import type { NamedMember } from '../../event/json-members.js';
import { BACKSLASH, JsonReader, QUOTE } from '../../event/json-reader.js';
import { jsonString } from '../../event/json-set.js';
import { buildKeyTrie } from '../../event/key-trie.js';
import { isTruncatedValue, markTruncated, TRUNCATED, truncatedValue } from '../../event/truncated.js';
import { annotationKey } from './ecs.js';
import type { ElasticsearchOptions } from './options.js';

export const BODIES = ['requestObject', 'responseObject'];
export const MANAGED_FIELDS = 'managedFields';
/** The key that a body is put under where it is neither an object nor a list of objects. */
export const VALUE = 'headgate.io/value';

/** What decides how the bodies stand in a document, and where. */
export type DocumentForm = Pick<ElasticsearchOptions, 'format' | 'bodies'>;

const NULL = 0x6e;
const SPACE = 0x20;
const managedFields = buildKeyTrie([[MANAGED_FIELDS]]);
const WRAPPER_START = Buffer.from(`{"${VALUE}":`);
const WRAPPER_END = Buffer.from('}');

/** Takes `managedFields` out of the bodies among the members of an event. */
export function cutManagedFields(
  reader: JsonReader,
  members: readonly NamedMember[],
  edits: JsonEdits,
): void {
  for (const { key, valueStart, valueEnd } of members) {
    if (!BODIES.includes(key)) continue;
    for (const managed of membersNamed(reader, valueStart, valueEnd, managedFields))
      edits.cutMember(managed.keyStart, managed.valueEnd);
  }
}

/** Puts those bodies among the members of an event into an object that a `flattened` field would not take. */
export function wrapBodies(reader: JsonReader, members: readonly NamedMember[], edits: JsonEdits): void {
  for (const { key, valueStart, valueEnd } of members) {
    if (!BODIES.includes(key) || isFlattenable(reader, valueStart)) continue;
    edits.insert(valueStart, WRAPPER_START);
    edits.insert(valueEnd, WRAPPER_END);
  }
}

/** Elasticsearch `FlattenedFieldParser`: an object, null, or a list of these, nested or not. */
function isFlattenable(reader: JsonReader, at: number): boolean {
  const isOne = (start: number): boolean => isObjectAt(reader, start) || reader.data[start] === NULL;
  if (!isArrayAt(reader, at)) return isOne(at);
  for (const { start } of elementsOf(reader, at)) if (!isOne(start)) return false;
  return true;
}

/** Makes a string of each body of the event that is `event`, null aside. */
export function bodiesAsText(event: Buffer): Buffer {
  const reader = new JsonReader();
  const edits = new JsonEdits();
  reader.load(event);
  for (const { key, valueStart, valueEnd } of membersOf(reader, reader.space(0))) {
    if (!BODIES.includes(key) || event[valueStart] === NULL) continue;
    edits.replace(valueStart, valueEnd, asText(event.subarray(valueStart, valueEnd)));
  }
  return edits.apply(event, 0, event.length);
}

/** JSON as a JSON string. Of what must be escaped there are mostly quotes and backslashes only. */
function asText(json: Buffer): Buffer {
  let escapes = 0;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i] as number;
    if (byte === QUOTE || byte === BACKSLASH) escapes++;
    else if (byte < SPACE) return toBuffer(jsonString(json.toString('latin1')));
  }
  const text = Buffer.allocUnsafe(json.length + escapes + 2);
  text[0] = text[text.length - 1] = QUOTE;
  let to = 1;
  for (let i = 0; i < json.length; i++) {
    const byte = json[i] as number;
    if (byte === QUOTE || byte === BACKSLASH) text[to++] = BACKSLASH;
    text[to++] = byte;
  }
  return text;
}

/**
 * A document with marks in the place of its bodies, and the annotation that says so; undefined where it has none that
 * could be taken out.
 */
export function withoutBodies(document: Buffer, { format, bodies }: DocumentForm): Buffer | undefined {
  const reader = new JsonReader();
  const edits = new JsonEdits();
  const line = Buffer.concat([document, NEWLINE_BYTES]);
  reader.load(line);
  if (reader.value(0) < 0) return undefined;
  const event = format === 'ecs' ? below(reader, below(reader, 0, 'kubernetes'), 'audit') : 0;
  if (event === undefined) return undefined;
  const names: string[] = [];
  for (const { key, valueStart, valueEnd } of membersOf(reader, event)) {
    if (!BODIES.includes(key)) continue;
    const inDocument = line.subarray(valueStart, valueEnd);
    const value = bodies === 'text' ? ofText(inDocument) : inDocument;
    // What stands in the place of a body is no body any more.
    if (isTruncatedValue(value)) continue;
    const mark = truncatedValue(value);
    edits.replace(valueStart, valueEnd, bodies === 'text' ? asText(mark) : mark);
    names.push(key);
  }
  if (names.length === 0) return undefined;
  markTruncated(reader, event, names, edits, format === 'ecs' ? annotationKey(TRUNCATED) : TRUNCATED);
  return edits.apply(line, 0, document.length);
}

/** Where the value of the first member of that name begins in the object at `at`, where that is an object. */
function below(reader: JsonReader, at: number | undefined, name: string): number | undefined {
  if (at === undefined) return undefined;
  const start = membersOf(reader, at).find(({ key }) => key === name)?.valueStart;
  return start !== undefined && isObjectAt(reader, start) ? start : undefined;
}

/** What `asText` was given. */
function ofText(text: Buffer): Buffer {
  const reader = new JsonReader();
  reader.load(text);
  return toBuffer(stringAt(reader, 0) ?? '');
}

const NEWLINE_BYTES = Buffer.from('\n');
