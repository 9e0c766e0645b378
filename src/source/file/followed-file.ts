// One file of a followed path: the live file or a backup, on its way from "seen" over "being read" to "finished".
// While it is held it can be renamed, compressed or unlinked and is still read to its end. It knows nothing of the
// files before and after it; `follower.ts` does.
import { constants } from 'node:fs';
import { join } from 'node:path';
import { LineReader } from '../../codec/lines.js';
import type { Piece } from '../../codec/lines.js';
import { HeadgateError } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { FINGERPRINT_BYTES, fingerprint, hasHead, Trail } from '../../position/fingerprint.js';
import type { FilePosition, Head } from '../../position/position.js';
import { GzipReader, inflateTo, PlainReader, readFully } from './byte-reader.js';
import type { ByteReader } from './byte-reader.js';
import { contentLength, lastLineStart, trailAt } from './content.js';
import { isMissing, statIfExists } from './discover.js';
import type { RetainedFile } from './retain-directory.js';

const INFLATE_BYTES = 1024 * 1024;
// A FIFO in the place of a log must not hang the open.
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NONBLOCK;

/** What all files of one path share. */
export interface FollowedFileOptions {
  fs: FileSystem;
  /** Of the files: that of the live one, also where the followed path is a symbolic link to it. */
  directory: string;
  /** The base name of the live one. */
  liveName: string;
  /** The followed path, for quarantine entries. */
  path: string;
  maxLineBytes: number;
}

/** Nothing is opened by the constructor. Who holds a file releases it. */
export class FollowedFile {
  /** Its base name when last seen. */
  name: string;
  /** The name without `.gz` once it is a backup; null while it has none. */
  stem: string | null;
  /** It is the file at the followed path, as last seen: it can grow. */
  isLive = false;
  /** As on disk when last seen; for a gzip file the compressed size. */
  size = 0;
  dev = 0;
  ino = 0;
  /** How many names the held file has. */
  nlink = 0;
  /** It is also kept under this name, for when its own is gone. */
  retained: RetainedFile | undefined;
  readonly #options: FollowedFileOptions;
  #directory: string;
  #fd: number | undefined;
  #reader: ByteReader | undefined;
  #lines: LineReader | undefined;
  #sample: Buffer | undefined;

  constructor(options: FollowedFileOptions, name: string, stem: string | null) {
    this.#options = options;
    this.#directory = options.directory;
    this.name = name;
    this.stem = stem;
  }

  /** One that has no other name any more than the one that it is retained under. */
  static ofRetained(options: FollowedFileOptions, retained: RetainedFile): FollowedFile {
    const file = new FollowedFile(options, retained.name, retained.stem);
    file.retained = retained;
    file.#directory = retained.directory;
    return file;
  }

