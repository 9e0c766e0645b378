// Brings a batch to the cluster, however long it takes: sends it, reads the verdict on each event, and sends again what
// has to wait, smaller parts of what is too large, and nothing else. Resolves when every event of the batch is in an index
// or in the quarantine; nothing but the end of the pipeline makes it give up.
import { retry } from '../../pipeline/backoff.js';
import type { RetryOptions } from '../../pipeline/backoff.js';
import type { SinkContext } from '../../pipeline/component.js';
import { RareLog } from '../../source/file/rare-log.js';
import { BulkBatch } from './bulk-batch.js';
import type { Item } from './bulk-batch.js';
import { ClusterFault } from './cluster.js';
import type { Answer, ClusterRequest } from './cluster.js';
import { withoutBodies } from './document.js';
import { AdaptiveLimit } from './limit.js';
import { findPresent } from './lookup.js';
import { describeError, errorType, itemsOf, judgeItem, judgeRequest } from './verdict.js';
import type { ItemAnswer } from './verdict.js';

/** Only what is read of an answer is asked for: of an event that was taken it is 25 bytes. */
const BULK_PATH =
  '/_bulk?timeout=30s&filter_path=items.*.status,items.*.error.type,items.*.error.reason,items.*.error.caused_by.reason,error,status';

/** A server that refuses less is not tried with less: single events are judged on their own. */
const SMALLEST_LIMIT_BYTES = 64 * 1024;

export interface DeliveryOptions {
  request: (request: ClusterRequest) => Promise<Answer>;
  maxInFlight: number;
  context: SinkContext;
}

