// The bytes of one file in order, plain or inflated, in bounded memory. A reader knows nothing of lines and of
// rotation. It may be given another descriptor of the same file, so that a read that failed can be tried again.
import { createGunzip } from 'node:zlib';
import type { Gunzip } from 'node:zlib';
import type { ByteSource } from '../../codec/lines.js';
import type { FileSystem } from '../../file-system.js';
import { Trail } from '../../position/fingerprint.js';

// What one step can inflate stands in memory at once: deflate makes at most 1,032 bytes of one, so 16 MiB here.
const INPUT_BYTES = 16 * 1024;
const OUTPUT_BYTES = 64 * 1024;
const SKIP_BYTES = 1024 * 1024;

/** The content of a file from an offset on; offsets are in decompressed bytes. */
export interface ByteReader extends ByteSource {
  /** The descriptor is the owner's: a reader never closes it, and it must stay open while a read is under way. */
  fd: number;
  /** How far the file itself was read, in bytes on disk. */
  readonly diskOffset: number;
  /** Why nothing more comes although the file goes on; undefined while all is well. Set at the latest with the 0. */
  readonly damage: string | undefined;
  /** Frees what is not memory. */
  close(): void;
}

/** Reads a file as it is. */
export class PlainReader implements ByteReader {
  fd: number;
  readonly damage = undefined;
  readonly #fs: FileSystem;
  #offset: number;

  constructor(fs: FileSystem, fd: number, offset: number) {
    this.#fs = fs;
    this.fd = fd;
    this.#offset = offset;
  }

  get diskOffset(): number {
    return this.#offset;
  }

  async read(buffer: Buffer, at: number, length: number): Promise<number> {
    const bytes = await this.#fs.read(this.fd, buffer, at, length, this.#offset);
    this.#offset += bytes;
    return bytes;
  }

  close(): void {
    // Holds nothing but the descriptor.
  }
}

/** Inflates a gzip file (RFC 1952, any number of members) from its beginning. */
export class GzipReader implements ByteReader {
  fd: number;
  damage: string | undefined;
  readonly #fs: FileSystem;
  readonly #input = Buffer.allocUnsafe(INPUT_BYTES);
  #inputOffset = 0;
  #gunzip: Gunzip;
  #isEnded = false;
  #wake: () => void = () => undefined;
  /** Inflated and not yet read. */
  #output: Buffer[] = [];
  /** Everything inflated so far; so many bytes of it were inflated before and are dropped. */
  #produced = 0;
  #drop = 0;
  /** From here on input is fed byte by byte. */
  #carefulFrom = Infinity;

  constructor(fs: FileSystem, fd: number) {
    this.#fs = fs;
    this.fd = fd;
    this.#gunzip = this.#createGunzip();
  }

  get diskOffset(): number {
    return this.#inputOffset;
  }

  /** Fills `length` bytes unless the file ends before. */
  async read(buffer: Buffer, at: number, length: number): Promise<number> {
    let filled = 0;
    while (filled < length) {
      const head = this.#output[0];
      if (head === undefined) {
        if (this.#isEnded) break;
        try {
          await this.#inflateMore();
        } catch (error) {
          // What was filled is given out first; the next call meets the fault again.
          if (filled === 0) throw error;
          break;
        }
        continue;
      }
      const bytes = head.copy(buffer, at + filled, 0, length - filled);
      filled += bytes;
      if (bytes === head.length) this.#output.shift();
      else this.#output[0] = head.subarray(bytes);
    }
    return filled;
  }

  close(): void {
    this.#isEnded = true;
    this.#output = [];
    this.#gunzip.destroy();
    this.#wake();
  }

  async #inflateMore(): Promise<void> {
    const gunzip = this.#gunzip;
    const stepStart = this.#inputOffset;
    const wanted = stepStart >= this.#carefulFrom ? 1 : Math.min(INPUT_BYTES, this.#carefulFrom - stepStart);
    const bytes = await this.#fs.read(this.fd, this.#input, 0, wanted, stepStart);
    if (this.#isEnded) return;
    this.#inputOffset += bytes;
    // Not by the callback of `write` alone: a stream that fails never calls it.
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      const step = (): void => {
        resolve();
      };
      if (bytes > 0) gunzip.write(this.#input.subarray(0, bytes), step);
      else gunzip.end();
    });
    // A stream that fails drops what the last step had inflated before it met the fault: so that step is done again
    // byte by byte.
    if (this.damage !== undefined && this.#carefulFrom === Infinity && bytes > 0) {
      this.#carefulFrom = stepStart;
      this.#inputOffset = 0;
      this.#drop = this.#produced;
      this.#produced = 0;
      this.damage = undefined;
      this.#isEnded = false;
      this.#gunzip = this.#createGunzip();
    }
  }

  #createGunzip(): Gunzip {
    const gunzip = createGunzip({ chunkSize: OUTPUT_BYTES });
    const end = (): void => {
      if (gunzip !== this.#gunzip) return;
      this.#isEnded = true;
      this.#wake();
    };
    gunzip.on('data', (data: Buffer) => {
      const known = Math.min(data.length, Math.max(0, this.#drop - this.#produced));
      this.#produced += data.length;
      if (known < data.length) this.#output.push(data.subarray(known));
    });
    gunzip.on('error', (error) => {
      this.damage = error.message;
      end();
    });
    gunzip.on('end', end);
    return gunzip;
  }
}

/** Fills `buffer` unless the content ends before; returns how many bytes came. */
export async function readFully(reader: ByteReader, buffer: Buffer): Promise<number> {
  for (let filled = 0; ;) {
    const bytes = filled < buffer.length ? await reader.read(buffer, filled, buffer.length - filled) : 0;
    if (bytes === 0) return filled;
    filled += bytes;
  }
}

/** Inflates and drops everything before `offset`; undefined where the content ends before. */
export async function inflateTo(reader: ByteReader, offset: number): Promise<Trail | undefined> {
  const trail = new Trail();
  const buffer = Buffer.allocUnsafeSlow(Math.min(offset, SKIP_BYTES));
  while (trail.offset < offset) {
    const bytes = await reader.read(buffer, 0, Math.min(buffer.length, offset - trail.offset));
    if (bytes === 0) return undefined;
    trail.append(buffer.subarray(0, bytes));
  }
  return trail;
}
