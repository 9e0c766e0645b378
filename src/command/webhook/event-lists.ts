// Events as kube-apiserver posts them: an EventList whose items have no `kind` and `apiVersion` of their own. Everything
// else of an event stays byte for byte, so that who puts the two in front again, as the log backend writes them, has its line.

/** How an event of the log begins. The second group is the version, quoted. */
const HEAD = /^\{"kind":"Event","apiVersion":("audit\.k8s\.io\/[a-z0-9]+"),/;
const LONGEST_HEAD = 80;
const DEFAULT_VERSION = '"audit.k8s.io/v1"';
const COMMA = Buffer.from(',');
const END = Buffer.from(']}\n');

/** A body to post. */
export interface EventList {
  body: Buffer;
  events: number;
}

export interface ListLimits {
  maxEvents: number;
  /** Of a body; an event that is longer by itself has a list of its own. */
  maxBytes: number;
}

/** Puts events into lists. */
export class EventLists {
  readonly #limits: ListLimits;
  #apiVersion = '';
  #items: Buffer[] = [];
  #bytes = 0;

  constructor(limits: ListLimits) {
    this.#limits = limits;
  }

  /** Adds the bytes of an event, which are copied; returns the list before it where that is full. */
  add(event: Buffer): EventList | undefined {
    const version = HEAD.exec(event.toString('latin1', 0, LONGEST_HEAD));
    const apiVersion = version?.[1] ?? DEFAULT_VERSION;
    const item = version
      ? Buffer.concat([event.subarray(0, 1), event.subarray(version[0].length)])
      : Buffer.from(event);
    const { maxEvents, maxBytes } = this.#limits;
    const isFull =
      this.#items.length >= maxEvents ||
      this.#bytes + item.length + COMMA.length > maxBytes ||
      apiVersion !== this.#apiVersion;
    const full = isFull ? this.take() : undefined;
    if (this.#items.length === 0) {
      this.#apiVersion = apiVersion;
      this.#bytes = head(apiVersion).length + END.length;
    }
    this.#items.push(item);
    this.#bytes += item.length + COMMA.length;
    return full;
  }

  /** What was added and is in no list yet. */
  take(): EventList | undefined {
    const items = this.#items;
    if (items.length === 0) return undefined;
    this.#items = [];
    const parts = items.flatMap((item, i) => (i === 0 ? [item] : [COMMA, item]));
    return { body: Buffer.concat([head(this.#apiVersion), ...parts, END]), events: items.length };
  }
}

function head(apiVersion: string): Buffer {
  return Buffer.from(`{"kind":"EventList","apiVersion":${apiVersion},"metadata":{},"items":[`);
}
