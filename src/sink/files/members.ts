// Gzip members: what a file that is compressed as it is written consists of (RFC 1952 §2.2: a file is a series of
// members). Each holds whole lines and is written whole, so a file cut at the end of any of them is a whole file
// again. Here they are made, in zlib's threads, and found again in a file whose end is in doubt.
import { gunzipSync, gzip, inflateRawSync } from 'node:zlib';
import type { Zlib } from 'node:zlib';
import { BufferPool } from '../../buffer-pool.js';
import { systemCode } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { eachInParallel } from './parallel.js';
import type { Job } from './segment-files.js';
import { chunkPool } from './segment.js';

/** Longer members are hardly smaller; more of them keep more threads busy. A longer line is a member by itself. */
const MEMBER_BYTES = 1024 * 1024;
const joinPool = new BufferPool([MEMBER_BYTES], 4 * MEMBER_BYTES);
const WINDOW_BYTES = 256 * 1024;
/** Deflate, no flags, no time: RFC 1952 §2.3. Every member that zlib makes begins so; six bytes more are its header. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0]);
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;

/**
 * The same jobs with one buffer a member; the plain buffers go back to their pool. `compressed` is called for each member
 * with the bytes that went in and came out.
 */
export async function compressJobs(
  jobs: readonly Job[],
  compressed: (plainBytes: number, memberBytes: number) => void,
): Promise<Job[]> {
  const groups = jobs.map(({ buffers }) => groupsOf(buffers));
  const members = groups.map((each) => new Array<Buffer>(each.length));
  const tasks = groups.flatMap((each, job) => each.map((chunks, place) => ({ chunks, job, place })));
  await eachInParallel(tasks, async ({ chunks, job, place }) => {
    const [plain] = chunks.length === 1 ? chunks : [join(chunks)];
    if (!plain) return;
    const member = await compress(plain);
    (members[job] ?? [])[place] = member;
    compressed(plain.length, member.length);
    (chunks.length === 1 ? chunkPool : joinPool).give(plain);
  });
  return jobs.map((job, i) => ({ ...job, buffers: members[i] ?? [] }));
}

/** Buffers that follow each other, put together up to the length of a member. */
function groupsOf(buffers: readonly Buffer[]): Buffer[][] {
  const groups: Buffer[][] = [];
  let bytes = Infinity;
  for (const buffer of buffers) {
    if (bytes + buffer.length > MEMBER_BYTES) {
      groups.push([]);
      bytes = 0;
    }
    groups.at(-1)?.push(buffer);
    bytes += buffer.length;
  }
  return groups;
}

/** The chunks in one buffer; they go back to their pool. */
function join(chunks: readonly Buffer[]): Buffer {
  const joined = joinPool.take(MEMBER_BYTES);
  let length = 0;
  for (const chunk of chunks) {
    length += chunk.copy(joined, length);
    chunkPool.give(chunk);
  }
  return joined.subarray(0, length);
}

function compress(plain: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gzip(plain, (error, member) => {
      if (error) reject(error);
      else resolve(member);
    });
  });
}

/** Where the last whole member ends that can be reached from `start`, the end of a member, without a break. */
export async function endOfLastMember(
  fs: FileSystem,
  fd: number,
  start: number,
  size: number,
): Promise<number> {
  for (let end = start; ;) {
    const length = await memberLength(fs, fd, end, size);
    if (length === 0) return end;
    end += length;
  }
}

/** The length of the member at `start`, 0 where no whole one begins there. */
async function memberLength(fs: FileSystem, fd: number, start: number, size: number): Promise<number> {
  for (let windowBytes = WINDOW_BYTES; ; windowBytes *= 2) {
    const length = Math.min(windowBytes, size - start);
    const data = Buffer.allocUnsafe(length);
    for (let done = 0; done < length;) {
      const read = await fs.read(fd, data, done, length - done, start + done);
      if (read === 0) return 0;
      done += read;
    }
    const bytes = wholeMember(data);
    if (bytes !== undefined) return bytes;
    if (length < windowBytes) return 0;
  }
}

/** The length of the member that the data begins with; 0 where it does not begin with one, undefined where it is cut. */
function wholeMember(data: Buffer): number | undefined {
  if (!data.subarray(0, HEADER.length).equals(HEADER)) return 0;
  try {
    // Raw, because a decoder of gzip goes on with the next member and does not tell where this one ended.
    const { engine } = inflateRawSync(data.subarray(HEADER_BYTES), { info: true }) as unknown as {
      engine: Zlib;
    };
    const bytes = HEADER_BYTES + engine.bytesWritten + TRAILER_BYTES;
    if (bytes > data.length) return undefined;
    gunzipSync(data.subarray(0, bytes)); // Checks what the trailer says.
    return bytes;
  } catch (error) {
    if (systemCode(error) === 'Z_BUF_ERROR') return undefined;
    if (systemCode(error)?.startsWith('Z_')) return 0;
    throw error;
  }
}
