// What may be named of an event at each place of a pipeline: what the processors before it made, besides the fields of
// audit events. Told from the file as it stands, faulty or not, because routes are checked before processors are; where
// a processor can't tell what it makes, anything may be named behind it: what follows from a fault is no other fault.
import { KNOWN_FIELDS } from '../event/audit.js';
import type { FieldPath } from '../event/field-path.js';
import type { Shape } from '../event/shape.js';
import { withMade, withYetToBeMade } from '../event/shape.js';
import type { ComponentDefinition, ProcessorDefinition } from '../pipeline/component.js';

export interface KnownFields {
  /** In front of each processor, in their order. */
  before: readonly Shape[];
  /** Behind all of them, where routes and sinks are. */
  behind: Shape;
}

/** `processors` is the value of the file, whatever it is. */
export function knownFields(definitions: readonly ComponentDefinition[], processors: unknown): KnownFields {
  const known = definitions.filter((each) => each.kind === 'processor');
  const made = (Array.isArray(processors) ? processors : []).map((each) => fieldsOf(known, each));
  let behind = withYetToBeMade(
    KNOWN_FIELDS,
    made.flatMap((fields) => fields ?? []),
  );
  const before = made.map((fields) => {
    const shape = behind;
    behind = fields ? withMade(shape, fields) : 'anything';
    return shape;
  });
  return { before, behind };
}

/** Undefined where that can't be told. */
function fieldsOf(
  definitions: readonly ProcessorDefinition[],
  value: unknown,
): readonly FieldPath[] | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const { type, ...options } = value as Record<string, unknown>;
  const own = definitions.find(({ name }) => name === type);
  if (own) return own.fieldsMade ? own.fieldsMade(options) : [];
  // Whichever was meant.
  return definitions.flatMap((each) => each.fieldsMade?.(options) ?? []);
}
