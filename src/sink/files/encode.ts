// Turns any value into a part of one path segment, so that different values give different names and no value can
// leave its directory, hide, or look like a name that Headgate makes itself. Values are byte strings: the
// mapping is one-to-one on bytes.
import { createHash } from 'node:crypto';
import { toBuffer } from '../../event/byte-string.js';
import type { ByteString } from '../../event/byte-string.js';

/** A value cut to fit ends in `%~` and 64 hex digits; `~` never stands in an encoded value otherwise. */
const DIGEST_LENGTH = 2 + 64;

/** Stands for every value in the path of the overflow file; no value gives it, since after `%~` a digest follows. */
export const OVERFLOW = '%~overflow';

/** The smallest `limit` that `encodeValue` can keep. */
export const SMALLEST_LIMIT = DIGEST_LENGTH;

const UNSAFE = /[^A-Za-z0-9._@:+=-]/g;

function percent(byte: string): string {
  return `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`;
}

/**
 * The value as it stands in a path: bytes outside `[A-Za-z0-9._@:+=-]` and a leading dot become `%XX`, the empty
 * value is `%`, and what is longer than `limit` characters becomes prefix, `%~`, sha256 of the whole value.
 */
export function encodeValue(value: ByteString, limit: number): string {
  if (value === '') return '%';
  // Only so much of a huge value can matter for the prefix, so only so much of it is encoded.
  let encoded =
    value.length > limit ? value.slice(0, limit).replace(UNSAFE, percent) : value.replace(UNSAFE, percent);
  if (encoded.startsWith('.')) encoded = `%2E${encoded.slice(1)}`;
  if (encoded.length <= limit && value.length <= limit) return encoded;
  const prefix = encoded.slice(0, limit - DIGEST_LENGTH).replace(/%.?$/, '');
  return `${prefix}%~${createHash('sha256').update(toBuffer(value)).digest('hex')}`;
}
