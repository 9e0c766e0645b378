// Conditions, fields and templates of options that validation has passed: to find one of them broken here is a bug. Which
// fields may be named where was decided there.
import type { EventBatch } from '../event/batch.js';
import { parseFieldPath } from '../event/field-path.js';
import type { FieldPath } from '../event/field-path.js';
import type { FieldRegistry } from '../event/fields.js';
import { compileWhen, parseWhen } from '../event/match.js';
import type { Condition } from '../event/match.js';
import { parseTemplate } from '../event/template.js';
import type { Template } from '../event/template.js';

/** The condition of a validated `when`. */
export function conditionOf(value: unknown): Condition {
  const parsed = parseWhen(value, 'anything');
  if ('faults' in parsed) throw new Error(`impossible: unvalidated condition ${JSON.stringify(value)}`);
  return parsed.condition;
}

/** The function that tells whether an event matches a validated `when`; without one all do. */
export function compileOptionalWhen(
  value: unknown,
  fields: FieldRegistry,
): (batch: EventBatch, i: number) => boolean {
  return value === undefined ? () => true : compileWhen(conditionOf(value), fields);
}

/** The path of a validated field. */
export function fieldOf(text: string): FieldPath {
  const parsed = parseFieldPath(text, 'anything');
  if ('fault' in parsed) throw new Error(`impossible: unvalidated field ${JSON.stringify(text)}`);
  return parsed.path;
}

/** The template of a validated text. */
export function templateOf(text: string): Template {
  const parsed = parseTemplate(text, 'anything');
  if ('faults' in parsed) throw new Error(`impossible: unvalidated template ${JSON.stringify(text)}`);
  return parsed.template;
}
