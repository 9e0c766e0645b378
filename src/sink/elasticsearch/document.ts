// From an event to the document that is sent: its own bytes, with what Headgate knows of it spliced in behind the first
// brace, and without `managedFields`. Nothing is parsed. Of an object with two equal keys Elasticsearch takes nothing, so
// where an event has one of these keys itself, its object is completed in its place instead.
import { SLOT_STRIDE } from '../../event/batch.js';
import type { EventBatch, LineOrigin } from '../../event/batch.js';
import { compileTime } from '../../event/audit.js';
import { fromText, toText } from '../../event/byte-string.js';
import type { ByteString } from '../../event/byte-string.js';
import type { FieldPath } from '../../event/field-path.js';
import type { FieldRegistry } from '../../event/fields.js';
import { JsonEdits } from '../../event/json-edit.js';
import { membersNamed, membersOf } from '../../event/json-members.js';
import { CLOSE_BRACE, isSpace, JsonReader, OPEN_BRACE, QUOTE } from '../../event/json-reader.js';
import { jsonString, newValueTree, setMembers } from '../../event/json-set.js';
import { buildKeyTrie } from '../../event/key-trie.js';
import { parseTimestamp } from '../../event/timestamp.js';
import { isTruncatedValue, markTruncated, truncatedValue } from '../../event/truncated.js';

const BODIES = ['requestObject', 'responseObject'];
/** The members of a document that Headgate adds to. */
const ADDED = ['@timestamp', 'event', 'host', 'log', 'headgate'];
const MANAGED_FIELDS = 'managedFields';
const MAX_CACHED_TAGS = 10_000;

/** A document in two parts: `head`, then `data[start, end)`. */
export interface DocumentParts {
  head: ByteString;
  data: Buffer;
  start: number;
  end: number;
  /** `head`, and in front of the rest only a brace was taken off the event's line as read. */
  isLine: boolean;
}

export interface DocumentOptions {
  pipeline: string;
  hostName: string;
  keepManagedFields: boolean;
}

export class DocumentEncoder {
  readonly #host: ByteString;
  readonly #pipeline: ByteString;
  readonly #keepManagedFields: boolean;
  readonly #times: readonly number[];
  readonly #time: (batch: EventBatch, i: number) => number;
  readonly #added: readonly number[];
  readonly #bodies: readonly number[];
  readonly #managedFields = buildKeyTrie([[MANAGED_FIELDS]]);
  readonly #reader = new JsonReader();
  readonly #edits = new JsonEdits();
  readonly #tails = new Map<ByteString, ByteString>();
  #middle = { file: '', ingested: '', text: '' };

  constructor({ pipeline, hostName, keepManagedFields }: DocumentOptions, fields: FieldRegistry) {
    this.#host = jsonString(fromText(hostName));
    this.#pipeline = jsonString(fromText(pipeline));
    this.#keepManagedFields = keepManagedFields;
    this.#times = [fields.slot(['stageTimestamp']), fields.slot(['timestamp'])];
    this.#time = compileTime(fields);
    this.#added = ADDED.map((name) => fields.slot([name]));
    this.#bodies = keepManagedFields ? [] : BODIES.map((name) => fields.slot([name]));
  }

