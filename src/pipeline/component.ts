// What a source, a processor and a sink are. A component is one object: its name, a summary, its options (a
// schema that is also their static type), examples, and `create`. Validation, the editor schema and the manual
// come from it; `components.ts` lists them.
import type { Static, TObject } from '@sinclair/typebox';
import type { Fault } from '../event/fault.js';
import type { EventBatch, Chunk, Marker, QuarantineEntry, SubBatch } from '../event/batch.js';
import type { FieldRegistry } from '../event/fields.js';
import type { FileSystem } from '../file-system.js';
import type { Logger } from '../log.js';
import type { PipelineMetrics } from '../metrics.js';
import type { SegmentRecord, SourcePosition } from '../position/position.js';

/** Milliseconds since the epoch; tests bring their own. */
export interface Clock {
  now(): number;
}

/** What every component gets when it is made. `create` does no I/O: `headgate check` makes components too. */
export interface ComponentContext {
  pipeline: string;
  /** Its place in the configuration: `source`, `processors[1]`, `sinks.namespaces`. */
  component: string;
  fields: FieldRegistry;
  log: Logger;
  metrics: PipelineMetrics;
  fs: FileSystem;
  clock: Clock;
  /** Aborted when the pipeline is to stop at once, without draining. */
  signal: AbortSignal;
}

export interface Source {
  /**
   * Finds its place. `position` is undefined where none is stored. With `once`, what exists now is all that will be
   * returned.
   */
  open(position: SourcePosition | undefined, once: boolean): Promise<void>;
  /** The next stretch of input, or undefined while there is none. Never called again before it resolved. */
  next(): Promise<Chunk | undefined>;
  /** The place after the last chunk that `next` returned. */
  position(): SourcePosition;
  /** Resolves when there may be more, at the latest after `timeoutMs`, at once when `signal` aborts. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** With `once`: everything that existed at the start was returned. */
  isFinished(): boolean;
  /** Bytes that exist and were not returned yet, as last seen, and all bytes that there were to read. */
  remainingBytes(): number;
  /** May be called twice. */
  close(): Promise<void>;
}

export interface Processor {
  /** Changes the batch in place: tags, drops. Must not keep it. */
  process(batch: EventBatch): void;
}

export interface Sink {
  /** Before the first write: recovers from the last run; `segments` are this sink's, as last committed. */
  open(segments: readonly SegmentRecord[]): Promise<void>;
  /** Resolves when the sink has room for more: accepted, not durable. The sink may read `events` until it settles. */
  write(events: SubBatch): Promise<void>;
  /** Resolves with the receipts when everything written before is durable; not called again before `write` resolved. */
  settle(marker: Marker): Promise<SegmentRecord[]>;
  /** After the receipts of a marker were saved: work that needs them durable (compression, pruning) may begin. */
  committed(): void;
  /** With `finish`: ends what would otherwise go on in the background (closing due slices, compression, pruning). */
  close(finish: boolean): Promise<void>;
}

/** What the files sink needs of the position record. */
export interface SegmentStore {
  nextSegmentId(): number;
  /** Saves the given entries beside the last committed position; resolves when that is durable. */
  begin(entries: readonly SegmentRecord[]): Promise<void>;
  /** Takes entries out of the record; resolves when that is durable. */
  forget(ids: readonly number[]): Promise<void>;
}

interface Definition<T extends TObject> {
  /** The `type` in a pipeline file. */
  name: string;
  summary: string;
  options: T;
  /** YAML texts of one component each. */
  examples: string[];
  /** Faults that no single option has: two options that exclude each other, a path outside `base_dir`. */
  validate?(options: Static<T>): Fault[];
}

export interface SourceDefinition<T extends TObject = TObject> extends Definition<T> {
  kind: 'source';
  create(options: Static<T>, context: ComponentContext): Source;
}
export interface ProcessorDefinition<T extends TObject = TObject> extends Definition<T> {
  kind: 'processor';
  create(options: Static<T>, context: ComponentContext): Processor;
}
export interface SinkContext extends ComponentContext {
  store: SegmentStore;
  quarantine(entry: QuarantineEntry): void;
}
export interface SinkDefinition<T extends TObject = TObject> extends Definition<T> {
  kind: 'sink';
  create(options: Static<T>, context: SinkContext): Sink;
}
export type ComponentDefinition = SourceDefinition | ProcessorDefinition | SinkDefinition;

// `create` takes the options of its own schema, so a list of definitions needs the erased type; the validator has
// checked the options against that very schema before `create` sees them.
export function defineSource<T extends TObject>(
  definition: Omit<SourceDefinition<T>, 'kind'>,
): SourceDefinition {
  return { ...definition, kind: 'source' } as unknown as SourceDefinition;
}
export function defineProcessor<T extends TObject>(
  definition: Omit<ProcessorDefinition<T>, 'kind'>,
): ProcessorDefinition {
  return { ...definition, kind: 'processor' } as unknown as ProcessorDefinition;
}
export function defineSink<T extends TObject>(definition: Omit<SinkDefinition<T>, 'kind'>): SinkDefinition {
  return { ...definition, kind: 'sink' } as unknown as SinkDefinition;
}
