// Brings a batch to the cluster, however long it takes: sends it, reads the verdict on each event, and sends again what
// has to wait, smaller parts of what is too large, and nothing else. Resolves when every event of the batch is in an index
// or in the quarantine; nothing but the end of the pipeline makes it give up.
import { retry } from '../../pipeline/backoff.js';
import type { RetryOptions } from '../../pipeline/backoff.js';
import type { SinkContext } from '../../pipeline/component.js';
import { RareLog } from '../../source/file/rare-log.js';
import { actionOf, BulkBatch, soughtOf } from './bulk-batch.js';
import type { Item } from './bulk-batch.js';
import { ClusterFault } from './cluster.js';
import type { Answer, ClusterRequest } from './cluster.js';
import { AdaptiveLimit, RequestSize } from './limit.js';
import { findPresent } from './lookup.js';
import { describeError, errorType, itemsOf, judgeItem, judgeRequest, neverFits } from './verdict.js';

/** Only what is read of an answer is asked for: of an event that was taken it is 25 bytes. */
const BULK_PATH =
  '/_bulk?timeout=30s&filter_path=items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason,error,status';

/** So often a request is refused for want of room before it is sent in parts. */
const REFUSALS_BEFORE_SPLIT = 5;

/** Behind the id of an event that was sent without its bodies because it was rejected with them. */
const REDUCED_SUFFIX = '-reduced';

export interface DeliveryOptions {
  request: (request: ClusterRequest) => Promise<Answer>;
  /** A document without its bodies, or undefined where it has none. */
  reduce: (document: Buffer) => Buffer | undefined;
  maxInFlight: number;
  context: SinkContext;
}

/** What is left to be done for some items, which follow each other in their batch. */
interface Remainder {
  /** Undefined: all of the batch, and nobody has looked at single ones yet. */
  items: Item[] | undefined;
  /** Whether what was sent of them may have been done without our knowing. */
  isUnsure: boolean;
  /** They have to go in smaller requests, if they are more than one. */
  isSplit: boolean;
  /** The cluster has no room now. */
  isPressed: boolean;
  /** Why there is something left, for the log: a status and the type of an error, nothing of an event. */
  cause: string;
}

