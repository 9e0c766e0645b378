// Templates against a straightforward evaluator over parsed objects.
import t from 'tap';
import fc from 'fast-check';
import { FieldRegistry } from '../../src/event/fields.js';
import { compileTemplate, parseTemplate } from '../../src/event/template.js';
import { decode } from '../helpers/decode.js';
import { comparable, objectText, parseFirstWins } from '../helpers/json.js';
import type { Json } from '../helpers/json.js';
import { randomRuns } from '../helpers/random-runs.js';

interface Part {
  before: string;
  fields: string[][];
  otherwise: string;
}

/**
 * What a path leads to; null counts as none. An array at its end is a value, but an array on the way stands for each
 * of its elements, at every level from there on: then it is the first value that is there.
 */
function firstValue(value: Json | undefined, path: readonly string[], isInArray = false): Json | undefined {
  const [key, ...rest] = path;
  if (Array.isArray(value) && (key !== undefined || isInArray)) {
    for (const element of value) {
      const found = firstValue(element, path, true);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  if (key === undefined) return value === null ? undefined : value;
  return value instanceof Map ? firstValue(value.get(key), rest, isInArray) : undefined;
}

const bytes = (text: string): string => Buffer.from(text).toString('latin1');

/** What one `{{ }}` stands for: a text, or a number or an object, whose spelling only the event knows. */
function evaluate(part: Part, event: Json): Json {
  for (const field of part.fields) {
    const found = firstValue(event, ['requestObject', ...field].map(bytes));
    if (found !== undefined) return found;
  }
  return bytes(part.otherwise);
}

const SEPARATOR = '\u0001';
const key = fc.constantFrom('a', 'b', 'c', 'stage', 'user', 'objectRef', 'é');
const part: fc.Arbitrary<Part> = fc.record({
  before: fc.constantFrom('', 'x', 'é', '}', '%Y'),
  fields: fc.array(fc.array(key, { maxLength: 3 }), { maxLength: 3 }),
  otherwise: fc.constantFrom('none', '', 'é', '}}', '"\\'),
});

function written({ before, fields, otherwise }: Part): string {
  const quoted = `"${otherwise.replace(/["\\]/g, '\\$&')}"`;
  const alternatives = [...fields.map((field) => ['requestObject', ...field].join('.')), quoted];
  return `${before}${SEPARATOR}{{ ${alternatives.join(' ?? ')} }}${SEPARATOR}`;
}

function isRendered(found: string | undefined, expected: Json): boolean {
  if (found === undefined) return false;
  if (typeof expected === 'string') return found === expected;
  return comparable(parseFirstWins(found)) === comparable(expected);
}

t.test('a template renders what a naive evaluator says, also for values that were met before', async (t) => {
  fc.assert(
    fc.property(
      fc.array(part, { minLength: 1, maxLength: 3 }),
      fc.array(objectText, { minLength: 1, maxLength: 5 }),
      (parts, objects) => {
        const parsed = parseTemplate(parts.map(written).join(''));
        if ('faults' in parsed) throw new Error(JSON.stringify(parsed.faults));
        const fields = new FieldRegistry();
        const render = compileTemplate(parsed.template, fields);
        // Each event twice: the second time its values come out of the caches. No separator stands in a value.
        const lines = [...objects, ...objects]
          .filter((object) => !/\\u0001/i.test(object))
          .map((object) => `{"requestObject":${object}}`);
        const { batch } = decode(Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1'), fields);
        return lines.every((line, i) => {
          const event = parseFirstWins(line);
          const pieces = render(batch, i).split(SEPARATOR);
          return parts.every(
            (each, k) =>
              pieces[2 * k] === bytes(each.before) && isRendered(pieces[2 * k + 1], evaluate(each, event)),
          );
        });
      },
    ),
    { numRuns: randomRuns(1_000) },
  );
  t.pass('for all runs');
});
