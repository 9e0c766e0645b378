// The bytes of a stream, for a `LineReader`: never more of them in memory than the stream's own buffer, since nothing is
// taken out of it before somebody reads. A read never waits; who has nothing to do meanwhile calls `wait`.
import type { Readable } from 'node:stream';
import type { ByteSource } from '../codec/lines.js';
import { WakeUp } from './wake-up.js';

const EMPTY = Buffer.alloc(0);

/** A stream, or a socket, that may keep the process alive. */
export type InputStream = Readable & { ref?: () => unknown; unref?: () => unknown };

/** Takes the stream for itself. */
export class StreamBytes implements ByteSource {
  /** Why the stream broke off, where it did. */
  fault: Error | undefined;
  readonly #stream: InputStream;
  #left: Buffer = EMPTY;
  #hasEnded = false;
  readonly #more = new WakeUp();

  constructor(stream: InputStream) {
    this.#stream = stream;
    stream.on('readable', () => {
      this.#more.wake();
    });
    stream.on('end', () => {
      this.#end();
    });
    stream.on('close', () => {
      this.#end();
    });
    stream.on('error', (error) => {
      this.fault = error;
      this.#end();
    });
  }

  /** Everything was read. */
  get isEnded(): boolean {
    return this.#hasEnded && this.#left.length === 0;
  }

  /** 0 while there is nothing. */
  read(buffer: Buffer, at: number, length: number): Promise<number> {
    if (this.#left.length === 0) this.#left = (this.#stream.read() as Buffer | null) ?? EMPTY;
    const bytes = this.#left.copy(buffer, at, 0, length);
    this.#left = this.#left.subarray(bytes);
    return Promise.resolve(bytes);
  }

  /** Resolves when there may be more, at the latest after `timeoutMs`, at once when `signal` aborts. */
  wait(timeoutMs?: number, signal?: AbortSignal): Promise<void> {
    const hasMore = this.#hasEnded || this.#left.length > 0 || this.#stream.readableLength > 0;
    return hasMore ? Promise.resolve() : this.#more.wait(timeoutMs, signal);
  }

  /** Whether the process is to go on while the stream does. */
  keepAlive(isWanted: boolean): void {
    if (isWanted) this.#stream.ref?.();
    else this.#stream.unref?.();
  }

  #end(): void {
    this.#hasEnded = true;
    this.#more.wake();
  }
}
