// A condition held against one event.
import { FieldRegistry } from '../../src/event/fields.js';
import { compileWhen, parseWhen } from '../../src/event/match.js';
import { batchOfEvent } from './decode.js';

/** Whether a condition holds for an event, given as an object or as JSON. */
export function matches(when: unknown, event: unknown, tag = 'pipeline'): boolean {
  const parsed = parseWhen(when);
  if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
  const fields = new FieldRegistry();
  const compiled = compileWhen(parsed.condition, fields);
  const batch = batchOfEvent(event, fields);
  batch.tags[0] = tag;
  return compiled(batch, 0);
}