/** What is left to be done for some items, which follow each other in their batch. */
interface Remainder {
  items: Item[];
  /** Whether what was sent of them may have been done without our knowing. */
  isUnsure: boolean;
  /** They have to go in smaller requests, if they are more than one. */
  isSplit: boolean;
  /** The cluster has no room now. */
  isPressed: boolean;
  /** Why there is something left, for the log: a status and the type of an error, nothing of an event. */
  cause: string;
}

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #limit: AdaptiveLimit;
  readonly #retry: RetryOptions;
  readonly #rareLog: RareLog;
  #maxRequestBytes = Infinity;

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

  /** How large a request may be, as far as that was learnt from a server that refused one. */
  get maxRequestBytes(): number {
    return this.#maxRequestBytes;
  }

  /** Rejects only when the pipeline ends. */
  async deliver(batch: BulkBatch): Promise<void> {
    await this.#deliver(batch, batch.items, batch.isUnsure);
    if (batch.rejections.length > 0) await this.#options.context.reject(batch.rejections, batch.after);
  }

  async #deliver(batch: BulkBatch, items: Item[], isUnsure: boolean): Promise<void> {
    const { request, context } = this.#options;
    let rest: Remainder = { items, isUnsure, isSplit: false, isPressed: false, cause: '' };
    await retry(this.#retry, 'deliver events', () =>
      this.#limit.run(context.signal, async () => {
        if (rest.isUnsure) rest = await this.#absent(batch, rest);
        if (rest.items.length === 0) return;
        rest.isUnsure = true; // Until there is an answer.
        const body = batch.request(rest.items);
        const answer = await request({ method: 'POST', path: BULK_PATH, body });
        rest = this.#read(batch, rest.items, answer);
        if (rest.isPressed) this.#limit.lower();
        else if (answer.status === 200) this.#limit.raise();
        if (answer.status === 413) this.#maxRequestBytes = Math.max(SMALLEST_LIMIT_BYTES, body.length / 2);
        if (rest.items.length > 0 && !rest.isSplit)
          throw new ClusterFault(`${rest.items.length} events wait: ${rest.cause}`, answer.retryAfterMs);
      }),
    );
    if (rest.isSplit) await this.#deliverParts(batch, rest);
  }

  /** What is left when those that are there are left out. */
  async #absent(batch: BulkBatch, rest: Remainder): Promise<Remainder> {
    const present = await findPresent(this.#options.request, rest.items);
    const items = rest.items.filter(({ id }) => !present.has(id));
    batch.gather(items, rest.items[0]?.start ?? 0);
    return { ...rest, items, isUnsure: false };
  }

  /** What is left when an answer was read. */
  #read(batch: BulkBatch, items: Item[], { status, body }: Answer): Remainder {
    if (status !== 200) {
      const verdict = judgeRequest(status, body);
      return {
        items,
        // A server that reads a request by parts may have done some of it when it comes to one that it can't read.
        isUnsure: verdict === 'unknown' || status === 400,
        isSplit: verdict === 'split',
        isPressed: status === 429 || status === 503,
        cause: `the request was answered with ${status} ${errorType(body) ?? ''}${hintFor(status)}`,
      };
    }
    const answers = itemsOf(body, items.length);
    const rest = {
      items,
      isUnsure: true,
      isSplit: false,
      isPressed: false,
      cause: 'the answer is not whole',
    };
    if (!answers) return rest;
    const waiting = answers.flatMap((answer, k) => {
      const item = items[k];
      const verdict = judgeItem(answer);
      if (!item || verdict === 'done') return [];
      if (verdict === 'rejected') this.#reject(batch, item, answer);
      return verdict === 'wait' ? [{ item, answer }] : [];
    });
    const [first] = waiting;
    rest.items = waiting.map(({ item }) => item);
    batch.gather(rest.items, items[0]?.start ?? 0);
    rest.isUnsure = waiting.some(({ answer }) => answer.status >= 500);
    rest.isPressed = waiting.some(({ answer }) => answer.status === 429 || answer.status === 503);
    if (first)
      rest.cause = `${first.answer.status} ${first.answer.error?.type ?? ''}${hintFor(first.answer.status)}`;
    return rest;
  }

  async #deliverParts(batch: BulkBatch, { items, isUnsure, cause }: Remainder): Promise<void> {
    const [item] = items;
    if (items.length > 1) {
      const half = Math.ceil(items.length / 2);
      await this.#deliver(batch, items.slice(0, half), isUnsure);
      await this.#deliver(batch, items.slice(half), isUnsure);
    } else if (item) {
      await this.#deliverAlone(batch, item, isUnsure, cause);
    }
  }

  /** An event that is refused although it is alone in its request: without its bodies it may be taken. */
  async #deliverAlone(batch: BulkBatch, item: Item, isUnsure: boolean, cause: string): Promise<void> {
    const smaller = withoutBodies(batch.document(item));
    this.#tell(item, cause);
    batch.reject(
      item,
      batch.lineOf(item),
      this.#options.context.name,
      smaller ? `${cause}; sent without its bodies` : cause,
    );
    if (smaller) await this.#deliver(...alone(batch, item, smaller), isUnsure);
  }

  #reject(batch: BulkBatch, item: Item, answer: ItemAnswer): void {
    this.#tell(item, `${answer.status} ${answer.error?.type ?? ''}`);
    batch.reject(item, batch.lineOf(item), this.#options.context.name, describeError(answer));
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

/** A request of its own for an item whose document was changed. What is quarantined of it is noted in its first batch. */
function alone(batch: BulkBatch, item: Item, document: Buffer): [BulkBatch, Item[]] {
  const action = batch.body.subarray(item.start, item.start + item.documentAt);
  const body = Buffer.concat([action, document, Buffer.from('\n')]);
  const single = new BulkBatch(body, batch.after, batch.isUnsure, batch.rejections);
  single.add({ ...item, start: 0, end: body.length, line: batch.lineOf(item) });
  return [single, single.items];
}

function hintFor(status: number): string {
  if (status === 401) return ': the credentials are not valid, they are read again for each try';
  if (status === 403) return ': the rights do not reach, or the index is read-only';
  return '';
}