/** A rejected item, and its document without bodies. */
interface Reduced {
  item: Item;
  line: Buffer;
  document: Buffer;
}

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #limit: AdaptiveLimit;
  /** How large requests should be. */
  readonly size = new RequestSize();
  readonly #retry: RetryOptions;
  readonly #rareLog: RareLog;

  constructor(options: DeliveryOptions) {
    const { context, maxInFlight } = options;
    this.#options = options;
    this.#limit = new AdaptiveLimit(maxInFlight);
    this.#retry = { ...context };
    this.#rareLog = new RareLog(context.log);
    context.signal.addEventListener('abort', () => {
      this.#limit.wake();
    });
  }

  /** Rejects only when the pipeline ends. */
  async deliver(batch: BulkBatch): Promise<void> {
    await this.#deliver(batch, undefined, batch.isUnsure);
    if (batch.rejections.length > 0) await this.#options.context.reject(batch.rejections, batch.after);
  }

  async #deliver(batch: BulkBatch, items: Item[] | undefined, isUnsure: boolean): Promise<void> {
    const { request, context } = this.#options;
    let rest: Remainder = { items, isUnsure, isSplit: false, isPressed: false, cause: '' };
    let refusals = 0;
    const reduced: Reduced[] = [];
    await retry(this.#retry, 'deliver events', () =>
      this.#limit.run(context.signal, async () => {
        if (rest.isUnsure) rest = await this.#absent(batch, rest);
        const sent = rest.items?.length ?? batch.size;
        if (sent === 0) return;
        const body = rest.items ? batch.request(rest.items) : batch.whole();
        rest.isSplit = sent > 1 && body.length > this.size.maxBytes;
        if (rest.isSplit) return;
        rest.isUnsure = true; // Until there is an answer.
        const answer = await request({ method: 'POST', path: BULK_PATH, body });
        rest = this.#read(batch, rest.items, answer, body.length, reduced);
        this.#learn(answer, rest, body.length);
        const left = rest.items?.length ?? batch.size;
        // A cluster can have so little room that this request never fits, however long it waits.
        refusals = rest.isPressed && left === sent ? refusals + 1 : 0;
        if (refusals === REFUSALS_BEFORE_SPLIT) this.size.noRoom(body.length);
        if (left > 0 && !rest.isSplit)
          throw new ClusterFault(`${left} events wait: ${rest.cause}`, answer.retryAfterMs);
      }),
    );
    if (rest.isSplit) await this.#deliverParts(batch, rest, reduced);
    if (reduced.length === 0) return;
    const again = batchOf(reduced, batch);
    await this.#deliver(again, undefined, true);
  }

  #learn({ status }: Answer, rest: Remainder, bytes: number): void {
    if (status === 413 || (status === 429 && rest.isSplit)) this.size.tooLarge(bytes);
    if (rest.isPressed) {
      this.#limit.lower();
    } else if (status === 200) {
      this.#limit.raise();
      this.size.fit();
    }
  }

  /** What is left when those that are there are left out. */
  async #absent(batch: BulkBatch, rest: Remainder): Promise<Remainder> {
    const sought = rest.items ? soughtOf(rest.items) : batch.sought();
    const present = await findPresent(this.#options.request, sought);
    if (present.size === 0) return { ...rest, isUnsure: false };
    const before = rest.items ?? batch.items();
    const items = before.filter(({ id }) => !present.has(id));
    batch.gather(items, before[0]?.start ?? 0);
    return { ...rest, items, isUnsure: false };
  }

  /** What is left when an answer was read. */
  #read(
    batch: BulkBatch,
    given: Item[] | undefined,
    { status, body }: Answer,
    bytes: number,
    reduced: Reduced[],
  ): Remainder {
    if (status !== 200) {
      const verdict = judgeRequest(status, body, bytes);
      return {
        items: given,
        // A server that reads a request by parts may have done some of it when it comes to one that it can't read.
        isUnsure: verdict === 'unknown' || status === 400,
        isSplit: verdict === 'split',
        isPressed: verdict !== 'split' && (status === 429 || status === 503),
        cause: `the request was answered with ${status} ${errorType(body) ?? ''}${hintFor(status)}`,
      };
    }
    const answers = itemsOf(body, given?.length ?? batch.size);
    const rest: Remainder = {
      items: given,
      isUnsure: true,
      isSplit: false,
      isPressed: false,
      cause: 'the answer is not whole',
    };
    if (!answers) return rest;
    if (answers.every((answer) => judgeItem(answer) === 'done'))
      return { ...rest, items: [], isUnsure: false };
    const items = given ?? batch.items();
    const waiting = answers.flatMap((answer, k) => {
      const item = items[k];
      const isHopeless = answers.length === 1 && neverFits(answer, bytes);
      const verdict = isHopeless ? 'rejected' : judgeItem(answer);
      if (!item || verdict === 'done') return [];
      if (verdict === 'rejected')
        this.#reject(
          batch,
          item,
          `${answer.status} ${answer.error?.type ?? ''}`,
          describeError(answer),
          reduced,
        );
      return verdict === 'wait' ? [{ item, answer }] : [];
    });
    const [first] = waiting;
    rest.items = waiting.map(({ item }) => item);
    batch.gather(rest.items, items[0]?.start ?? 0);
    rest.isUnsure = waiting.some(({ answer }) => answer.status >= 500);
    rest.isSplit = waiting.length > 1 && waiting.some(({ answer }) => neverFits(answer, bytes));
    rest.isPressed =
      !rest.isSplit && waiting.some(({ answer }) => answer.status === 429 || answer.status === 503);
    if (first)
      rest.cause = `${first.answer.status} ${first.answer.error?.type ?? ''}${hintFor(first.answer.status)}`;
    return rest;
  }

  async #deliverParts(
    batch: BulkBatch,
    { items = batch.items(), isUnsure, cause }: Remainder,
    reduced: Reduced[],
  ): Promise<void> {
    const [item] = items;
    if (items.length > 1) {
      const half = Math.ceil(items.length / 2);
      await this.#deliver(batch, items.slice(0, half), isUnsure);
      await this.#deliver(batch, items.slice(half), isUnsure);
    } else if (item) {
      this.#reject(batch, item, cause, cause, reduced);
    }
  }

  /**
   * An event that will never be taken as it is goes to the quarantine. Mostly a body is the reason, which whoever sent the
   * request has written: so that nobody can hide an event in this way, all but the bodies is sent again.
   */
  #reject(batch: BulkBatch, item: Item, cause: string, detail: string, reduced: Reduced[]): void {
    this.#tell(item, cause);
    const document = this.#options.reduce(batch.document(item));
    const line = batch.lineOf(item);
    batch.reject(
      item,
      line,
      this.#options.context.name,
      document ? `${detail}; sent without its bodies` : detail,
    );
    if (document) reduced.push({ item, line, document });
  }

  #tell(item: Item, cause: string): void {
    const { component } = this.#options.context;
    const detail = { code: 'SINK_REJECTED', component, cause, index: item.index.target, path: item.path };
    this.#rareLog.error(
      cause,
      { ...detail, offset: item.origin.offset },
      'an event was rejected: it is in the quarantine',
    );
  }
}

/**
 * A batch of documents without their bodies. They have ids of their own: after a crash the whole event is not taken for
 * one that is there, is rejected again, and is in the quarantine for certain.
 */
function batchOf(reduced: readonly Reduced[], { after, rejections }: BulkBatch): BulkBatch {
  const parts = reduced.map(({ item, line, document }) => {
    const action = Buffer.from(actionOf(item.index.target, `${item.id}${REDUCED_SUFFIX}`));
    return { item, line, document, action };
  });
  const body = Buffer.concat(parts.flatMap(({ action, document }) => [action, document, NEWLINE_BYTES]));
  const batch = new BulkBatch(body, after, true, rejections);
  for (const { item, line, document, action } of parts) {
    const start = batch.length;
    const documentAt = action.length;
    batch.add({ ...item, line, documentAt, start, end: start + documentAt + document.length + 1 });
  }
  return batch;
}

const NEWLINE_BYTES = Buffer.from('\n');

function hintFor(status: number): string {
  if (status === 401) return ': the credentials are not valid, they are read again for each try';
  if (status === 403) return ': the rights do not reach, or the index is read-only';
  return '';
}
