// What container runtimes make of what a container writes: containerd and CRI-O as the kubelet's CRI demands it, Docker's
// json-file; and a log that the kubelet rotates.
import fs from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';

export type Stream = 'stdout' | 'stderr';
/** Writes a line, `bytes` of it at a time; the first line of the log that it becomes has a time of its own. */
export type Runtime = (line: string | Buffer, bytes?: number, stream?: Stream) => string[];

const TIME = '2026-11-21T09:31:11.123456789Z';
/** How much of a line goes into one, in all runtimes. */
export const PART_BYTES = 16 * 1024;

/** As containerd and CRI-O write a line. One character a byte, as all text here. */
export const cri: Runtime = (line, bytes = PART_BYTES, stream = 'stdout') => {
  const parts = cut(line, bytes);
  return parts.map((part, i) => `${TIME} ${stream} ${i < parts.length - 1 ? 'P' : 'F'} ${part}`);
};

/** As Docker writes it. Its encoder is Go's; it has no way to write bytes that are not UTF-8. */
export const docker: Runtime = (line, bytes = PART_BYTES, stream = 'stdout') =>
  cut(line, bytes).map((part, i, parts) => {
    const log = Buffer.from(i < parts.length - 1 ? part : `${part}\n`, 'latin1').toString();
    const text = JSON.stringify({ log, stream, time: TIME }).replace(
      /[<>&\u2028\u2029]/g,
      (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, '0')}`,
    );
    return Buffer.from(text).toString('latin1');
  });

/** A line of the API server's own log. */
export const KLOG_LINE =
  'I1121 09:31:11.123456       1 controller.go:667] quota admission added evaluator for: leases.coordination.k8s.io';

function cut(line: string | Buffer, bytes: number): string[] {
  const content = Buffer.from(line).toString('latin1');
  const parts = [];
  for (let at = 0; at < content.length; at += bytes) parts.push(content.slice(at, at + bytes));
  return parts.length === 0 ? [''] : parts;
}

/**
 * The log of a container, `<n>.log`, rotated as the kubelet does it (pkg/kubelet/logs/container_log_manager.go): the
 * backup before is compressed by way of a `.tmp`, the log gets the time in its name, and the runtime opens a new one.
 */
export class ContainerLog {
  readonly path: string;
  readonly #maxBytes: number;
  #fd: number;
  #size = 0;
  #secondsUsed = 0;

  constructor(path: string, maxBytes = Infinity) {
    this.path = path;
    this.#maxBytes = maxBytes;
    fs.mkdirSync(dirname(path), { recursive: true });
    this.#fd = this.#open();
  }

  /** Writes lines of the log, each in one call. */
  write(lines: readonly string[]): void {
    for (const line of lines) {
      const bytes = Buffer.from(`${line}\n`, 'latin1');
      if (this.#size > 0 && this.#size + bytes.length > this.#maxBytes) this.rotate();
      this.#size += fs.writeSync(this.#fd, bytes);
    }
  }

  /** Between the two steps the runtime goes on in the file that was renamed, with `late` lines. */
  rotate(late: readonly string[] = []): string {
    const directory = dirname(this.path);
    for (const name of this.backups())
      if (!name.endsWith('.gz')) {
        const plain = join(directory, name);
        fs.writeFileSync(`${plain}.tmp`, gzipSync(fs.readFileSync(plain)));
        fs.renameSync(`${plain}.tmp`, `${plain}.gz`);
        fs.unlinkSync(plain);
      }
    // Two rotations in one second would rename one backup over the other; the kubelet looks every ten.
    const time = new Date(Date.UTC(2026, 10, 21, 9, 31, this.#secondsUsed++)).toISOString();
    const backup = `${this.path}.${time.slice(0, 19).replace(/[-:]/g, '').replace('T', '-')}`;
    fs.renameSync(this.path, backup);
    const old = this.#fd;
    this.#fd = this.#open();
    for (const line of late) fs.writeSync(old, Buffer.from(`${line}\n`, 'latin1'));
    fs.closeSync(old);
    this.#size = 0;
    return backup;
  }

  /** The names of all backups, oldest first. */
  backups(): string[] {
    return fs
      .readdirSync(dirname(this.path))
      .filter((name) => /^\.\d{8}-\d{6}(\.gz)?$/.test(name.slice(basename(this.path).length)))
      .sort();
  }

  close(): void {
    fs.closeSync(this.#fd);
  }

  #open(): number {
    return fs.openSync(this.path, 'a', 0o640);
  }
}
