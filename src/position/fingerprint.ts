// What a file is recognised by when its name and its inode say nothing: its first bytes, and the bytes before the
// place that was read to. Names change with rotation, inodes with compression, and inodes are reused at once; a
// line of an audit log is never written twice, so content identifies. Pure: whoever reads the bytes brings them.
import { createHash } from 'node:crypto';
import type { Head } from './position.js';

/** How many bytes a fingerprint covers at most. */
export const FINGERPRINT_BYTES = 1024;

/** The fingerprint of these bytes, at most the first `FINGERPRINT_BYTES` of them. */
export function fingerprint(bytes: Buffer): Head {
  const covered = bytes.subarray(0, FINGERPRINT_BYTES);
  return { length: covered.length, hash: createHash('sha256').update(covered).digest('hex').slice(0, 32) };
}

/** Whether a file that begins with `sample` begins with the bytes that `head` was made of. */
export function hasHead(sample: Buffer, head: Head): boolean {
  return sample.length >= head.length && fingerprint(sample.subarray(0, head.length)).hash === head.hash;
}

/**
 * Whether a file that begins with `sample` (its first `FINGERPRINT_BYTES`, or all of it) is the one that was read to
 * its end. A head shorter than `FINGERPRINT_BYTES` was the whole file, so a longer file is another one.
 */
export function isWholeHead(sample: Buffer, head: Head): boolean {
  return (head.length >= FINGERPRINT_BYTES || sample.length === head.length) && hasHead(sample, head);
}

/** The first and the last bytes of what was read of a file, kept by copy; hashed only when asked for. */
export class Trail {
  #offset: number;
  #first: Buffer;
  #last: Buffer;

  /** `first` and `last` are the up to `FINGERPRINT_BYTES` at the file's start and before `offset`. */
  constructor(offset = 0, first: Buffer = Buffer.alloc(0), last: Buffer = Buffer.alloc(0)) {
    this.#offset = offset;
    this.#first = first;
    this.#last = last;
  }

  /** Everything before this offset was appended. */
  get offset(): number {
    return this.#offset;
  }
  /** The bytes just before the offset. */
  get last(): Buffer {
    return this.#last;
  }

  /** Goes on by these bytes; keeps no reference to them. */
  append(bytes: Buffer): void {
    this.#offset += bytes.length;
    if (this.#first.length < FINGERPRINT_BYTES)
      this.#first = Buffer.concat([this.#first, bytes.subarray(0, FINGERPRINT_BYTES - this.#first.length)]);
    // Never written to in place: a copy of this trail may share it.
    this.#last =
      bytes.length >= FINGERPRINT_BYTES
        ? Buffer.from(bytes.subarray(-FINGERPRINT_BYTES))
        : Buffer.concat([this.#last.subarray(-(FINGERPRINT_BYTES - bytes.length)), bytes]);
  }

  /** One that goes its own way from here. */
  copy(): Trail {
    return new Trail(this.#offset, this.#first, this.#last);
  }

  /** The file's head, as far as it was read. */
  head(): Head {
    return fingerprint(this.#first);
  }
  /** The fingerprint of the bytes before the offset. */
  before(): Head {
    return fingerprint(this.#last);
  }
}
