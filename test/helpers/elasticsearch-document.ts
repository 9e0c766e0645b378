// What the `elasticsearch` sink makes of one event.
import { FieldRegistry } from '../../src/event/fields.js';
import { DocumentEncoder } from '../../src/sink/elasticsearch/document.js';
import type { DocumentOptions } from '../../src/sink/elasticsearch/document.js';
import { decode } from './decode.js';

export const NATIVE: DocumentOptions = {
  pipeline: 'p',
  format: 'native',
  bodies: 'flattened',
  index: 'audit',
  hostName: 'h"',
  clusterName: undefined,
  keepManagedFields: false,
};

/** The text of the document, one character a byte; undefined where the event is broken. */
export function documentOf(event: string, options: Partial<DocumentOptions> = {}): string | undefined {
  const fields = new FieldRegistry();
  const encoder = new DocumentEncoder({ ...NATIVE, ...options }, fields);
  const { batch } = decode(`${event}\n`, fields, { readAtMs: 1_700_000_000_000 });
  const document = encoder.encode(batch, 0, '"now"', batch.origin(0));
  return document && document.head + document.data.toString('latin1', document.start, document.end);
}
