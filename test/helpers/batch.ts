// Batches made by hand: each line is an event without fields, with the tag given.
import { readPool } from '../../src/codec/lines.js';
import { EventArrays, EventBatch } from '../../src/event/batch.js';
import type { SubBatch } from '../../src/event/batch.js';
import { compileScanner } from '../../src/event/scan.js';

export function batchOf(lines: readonly { tag: string; line: string }[]): SubBatch {
  const data = Buffer.from(lines.map(({ line }) => `${line}\n`).join(''));
  const arrays = new EventArrays(lines.length, 0);
  const { starts, ends } = arrays;
  let at = 0;
  for (const [i, { line }] of lines.entries()) {
    starts[i] = at;
    ends[i] = at + Buffer.byteLength(line);
    at = (ends[i] ?? 0) + 1;
  }
  const batch = new EventBatch({
    data,
    path: '/audit.log',
    file: '/audit.log',
    offset: 0,
    readAtMs: 0,
    size: lines.length,
    arrays,
    fieldCount: 0,
    tag: '',
    quarantined: [],
    scanner: compileScanner([]),
    pool: readPool,
  });
  for (const [i, { tag }] of lines.entries()) batch.tags[i] = tag;
  return { batch, indexes: Uint32Array.from(lines.keys()) };
}
