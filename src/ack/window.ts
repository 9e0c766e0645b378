// Which marker may be committed. Markers enter in stream order and settle in any order (each when all sinks settled
// it); the position may pass a marker only when it and every marker before it are settled. Nothing is ever skipped
// and nothing is un-settled: a marker that never settles holds the window, and with it the position, for ever.

/** One marker's place in the window. */
export interface WindowEntry<M, R> {
  readonly marker: M;
  /** Set once, by `settle`. */
  receipts: R[] | undefined;
}

export class Window<M, R> {
  readonly #entries: WindowEntry<M, R>[] = [];

  /** How many markers are not committed yet. */
  get size(): number {
    return this.#entries.length;
  }

  add(marker: M): WindowEntry<M, R> {
    const entry: WindowEntry<M, R> = { marker, receipts: undefined };
    this.#entries.push(entry);
    return entry;
  }

  settle(entry: WindowEntry<M, R>, receipts: R[]): void {
    if (entry.receipts) throw new Error('impossible: a marker settled twice');
    entry.receipts = receipts;
  }

  /** Takes out the settled markers before the first unsettled one, oldest first; empty when there is none. */
  takeSettled(): { marker: M; receipts: R[] }[] {
    const taken: { marker: M; receipts: R[] }[] = [];
    for (let first = this.#entries[0]; first?.receipts; first = this.#entries[0]) {
      taken.push({ marker: first.marker, receipts: first.receipts });
      this.#entries.shift();
    }
    return taken;
  }
}
