// Where the fields of an event stand that is made from a legacy entry: noted while it is written, so that the event is
// not scanned for them afterwards (that took a fifth of the time of decoding). Invariant: the slots are those that
// `Scanner` writes for the same bytes and the same paths.
import { SLOT_STRIDE } from '../event/batch.js';
import type { FieldPath } from '../event/field-path.js';

const PATHS: FieldPath[] = [];
const isArray: boolean[] = [];

function field(...path: FieldPath): number {
  isArray.push(false);
  return PATHS.push(path) - 1;
}

function array(...path: FieldPath): number {
  const index = field(...path);
  isArray[index] = true;
  return index;
}

// Indexes for `NotedFields.note`: all that such an event may have.
export const KIND = field('kind');
export const API_VERSION = field('apiVersion');
export const LEVEL = field('level');
export const AUDIT_ID = field('auditID');
export const STAGE = field('stage');
export const REQUEST_URI = field('requestURI');
export const VERB = field('verb');
export const USER = field('user');
export const USERNAME = field('user', 'username');
export const GROUPS = array('user', 'groups');
export const IMPERSONATED = field('impersonatedUser');
export const IMPERSONATED_NAME = field('impersonatedUser', 'username');
export const IMPERSONATED_GROUPS = array('impersonatedUser', 'groups');
export const SOURCE_IPS = array('sourceIPs');
export const USER_AGENT = field('userAgent');
export const OBJECT = field('objectRef');
export const RESOURCE = field('objectRef', 'resource');
export const NAMESPACE = field('objectRef', 'namespace');
export const NAME = field('objectRef', 'name');
export const GROUP = field('objectRef', 'apiGroup');
export const VERSION = field('objectRef', 'apiVersion');
export const SUBRESOURCE = field('objectRef', 'subresource');
export const STATUS = field('responseStatus');
export const METADATA = field('responseStatus', 'metadata');
export const CODE = field('responseStatus', 'code');
export const RECEIVED_TIME = field('requestReceivedTimestamp');
export const STAGE_TIME = field('stageTimestamp');
export const ANNOTATIONS = field('annotations');
export const HALF = field('annotations', 'headgate.io/legacy');

/** The ranges of the fields of one event. */
export class NotedFields {
  /** By field; of no meaning where it is absent. */
  readonly starts = new Int32Array(PATHS.length);
  readonly ends = new Int32Array(PATHS.length);
  /** One bit a field: it is there. */
  present = 0;
  /** One bit a field: it is asked for. */
  wanted = -1;

  /** Says that the value of a field is the bytes `[start, end)` of the buffer that is written to. */
  note(field: number, start: number, end: number): void {
    this.starts[field] = start;
    this.ends[field] = end;
    this.present |= 1 << field;
  }

  /** As many numbers as `copyWithin` writes at the most. */
  get maxWords(): number {
    let count = 0;
    for (let bits = this.present & this.wanted; bits !== 0; bits &= bits - 1) count++;
    return count * 3;
  }

  /**
   * Puts the wanted fields whose values are within `[from, to)` into `numbers` at `at`: of each in turn the field, its start
   * and end, counted from `from`. Returns where they end.
   */
  copyWithin(from: number, to: number, numbers: Int32Array, at: number): number {
    let p = at;
    for (let bits = this.present & this.wanted; bits !== 0; bits &= bits - 1) {
      const field = 31 - Math.clz32(bits & -bits);
      const start = this.starts[field] as number;
      const end = this.ends[field] as number;
      if (start < from || end > to) continue;
      numbers[p++] = field;
      numbers[p++] = start - from;
      numbers[p++] = end - from;
    }
    return p;
  }
}

/** Which field each slot takes. */
export class FieldSlots {
  /** By slot: an index of `NotedFields`, -1 where no such event has the path. */
  readonly #fields: Int32Array;
  readonly #depths: Int32Array;
  /** One bit a field of `NotedFields`: a slot takes it. */
  readonly wanted: number;

  /** The index of a path is its slot. */
  constructor(paths: readonly FieldPath[]) {
    this.#fields = Int32Array.from(paths, fieldOf);
    this.#depths = this.#fields.map((field) => PATHS[field]?.length ?? 0);
    this.wanted = this.#fields.reduce((bits, field) => (field < 0 ? bits : bits | (1 << field)), 0);
  }

  /** Writes the slots of one event to `slots` from `base` on, as `Scanner.scanLine` does. */
  write(noted: NotedFields, slots: Int32Array, base: number): void {
    const fields = this.#fields;
    let at = base;
    for (let slot = 0; slot < fields.length; slot++) {
      const field = fields[slot] as number;
      if (field >= 0 && ((noted.present >> field) & 1) === 1) {
        slots[at] = noted.starts[field] as number;
        slots[at + 1] = noted.ends[field] as number;
        slots[at + 2] = this.#depths[slot] as number;
      } else {
        slots[at] = -1;
      }
      at += SLOT_STRIDE;
    }
  }
}

// A path that goes on behind an array has the array.
function fieldOf(path: FieldPath): number {
  return PATHS.findIndex(
    (known, i) =>
      (known.length === path.length || (isArray[i] === true && known.length < path.length)) &&
      known.every((segment, k) => segment === path[k]),
  );
}
