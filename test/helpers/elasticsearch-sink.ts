// An `elasticsearch` sink in a test: given lines, as a pipeline would give it batches, and markers.
import { pino } from 'pino';
import type { Test } from 'tap';
import { Value } from '@sinclair/typebox/value';
import { JsonLinesDecoder } from '../../src/codec/json-lines.js';
import type { EventBatch } from '../../src/event/batch.js';
import type { Sink } from '../../src/pipeline/component.js';
import { elasticsearchSink } from '../../src/sink/elasticsearch/index.js';
import { sinkContext } from './context.js';
import type { TestContext } from './context.js';
import { chunkOf } from './decode.js';
import type { LogLine } from './headgate.js';
import { temporaryDirectory } from './temporary.js';

export class TestSink {
  readonly sink: Sink;
  readonly context: TestContext;
  readonly logs: LogLine[];
  readonly #decoder: JsonLinesDecoder;
  readonly #abort: AbortController;
  #offset = 0;
  #markers = 0;
  #events = 0;

  private constructor(sink: Sink, context: TestContext, logs: LogLine[], abort: AbortController) {
    this.sink = sink;
    this.context = context;
    this.logs = logs;
    this.#abort = abort;
    this.#decoder = new JsonLinesDecoder(context.fields, 'tag', context.metrics);
  }

  /** `index` is `audit` and requests go at once, unless `options` say something else. */
  static async open(t: Test, url: string, options: Record<string, unknown> = {}): Promise<TestSink> {
    const logs: LogLine[] = [];
    const log = pino({ level: 'info' }, { write: (line) => logs.push(JSON.parse(line) as LogLine) });
    const abort = new AbortController();
    const context = await sinkContext({ directory: temporaryDirectory(t), log, signal: abort.signal });
    const { options: schema } = elasticsearchSink;
    const given = { nodes: [url], index: 'audit', host_name: 'node-1', ...options };
    const filled = Value.Default(schema, structuredClone(given)) as typeof schema;
    const sink = elasticsearchSink.create(filled, context);
    const test = new TestSink(sink, context, logs, abort);
    t.teardown(() => test.kill());
    await sink.open({ segments: [], isReread: true, isClean: true });
    return test;
  }

  /** Gives lines to the sink; resolves when it has room for more. */
  async write(lines: readonly string[]): Promise<void> {
    await this.#write(lines, () => undefined);
  }

  /** Gives them as events that a decoder made of the first line. */
  async writeAsOneLine(lines: readonly string[]): Promise<void> {
    await this.#write(lines, (batch) => {
      const { starts, ends, size } = batch;
      batch.lineStarts = new Int32Array(size).fill(starts[0] ?? 0);
      batch.lineEnds = new Int32Array(size).fill(ends[0] ?? 0);
    });
  }

  async #write(lines: readonly string[], change: (batch: EventBatch) => void): Promise<void> {
    const data = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1');
    const batch = this.#decoder.decode(chunkOf(data, { offset: this.#offset, readAtMs: 1_700_000_000_000 }));
    this.#offset += data.length;
    change(batch);
    batch.firstEvent = this.#events;
    this.#events += batch.size;
    await this.sink.write({ batch, indexes: Uint32Array.from({ length: batch.size }, (_, i) => i) });
    // What the sink did not copy by now is gone.
    batch.data.fill(0x78);
    batch.release();
  }

  /** Resolves when all that was written before is settled. */
  async settle(isCaughtUp = true): Promise<void> {
    await this.sink.settle({ kind: 'marker', id: ++this.#markers, position: undefined, isCaughtUp });
  }

  /** Ends it as a crash of the pipeline would. */
  async kill(): Promise<void> {
    this.#abort.abort(new Error('the test ends'));
    await this.sink.close(false);
  }
}
