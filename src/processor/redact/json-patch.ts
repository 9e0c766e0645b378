// A patch of the kind RFC 6902 is a list of operations, each with a path and a value: what is confidential in an object
// is confidential in such a value, under whatever path it stands.
import type { ByteString } from '../../event/byte-string.js';
import type { FieldPath } from '../../event/field-path.js';
import {
  elementsOf,
  isArrayAt,
  isObjectAt,
  membersOf,
  PathMembers,
  stringAt,
} from '../../event/json-members.js';
import type { Member } from '../../event/json-members.js';
import type { JsonReader } from '../../event/json-reader.js';

/** One operation of a patch that has a value. */
export interface PatchOperation {
  /** The keys and indexes of its path (RFC 6901). */
  path: FieldPath;
  value: Member;
}

/** The operations of the patch at `at` that have values; none where it is no patch. */
export function* patchOperations(reader: JsonReader, at: number): Generator<PatchOperation> {
  if (!isArrayAt(reader, at)) return;
  for (const { start } of elementsOf(reader, at)) {
    if (!isObjectAt(reader, start)) continue;
    const members = membersOf(reader, start);
    const paths = members.filter(({ key }) => key === 'path');
    // Of equal keys nobody knows which one counted: each path is taken with each value.
    for (const value of members.filter(({ key }) => key === 'value'))
      for (const { valueStart } of paths) {
        const pointer = stringAt(reader, valueStart);
        if (pointer !== undefined) yield { path: keysOf(pointer), value };
      }
  }
}

/** Visits the members inside the patch at `at` that `path`, a path in the object that is patched, leads to. */
export function eachPatched(
  reader: JsonReader,
  at: number,
  path: FieldPath,
  visit: (member: Member) => void,
): void {
  for (const operation of patchOperations(reader, at)) {
    const rest = restBelow(operation.path, path);
    if (rest === undefined) continue;
    if (rest.length === 0) visit(operation.value);
    else new PathMembers(rest).each(reader, operation.value.valueStart, visit);
  }
}

/** What is left of `path` below the place that an operation changes; undefined where that lies elsewhere. */
function restBelow(operation: FieldPath, path: FieldPath): FieldPath | undefined {
  let matched = 0;
  for (const key of operation) {
    if (matched === path.length) break;
    if (key === path[matched]) matched++;
    else if (!/^(\d+|-)$/.test(key)) return undefined; // A path goes through arrays without naming an index.
  }
  return path.slice(matched);
}

function keysOf(pointer: ByteString): FieldPath {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => key.replace(/~1/g, '/').replace(/~0/g, '~'));
}
