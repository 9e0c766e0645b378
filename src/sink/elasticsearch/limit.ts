// How many requests may be under way, and how large each: less when the cluster says that it is too much, then slowly
// more again. Never nothing: a cluster that recovers must be noticed.

/** A server that refuses less is not tried with less: single events are judged on their own. */
const SMALLEST_BYTES = 4 * 1024;
const GROWTH = 1.1;

/** How large a request may be, as far as that was learnt from refusals. */
export class RequestSize {
  /** What a server never takes is not tried again; what it had no room for may fit later. */
  #limitBytes = Infinity;
  #roomBytes = Infinity;

  get maxBytes(): number {
    return Math.min(this.#limitBytes, this.#roomBytes);
  }
  /** So many bytes are more than the server ever takes. */
  tooLarge(bytes: number): void {
    this.#limitBytes = Math.max(SMALLEST_BYTES, bytes / 2);
  }
  /** For so many bytes there was no room, again and again. */
  noRoom(bytes: number): void {
    this.#roomBytes = Math.max(SMALLEST_BYTES, bytes / 2);
  }
  /** A request was taken. */
  fit(): void {
    this.#roomBytes *= GROWTH;
  }
}

/** How many requests may be under way: additive increase, multiplicative decrease, as TCP does it. */
export class AdaptiveLimit {
  readonly #max: number;
  #limit: number;
  #active = 0;
  #waiters: (() => void)[] = [];

  constructor(max: number) {
    this.#max = max;
    this.#limit = max;
  }

  /** As of now, from 1 to the maximum; not always a whole number. */
  get limit(): number {
    return this.#limit;
  }

  /** Runs `request` when there is room; those that wait take turns. */
  async run<T>(signal: AbortSignal, request: () => Promise<T>): Promise<T> {
    while (this.#active >= Math.floor(this.#limit)) {
      signal.throwIfAborted();
      await new Promise<void>((resolve) => this.#waiters.push(resolve));
    }
    this.#active++;
    try {
      signal.throwIfAborted();
      return await request();
    } finally {
      this.#active--;
      this.wake();
    }
  }

  /** A request was answered, and the cluster had room for it. */
  raise(): void {
    this.#limit = Math.min(this.#max, this.#limit + 1 / this.#limit);
    this.wake();
  }

  /** The cluster has no room. */
  lower(): void {
    this.#limit = Math.max(1, this.#limit / 2);
  }

  /** Lets those that wait look again; also when they are to find out that their signal was aborted. */
  wake(): void {
    for (const wake of this.#waiters.splice(0)) wake();
  }
}
