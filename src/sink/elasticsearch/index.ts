// The `elasticsearch` sink: each event becomes one document, whatever happens to Headgate, to the cluster and to the way
// between them. The id of a document is the hash of the event's line as read, and it is only ever created, so sending an
// event again changes nothing. This file fills batches and counts what is under way; `delivery.ts` brings them there.
import { hash } from 'node:crypto';
import { hostname } from 'node:os';
import { bytesOf, millisecondsOf } from '../../config/units.js';
import type { EventBatch, Marker, SubBatch } from '../../event/batch.js';
import { toBuffer } from '../../event/byte-string.js';
import type { ByteString } from '../../event/byte-string.js';
import { NEWLINE } from '../../event/json-reader.js';
import { defineSink } from '../../pipeline/component.js';
import type { Sink, SinkContext } from '../../pipeline/component.js';
import type { Receipt } from '../../position/position.js';
import { actionOf, BodyPool, BulkBatch } from './bulk-batch.js';
import type { Item } from './bulk-batch.js';
import { Cluster } from './cluster.js';
import { Delivery } from './delivery.js';
import { withoutBodies } from './bodies.js';
import { DocumentEncoder } from './document.js';
import type { DocumentParts } from './document.js';
import { IndexNames } from './index-name.js';
import { checkElasticsearchOptions, elasticsearchOptions } from './options.js';
import type { ElasticsearchOptions } from './options.js';
import { guardTemplate } from './template-guard.js';

class ElasticsearchSink implements Sink {
  readonly #context: SinkContext;
  readonly #firstNode: string;
  readonly #names: IndexNames;
  readonly #encoder: DocumentEncoder;
  readonly #reduce: (document: Buffer) => Buffer | undefined;
  readonly #cluster: Cluster;
  readonly #delivery: Delivery;
  readonly #pool: BodyPool;
  readonly #maxBytes: number;
  readonly #maxEvents: number;
  readonly #maxAgeMs: number;
  readonly #maxDocumentBytes: number;
  readonly #maxPendingBytes: number;
  /** The batch that is being filled, and when it has to go. */
  #batch: BulkBatch | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Batches on their way, and the memory that they hold. */
  readonly #deliveries = new Set<Promise<void>>();
  #pendingBytes = 0;
  #roomWaiters: (() => void)[] = [];
  #failure: unknown;
  #lastMarker = 0;
  #isCaughtUp = false;

  constructor(options: ElasticsearchOptions, context: SinkContext) {
    const { batch, max_in_flight: maxInFlight } = options;
    this.#context = context;
    this.#firstNode = options.nodes[0] ?? '';
    this.#names = new IndexNames(options.index, options.max_indices, options.overflow_index, context.fields);
    const hostName = options.host_name ?? hostname();
    const { format, bodies, index } = options;
    const clusterName = options.cluster_name;
    const keepManagedFields = options.keep_managed_fields;
    this.#encoder = new DocumentEncoder(
      { pipeline: context.pipeline, format, bodies, index, hostName, clusterName, keepManagedFields },
      context.fields,
    );
    this.#reduce = (document) => withoutBodies(document, { format, bodies });
    this.#maxBytes = bytesOf(batch.max_bytes);
    this.#maxEvents = batch.max_events;
    this.#maxAgeMs = millisecondsOf(batch.max_age);
    this.#maxDocumentBytes = bytesOf(options.max_document_bytes);
    this.#maxPendingBytes = this.#maxBytes * maxInFlight;
    this.#pool = new BodyPool(this.#maxBytes, maxInFlight);
    const cluster = (this.#cluster = new Cluster(options, context.component, context.signal));
    const request = guardTemplate(options, (each) => cluster.request(each), context);
    this.#delivery = new Delivery({ request, reduce: this.#reduce, maxInFlight, context });
  }

  destination(batch: EventBatch, i: number): string {
    return `${this.#firstNode}, ${this.#names.plain(batch, i)}`;
  }

  async open(): Promise<void> {}

  async write({ batch, indexes }: SubBatch): Promise<void> {
    const ingested = `"${new Date(this.#context.clock.now()).toISOString()}"`;
    let first = 0;
    let seen = 0;
    for (const i of indexes) {
      // Events of one line, of a list, are numbered: they have that line's hash in common.
      for (; seen <= i; seen++) if (batch.lineStarts[seen] !== batch.lineStarts[first]) first = seen;
      this.#add(batch, i, i - first, ingested);
    }
    await this.#room();
  }

