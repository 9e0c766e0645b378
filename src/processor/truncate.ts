// Makes large fields small: what does not fit is taken out, and the event says so, with the size and the hash of what
// was there, so that a copy from elsewhere can be compared.
import { bytes, field, listOf, optional, Type, when } from '../config/schema.js';
import { bytesOf } from '../config/units.js';
import { SLOT_STRIDE } from '../event/batch.js';
import type { EventBatch } from '../event/batch.js';
import { formatFieldPath } from '../event/field-path.js';
import { isStringAt } from '../event/json-members.js';
import { markTruncated, truncatedValue } from '../event/truncated.js';
import { defineProcessor } from '../pipeline/component.js';
import { compileEdit } from './edit-events.js';
import { compileOptionalWhen, fieldOf } from './validated.js';

const ELLIPSIS = '…';

export const truncateProcessor = defineProcessor({
  name: 'truncate',
  summary: 'Takes out the content of fields that are too large, and marks the event.',
  options: Type.Object({
    max_bytes: bytes({
      description:
        'How large a field may be, as JSON. Of a larger text the beginning stays; in the place of a larger object or list stands `{"headgate.io/truncated":{"bytes":…,"sha256":"…"}}`, of what was there. The annotation `headgate.io/truncated` names the fields.',
      default: '64KiB',
      formatMinimum: '256B',
    }),
    fields: listOf(field({ description: 'A field; the path must not go through an array.' }), {
      description: 'The fields that are looked at.',
      default: ['requestObject', 'responseObject'],
      minItems: 1,
    }),
    when: optional(
      when({
        description: 'Only events that match this condition are looked at; without it all are.',
        examples: [{ level: 'RequestResponse' }],
      }),
    ),
  }),
  examples: [
    'type: truncate\nmax_bytes: 64KiB',
    'type: truncate\nmax_bytes: 1KiB\nfields: [userAgent, requestURI]',
  ],
  create(options, { fields }) {
    const maxBytes = bytesOf(options.max_bytes);
    const looked = options.fields.map((name) => {
      const path = fieldOf(name);
      return { slot: fields.slot(path), depth: path.length, name: formatFieldPath(path) };
    });
    const matches = compileOptionalWhen(options.when, fields);
    const tooLarge = (batch: EventBatch, i: number): Range[] =>
      looked.flatMap(({ slot, depth, name }) => {
        const at = (i * batch.fieldCount + slot) * SLOT_STRIDE;
        const [start = -1, end = -1, found = -1] = batch.slots.subarray(at, at + SLOT_STRIDE);
        return start >= 0 && found === depth && end - start > maxBytes ? [{ start, end, name }] : [];
      });
    const isAny = (batch: EventBatch, i: number): boolean =>
      matches(batch, i) && tooLarge(batch, i).length > 0;
    const process = compileEdit(isAny, (batch) => (reader, at, edits, i) => {
      const ranges = tooLarge(batch, i);
      for (const { start, end } of ranges) {
        const value = batch.data.subarray(start, end);
        edits.replace(
          start,
          end,
          isStringAt(reader, start) ? shortened(value, maxBytes) : truncatedValue(value),
        );
      }
      markTruncated(
        reader,
        at,
        ranges.map(({ name }) => name),
        edits,
      );
    });
    return { process };
  },
});

interface Range {
  start: number;
  end: number;
  name: string;
}

/** The beginning of a JSON string, as a JSON string of at most `maxBytes`: no escape and no character is cut apart. */
function shortened(value: Buffer, maxBytes: number): Buffer {
  const room = maxBytes - Buffer.byteLength(ELLIPSIS) - 1;
  let end = 1;
  for (const [unit] of value.toString('latin1').slice(1, -1).matchAll(UNIT)) {
    if (end + unit.length > room) break;
    end += unit.length;
  }
  return Buffer.concat([value.subarray(0, end), Buffer.from(`${ELLIPSIS}"`)]);
}

/** One character of a JSON string as bytes: an escape, a pair of surrogates, a UTF-8 sequence, or any byte. */
const UNIT =
  /\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\.|[\xc2-\xf4][\x80-\xbf]{1,3}|[^]/g;
