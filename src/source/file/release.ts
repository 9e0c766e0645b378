// Which unread backups are given up when they take more of the disk than they may. Pure; `retention.ts` collects the
// facts and carries it out.
//
// What still exists under its own name in the log directory costs no evidence to let go: it is merely no longer held
// or kept a second time. Of those, the newest go first, since pruning takes the oldest. Then the oldest backups go.

/** One unread backup. */
export interface KeptFacts {
  /** What would be freed on which device if it were let go. */
  costs: readonly { dev: number; bytes: number }[];
  /** Its content also exists under its own name. */
  hasOriginal: boolean;
  /** It was alone for long enough that it can't be said to be read in time. */
  isDue: boolean;
}

/** What is too much. */
export interface Excess {
  /** In all. */
  bytes: number;
  /** On each device that has too little room: how much is lacking. */
  lacking: ReadonlyMap<number, number>;
}

/** The indexes of those to be let go, in order. `files` are the backups of all paths, oldest first. */
export function planRelease(files: readonly KeptFacts[], excess: Excess): number[] {
  let bytes = excess.bytes;
  const lacking = new Map(excess.lacking);
  const all = files.map((file, index) => ({ ...file, index }));
  const candidates = [
    ...all.filter((file) => file.hasOriginal).reverse(),
    ...all.filter((file) => !file.hasOriginal && file.isDue),
  ];
  const chosen: number[] = [];
  for (const { costs, index } of candidates) {
    const helps = costs.some((cost) => cost.bytes > 0 && (bytes > 0 || (lacking.get(cost.dev) ?? 0) > 0));
    if (!helps) continue;
    chosen.push(index);
    for (const cost of costs) {
      bytes -= cost.bytes;
      lacking.set(cost.dev, (lacking.get(cost.dev) ?? 0) - cost.bytes);
    }
  }
  return chosen;
}
