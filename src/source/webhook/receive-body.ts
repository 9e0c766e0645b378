// Takes the body of a request in, in bounded memory and bounded time: no more than was admitted is ever held, however much
// a client sends, claims to send, or has compressed.
import { gunzip } from 'node:zlib';
import { systemCode } from '../../errors.js';

/** A length that is claimed is not believed beyond this before so much has come. */
const BELIEVED_BYTES = 1024 * 1024;

/** Where a body comes from. */
export interface BodyStream {
  on(event: 'data', run: (data: Buffer) => void): unknown;
  on(event: 'end' | 'close' | 'aborted', run: () => void): unknown;
  on(event: 'error', run: (error: Error) => void): unknown;
  pause(): unknown;
}

/** Bytes that all requests together hold. */
export class Memory {
  readonly #max: number;
  #used = 0;

  constructor(maxBytes: number) {
    this.#max = maxBytes;
  }

  /** Takes so many more; false, and none, where that is too much. */
  take(bytes: number): boolean {
    if (this.#used + bytes > this.#max) return false;
    this.#used += bytes;
    return true;
  }

  give(bytes: number): void {
    this.#used -= bytes;
  }
}

/** What a request takes of the memory, given back as a whole. */
export class Share {
  readonly #memory: Memory;
  #bytes = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Takes more, up to `bytes` in all. */
  grow(bytes: number): boolean {
    if (bytes <= this.#bytes) return true;
    if (!this.#memory.take(bytes - this.#bytes)) return false;
    this.#bytes = bytes;
    return true;
  }

  release(): void {
    this.#memory.give(this.#bytes);
    this.#bytes = 0;
  }
}

/** Why there is no body: the status code to answer with; 0 where nobody is there any more. */
export type NoBody = 413 | 429 | 408 | 400 | 0;

/** Reads all of it. */
export function receiveBody(
  stream: BodyStream,
  contentLength: number | undefined,
  { maxBytes, timeoutMs, share }: { maxBytes: number; timeoutMs: number; share: Share },
): Promise<Buffer | NoBody> {
  return new Promise((resolve) => {
    let buffer = Buffer.alloc(0);
    let length = 0;
    let isDone = false;
    const done = (result: Buffer | NoBody): void => {
      if (isDone) return;
      isDone = true;
      clearTimeout(timer);
      stream.pause();
      resolve(result);
    };
    const timer = setTimeout(() => {
      done(408);
    }, timeoutMs);
    stream.on('data', (data) => {
      if (isDone) return;
      const needed = length + data.length;
      if (needed > maxBytes) {
        done(413);
        return;
      }
      if (needed > buffer.length) {
        const wanted = Math.max(BELIEVED_BYTES, buffer.length * 2);
        const size = Math.max(needed, Math.min(wanted, contentLength ?? maxBytes, maxBytes));
        if (!share.grow(size)) {
          done(429);
          return;
        }
        const larger = Buffer.allocUnsafeSlow(size);
        buffer.copy(larger, 0, 0, length);
        buffer = larger;
      }
      data.copy(buffer, length);
      length = needed;
    });
    stream.on('end', () => {
      done(buffer.subarray(0, length));
    });
    // In any other order than `end` first it broke off.
    for (const event of ['close', 'aborted'] as const)
      stream.on(event, () => {
        done(0);
      });
    stream.on('error', () => {
      done(0);
    });
  });
}

let inflating: Promise<unknown> = Promise.resolve();

/** Inflates a body; one at a time in the whole process, since each can become as long as a body may be. */
export function inflateBody(body: Buffer, maxBytes: number, share: Share): Promise<Buffer | NoBody> {
  const result = inflating.then(
    () =>
      new Promise<Buffer | NoBody>((resolve) => {
        gunzip(body, { maxOutputLength: maxBytes }, (error, data) => {
          if (error) resolve(systemCode(error) === 'ERR_BUFFER_TOO_LARGE' ? 413 : 400);
          else resolve(share.grow(body.length + data.length) ? data : 429);
        });
      }),
  );
  inflating = result;
  return result;
}
