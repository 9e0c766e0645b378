// Which fields may be named at a place of a pipeline: those of audit events, and those that processors made before. What
// a field that was made holds nobody looks at here: below it stand the fields that were made there, and no others.
// Invariant: a field that may be named stays so behind every processor, whatever is set in its place or taken out of it.
import { toText } from './byte-string.js';
import type { FieldPath } from './field-path.js';

/**
 * What may stand below a field: nothing, one key of any name, anything, or these fields. `yet to be made`: only a later
 * processor makes the field itself.
 */
export type Shape = 'nothing' | 'key' | 'anything' | 'yet to be made' | Fields;
export interface Fields {
  readonly [field: string]: Shape;
}

/** The shape behind a processor that makes these fields; where anything may stand, or any key, it stays as it is. */
export function withMade(shape: Shape, paths: readonly FieldPath[]): Shape {
  return grown(shape, paths, 'nothing');
}

/** The shape in front of processors that make these fields: to name one of them is too early. */
export function withYetToBeMade(shape: Shape, paths: readonly FieldPath[]): Shape {
  return grown(shape, paths, 'yet to be made');
}

/** Whether a path leads below a key of any name, where nothing stands: mostly a key with dots that lacks its quotes. */
export function isBelowAnyKey(shape: Shape | undefined, [first, ...rest]: FieldPath): boolean {
  if (shape === 'key') return rest.length > 0;
  if (typeof shape !== 'object' || first === undefined) return false;
  const key = toText(first);
  return Object.hasOwn(shape, key) && isBelowAnyKey(shape[key], rest);
}

/** Whether the field and all below it are made later only. */
export function isYetToBeMade(shape: Shape | undefined): boolean {
  if (typeof shape === 'object') return Object.values(shape).every(isYetToBeMade);
  return shape === 'yet to be made';
}

function grown(
  shape: Shape | undefined,
  paths: readonly FieldPath[],
  made: 'nothing' | 'yet to be made',
): Shape {
  if (shape === 'anything' || shape === 'key') return shape;
  const deeper = paths.filter((path) => path.length > 0);
  const isMade = made === 'nothing';
  // Nobody sees yet that a later processor puts an object in the place of a text.
  if (deeper.length === 0 || (shape === 'nothing' && !isMade))
    return shape === undefined || (isMade && isYetToBeMade(shape)) ? made : shape;
  const fields = typeof shape === 'object' ? shape : {};
  const added = [...byFirstKey(deeper)].map(([key, below]): [string, Shape] => [
    key,
    grown(Object.hasOwn(fields, key) ? fields[key] : undefined, below, made),
  ]);
  return { ...fields, ...Object.fromEntries(added) };
}

/** What follows each first key. */
function byFirstKey(paths: readonly FieldPath[]): Map<string, FieldPath[]> {
  const found = new Map<string, FieldPath[]>();
  for (const [first = '', ...rest] of paths) {
    const key = toText(first);
    const others = found.get(key);
    if (others) others.push(rest);
    else found.set(key, [rest]);
  }
  return found;
}
