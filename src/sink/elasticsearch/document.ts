// From an event to the document that is sent: its own bytes, with what Headgate knows of it spliced in behind the first
// brace, and without `managedFields`. Nothing is parsed. Of an object with two equal keys Elasticsearch takes nothing, so
// where an event has one of these keys itself, its object is completed in its place instead. What the bodies become is in
// `bodies.ts`, what stands around the event with `format: ecs` in `ecs.ts`.
import { SLOT_STRIDE } from '../../event/batch.js';
import type { EventBatch, LineOrigin } from '../../event/batch.js';
import { compileLatency, compileTime } from '../../event/audit.js';
import { fromText, toBuffer, toText } from '../../event/byte-string.js';
import type { ByteString } from '../../event/byte-string.js';
import type { FieldPath } from '../../event/field-path.js';
import type { FieldRegistry } from '../../event/fields.js';
import { JsonEdits } from '../../event/json-edit.js';
import { readMembers } from '../../event/json-members.js';
import { CLOSE_BRACE, isSpace, JsonReader, OPEN_BRACE, QUOTE } from '../../event/json-reader.js';
import { jsonString, newValueTree, setMembers } from '../../event/json-set.js';
import { parseTimestamp } from '../../event/timestamp.js';
import { bodiesAsText, BODIES, cutManagedFields, MANAGED_FIELDS, wrapBodies } from './bodies.js';
import type { DocumentForm } from './bodies.js';
import { EcsFields, renameAnnotations } from './ecs.js';

/** The members of a document that Headgate adds to. */
const ADDED = ['@timestamp', 'event', 'host', 'log', 'headgate'];
const MAX_CACHED_TAGS = 10_000;
/** What `date_nanos` can't hold, and a data stream's time has to be one: from 2262-04-11 on. */
const LAST_TIME_MS = Date.UTC(2262, 0);
const NULL = 0x6e;
const DOCUMENT_END = Buffer.from('}}');

/** A document in two parts: `head`, then `data[start, end)`. */
export interface DocumentParts {
  head: ByteString;
  data: Buffer;
  start: number;
  end: number;
  /** `head`, and in front of the rest only a brace was taken off the event's line as read. */
  isLine: boolean;
}

export interface DocumentOptions extends DocumentForm {
  pipeline: string;
  hostName: string;
  clusterName: string | undefined;
  /** As in the options. */
  index: string;
  keepManagedFields: boolean;
}

export class DocumentEncoder {
  readonly #host: ByteString;
  readonly #pipeline: ByteString;
  readonly #cluster: ByteString | undefined;
  readonly #keepManagedFields: boolean;
  readonly #asText: boolean;
  readonly #ecs: EcsFields | undefined;
  readonly #times: readonly number[];
  readonly #time: (batch: EventBatch, i: number) => number;
  readonly #latency: (batch: EventBatch, i: number) => number;
  readonly #added: readonly number[];
  readonly #bodies: readonly number[];
  readonly #reader = new JsonReader();
  readonly #edits = new JsonEdits();
  readonly #tails = new Map<ByteString, ByteString>();
  #middle = { file: '', ingested: '', text: '' };

  constructor(options: DocumentOptions, fields: FieldRegistry) {
    const { clusterName } = options;
    this.#host = jsonString(fromText(options.hostName));
    this.#pipeline = jsonString(fromText(options.pipeline));
    if (clusterName !== undefined) this.#cluster = `{"name":${jsonString(fromText(clusterName))}}`;
    this.#keepManagedFields = options.keepManagedFields;
    this.#asText = options.bodies === 'text';
    if (options.format === 'ecs') this.#ecs = new EcsFields(options.index, fields);
    this.#times = [fields.slot(['stageTimestamp']), fields.slot(['timestamp'])];
    this.#time = compileTime(fields);
    this.#latency = compileLatency(fields);
    const added = this.#ecs ? [] : clusterName === undefined ? ADDED : [...ADDED, 'orchestrator'];
    this.#added = added.map((name) => fields.slot([name]));
    this.#bodies = BODIES.map((name) => fields.slot([name]));
  }

