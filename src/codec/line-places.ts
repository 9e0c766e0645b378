// Where the lines of a buffer stood before they were taken out of others: the file and offset of each, and the stream of
// a container that it was written to.
import type { LineOrigin } from '../event/batch.js';
import type { Stream } from './cri-line.js';

/** By position, ascending. */
export class LinePlaces {
  readonly #starts: number[] = [];
  readonly #origins: LineOrigin[] = [];
  readonly #streams: (Stream | undefined)[] = [];

  /** From `start` on: `stream` is undefined where the lines were no container's. */
  add(start: number, origin: LineOrigin, stream: Stream | undefined): void {
    this.#starts.push(start);
    this.#origins.push(origin);
    this.#streams.push(stream);
  }

  /** Where the byte at `position` stood; in a joined line, counted from its beginning. */
  originOf(position: number): LineOrigin {
    const i = this.#indexOf(position);
    const origin = this.#origins[i];
    if (!origin) throw new Error('impossible: a line without a place');
    return { file: origin.file, offset: origin.offset + position - (this.#starts[i] as number) };
  }

  /** The stream of the line at `position`; undefined where no container wrote it. */
  streamOf(position: number): Stream | undefined {
    return this.#streams[this.#indexOf(position)];
  }

  /** The last one that does not begin behind `position`. */
  #indexOf(position: number): number {
    let [low, high] = [0, this.#starts.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#starts[middle] as number) <= position) low = middle;
      else high = middle - 1;
    }
    return low;
  }
}
