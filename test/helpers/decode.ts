// Batches as the decoder makes them, and the values of their fields.
import { JsonLinesDecoder } from '../../src/codec/json-lines.js';
import { SLOT_STRIDE } from '../../src/event/batch.js';
import type { Chunk, EventBatch } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { createMetrics } from '../../src/metrics.js';
import type { PipelineMetrics } from '../../src/metrics.js';

export function chunkOf(data: string | Buffer, more: Partial<Chunk> = {}): Chunk {
  return {
    kind: 'chunk',
    data: Buffer.from(data),
    path: '/var/log/audit.log',
    file: '/var/log/audit.log',
    offset: 0,
    readAtMs: 0,
    quarantined: [],
    ...more,
  };
}

/** Decodes one chunk with the fields that `fields` holds by now. */
export function decode(
  data: string | Buffer,
  fields = new FieldRegistry(),
  more: Partial<Chunk> = {},
): { batch: EventBatch; metrics: PipelineMetrics } {
  const metrics = createMetrics();
  const batch = new JsonLinesDecoder(fields, 'pipeline', metrics).decode(chunkOf(data, more));
  return { batch, metrics };
}

/** One event in a batch. */
export function batchOfEvent(event: unknown, fields: FieldRegistry, more: Partial<Chunk> = {}): EventBatch {
  const line = typeof event === 'string' ? event : JSON.stringify(event);
  const { batch } = decode(`${line}\n`, fields, more);
  if (batch.size !== 1) throw new Error(`not one event: ${line}`);
  return batch;
}

/** The raw JSON of a field, undefined where it is absent, and how many segments of its path led there. */
export function rawField(
  batch: EventBatch,
  i: number,
  slot: number,
): { raw: string; depth: number } | undefined {
  const at = (i * batch.fieldCount + slot) * SLOT_STRIDE;
  const [start = -1, end = -1, depth = -1] = batch.slots.subarray(at, at + SLOT_STRIDE);
  return start < 0 ? undefined : { raw: batch.data.toString('latin1', start, end), depth };
}
