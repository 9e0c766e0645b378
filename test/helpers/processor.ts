// Runs processors as a pipeline would: made in order with one registry of fields, then given a batch.
import type { EventBatch } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { nodeFileSystem } from '../../src/file-system.js';
import { silentLogger } from '../../src/log.js';
import { createMetrics } from '../../src/metrics.js';
import type { ProcessorDefinition } from '../../src/pipeline/component.js';
import { decode } from './decode.js';

/** The batch of `events` after the processors, each given with its options. */
export function process(
  processors: readonly (readonly [ProcessorDefinition, Record<string, unknown>])[],
  events: readonly unknown[],
): EventBatch {
  const fields = new FieldRegistry();
  const made = processors.map(([definition, options], index) =>
    definition.create(options, {
      pipeline: 'pipeline',
      component: `processors[${index}]`,
      fields,
      log: silentLogger(),
      metrics: createMetrics(),
      fs: nodeFileSystem,
      clock: { now: () => 0 },
      signal: new AbortController().signal,
    }),
  );
  const { batch } = decode(events.map((event) => `${JSON.stringify(event)}\n`).join(''), fields);
  for (const processor of made) processor.process(batch);
  return batch;
}
