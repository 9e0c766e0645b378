// What turns chunks of lines into batches of events. Formats that write one event in several lines leave entries open at
// the end of a chunk: these are kept here, bounded, and travel with each marker into the position record, so that
// after a crash reading goes on behind their lines and nothing of them is lost or doubled.
import type { Chunk, EventBatch } from '../event/batch.js';
import type { OpenEntry } from '../position/position.js';

export interface Decoder {
  /** Takes over the entries that were open at the committed position. Before the first `decode`. */
  open(entries: readonly OpenEntry[]): void;
  /** Decodes a chunk; what it leaves open is in `openEntries` from then on. The chunk's memory belongs to the batch. */
  decode(chunk: Chunk): EventBatch;
  /** What is open now: everything that was decoded and is in no batch yet. In the order of reading for each path. */
  openEntries(): OpenEntry[];
  /** Whether `flush` would give anything. */
  hasDue(nowMs: number): boolean;
  /** Gives up waiting for the rest of entries that have been open for too long, or of `all`: a batch for each path. */
  flush(nowMs: number, all: boolean): EventBatch[];
}

/** How many entries of one path may be open, and for how long; the oldest ones are given up. */
export interface OpenLimits {
  maxEntries: number;
  maxBytes: number;
  maxAgeMs: number;
}

/** How long a line that is joined from parts may be, and how long the rest of it is waited for. */
export interface PartialLimits {
  maxLineBytes: number;
  maxAgeMs: number;
}

/** What the lines of a source may hold. */
export interface LineFormat {
  format: 'auto' | 'json' | 'legacy' | 'cri';
  openLimits: OpenLimits;
  /** Bounds of a line that a container runtime writes in parts. */
  partialLimits: PartialLimits;
}
