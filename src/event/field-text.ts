// The text of one field of an event: a string's value, a number or a boolean as it is written, an object or
// array as its JSON; null counts as absent. Texts are remembered, so that a value seen before costs no new string.
import { compileLatency, compileTime, computedField } from './audit.js';
import { SLOT_STRIDE } from './batch.js';
import type { EventBatch } from './batch.js';
import type { ByteString } from './byte-string.js';
import type { FieldPath } from './field-path.js';
import type { FieldRegistry } from './fields.js';
import { ValueCache } from './value-cache.js';
import { PathValues } from './values.js';

/** Bounds of the caches that are keyed by whole strings: at so many entries they begin anew; longer ones aren't kept. */
export const MAX_REMEMBERED = 4096;
export const MAX_REMEMBERED_LENGTH = 1024;
const NULL = 0x6e;

/**
 * Makes the function that tells a field's text, or undefined where it is absent. `transform` is applied to the
 * text, not always anew: it must depend on its argument only.
 */
export function compileFieldText(
  path: FieldPath,
  fields: FieldRegistry,
  transform: (value: ByteString) => ByteString,
): (batch: EventBatch, i: number) => ByteString | undefined {
  switch (computedField(path)) {
    case 'tag': {
      const remembered = remember(transform);
      return (batch, i) => remembered(batch.tags[i] ?? '');
    }
    case 'time': {
      const time = compileTime(fields);
      return (batch, i) => transform(new Date(time(batch, i)).toISOString());
    }
    case 'latency_ms': {
      const latency = compileLatency(fields);
      return (batch, i) => {
        const ms = latency(batch, i);
        return Number.isNaN(ms) ? undefined : transform(String(ms));
      };
    }
    case undefined:
      return compileRawField(path, fields, transform);
  }
}

function compileRawField(
  path: FieldPath,
  fields: FieldRegistry,
  transform: (value: ByteString) => ByteString,
): (batch: EventBatch, i: number) => ByteString | undefined {
  const slot = fields.slot(path);
  const cache = new ValueCache(transform);
  const values = new PathValues(path);
  let found: ByteString | undefined;
  // Through arrays the first value that is there is taken.
  const visit = (data: Buffer, start: number, end: number): boolean => {
    if (start < 0 || data[start] === NULL) return false;
    found = cache.get(data, start, end);
    return true;
  };
  return (batch, i) => {
    const at = (i * batch.fieldCount + slot) * SLOT_STRIDE;
    const start = batch.slots[at] as number;
    if (start < 0 || batch.data[start] === NULL) return undefined;
    const depth = batch.slots[at + 2] as number;
    if (depth === path.length) return cache.get(batch.data, start, batch.slots[at + 1] as number);
    found = undefined;
    values.some(batch.data, start, depth, visit);
    return found;
  };
}

function remember(transform: (value: ByteString) => ByteString): (value: ByteString) => ByteString {
  const known = new Map<ByteString, ByteString>();
  return (value) => {
    if (value.length > MAX_REMEMBERED_LENGTH) return transform(value);
    let result = known.get(value);
    if (result === undefined) {
      if (known.size >= MAX_REMEMBERED) known.clear();
      result = transform(value);
      known.set(value, result);
    }
    return result;
  };
}
