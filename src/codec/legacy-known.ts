// What is remembered of legacy lines: the JSON of their parts that come again and again. One part is everything between
// id and namespace (who asks, from where and how, and the stage), the other namespace and URI (what is asked for).
// Together with an id, times and a status code they are an event, and no value of them has to be looked at again.
import { KnownRanges } from './known-ranges.js';

// Room for all but very long ones, in an odd number of cache lines: in steps of a power of two the beginnings of slots
// would share a part of the cache.
const CALLER_BYTES = 17 * 64;
const TARGET_BYTES = 15 * 64;

export class KnownParts {
  /** Each with its traits (`callerTraits`), the fragment of the stage, and that from user to user agent. */
  readonly callers: KnownRanges;
  /** Each with the fragments of URI and verb, and of the object. The salt is `targetSalt`. */
  readonly targets: KnownRanges;

  /** How many of each are remembered. By default 12 MiB at most, of which what is used is taken. */
  constructor(callers = 4096, targets = 8192) {
    this.callers = new KnownRanges(callers, CALLER_BYTES);
    this.targets = new KnownRanges(targets, TARGET_BYTES);
  }
}

/** What there is to know about the pairs between id and namespace besides their JSON, in one number. */
export function callerTraits(method: number, hasStage: boolean, isReceived: boolean): number {
  return method * 4 + (hasStage ? 2 : 0) + (isReceived ? 1 : 0);
}

/** An index for `methodOf`. */
export function methodOfTraits(traits: number): number {
  return traits >> 2;
}

export function hasStage(traits: number): boolean {
  return (traits & 2) !== 0;
}

export function isReceived(traits: number): boolean {
  return (traits & 1) !== 0;
}

/** What a target depends on besides its bytes. */
export function targetSalt(method: number, isComplete: boolean): number {
  return method * 2 + (isComplete ? 1 : 0);
}