  async settle(marker: Marker): Promise<Receipt[]> {
    this.#send();
    this.#lastMarker = marker.id;
    this.#isCaughtUp = marker.isCaughtUp;
    await Promise.all(this.#deliveries);
    if (this.#failure !== undefined) throw this.#failure as Error;
    return [];
  }

  committed(): void {}

  hasChanges(): boolean {
    return false;
  }

  endOfInput(): void {}

  async close(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#cluster.close();
  }

  #add(batch: EventBatch, i: number, ordinal: number, ingested: ByteString): void {
    const line = batch.line(i);
    const id = hash('sha256', line, 'base64url') + (ordinal === 0 ? '' : `-${ordinal}`);
    const place: Place = {
      id,
      index: this.#names.of(batch, i),
      event: batch.firstEvent + i,
      path: batch.path,
      origin: batch.origin(i),
    };
    const document = this.#encoder.encode(batch, i, ingested, place.origin);
    if (!document) this.#reject(place, line, 'the event is not valid JSON behind its first fields');
    else if (lengthOf(document) <= this.#maxDocumentBytes) this.#append(place, document, line);
    else this.#addLarge(place, document, line);
  }

  /** Of an event that is too large all but the bodies is sent, and the whole is kept where nothing limits it. */
  #addLarge(place: Place, document: DocumentParts, line: Buffer): void {
    const smaller = this.#reduce(wholeOf(document));
    const isSent = smaller !== undefined && smaller.length <= this.#maxDocumentBytes;
    const detail = 'larger than max_document_bytes';
    this.#reject(
      place,
      line,
      isSent ? `${detail}: sent without its bodies` : `${detail}, not for its bodies`,
    );
    if (isSent)
      this.#append(place, { head: '', data: smaller, start: 0, end: smaller.length, isLine: false }, line);
  }

  #append(place: Place, document: DocumentParts, line: Buffer): void {
    const { head, data, start, end, isLine } = document;
    const action = actionOf(place.index.target, place.id);
    const length = action.length + lengthOf(document) + 1;
    const batch = this.#batchFor(length);
    const { body } = batch;
    let at = batch.length;
    at += body.write(action + head, at, 'latin1');
    at += data.copy(body, at, start, end);
    body[at++] = NEWLINE;
    batch.add({
      index: place.index,
      event: place.event,
      path: place.path,
      origin: place.origin,
      start: batch.length,
      end: at,
      documentAt: action.length,
      eventAt: head.length,
      line: isLine ? undefined : Buffer.from(line),
    });
    if (batch.size >= this.#maxEvents) this.#send();
  }

  #reject(place: Place, line: Buffer, detail: string): void {
    this.#batchFor(0).reject(place, line, this.#context.name, detail);
  }

  /** The batch that has room for so many bytes more. */
  #batchFor(bytes: number): BulkBatch {
    const limit = Math.min(this.#maxBytes, this.#delivery.size.maxBytes);
    if (this.#batch && this.#batch.length + bytes > limit) this.#send();
    if (!this.#batch) {
      this.#batch = new BulkBatch(this.#pool.take(bytes), this.#lastMarker, !this.#isCaughtUp);
      this.#timer = setTimeout(() => {
        this.#send();
      }, this.#maxAgeMs);
    }
    return this.#batch;
  }

  #send(): void {
    const batch = this.#batch;
    if (!batch) return;
    clearTimeout(this.#timer);
    this.#batch = undefined;
    this.#pendingBytes += batch.bytes;
    const delivery = this.#delivery
      .deliver(batch)
      .catch((error: unknown) => {
        this.#failure ??= error;
      })
      .finally(() => {
        this.#deliveries.delete(delivery);
        this.#pendingBytes -= batch.bytes;
        this.#pool.give(batch.body);
        for (const wake of this.#roomWaiters.splice(0)) wake();
      });
    this.#deliveries.add(delivery);
  }

  async #room(): Promise<void> {
    while (this.#pendingBytes >= this.#maxPendingBytes && this.#failure === undefined)
      await new Promise<void>((resolve) => this.#roomWaiters.push(resolve));
    if (this.#failure !== undefined) throw this.#failure as Error;
  }
}

type Place = Pick<Item, 'id' | 'index' | 'event' | 'path' | 'origin'>;

function lengthOf({ head, start, end }: DocumentParts): number {
  return head.length + end - start;
}

function wholeOf({ head, data, start, end }: DocumentParts): Buffer {
  return Buffer.concat([toBuffer(head), data.subarray(start, end)]);
}

export const elasticsearchSink = defineSink({
  name: 'elasticsearch',
  summary: 'Makes each event one document in Elasticsearch or OpenSearch.',
  options: elasticsearchOptions,
  examples: [
    `type: elasticsearch
nodes: ['https://es-1.example.com:9200']
index: logs-kubernetes.audit-default
auth: { api_key_file: /etc/headgate/elasticsearch.key }
tls: { ca_file: /etc/headgate/ca.pem }`,
    `type: elasticsearch
nodes: ['http://127.0.0.1:9200']
index: 'audit-{{ objectRef.namespace ?? "none" }}-%Y.%m.%d'
max_indices: 50
overflow_index: audit-others`,
  ],
  validate: checkElasticsearchOptions,
  create: (options, context) => new ElasticsearchSink(options, context),
});
