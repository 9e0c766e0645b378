// The body of one bulk request while it is filled and until every event in it is settled: for each event an action line
// and a document line. Its memory comes from a pool. What of it has to be sent again moves together in its place.
import { BufferPool } from '../../buffer-pool.js';
import type { LineOrigin, QuarantineEntry } from '../../event/batch.js';
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

/** The first line of an item. Both are of characters that JSON needs not escape. */
export function actionOf(index: string, id: string): string {
  return `{"create":{"_index":"${index}","_id":"${id}"}}\n`;
}

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
  readonly items: Item[] = [];
  /** Of the body, so far. */
  length = 0;
  /** All that it holds in memory. */
  bytes: number;
  /** The last marker in front of its events. */
  readonly after: number;
  /** Its events may have been sent before, by a run that did not live to see the answer. */
  readonly isUnsure: boolean;
  readonly rejections: Rejection[];

  constructor(body: Buffer, after: number, isUnsure: boolean, rejections: Rejection[] = []) {
    this.body = body;
    this.bytes = body.length;
    this.after = after;
    this.isUnsure = isUnsure;
    this.rejections = rejections;
  }

  add(item: Item): void {
    this.items.push(item);
    this.length = item.end;
    if (item.line) this.bytes += item.line.length;
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

const OPENING = Buffer.from('{');
