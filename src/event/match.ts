// Makes a condition into a function over a batch. An event is looked at through its slots only: no string and no
// object is made for it. A path goes through arrays, and an array matches if one of its elements does; so a
// negated condition holds if no element matches.
import { compileLatency, compileTime, computedField } from './audit.js';
import type { ComputedField } from './audit.js';
import { SLOT_STRIDE } from './batch.js';
import type { EventBatch } from './batch.js';
import type { ByteString } from './byte-string.js';
import { toBuffer } from './byte-string.js';
import type { FieldPath } from './field-path.js';
import type { FieldRegistry } from './fields.js';
import { OPEN_BRACKET } from './json-reader.js';
import { ValueTests } from './value-tests.js';
import { PathValues } from './values.js';
import type { Condition } from './when.js';

export { parseWhen } from './when.js';
export type { Condition } from './when.js';

/** Tells whether event i of a batch matches. */
export type Matches = (batch: EventBatch, i: number) => boolean;

/** Bound of what is remembered of tags: at so many it begins anew. */
const MAX_REMEMBERED_TAGS = 4096;

/** Makes the function that tells whether an event matches; it asks `fields` for what it looks at. */
export function compileWhen(condition: Condition, fields: FieldRegistry): Matches {
  switch (condition.kind) {
    case 'not': {
      const matches = compileWhen(condition.of, fields);
      return (batch, i) => !matches(batch, i);
    }
    case 'all': {
      const all = condition.of.map((inner) => compileWhen(inner, fields));
      return (batch, i) => {
        for (const matches of all) if (!matches(batch, i)) return false;
        return true;
      };
    }
    case 'any': {
      const any = condition.of.map((inner) => compileWhen(inner, fields));
      return (batch, i) => {
        for (const matches of any) if (matches(batch, i)) return true;
        return false;
      };
    }
    case 'field': {
      const computed = computedField(condition.path);
      return computed === undefined
        ? compileRawField(condition.path, new ValueTests(condition), fields)
        : compileComputed(computed, new ValueTests(condition), fields);
    }
  }
}

function compileRawField(path: FieldPath, tests: ValueTests, fields: FieldRegistry): Matches {
  const slot = fields.slot(path);
  const values = new PathValues(path);
  const visit = (data: Buffer, start: number, end: number): boolean =>
    start < 0 ? tests.matchesAbsent : tests.matchesRaw(data, start, end);
  return (batch, i) => {
    const at = (i * batch.fieldCount + slot) * SLOT_STRIDE;
    const start = batch.slots[at] as number;
    if (start < 0) return tests.matchesAbsent;
    // An array stands either where the path ends or before that.
    if (batch.data[start] === OPEN_BRACKET) {
      return values.some(batch.data, start, batch.slots[at + 2] as number, visit);
    }
    return tests.matchesRaw(batch.data, start, batch.slots[at + 1] as number);
  };
}

function compileComputed(field: ComputedField, tests: ValueTests, fields: FieldRegistry): Matches {
  const matchesText = (text: ByteString): boolean => tests.matchesText(toBuffer(text), 0, text.length);
  switch (field) {
    case 'tag': {
      const known = new Map<ByteString, boolean>();
      return (batch, i) => {
        const tag = batch.tags[i] ?? '';
        let result = known.get(tag);
        if (result === undefined) {
          if (known.size >= MAX_REMEMBERED_TAGS) known.clear();
          result = matchesText(tag);
          known.set(tag, result);
        }
        return result;
      };
    }
    case 'time': {
      const time = compileTime(fields);
      return (batch, i) => {
        const ms = time(batch, i);
        return tests.matchesNumber(ms) || (tests.hasTexts && matchesText(new Date(ms).toISOString()));
      };
    }
    case 'latency_ms': {
      const latency = compileLatency(fields);
      return (batch, i) => {
        const ms = latency(batch, i);
        if (Number.isNaN(ms)) return tests.matchesAbsent;
        return tests.matchesNumber(ms) || (tests.hasTexts && matchesText(String(ms)));
      };
    }
  }
}
