// The text of a position file: JSON for people to read, one version number, and a checksum over the rest. Decoding
// tells damage from a version of the future; it never repairs or guesses.
import { createHash } from 'node:crypto';
import { HaltError } from '../errors.js';
import type { PipelineRecord } from './position.js';

function checksumOf(record: object): string {
  return createHash('sha256').update(JSON.stringify(record)).digest('hex');
}

function isWhole(record: object, checksum: unknown): boolean {
  try {
    return checksum === checksumOf(record);
  } catch {
    return false; // `JSON.stringify` ends the stack on what nests deeper than any record, and `JSON.parse` does not.
  }
}

export function encodeRecord(record: PipelineRecord): Buffer {
  return Buffer.from(`${JSON.stringify({ ...record, checksum: checksumOf(record) }, null, 1)}\n`);
}

/** Undefined where the content is damaged. Throws POSITION_VERSION for a newer version. */
export function decodeRecord(data: Buffer, path: string): PipelineRecord | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(data.toString('utf8'));
  } catch {
    return undefined; // Damage is an expected content, told by the return value.
  }
  if (typeof parsed !== 'object' || parsed === null || !('version' in parsed)) return undefined;
  const { checksum, ...record } = parsed as { checksum?: unknown; version: unknown };
  if (typeof record.version === 'number' && record.version > 1) {
    // Only the version is damaged: as version 1 it would be whole.
    if (isWhole({ ...record, version: 1 }, checksum)) return undefined;
    throw new HaltError(
      'POSITION_VERSION',
      `${path} was written by a newer Headgate (version ${record.version}, this one reads 1): install that one again, or restore the state directory from before the update`,
      { path },
    );
  }
  if (!isWhole(record, checksum)) return undefined;
  // The checksum covers every byte that this very encoder wrote, so the shape is what version 1 wrote.
  return record as unknown as PipelineRecord;
}
