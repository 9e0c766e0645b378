// The places of one path where input was gone before it could be read. None is silent: each is an error in the log,
// a metric, and an entry in the position record.
import type { ComponentContext } from '../../pipeline/component.js';
import type { Gap, PathPosition } from '../../position/position.js';

const MAX_GAPS = 100;

/** The gaps of one path, those of earlier runs included. */
export class GapList {
  readonly #path: string;
  readonly #context: ComponentContext;
  #gaps: Gap[];
  #count: number;

  constructor(path: string, stored: PathPosition | undefined, context: ComponentContext) {
    this.#path = path;
    this.#context = context;
    this.#gaps = [...(stored?.gaps ?? [])];
    this.#count = stored?.gapCount ?? 0;
  }

  /** The newest ones, and how many there were in all. */
  snapshot(): { gaps: Gap[]; gapCount: number } {
    return { gaps: [...this.#gaps], gapCount: this.#count };
  }

  /** How many there were in all. */
  get count(): number {
    return this.#count;
  }

  /** Records one, noticed now. */
  add(gap: Omit<Gap, 'time'>): void {
    const { clock, component, log, metrics } = this.#context;
    this.#gaps = [...this.#gaps, { time: new Date(clock.now()).toISOString(), ...gap }].slice(-MAX_GAPS);
    this.#count++;
    metrics.gaps++;
    const { reason, file, offset, bytes, detail } = gap;
    log.error(
      { code: 'SOURCE_GAP', component, path: this.#path, reason, file, offset, bytes },
      `input of ${this.#path} is missing from ${file} offset ${String(offset)} on: ${detail}`,
    );
  }
}
