// What a source, a processor and a sink are. A component is one object: its name, a summary, its options (a
// schema that is also their static type), examples, and `create`. Validation, the editor schema and the manual
// come from it; `components.ts` lists them.
import type { Static, TObject } from '@sinclair/typebox';
import type { LineFormat } from '../codec/decoder.js';
import type { Fault } from '../event/fault.js';
import type { Chunk, EventBatch, Marker, QuarantineEntry, SubBatch } from '../event/batch.js';
import type { FieldPath } from '../event/field-path.js';
import type { FieldRegistry } from '../event/fields.js';
import type { Shape } from '../event/shape.js';
import type { FileSystem } from '../file-system.js';
import type { Logger } from '../log.js';
import type { PipelineMetrics } from '../metrics.js';
import type { Receipt, SegmentRecord, SourcePosition } from '../position/position.js';

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
  /** Aborted when it is to stop soon: what was read is still delivered, but nobody waits for work in the background. */
  drain: AbortSignal;
}

export interface Source {
  /** What its lines may hold; anything, with the default bounds, where it does not say. */
  readonly lineFormat?: LineFormat;
  /** What it returned can't be returned again, and there is an end to it, which ends the run. */
  readonly isReadOnce?: boolean;
  /**
   * Finds its place. `position` is undefined where none is stored. With `once`, what exists now is all that will be
   * returned. Resolves to whether everything behind `position` will be returned again: false after a gap. Where that
   * can't be told for now, it is false, too; with `mustTell` it waits until it can.
   */
  open(position: SourcePosition | undefined, once: boolean, mustTell: boolean): Promise<boolean>;
  /** The next stretch of input, or undefined while there is none. Never called again before it resolved. */
  next(): Promise<Chunk | undefined>;
  /** The place after the last chunk that `next` returned. */
  position(): SourcePosition;
  /**
   * This position, which `position` returned, was saved durably: what lies before it may be deleted. Called in order, not
   * for each position, and at the latest before `close`. Work that it begins is ended by `close`.
   */
  committed(position: SourcePosition): void;
  /** Resolves when there may be more, at the latest after `timeoutMs`, at once when `signal` aborts. */
  wait(timeoutMs: number, signal: AbortSignal): Promise<void>;
  /** Everything was returned: with `once`, all that existed at the start. */
  isFinished(): boolean;
  /** Bytes that exist and were not returned yet, as last seen, and all bytes that there were to read. */
  remainingBytes(): number;
  /** May be called twice. */
  close(): Promise<void>;
}

export interface Processor {
  /** Before the first batch: reads what it needs (a key). Throws `HaltError` where a person has to mend something. */
  open?(): Promise<void>;
  /** Changes the batch in place: tags, drops. Must not keep it. */
  process(batch: EventBatch): void;
}

/** What the last run left behind. */
export interface Recovery {
  /** This sink's segments as last committed. */
  segments: readonly SegmentRecord[];
  /**
   * What was written after the commit will be read again: it must be cut. False after a gap, or where a source can be read
   * only once: then it's all there is.
   */
  isReread: boolean;
  /** The last run drained: what stands behind a receipt is somebody else's. */
  isClean: boolean;
}

export interface Sink {
  /** Where it would put event i (the path of a file), for people; nothing is opened and nothing is remembered. */
  destination(batch: EventBatch, i: number): string;
  /** Before the first write: recovers from the last run. */
  open(recovery: Recovery): Promise<void>;
  /**
   * Resolves when the sink has room for more: accepted, not durable. What the sink needs of `events` it has copied by
   * then: their memory is used again.
   */
  write(events: SubBatch): Promise<void>;
  /** Resolves with the receipts when everything written before is durable; not called again before `write` resolved. */
  settle(marker: Marker): Promise<Receipt[]>;
  /** These receipts were saved: work that needs them durable (compression, pruning) may begin. */
  committed(receipts: readonly Receipt[]): void;
  /** Something changed since the last `settle` that a marker must make durable. */
  hasChanges(): boolean;
  /** No event will follow, ever: closes what is due now rather than later. Before the last `settle`. */
  endOfInput(): void;
  /** With `finish`: first ends what would otherwise go on in the background (compression, pruning). */
  close(finish: boolean): Promise<void>;
}

/** What the files sink needs of the position record. */
export interface SegmentStore {
  /** The segments in the record, of all sinks. */
  readonly segments: readonly SegmentRecord[];
  nextSegmentId(): number;
  /** Saves the given entries beside the last committed position; resolves when that is durable. */
  begin(entries: readonly SegmentRecord[]): Promise<void>;
  /** Replaces entries as a whole, after recovery has looked at the disk; resolves when that is durable. */
  amend(entries: readonly SegmentRecord[]): Promise<void>;
  /**
   * Takes entries out of the record; durable with its next save. Until then a crash brings them back, so only what can
   * be done again may be forgotten.
   */
  forget(ids: readonly number[]): void;
  /** A path in the state directory for a file of this sink, `<pipeline>~<sink>.<suffix>`. */
  stateFile(sink: string, suffix: string): string;
}

interface Definition<T extends TObject> {
  /** The `type` in a pipeline file. */
  name: string;
  summary: string;
  options: T;
  /** YAML texts of one component each. */
  examples: string[];
  /**
   * Faults that no single option has: two options that exclude each other, a path outside `base_dir`. `known` is what may
   * be named of an event at the component's place.
   */
  validate?(options: Static<T>, known: Shape): Fault[];
}

export interface SourceContext extends ComponentContext {
  /** What the source keeps there begins with `<pipeline>~`. */
  stateDirectory: string;
}
export interface SourceDefinition<T extends TObject = TObject> extends Definition<T> {
  kind: 'source';
  create(options: Static<T>, context: SourceContext): Source;
}
export interface ProcessorDefinition<T extends TObject = TObject> extends Definition<T> {
  kind: 'processor';
  /**
   * Which fields it makes that others may name. The options are as they stand in the file, faulty or not; undefined where
   * they don't tell.
   */
  fieldsMade?(options: Readonly<Record<string, unknown>>): readonly FieldPath[] | undefined;
  create(options: Static<T>, context: ComponentContext): Processor;
}
/** An event that a sink will never take as it is. */
export interface Rejection {
  /** Its number: `firstEvent` of its batch, plus its own in the batch. */
  event: number;
  entry: QuarantineEntry;
}

/**
 * Puts rejected events into the quarantine; `after` is the id of the last marker in front of them, 0 where there was
 * none. Waits until that marker is settled by all, so that the quarantine is cut between markers like any output. A sink
 * settles the next marker only when this has resolved.
 */
export type Reject = (rejections: readonly Rejection[], after: number) => Promise<void>;

/** What writes segments needs. */
export interface SegmentContext extends ComponentContext {
  /** The sink's name in the configuration. */
  name: string;
  store: SegmentStore;
}
export interface SinkContext extends SegmentContext {
  reject: Reject;
}
export interface SinkDefinition<T extends TObject = TObject> extends Definition<T> {
  kind: 'sink';
  /** The `commit_interval` that suits these options, where the usual one does not; used where the pipeline says none. */
  commitInterval?(options: Static<T>): string | undefined;
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
