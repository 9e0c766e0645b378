// The body of one bulk request while it is filled and until every event in it is settled: for each event an action line
// and a document line. Its memory comes from a pool. What of it has to be sent again moves together in its place.
// Almost always an answer says that all went well, and nobody looks at single events: what is known of each is kept as
// numbers, and made an object only when somebody does. Objects that live as long as a request cost a collection each.
import { BufferPool } from '../../buffer-pool.js';
import type { LineOrigin, QuarantineEntry } from '../../event/batch.js';
import { QUOTE } from '../../event/json-reader.js';
import type { Rejection } from '../../pipeline/component.js';
import type { IndexName } from './index-name.js';

/** One event of a request. */
export interface Item {
  /** Its two lines in the body. */
  start: number;
  end: number;
  /** Where its document begins, behind its action and counted from `start`. */
  readonly documentAt: number;
  /** Where in its document the event's own bytes go on behind their first brace. */
  readonly eventAt: number;
  /** The line as read, where it is something else than a brace and those bytes. */
  readonly line: Buffer | undefined;
  readonly id: string;
  readonly index: IndexName;
  readonly event: number;
  readonly path: string;
  readonly origin: LineOrigin;
}

/** The first line of an item. Both are of characters that JSON needs not escape. The id is its last value. */
export function actionOf(index: string, id: string): string {
  return `{"create":{"_index":"${index}","_id":"${id}${BEHIND_ID}`;
}
const BEHIND_ID = '"}}\n';

/** Numbers of an item: its end, `documentAt`, `eventAt`, `event`, and the offset of its line. */
const STRIDE = 5;
const FIRST_CAPACITY = 512;

/** What many items that follow each other have in common. */
type Common = Pick<Item, 'index' | 'path'> & Pick<LineOrigin, 'file'>;

/** Bodies of full size; what is larger is made for one request. */
export class BodyPool {
  readonly #pool: BufferPool;
  readonly #bytes: number;

  /** Keeps up to `count` free bodies of `bytes`. */
  constructor(bytes: number, count: number) {
    this.#bytes = bytes;
    this.#pool = new BufferPool([bytes], bytes * count);
  }

  take(bytes: number): Buffer {
    return this.#pool.take(Math.max(bytes, 1), this.#bytes);
  }
  give(body: Buffer): void {
    this.#pool.give(body);
  }
}

export class BulkBatch {
  readonly body: Buffer;
  /** Events, so far. */
  size = 0;
  /** Of the body, so far. */
  length = 0;
  /** All that it holds in memory. */
  bytes: number;
  /** The last marker in front of its events. */
  readonly after: number;
  /** Its events may have been sent before, by a run that did not live to see the answer. */
  readonly isUnsure: boolean;
  readonly rejections: Rejection[];
  #numbers = new Float64Array(FIRST_CAPACITY * STRIDE);
  readonly #common: Common[] = [];
  readonly #lines = new Map<number, Buffer>();

  constructor(body: Buffer, after: number, isUnsure: boolean, rejections: Rejection[] = []) {
    this.body = body;
    this.bytes = body.length;
    this.after = after;
    this.isUnsure = isUnsure;
    this.rejections = rejections;
  }

  /** `item` is not kept. */
  add({ end, documentAt, eventAt, event, origin, index, path, line }: Omit<Item, 'id'>): void {
    let at = this.size * STRIDE;
    if (at === this.#numbers.length) {
      const larger = new Float64Array(2 * at);
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    const numbers = this.#numbers;
    numbers[at++] = end;
    numbers[at++] = documentAt;
    numbers[at++] = eventAt;
    numbers[at++] = event;
    numbers[at] = origin.offset;
    const last = this.#common[this.size - 1];
    const isSame = last?.index === index && last.path === path && last.file === origin.file;
    this.#common.push(isSame ? last : { index, path, file: origin.file });
    if (line) {
      this.#lines.set(this.size, line);
      this.bytes += line.length;
    }
    this.size++;
    this.length = end;
  }

  /** The items, each an object of the caller's own; nothing may have been gathered yet. */
  items(): Item[] {
    let start = 0;
    return this.#common.map(({ index, path, file }, k) => {
      const at = k * STRIDE;
      const [end = 0, documentAt = 0, eventAt = 0, event = 0, offset = 0] = this.#numbers.subarray(
        at,
        at + STRIDE,
      );
      const line = this.#lines.get(k);
      const id = this.#idAt(start, documentAt);
      const item = {
        start,
        end,
        documentAt,
        eventAt,
        line,
        id,
        index,
        event,
        path,
        origin: { file, offset },
      };
      start = end;
      return item;
    });
  }

  /** The ids of all events, and the names of indices that they can be in; nothing may have been gathered yet. */
  sought(): Sought {
    const ids: string[] = [];
    const names = new Set<string>();
    let start = 0;
    let last: Common | undefined;
    for (let k = 0; k < this.size; k++) {
      ids.push(this.#idAt(start, this.#numbers[k * STRIDE + 1] as number));
      start = this.#numbers[k * STRIDE] as number;
      const common = this.#common[k] as Common;
      if (common !== last) for (const name of common.index.places) names.add(name);
      last = common;
    }
    return { ids, names };
  }

  /** The id in the action line that begins at `start`. */
  #idAt(start: number, actionLength: number): string {
    const end = start + actionLength - BEHIND_ID.length;
    return this.body.toString('latin1', this.body.lastIndexOf(QUOTE, end - 1) + 1, end);
  }

  /** What is sent for all items. */
  whole(): Buffer {
    return this.body.subarray(0, this.length);
  }

  /** What is sent for these items, which follow each other in the body. */
  request(items: readonly Item[]): Buffer {
    return this.body.subarray(items[0]?.start, items.at(-1)?.end);
  }

  document(item: Item): Buffer {
    return this.body.subarray(item.start + item.documentAt, item.end - 1);
  }

  /** Moves those items together that are left of ones which followed each other. Nothing may be sending them. */
  gather(items: readonly Item[], from: number): void {
    let at = from;
    for (const item of items) {
      const length = item.end - item.start;
      if (at !== item.start) this.body.copyWithin(at, item.start, item.end);
      item.start = at;
      item.end = at += length;
    }
  }

  /** Notes that a line is to go to the quarantine; of one that was noted before only why changes. */
  reject(
    { path, origin, event }: Pick<Item, 'path' | 'origin' | 'event'>,
    line: Buffer,
    sink: string,
    detail: string,
  ): void {
    const noted = this.rejections.find((each) => each.event === event);
    if (noted) {
      noted.entry.detail = detail;
      return;
    }
    const { offset } = origin;
    const raw = Buffer.from(line);
    const entry: QuarantineEntry = {
      reason: 'rejected',
      path,
      offset,
      length: raw.length,
      detail,
      raw,
      sink,
    };
    this.rejections.push({ event, entry });
  }

  /** The line that an item was. */
  lineOf(item: Item): Buffer {
    if (item.line) return item.line;
    const at = item.start + item.documentAt + item.eventAt;
    return Buffer.concat([OPENING, this.body.subarray(at, item.end - 1)]);
  }
}

/** Events by their ids, and where they can be. */
export interface Sought {
  ids: readonly string[];
  names: ReadonlySet<string>;
}

/** Those items as what is looked for. */
export function soughtOf(items: readonly Item[]): Sought {
  return { ids: items.map(({ id }) => id), names: new Set(items.flatMap(({ index }) => index.places)) };
}

const OPENING = Buffer.from('{');
