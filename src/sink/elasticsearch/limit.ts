// How many requests may be under way: fewer when the cluster says that it is too much, then slowly more again (additive
// increase, multiplicative decrease, as TCP does it). Never none: a cluster that recovers must be noticed.

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
