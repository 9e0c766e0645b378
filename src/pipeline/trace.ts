// What a pipeline would do with each event, without doing it: no sink is opened, nothing is written, no position is
// read. For people who try their configuration out.
import type { Decoder } from '../codec/decoder.js';
import { ANY_FORMAT, JsonLinesDecoder } from '../codec/json-lines.js';
import type { PipelineConfig } from '../config/pipeline-config.js';
import type { Chunk, EventBatch, QuarantineEntry } from '../event/batch.js';
import { fromText } from '../event/byte-string.js';
import { nodeFileSystem } from '../file-system.js';
import { silentLogger } from '../log.js';
import { createMetrics } from '../metrics.js';
import type { PipelineMetrics } from '../metrics.js';
import { buildPipeline } from './build.js';
import type { Parts } from './build.js';
import type { SegmentStore } from './component.js';

/** A sink that gets an event, and where it would put it. */
export interface Destination {
  sink: string;
  at: string;
}

interface TracedLine {
  /** Offset of the line in the input; of the first one, where an event is made of several. */
  offset: number;
}
/** What becomes of one event, or of a line that holds none. */
export type Traced =
  | (TracedLine & { outcome: 'routed'; tag: string; event: Buffer; route: number; to: Destination[] })
  | (TracedLine & {
      outcome: 'dropped';
      tag: string;
      event: Buffer;
      /** `processors[0]`, or `otherwise` where no route took it. */
      by: string;
    })
  | (TracedLine & { outcome: 'quarantined'; reason: string; detail: string });

/** One pipeline, made of its configuration alone. */
export class PipelineTrace {
  readonly parts: Parts;
  readonly metrics: PipelineMetrics = createMetrics();
  readonly #config: PipelineConfig;
  readonly #eventDecoder: Decoder;

  constructor(config: PipelineConfig) {
    this.#config = config;
    this.parts = buildPipeline(config, {
      pipeline: config.name,
      log: silentLogger(),
      metrics: this.metrics,
      fs: nodeFileSystem,
      clock: { now: () => Date.now() },
      drain: new AbortController().signal,
      signal: new AbortController().signal,
      store: untouched,
      stateDirectory: '',
      reject: () => Promise.reject(new Error('impossible: a sink that was given nothing')),
    });
    const format = { ...ANY_FORMAT, format: 'json' } as const;
    this.#eventDecoder = new JsonLinesDecoder(this.parts.fields, fromText(config.name), this.metrics, format);
  }

  /** Before the first chunk: processors read what they need. Throws what a start of the pipeline would throw. */
  async open(): Promise<void> {
    for (const processor of this.parts.processors) await processor.open?.();
  }

  /** What becomes of the lines of a chunk, in their order; they are such as the source reads. */
  trace(chunk: Chunk): Traced[] {
    return this.#trace(this.parts.decoder.decode(chunk));
  }

  /** The same for lines of JSON, whatever the source reads. */
  traceEvents(chunk: Chunk): Traced[] {
    return this.#trace(this.#eventDecoder.decode(chunk));
  }

  /** What becomes of the entries whose rest did not come: no chunk follows. */
  end(): Traced[] {
    return this.parts.decoder.flush(Date.now(), true).flatMap((batch) => this.#trace(batch));
  }

  #trace(batch: EventBatch): Traced[] {
    const traced = batch.quarantined.map(quarantined);
    for (const [p, processor] of this.parts.processors.entries()) {
      const before = batch.dropped.slice(0, batch.size);
      const rejectedFrom = batch.quarantined.length;
      processor.process(batch);
      const rejected = batch.quarantined.slice(rejectedFrom);
      traced.push(...rejected.map(quarantined));
      for (let i = 0; i < batch.size; i++) {
        const { offset } = batch.origin(i);
        if (batch.dropped[i] === before[i] || rejected.some((entry) => entry.offset === offset)) continue;
        traced.push({ ...facts(batch, i), outcome: 'dropped', by: `processors[${p}]` });
      }
    }
    for (let i = 0; i < batch.size; i++) if (batch.dropped[i] === 0) traced.push(this.#routed(batch, i));
    batch.release();
    return traced.sort((a, b) => a.offset - b.offset);
  }

  #routed(batch: EventBatch, i: number): Traced {
    const { router, sinks, sinkNames } = this.parts;
    const route = router.routeOf(batch, i);
    const names = this.#config.routes[route]?.to;
    if (!names) return { ...facts(batch, i), outcome: 'dropped', by: 'otherwise' };
    const to = names.map((sink) => ({
      sink,
      at: sinks[sinkNames.indexOf(sink)]?.destination(batch, i) ?? '',
    }));
    return { ...facts(batch, i), outcome: 'routed', route, to };
  }
}

function facts(batch: EventBatch, i: number): { offset: number; tag: string; event: Buffer } {
  const tag = Buffer.from(batch.tags[i] ?? '', 'latin1').toString();
  // A copy: the batch's memory is used again.
  return { offset: batch.origin(i).offset, tag, event: Buffer.from(batch.bytes(i)) };
}

function quarantined({ offset, reason, detail }: QuarantineEntry): Traced {
  return { offset, outcome: 'quarantined', reason, detail };
}

const refuse = (): never => {
  throw new Error('impossible: a trace writes nothing');
};
const untouched: SegmentStore = {
  segments: [],
  nextSegmentId: refuse,
  begin: refuse,
  amend: refuse,
  forget: refuse,
  stateFile: () => '',
};
