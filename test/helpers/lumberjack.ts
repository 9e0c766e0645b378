// A writer that rotates as kube-apiserver does: the steps of gopkg.in/natefinch/lumberjack.v2 in its order, with
// synchronous calls, so that it runs in a test as well as in a child process that is killed. One event is one write.
//
// Rotation: rename the live file to `<base>-<UTC time><ext>`, create it anew (mode kept, 0600 at first), then prune
// to `maxBackups` and compress what is left, each into a new inode beside the plain file, which goes last.
import fs from 'node:fs';
import { basename, dirname, extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

export interface LumberjackOptions {
  /** A write that would make the live file longer than this rotates first. Default: never. */
  maxBytes?: number;
  /** How many backups are kept. Default: all. */
  maxBackups?: number;
  /** Compress each backup on rotation. Without it a test compresses one with `compress(name)`. */
  compress?: boolean;
  /** The time in a backup's name. Default: the clock, but at least a millisecond later than the last one. */
  now?: () => number;
}

export class Lumberjack {
  readonly path: string;
  readonly #options: LumberjackOptions;
  readonly #now: () => number;
  #fd: number | undefined;
  #size = 0;

  constructor(path: string, options: LumberjackOptions = {}) {
    this.path = path;
    this.#options = options;
    let lastMs = 0;
    // Two rotations in one millisecond would rename one backup over the other.
    this.#now = options.now ?? (() => (lastMs = Math.max(Date.now(), lastMs + 1)));
  }

  /** Writes one line with its newline, in one call. */
  write(line: string | Buffer): void {
    const bytes = Buffer.concat([Buffer.from(line), Buffer.from('\n')]);
    const maxBytes = this.#options.maxBytes ?? Infinity;
    if (bytes.length > maxBytes) throw new Error('write exceeds maximum file size');
    if (this.#fd === undefined) this.#openExisting();
    if (this.#size + bytes.length > maxBytes) this.rotate();
    this.append(bytes);
  }

  /** Writes bytes as they are: a part of a line, for example. */
  append(bytes: string | Buffer): void {
    if (this.#fd === undefined) this.#openExisting();
    this.#size += fs.writeSync(this.#fd ?? -1, Buffer.from(bytes));
  }

  /** Rotates now; returns the backup's name. */
  rotate(): string {
    this.close();
    const name = this.rename();
    this.create();
    this.mill();
    return name;
  }

  /** The first half of a rotation: from here on there is no live file. */
  rename(): string {
    this.close();
    const name = this.#backupName();
    if (fs.existsSync(this.path)) fs.renameSync(this.path, join(dirname(this.path), name));
    return name;
  }

  /** The second half. */
  create(): void {
    this.close();
    this.#fd = fs.openSync(
      this.path,
      fs.constants.O_CREAT | fs.constants.O_WRONLY | fs.constants.O_TRUNC,
      0o600,
    );
    this.#size = 0;
  }

  /** Prunes, then compresses, as the options say. */
  mill(): void {
    const { maxBackups = Infinity, compress = false } = this.#options;
    const stems = [...new Set(this.backups().map((name) => name.replace(/\.gz$/, '')))].sort().reverse();
    for (const stem of stems.slice(maxBackups)) {
      fs.rmSync(join(dirname(this.path), stem), { force: true });
      fs.rmSync(join(dirname(this.path), `${stem}.gz`), { force: true });
    }
    if (compress) for (const name of this.backups()) if (!name.endsWith('.gz')) this.compress(name);
  }

  /** Compresses one backup. */
  compress(name: string): void {
    this.beginCompress(name)();
  }

  /** Leaves a partial `.gz` beside the plain file; the returned function completes it and unlinks the plain one. */
  beginCompress(name: string): () => void {
    const plain = join(dirname(this.path), name);
    const compressed = gzipSync(fs.readFileSync(plain));
    const fd = fs.openSync(
      `${plain}.gz`,
      fs.constants.O_CREAT | fs.constants.O_WRONLY | fs.constants.O_TRUNC,
      0o600,
    );
    fs.writeSync(fd, compressed, 0, 10);
    return () => {
      fs.writeSync(fd, compressed, 10);
      fs.closeSync(fd);
      fs.unlinkSync(plain);
    };
  }

  /** The names of all backups, oldest first. */
  backups(): string[] {
    const extension = extname(this.path);
    const prefix = `${basename(this.path, extension)}-`;
    return fs
      .readdirSync(dirname(this.path))
      .filter((name) => name.startsWith(prefix) && /\.\d{3}(\.|$)/.test(name))
      .sort();
  }

  /** The next write opens the live file again. May be called twice. */
  close(): void {
    if (this.#fd !== undefined) fs.closeSync(this.#fd);
    this.#fd = undefined;
  }

  #openExisting(): void {
    fs.mkdirSync(dirname(this.path), { recursive: true });
    const flags = fs.constants.O_CREAT | fs.constants.O_WRONLY | fs.constants.O_APPEND;
    this.#fd = fs.openSync(this.path, flags, 0o600);
    this.#size = fs.fstatSync(this.#fd).size;
  }

  #backupName(): string {
    const extension = extname(this.path);
    const time = new Date(this.#now()).toISOString().replace(/:/g, '-').slice(0, -1);
    return `${basename(this.path, extension)}-${time}${extension}`;
  }
}
