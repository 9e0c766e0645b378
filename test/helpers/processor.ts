// Runs processors as a pipeline would: made in order with one registry of fields, then given a batch.
import { Value } from '@sinclair/typebox/value';
import type { EventBatch } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { nodeFileSystem } from '../../src/file-system.js';
import { silentLogger } from '../../src/log.js';
import { createMetrics } from '../../src/metrics.js';
import type { Processor, ProcessorDefinition } from '../../src/pipeline/component.js';
import { decode } from './decode.js';

const NEWLINE = Buffer.from('\n');

type Configured = readonly (readonly [ProcessorDefinition, Record<string, unknown>])[];

/** The batch of `events`, or of lines as they are, after the processors, each given with its options. */
export function process(processors: Configured, events: readonly unknown[]): EventBatch {
  const { made, fields } = make(processors);
  return run(made, fields, events);
}

/** The same for processors that must be opened first; returns the events that are not dropped as text. */
export async function processOpened(
  processors: Configured,
  events: readonly unknown[],
): Promise<{ batch: EventBatch; events: string[] }> {
  const { made, fields } = make(processors);
  for (const processor of made) await processor.open?.();
  const batch = run(made, fields, events);
  return { batch, events: textsOf(batch) };
}

function make(processors: Configured): { made: Processor[]; fields: FieldRegistry } {
  const fields = new FieldRegistry();
  const made = processors.map(([definition, options], index) =>
    definition.create(Value.Default(definition.options, structuredClone(options)) as typeof options, {
      pipeline: 'pipeline',
      component: `processors[${index}]`,
      fields,
      log: silentLogger(),
      metrics: createMetrics(),
      fs: nodeFileSystem,
      clock: { now: () => 0 },
      signal: new AbortController().signal,
      drain: new AbortController().signal,
    }),
  );
  return { made, fields };
}

function run(made: readonly Processor[], fields: FieldRegistry, events: readonly unknown[]): EventBatch {
  const lines = events.map((event) =>
    Buffer.isBuffer(event) ? event : Buffer.from(typeof event === 'string' ? event : JSON.stringify(event)),
  );
  const { batch } = decode(Buffer.concat(lines.flatMap((line) => [line, NEWLINE])), fields);
  for (const processor of made) processor.process(batch);
  return batch;
}

/** The events of a batch as text, those that are dropped left out. */
export function textsOf(batch: EventBatch): string[] {
  return Array.from({ length: batch.size }, (_, i) => i)
    .filter((i) => batch.dropped[i] === 0)
    .map((i) => batch.bytes(i).toString());
}