  /** It is open, so nothing that happens to its name takes it away. */
  get isHeld(): boolean {
    return this.#fd !== undefined;
  }
  /** Where its name is. */
  get directory(): string {
    return this.#options.directory;
  }
  get isGzip(): boolean {
    return this.stem !== null && this.name.endsWith('.gz');
  }
  /** Where it was last seen. */
  get location(): string {
    return join(this.#directory, this.name);
  }
  /** Leads to the held file, whatever became of its name. */
  get descriptorPath(): string {
    return `/proc/self/fd/${String(this.#held())}`;
  }
  /** Its own name is gone; it is what is retained. */
  get isRetainedOnly(): boolean {
    return this.#directory === this.retained?.directory;
  }
  /** How far it was given out. */
  get offset(): number {
    return this.#lines?.trail.offset ?? 0;
  }
  /** How far it was read: further than `offset` by an unfinished line. */
  get readOffset(): number {
    return this.#lines?.readOffset ?? 0;
  }
  /** Why nothing more comes although the file is not at its end. */
  get damage(): string | undefined {
    return this.#reader?.damage;
  }
  /** Bytes on disk that were not given out yet. */
  get remainingBytes(): number {
    const done = this.isGzip ? (this.#reader?.diskOffset ?? 0) : this.offset;
    return Math.max(0, this.size - done);
  }

  /** Whether this is the very same file; holds only while it is held, since inodes are reused at once. */
  is(stat: { dev: number; ino: number }): boolean {
    return this.isHeld && this.dev === stat.dev && this.ino === stat.ino;
  }

  /** Whether the followed path still leads to it. */
  async isAtPath(): Promise<boolean> {
    const seen = await statIfExists(this.#options.fs, this.#options.path);
    return seen !== undefined && this.is(seen);
  }

  /** Opens it and holds it, under any of its names. False where it is gone; other errors are thrown. */
  async hold(): Promise<boolean> {
    if (this.isHeld || (await this.#open())) return true;
    if (this.isRetainedOnly) return false;
    if (this.stem !== null) {
      // It may have been compressed since it was listed.
      this.name = this.isGzip ? this.stem : `${this.stem}.gz`;
      if (await this.#open()) return true;
    }
    if (!this.retained) return false;
    this.#directory = this.retained.directory;
    this.name = this.retained.name;
    this.stem = this.retained.stem;
    return this.#open();
  }

  /** What may have taken its name as a backup: its compressed form, not looked at yet. */
  compressed(): FollowedFile | undefined {
    if (this.stem === null || this.isGzip) return undefined;
    return new FollowedFile(this.#options, `${this.stem}.gz`, this.stem);
  }

  /** Another descriptor of it, which the caller closes; undefined where it is gone. */
  async openAgain(): Promise<number | undefined> {
    const wasHeld = this.isHeld;
    if (!(await this.hold())) return undefined;
    try {
      return await this.#options.fs.open(this.descriptorPath, OPEN_FLAGS);
    } finally {
      if (!wasHeld) await this.release();
    }
  }

  /** Closes it where nothing but the descriptor keeps it on disk; one that was begun must stay what it is. */
  async releaseUnnamed(): Promise<void> {
    if (!this.isHeld || this.readOffset > 0) return;
    await this.updateSize();
    if (this.nlink === 0) await this.release();
  }

  /** Takes the name that it was found under. A file that is held goes on being what was opened. */
  seenAs(backup: { name: string; stem: string }): void {
    if (this.isRetainedOnly) return;
    if (!this.isHeld) this.name = backup.name;
    else if (!this.isGzip) this.name = backup.stem;
    this.stem = backup.stem;
  }

  /** Closes it; it can be held again where it was not begun. May be called twice. */
  async release(): Promise<void> {
    const fd = this.#fd;
    this.#fd = undefined;
    this.#reader?.close();
    this.#reader = undefined;
    if (fd !== undefined) await this.#options.fs.close(fd);
  }

  /**
   * Opens the file anew where its name still leads to it, so that a read that failed can be tried again. False where
   * the name leads to nothing, or to another file.
   */
  async reopen(): Promise<boolean> {
    const { fs } = this.#options;
    let fd: number;
    try {
      fd = await fs.open(this.location, OPEN_FLAGS);
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    try {
      if (!this.is(await fs.fstat(fd))) return false;
      [this.#fd, fd] = [fd, this.#held()];
      if (this.#reader) this.#reader.fd = this.#fd;
      return true;
    } finally {
      await fs.close(fd);
    }
  }

  /** Looks how large it is now, and how many names it has. */
  async updateSize(): Promise<void> {
    const { size, nlink } = await this.#options.fs.fstat(this.#held());
    this.size = size;
    this.nlink = nlink;
  }

  /**
   * The first `FINGERPRINT_BYTES` of its content, or all there are; undefined where it is too damaged for that. It must
   * be held, now or at an earlier call.
   */
  async sample(): Promise<Buffer | undefined> {
    if (this.#sample?.length === FINGERPRINT_BYTES || !this.isHeld) return this.#sample;
    const reader = this.#createReader(0);
    const buffer = Buffer.alloc(FINGERPRINT_BYTES);
    const bytes = await readFully(reader, buffer);
    reader.close();
    this.#sample =
      bytes < buffer.length && reader.damage !== undefined ? undefined : buffer.subarray(0, bytes);
    return this.#sample;
  }

  /** Whether both hold the same content, as far as heads and lengths tell. */
  async hasContentOf(other: FollowedFile): Promise<boolean> {
    const [mine, theirs] = [await this.sample(), await other.sample()];
    if (!mine || !theirs || !mine.equals(theirs)) return false;
    return (await this.#contentLength()) === (await other.#contentLength());
  }

  /** Compares with a file that was read before. Where it is the `same`, reading goes on at the stored offset. */
  async compareWith(stored: FilePosition): Promise<'same' | 'short' | 'other'> {
    const sample = await this.sample();
    if (!sample || !hasHead(sample, stored.head)) return 'other';
    if (!(await this.begin(stored.offset))) return 'short';
    if (this.#lines?.trail.before().hash === stored.before.hash) return 'same';
    this.restart();
    return 'other';
  }

  /** Gets ready to read on at `offset`, the start of a line. False where the file ends before it. */
  async begin(offset: number): Promise<boolean> {
    this.restart();
    const reader = this.#createReader(this.isGzip ? 0 : offset);
    const trail = this.isGzip
      ? await inflateTo(reader, offset)
      : await trailAt(this.#options.fs, this.#held(), offset);
    if (!trail) {
      reader.close();
      return false;
    }
    this.#reader = reader;
    this.#lines = new LineReader({ ...this.#options, trail });
    return true;
  }

  /** Forgets what was read: the next read is at the beginning. */
  restart(): void {
    this.#reader?.close();
    this.#reader = undefined;
    this.#lines = undefined;
  }

  /** It holds other content from now on, to be read from the beginning. */
  startOver(): void {
    this.restart();
    this.#sample = undefined;
  }

  /** Reads once; see `LineReader.read`. It must be held. */
  async read(): Promise<{ bytes: number; piece: Piece | undefined }> {
    this.#reader ??= this.#createReader(0);
    this.#lines ??= new LineReader({ ...this.#options, trail: new Trail() });
    const expected = this.isGzip ? INFLATE_BYTES : this.size - this.readOffset;
    return this.#lines.read(this.#reader, expected);
  }

  /** The last line where it has no newline; for a file that nobody writes to any more. */
  takeRest(): Piece | undefined {
    return this.#lines?.takeRest();
  }

  /** Whether the bytes before what was given out are still what they were. */
  async isUnchanged(): Promise<boolean> {
    const last = this.#lines?.trail.last;
    if (!last || last.length === 0) return true;
    const now = Buffer.alloc(last.length);
    const reader = new PlainReader(this.#options.fs, this.#held(), this.offset - last.length);
    return (await readFully(reader, now)) === now.length && now.equals(last);
  }

  /** The start of the last line, or of the one that is being written. */
  lastLineStart(): Promise<number> {
    return lastLineStart(this.#options.fs, this.#held(), this.size);
  }

  /** The fingerprint of its beginning, as far as it was given out. */
  head(): Head {
    return this.#lines?.trail.head() ?? fingerprint(Buffer.alloc(0));
  }

  /** Where reading goes on after a restart. */
  position(): FilePosition {
    const { name, dev, ino, offset } = this;
    const before = this.#lines?.trail.before() ?? fingerprint(Buffer.alloc(0));
    return { name, dev, ino, offset, head: this.head(), before };
  }

  async #open(): Promise<boolean> {
    const { fs } = this.#options;
    const path = this.location;
    let fd: number;
    try {
      fd = await fs.open(path, OPEN_FLAGS);
    } catch (error) {
      if (isMissing(error)) return false;
      throw error;
    }
    try {
      const stat = await fs.fstat(fd);
      if (!stat.isFile) throw new HeadgateError('SOURCE_READ', `${path} is not a regular file`, { path });
      this.dev = stat.dev;
      this.ino = stat.ino;
      this.size = stat.size;
      this.nlink = stat.nlink;
    } catch (error) {
      await fs.close(fd);
      throw error;
    }
    this.#fd = fd;
    return true;
  }

  #held(): number {
    if (this.#fd === undefined) throw new Error(`impossible: ${this.name} is not held`);
    return this.#fd;
  }

  #createReader(offset: number): ByteReader {
    const { fs } = this.#options;
    return this.isGzip ? new GzipReader(fs, this.#held()) : new PlainReader(fs, this.#held(), offset);
  }

  /** Decompressed, modulo 2^32. */
  async #contentLength(): Promise<number> {
    await this.updateSize();
    return contentLength(this.#options.fs, this.#held(), this.size, this.isGzip);
  }
}
