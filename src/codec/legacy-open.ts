// The requests of one path whose response was not read yet, by the bytes of their ids and by their age. Invariant: each is in
// the list, oldest first, and in the bucket of its id, once. What opens and closes them is up to `legacy-pairs.ts`.
//
// Not a Map, for which a string had to be made of the id of every line, request or response.
import { randomBytes } from 'node:crypto';
import type { OpenEntry } from '../position/position.js';
import { ID } from './legacy-keys.js';
import { LegacyLine } from './legacy-line.js';

/** Clients may choose ids, and are not to choose buckets with them. */
const SEED = randomBytes(4).readInt32LE();
const MIN_BUCKETS = 256;

/** A request, or room for one; objects are used again. */
export class OpenRequest {
  readonly line = new LegacyLine();
  /** Where the line stood. */
  file = '';
  offset = 0;
  readAtMs = 0;
  /** Its line is not in the chunk that is being read, but in a copy. */
  isKept = false;
  /** As the position record has it; made when it is first asked for. */
  entry: OpenEntry | undefined;
  /** The hash of its id, as long as it is open. */
  hash = 0;
  /** Its neighbours in the list of its path. */
  older: OpenRequest | undefined;
  newer: OpenRequest | undefined;
  /** The next one of its bucket. */
  next: OpenRequest | undefined;
}

export class OpenRequests {
  size = 0;
  /** How long the lines are together. */
  bytes = 0;
  oldest: OpenRequest | undefined;
  newest: OpenRequest | undefined;
  /** By the low bits of the hash; as many as a power of two, and not fewer than requests. */
  #buckets = new Array<OpenRequest | undefined>(MIN_BUCKETS).fill(undefined);

  /** The request with the id of `line`; undefined where none is open. */
  find(line: LegacyLine): OpenRequest | undefined {
    const hash = hashOf(line);
    let request = this.#buckets[hash & (this.#buckets.length - 1)];
    while (request && !(request.hash === hash && haveSameId(request.line, line))) request = request.next;
    return request;
  }

  /** Opens a request whose line was read, as the newest. */
  add(request: OpenRequest): void {
    if (this.size === this.#buckets.length) this.#grow();
    const { line } = request;
    request.hash = hashOf(line);
    this.#put(request);
    request.older = this.newest;
    request.newer = undefined;
    if (this.newest) this.newest.newer = request;
    else this.oldest = request;
    this.newest = request;
    this.size++;
    this.bytes += line.end - line.start;
  }

  /** Closes a request that is open; its line stays as it is. */
  remove(request: OpenRequest): void {
    const { older, newer, line } = request;
    if (older) older.newer = newer;
    else this.oldest = newer;
    if (newer) newer.older = older;
    else this.newest = older;
    this.#take(request);
    request.older = request.newer = request.next = undefined;
    this.size--;
    this.bytes -= line.end - line.start;
  }

  #put(request: OpenRequest): void {
    const bucket = request.hash & (this.#buckets.length - 1);
    request.next = this.#buckets[bucket];
    this.#buckets[bucket] = request;
  }

  #take(request: OpenRequest): void {
    const bucket = request.hash & (this.#buckets.length - 1);
    let before = this.#buckets[bucket];
    if (before === request) {
      this.#buckets[bucket] = request.next;
      return;
    }
    while (before && before.next !== request) before = before.next;
    if (!before) throw new Error('impossible: an open request is in no bucket');
    before.next = request.next;
  }

  #grow(): void {
    this.#buckets = new Array<OpenRequest | undefined>(this.#buckets.length * 2).fill(undefined);
    for (let request = this.oldest; request; request = request.newer) this.#put(request);
  }
}

// Ids are compared as they are quoted: `%q` writes the same id in the same way.
function haveSameId(one: LegacyLine, other: LegacyLine): boolean {
  const length = one.endOf(ID) - one.startOf(ID);
  if (other.endOf(ID) - other.startOf(ID) !== length) return false;
  const [a, b] = [one.view, other.view];
  let p = one.startOf(ID);
  let q = other.startOf(ID);
  const end = p + length;
  for (const lastWord = end - 4; p <= lastWord; p += 4) {
    if (a.getInt32(p, true) !== b.getInt32(q, true)) return false;
    q += 4;
  }
  for (; p < end; p++) if (a.getUint8(p) !== b.getUint8(q++)) return false;
  return true;
}

function hashOf(line: LegacyLine): number {
  const { view } = line;
  const end = line.endOf(ID);
  let hash = SEED;
  let p = line.startOf(ID);
  for (const lastWord = end - 4; p <= lastWord; p += 4) {
    hash = Math.imul(hash ^ view.getInt32(p, true), 0x2c1b3c6d);
    hash ^= hash >>> 15;
  }
  for (; p < end; p++) hash = Math.imul(hash ^ view.getUint8(p), 0x01000193);
  return hash ^ (hash >>> 13);
}
