// The stdin source: lines that another program writes to us. They can be read only once, so there is no position, and the
// run ends with them. What is in the pipe, and not committed, is lost with the process; what stands in the outputs stays.
import { LineReader } from '../codec/lines.js';
import type { Piece } from '../codec/lines.js';
import type { LineFormat } from '../codec/decoder.js';
import { Type } from '../config/schema.js';
import type { Chunk } from '../event/batch.js';
import { defineSource } from '../pipeline/component.js';
import type { ComponentContext, Source } from '../pipeline/component.js';
import { Trail } from '../position/fingerprint.js';
import type { SourcePosition } from '../position/position.js';
import {
  checkLineOptions,
  formatOptions,
  lineFormatOf,
  maxLineBytesOf,
  maxLineBytesOption,
} from './line-options.js';
import { StreamBytes } from './stream-bytes.js';
import type { InputStream } from './stream-bytes.js';

/** How its input is called in the quarantine. */
const NAME = 'stdin';
const READ_BYTES = 64 * 1024;

/** The `stdin` source of a pipeline file. */
export const stdinSource = defineSource({
  name: 'stdin',
  summary:
    'Reads lines from standard input until it ends, and ends the run with it. What is lost in a crash cannot be read again: use `file` where there is one.',
  options: Type.Object({ ...formatOptions, ...maxLineBytesOption }, { additionalProperties: false }),
  examples: ['type: stdin\n', 'type: stdin\nformat: legacy\nmax_line_bytes: 16MiB\n'],
  validate: checkLineOptions,
  create: (options, context) =>
    new StdinSource(
      {
        stream: () => process.stdin,
        maxLineBytes: maxLineBytesOf(options),
        lineFormat: lineFormatOf(options),
      },
      context,
    ),
});

/** The options as numbers. */
export interface StdinSourceSettings {
  /** Asked for when the source is opened. */
  stream: () => InputStream;
  maxLineBytes: number;
  lineFormat: LineFormat;
}

/** What was taken out of a stream and not given out yet. */
interface Input {
  bytes: StreamBytes;
  lines: LineReader;
  isFinished: boolean;
}

/** By stream, since a pipeline that starts again from its last commit goes on where it was in the stream. */
const inputs = new WeakMap<InputStream, Input>();

/** See `Source`. */
export class StdinSource implements Source {
  readonly isReadOnce = true;
  readonly lineFormat: LineFormat;
  readonly #settings: StdinSourceSettings;
  readonly #context: ComponentContext;
  #input: Input | undefined;

  constructor(settings: StdinSourceSettings, context: ComponentContext) {
    this.#settings = settings;
    this.lineFormat = settings.lineFormat;
    this.#context = context;
  }

  /** Nothing is returned again. */
  open(): Promise<boolean> {
    const stream = this.#settings.stream();
    const known = inputs.get(stream);
    this.#input = known ?? {
      bytes: new StreamBytes(stream),
      lines: new LineReader({ path: NAME, maxLineBytes: this.#settings.maxLineBytes, trail: new Trail() }),
      isFinished: false,
    };
    inputs.set(stream, this.#input);
    this.#input.bytes.keepAlive(true);
    return Promise.resolve(false);
  }

  async next(): Promise<Chunk | undefined> {
    const input = this.#input;
    if (!input || input.isFinished) return undefined;
    for (;;) {
      const { bytes, piece } = await input.lines.read(input.bytes, READ_BYTES);
      if (piece) return this.#chunk(piece);
      if (bytes > 0) continue;
      if (!input.bytes.isEnded) return undefined;
      input.isFinished = true;
      this.#tellFault(input.bytes.fault);
      const rest = input.lines.takeRest();
      return rest && this.#chunk(rest);
    }
  }

  position(): SourcePosition {
    return { paths: [] };
  }

  committed(): void {
    // Nothing is kept for what is not committed yet.
  }

  async wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    await this.#input?.bytes.wait(timeoutMs, signal);
  }

  isFinished(): boolean {
    return this.#input?.isFinished ?? false;
  }

  remainingBytes(): number {
    return 0;
  }

  close(): Promise<void> {
    this.#input?.bytes.keepAlive(false);
    return Promise.resolve();
  }

  #chunk({ data, offset, bytes, quarantined }: Piece): Chunk {
    const { clock, metrics } = this.#context;
    metrics.bytesRead += bytes;
    return { kind: 'chunk', data, path: NAME, file: NAME, offset, readAtMs: clock.now(), quarantined };
  }

  /** What was read before is delivered like all else. */
  #tellFault(fault: Error | undefined): void {
    if (!fault) return;
    const { component, log, metrics } = this.#context;
    metrics.gaps++;
    log.error(
      { code: 'SOURCE_GAP', component, path: NAME, err: fault },
      `standard input broke off, its rest is missing: ${fault.message}`,
    );
  }
}
