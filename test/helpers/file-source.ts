// A file source in a test, together with everything that it returned so far. Each chunk is checked against the
// position: a source that says it is anywhere else than behind its last chunk loses or doubles after a restart.
import assert from 'node:assert/strict';
import { pino } from 'pino';
import type { Test } from 'tap';
import type { Chunk } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { nodeFileSystem } from '../../src/file-system.js';
import type { FileSystem } from '../../src/file-system.js';
import { createMetrics } from '../../src/metrics.js';
import type { PathPosition, SourcePosition } from '../../src/position/position.js';
import { FileSource } from '../../src/source/file/index.js';
import type { FileSourceSettings } from '../../src/source/file/options.js';
import type { RetentionSettings } from '../../src/source/file/retention.js';
import { until } from './until.js';

export interface ReadingOptions extends Partial<FileSourceSettings> {
  /** Where the last run stopped. Goes through JSON, as it does through the position file. */
  position?: SourcePosition | undefined;
  once?: boolean;
  /** Keeps unread backups in this directory. */
  retain?: Partial<RetentionSettings> & { directory: string };
  fs?: FileSystem;
}

export interface LogLine {
  level: number;
  code?: string;
  msg: string;
  reason?: string;
  path?: string;
}

export class Reading {
  readonly source: FileSource;
  readonly metrics = createMetrics();
  readonly chunks: Chunk[] = [];
  readonly logs: LogLine[] = [];

  private constructor(paths: string[], options: ReadingOptions) {
    const log = pino({ level: 'trace' }, { write: (line) => this.logs.push(JSON.parse(line) as LogLine) });
    const { readFrom = 'beginning', maxLineBytes = 2 ** 26, pollIntervalMs = 5 } = options;
    const retention: RetentionSettings = {
      isKeeping: options.retain !== undefined,
      maxBytes: 2 ** 33,
      minFreeBytes: 0,
      directory: '/nowhere',
      ...options.retain,
    };
    this.source = new FileSource(
      { paths, readFrom, maxLineBytes, pollIntervalMs, retention },
      {
        pipeline: 'p',
        component: 'source',
        fields: new FieldRegistry(),
        log,
        metrics: this.metrics,
        fs: options.fs ?? nodeFileSystem,
        clock: { now: () => Date.now() },
        signal: new AbortController().signal,
        drain: new AbortController().signal,
        stateDirectory: '/nowhere',
      },
    );
  }

  static async start(paths: string | string[], options: ReadingOptions = {}): Promise<Reading> {
    const reading = new Reading([paths].flat(), options);
    const stored = options.position && (JSON.parse(JSON.stringify(options.position)) as SourcePosition);
    await reading.source.open(stored, options.once ?? false);
    return reading;
  }

  /** One call of `next`. */
  async next(): Promise<Chunk | undefined> {
    const chunk = await this.source.next();
    if (!chunk) return undefined;
    this.chunks.push(chunk);
    const offset = this.path(chunk.path).current?.offset;
    // A file that was truncated is given up with its last chunk.
    if (offset !== 0) assert.equal(offset, chunk.offset + chunk.data.length, 'position is behind the chunk');
    return chunk;
  }

  /** Calls `next` until there is nothing at the moment. */
  async drain(): Promise<void> {
    while (await this.next());
  }

  /** Reads on, as a pipeline does, until so much text was returned in all. */
  async readUntil(t: Test, text: string): Promise<void> {
    await this.readWhile(`${JSON.stringify(text.slice(-80))} was read`, () => this.text.length < text.length);
    t.equal(this.text, text, 'returned exactly what was written');
  }

  async readWhile(what: string, condition: () => boolean): Promise<void> {
    const signal = new AbortController().signal;
    await until(what, async () => {
      if (!condition()) return true;
      if (!(await this.next())) await this.source.wait(1_000, signal);
      return !condition();
    });
  }

  /** Waits as a pipeline does whose sinks have no room. */
  async readNothingWhile(what: string, condition: () => boolean): Promise<void> {
    await until(what, () => !condition());
  }

  /** Everything returned so far. */
  get text(): string {
    return this.textOf(() => true);
  }

  textOf(isWanted: (chunk: Chunk) => boolean): string {
    return Buffer.concat(this.chunks.filter(isWanted).map((chunk) => chunk.data)).toString('latin1');
  }

  /** The position of one path, or of the only one. */
  path(path?: string): PathPosition {
    const { paths } = this.source.position();
    const found = paths.find((p) => path === undefined || p.path === path);
    assert.ok(found, 'the path has a position');
    return found;
  }

  codes(): string[] {
    return this.logs.flatMap((line) => line.code ?? []);
  }

  /** Has the position saved, as a pipeline does once everything before it is durable. */
  commit(): SourcePosition {
    const position = this.source.position();
    this.source.committed(position);
    return position;
  }

  /** Closes it and returns where the next run goes on. */
  async stop(): Promise<SourcePosition> {
    const position = this.source.position();
    await this.source.close();
    return position;
  }
}
