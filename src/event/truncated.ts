// How an event says that something was taken out of it: what stands in the place of a value, and the annotation that
// names the fields. The size and the hash let a copy from elsewhere be compared.
import { createHash } from 'node:crypto';
import { fromText } from './byte-string.js';
import { jsonString, newValueTree, setMembers } from './json-set.js';
import type { JsonEdits } from './json-edit.js';
import type { JsonReader } from './json-reader.js';

/** The key that stands for a body that was taken out, and the annotation that names the fields. */
export const TRUNCATED = 'headgate.io/truncated';

/** What stands in the place of a value: its size, and its hash. */
export function truncatedValue(value: Buffer): Buffer {
  const sha256 = createHash('sha256').update(value).digest('hex');
  return Buffer.from(JSON.stringify({ [TRUNCATED]: { bytes: value.length, sha256 } }));
}

const TRUNCATED_VALUE = /^\{"headgate\.io\/truncated":\{"bytes":\d+,"sha256":"[0-9a-f]{64}"\}\}$/;
const LONGEST_VALUE = 128;

/** Whether a value is what stands in the place of another, and nothing but that. */
export function isTruncatedValue(value: Buffer): boolean {
  return value.length <= LONGEST_VALUE && TRUNCATED_VALUE.test(value.toString('latin1'));
}

/** Adds to `edits` the annotation of the event whose brace is at `at`: `names` are the fields that lost something. */
export function markTruncated(
  reader: JsonReader,
  at: number,
  names: readonly string[],
  edits: JsonEdits,
  annotation = TRUNCATED,
): void {
  const value = jsonString(fromText(names.join(',')));
  setMembers(reader, at, newValueTree([{ path: ['annotations', annotation], value }]), edits);
}