  /** The document of event i; undefined where the event turns out to be broken. `ingested` is a time as JSON text, `origin` its line's. */
  encode(batch: EventBatch, i: number, ingested: ByteString, origin: LineOrigin): DocumentParts | undefined {
    const start = batch.starts[i] as number;
    const end = batch.ends[i] as number;
    const isLine = start === batch.lineStarts[i] && end === batch.lineEnds[i];
    const hasAdded = this.#added.some((slot) => isPresent(batch, i, slot));
    const isOpen = !hasAdded && !this.#ecs;
    if (isOpen && !this.#bodies.some((slot) => this.#changesBody(batch, i, slot)))
      return behindBrace(this.#head(batch, i, ingested, origin), batch.data, start, end, isLine);

    const reader = this.#reader;
    const edits = this.#edits;
    reader.load(batch.data);
    const at = reader.space(start);
    const read = readMembers(reader, at);
    // The scan of a line can stop early, and what is broken can't be changed safely.
    if (!read || reader.space(read.end) !== end) return undefined;
    if (!this.#keepManagedFields) cutManagedFields(reader, read.members, edits);
    if (!this.#asText) wrapBodies(reader, read.members, edits);
    if (this.#ecs) renameAnnotations(reader, read.members, edits);
    if (hasAdded) setMembers(reader, at, newValueTree(this.#values(batch, i, ingested, origin)), edits);
    let event = edits.apply(batch.data, start, end);
    if (this.#asText) event = bodiesAsText(event);
    if (isOpen) return behindBrace(this.#head(batch, i, ingested, origin), event, 0, event.length, false);
    if (this.#ecs) event = this.#around(this.#ecs, event, batch, i, ingested, origin);
    return { head: '', data: event, start: 0, end: event.length, isLine: false };
  }

  /** Whether a body has to become something else. What stands in it is looked at only where it may have to. */
  #changesBody(batch: EventBatch, i: number, slot: number): boolean {
    const at = (i * batch.fieldCount + slot) * SLOT_STRIDE;
    const start = batch.slots[at] as number;
    if (start < 0 || batch.data[start] === NULL) return false;
    if (this.#asText || batch.data[start] !== OPEN_BRACE) return true;
    if (this.#keepManagedFields) return false;
    return batch.data.subarray(start, batch.slots[at + 1]).includes(MANAGED_FIELDS);
  }

  /** The document of an event that stands below `kubernetes.audit`. */
  #around(
    ecs: EcsFields,
    event: Buffer,
    batch: EventBatch,
    i: number,
    ingested: ByteString,
    { file, offset }: LineOrigin,
  ): Buffer {
    const head = ecs.head(batch, i, {
      event: { duration: this.#duration(batch, i), ingested },
      rest: {
        '@timestamp': this.#timestamp(batch, i),
        host: { name: this.#host },
        log: { file: { path: jsonString(fromText(file)) }, offset: String(offset) },
        headgate: { pipeline: this.#pipeline, tag: jsonOf(batch.tags[i] ?? '') },
      },
      cluster: this.#cluster,
    });
    return Buffer.concat([toBuffer(`${head.slice(0, -1)},"kubernetes":{"audit":`), event, DOCUMENT_END]);
  }

  // The same as `#values`, written by hand and of few parts: this is done for each event.
  #head(batch: EventBatch, i: number, ingested: ByteString, { file, offset }: LineOrigin): ByteString {
    if (this.#middle.file !== file || this.#middle.ingested !== ingested) {
      const orchestrator = this.#cluster === undefined ? '' : `,"orchestrator":{"cluster":${this.#cluster}}`;
      const text = `"ingested":${ingested}}${orchestrator},"host":{"name":${this.#host}},"log":{"file":{"path":${jsonString(fromText(file))}},"offset":`;
      this.#middle = { file, ingested, text };
    }
    const duration = this.#duration(batch, i);
    const event = duration === undefined ? ',"event":{' : `,"event":{"duration":${duration},`;
    return `{"@timestamp":${this.#timestamp(batch, i)}${event}${this.#middle.text}${offset}${this.#tail(batch.tags[i] ?? '')}`;
  }

  #values(
    batch: EventBatch,
    i: number,
    ingested: ByteString,
    { file, offset }: LineOrigin,
  ): { path: FieldPath; value: ByteString }[] {
    const duration = this.#duration(batch, i);
    const cluster = this.#cluster;
    return [
      { path: ['@timestamp'], value: this.#timestamp(batch, i) },
      ...(duration === undefined ? [] : [{ path: ['event', 'duration'], value: duration }]),
      ...(cluster === undefined ? [] : [{ path: ['orchestrator', 'cluster'], value: cluster }]),
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
      if (parseTimestamp(batch.data, start + 1, end - 1) < LAST_TIME_MS * 1000)
        return batch.data.toString('latin1', start, end);
    }
    const timeMs = this.#time(batch, i);
    return `"${new Date(timeMs < LAST_TIME_MS ? timeMs : batch.readAtMs).toISOString()}"`;
  }

  /** From the request to this stage, in nanoseconds, as `event.duration` is; undefined where that is not known. */
  #duration(batch: EventBatch, i: number): ByteString | undefined {
    const ms = this.#latency(batch, i);
    return ms >= 0 ? String(Math.round(ms * 1000) * 1000) : undefined;
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