  /** The document of event i; undefined where the event turns out to be broken. `ingested` is a time as JSON text, `origin` its line's. */
  encode(batch: EventBatch, i: number, ingested: ByteString, origin: LineOrigin): DocumentParts | undefined {
    const start = batch.starts[i] as number;
    const end = batch.ends[i] as number;
    const isLine = start === batch.lineStarts[i] && end === batch.lineEnds[i];
    const hasAdded = this.#added.some((slot) => isPresent(batch, i, slot));
    if (!hasAdded && !this.#hasManagedFields(batch, i))
      return behindBrace(this.#head(batch, i, ingested, origin), batch.data, start, end, isLine);

    const reader = this.#reader;
    reader.load(batch.data);
    const at = reader.space(start);
    const valueEnd = reader.value(at);
    // The scan of a line can stop early, and what is broken can't be changed safely.
    if (valueEnd < 0 || reader.space(valueEnd) !== end) return undefined;
    if (!this.#keepManagedFields) this.#cutManagedFields(at);
    if (hasAdded) setMembers(reader, at, newValueTree(this.#values(batch, i, ingested, origin)), this.#edits);
    const event = this.#edits.apply(batch.data, start, end);
    if (hasAdded) return { head: '', data: event, start: 0, end: event.length, isLine: false };
    return behindBrace(this.#head(batch, i, ingested, origin), event, 0, event.length, false);
  }

  #cutManagedFields(at: number): void {
    for (const { key, valueStart } of membersOf(this.#reader, at)) {
      if (!BODIES.includes(key)) continue;
      for (const { keyStart, valueEnd } of membersNamed(this.#reader, valueStart, this.#managedFields))
        this.#edits.cutMember(keyStart, valueEnd);
    }
  }

  #hasManagedFields(batch: EventBatch, i: number): boolean {
    return this.#bodies.some((slot) => {
      const at = (i * batch.fieldCount + slot) * SLOT_STRIDE;
      const start = batch.slots[at] as number;
      return start >= 0 && batch.data.subarray(start, batch.slots[at + 1]).includes(MANAGED_FIELDS);
    });
  }

  // The same as `#values`, written by hand and of few parts: this is done for each event.
  #head(batch: EventBatch, i: number, ingested: ByteString, { file, offset }: LineOrigin): ByteString {
    if (this.#middle.file !== file || this.#middle.ingested !== ingested) {
      const text = `,"event":{"ingested":${ingested}},"host":{"name":${this.#host}},"log":{"file":{"path":${jsonString(fromText(file))}},"offset":`;
      this.#middle = { file, ingested, text };
    }
    return `{"@timestamp":${this.#timestamp(batch, i)}${this.#middle.text}${offset}${this.#tail(batch.tags[i] ?? '')}`;
  }

  #values(
    batch: EventBatch,
    i: number,
    ingested: ByteString,
    { file, offset }: LineOrigin,
  ): { path: FieldPath; value: ByteString }[] {
    return [
      { path: ['@timestamp'], value: this.#timestamp(batch, i) },
      { path: ['event', 'ingested'], value: ingested },
      { path: ['host', 'name'], value: this.#host },
      { path: ['log', 'file', 'path'], value: jsonString(fromText(file)) },
      { path: ['log', 'offset'], value: String(offset) },
      { path: ['headgate', 'pipeline'], value: this.#pipeline },
      { path: ['headgate', 'tag'], value: jsonOf(batch.tags[i] ?? '') },
    ];
  }

  /** The event's time as the API server wrote it, with its microseconds. */
  #timestamp(batch: EventBatch, i: number): ByteString {
    for (const slot of this.#times) {
      const at = (i * batch.fieldCount + slot) * SLOT_STRIDE;
      const start = batch.slots[at] as number;
      const end = batch.slots[at + 1] as number;
      if (start < 0 || batch.data[start] !== QUOTE) continue;
      if (!Number.isNaN(parseTimestamp(batch.data, start + 1, end - 1)))
        return batch.data.toString('latin1', start, end);
    }
    return `"${new Date(this.#time(batch, i)).toISOString()}"`;
  }

  /** What is behind the offset of an event with this tag. */
  #tail(tag: ByteString): ByteString {
    let tail = this.#tails.get(tag);
    if (tail === undefined) {
      tail = `},"headgate":{"pipeline":${this.#pipeline},"tag":${jsonOf(tag)}}`;
      if (this.#tails.size >= MAX_CACHED_TAGS) this.#tails.clear();
      this.#tails.set(tag, tail);
    }
    return tail;
  }
}

/** Elasticsearch takes no text that is not UTF-8. */
function jsonOf(tag: ByteString): ByteString {
  return jsonString(fromText(toText(tag)));
}

function isPresent(batch: EventBatch, i: number, slot: number): boolean {
  return (batch.slots[(i * batch.fieldCount + slot) * SLOT_STRIDE] as number) >= 0;
}

/** `head` lacks its last brace: the members of the event that is `data[start, end)` follow it. */
function behindBrace(
  head: ByteString,
  data: Buffer,
  start: number,
  end: number,
  isLine: boolean,
): DocumentParts {
  let brace = start;
  while (data[brace] !== OPEN_BRACE) brace++;
  let first = brace + 1;
  while (isSpace(data[first])) first++;
  const isEmpty = data[first] === CLOSE_BRACE;
  return {
    head: isEmpty ? head : `${head},`,
    data,
    start: brace + 1,
    end,
    isLine: isLine && brace === start,
  };
}

/**
 * A document with marks in the place of its bodies, and the annotation that says so; undefined where it has none that
 * could be taken out.
 */
export function withoutBodies(document: Buffer): Buffer | undefined {
  const reader = new JsonReader();
  const edits = new JsonEdits();
  const line = Buffer.concat([document, NEWLINE_BYTES]);
  reader.load(line);
  if (reader.value(0) < 0) return undefined;
  const names: string[] = [];
  for (const { key, valueStart, valueEnd } of membersOf(reader, 0)) {
    // What stands in the place of a body is no body any more.
    const value = line.subarray(valueStart, valueEnd);
    if (!BODIES.includes(key) || isTruncatedValue(value)) continue;
    edits.replace(valueStart, valueEnd, truncatedValue(value));
    names.push(key);
  }
  if (names.length === 0) return undefined;
  markTruncated(reader, 0, names, edits);
  return edits.apply(line, 0, document.length);
}

const NEWLINE_BYTES = Buffer.from('\n');
