// Writes each event as a line to standard output, for pipes and for trying things out. What the next process does with
// it is out of reach, so a crash can double lines there; it never loses any.
import { HaltError } from '../errors.js';
import type { SubBatch } from '../event/batch.js';
import { Type } from '../config/schema.js';
import { defineSink } from '../pipeline/component.js';
import type { Sink } from '../pipeline/component.js';
import type { Receipt } from '../position/position.js';

class StdoutSink implements Sink {
  readonly #output: NodeJS.WritableStream;
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(output: NodeJS.WritableStream) {
    this.#output = output;
  }

  destination(): string {
    return 'standard output';
  }

  async open(): Promise<void> {}

  async write({ batch, indexes }: SubBatch): Promise<void> {
    let length = 0;
    for (const i of indexes) length += batch.byteLength(i) + 1;
    const lines = Buffer.allocUnsafe(length);
    let at = 0;
    for (const i of indexes) {
      batch.copyLine(i, lines, at);
      at += batch.byteLength(i) + 1;
    }
    this.#lastWrite = new Promise((resolve, reject) => {
      this.#output.write(lines, (error) => {
        if (!error) resolve();
        else
          reject(
            new HaltError('SINK_CLOSED', `standard output was closed: ${error.message}`, { cause: error }),
          );
      });
    });
    await this.#lastWrite;
  }

  async settle(): Promise<Receipt[]> {
    await this.#lastWrite;
    return [];
  }

  committed(): void {}

  hasChanges(): boolean {
    return false;
  }

  endOfInput(): void {}

  async close(): Promise<void> {}
}

export const stdoutSink = defineSink({
  name: 'stdout',
  summary: 'Writes each event as one line to standard output.',
  options: Type.Object({}),
  examples: ['type: stdout'],
  create: () => new StdoutSink(process.stdout),
});
