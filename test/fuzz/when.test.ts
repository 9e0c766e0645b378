// Conditions against a straightforward evaluator over parsed objects.
import t from 'tap';
import fc from 'fast-check';
import { FieldRegistry } from '../../src/event/fields.js';
import { compileWhen } from '../../src/event/match.js';
import { parseWhen } from '../../src/event/when.js';
import type { Condition } from '../../src/event/when.js';
import { decode } from '../helpers/decode.js';
import { objectText, parseFirstWins } from '../helpers/json.js';
import type { Json } from '../helpers/json.js';

type Mapping = Record<string, unknown>;
type Wanted = string | number | boolean | null;

/** What a path leads to: values that are no arrays, and undefined where there is none. */
function valuesOf(value: Json | undefined, path: readonly string[]): (Json | undefined)[] {
  if (Array.isArray(value)) {
    return value.length === 0 ? [undefined] : value.flatMap((element) => valuesOf(element, path));
  }
  const [key, ...rest] = path;
  if (key === undefined) return [value];
  return value instanceof Map ? valuesOf(value.get(key), rest) : [undefined];
}

/** A value's text as a byte string; numbers lose their spelling, which the generator takes care of. */
function textOf(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}

function expression(pattern: string): RegExp {
  // Characters of well-formed UTF-8, or single bytes, in a byte string.
  const character =
    '(?:[\\xc2-\\xdf][\\x80-\\xbf]|[\\xe0-\\xef][\\x80-\\xbf]{2}|[\\xf0-\\xf4][\\x80-\\xbf]{3}|[^])';
  const source = pattern.replace(/\\[*?\\]|[^]/g, (sign) => {
    // Whole characters only: `*` ends where a character does.
    if (sign === '*') return `${character}*?`;
    if (sign === '?') return character;
    return `\\x${(sign.length === 2 ? sign.charCodeAt(1) : sign.charCodeAt(0)).toString(16).padStart(2, '0')}`;
  });
  return new RegExp(`^${source}$`);
}

function holds(value: Json | undefined, modifier: string | undefined, wanted: Wanted): boolean {
  const isAbsent = value === undefined || value === null;
  if (modifier === 'exists') return !isAbsent;
  if (wanted === null) return isAbsent;
  const text = textOf(value);
  if (text === undefined) return false;
  if (modifier === 'gt' || modifier === 'lte') {
    const isNumber =
      typeof value === 'number' ||
      (typeof value === 'string' && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value));
    const bound = wanted as number;
    return isNumber && (modifier === 'gt' ? Number(value) > bound : Number(value) <= bound);
  }
  if (typeof wanted === 'number') return value === wanted || text === String(wanted);
  const bytes = Buffer.from(String(wanted)).toString('latin1');
  const pattern =
    modifier === 'contains'
      ? `*${bytes}*`
      : modifier === 'startswith'
        ? `${bytes}*`
        : modifier === 'endswith'
          ? `*${bytes}`
          : bytes;
  return expression(pattern).test(text);
}

function evaluate(when: unknown, event: Json): boolean {
  if (Array.isArray(when)) return when.some((inner) => evaluate(inner, event));
  return Object.entries(when as Mapping).every(([key, wanted]) => {
    if (key === 'any') return (wanted as unknown[]).some((inner) => evaluate(inner, event));
    if (key === 'all') return (wanted as unknown[]).every((inner) => evaluate(inner, event));
    if (key === 'not') return !evaluate(wanted, event);
    const [name = '', modifier] = key.split('|');
    const values = valuesOf(
      event,
      name.split('.').map((segment) => Buffer.from(segment).toString('latin1')),
    );
    const isMatch = (Array.isArray(wanted) ? wanted : [wanted]).some((each: Wanted) =>
      values.some((value) => holds(value, modifier, each)),
    );
    return modifier === 'exists' && wanted === false ? !isMatch : isMatch;
  });
}

// Fields below which anything may stand, filled with the keys that `objectText` makes.
const name = fc
  .array(fc.constantFrom('a', 'b', 'c', 'stage', 'user', 'objectRef', 'é'), { minLength: 0, maxLength: 3 })
  .map((segments) => ['requestObject', ...segments].join('.'));
const text = fc.oneof(
  fc.constantFrom(
    '',
    '*',
    '?',
    'a',
    'a*',
    '*b',
    'a?',
    '*a*b*',
    'kube-*',
    'é',
    '日?',
    '\\*',
    'a\\*b',
    '\\\\',
    '"',
    '403',
    '1e3',
    '??',
  ),
  fc.string({ unit: fc.constantFrom('a', 'b', '*', '?', '\\', 'é', '-'), maxLength: 5 }),
);
const scalar = fc.oneof(text, fc.constantFrom(0, 403, -7, 1.5, 1000, true, false));
const value = fc.oneof(
  scalar,
  fc.constant(null),
  fc.array(fc.oneof(scalar, fc.constant(null)), { minLength: 1, maxLength: 12 }),
);
const entry = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(name, value) },
  fc.tuple(
    name.map((each) => `${each}|contains`),
    scalar,
  ),
  fc.tuple(
    name.map((each) => `${each}|startswith`),
    fc.array(scalar, { minLength: 1, maxLength: 3 }),
  ),
  fc.tuple(
    name.map((each) => `${each}|endswith`),
    scalar,
  ),
  fc.tuple(
    name.map((each) => `${each}|exists`),
    fc.boolean(),
  ),
  fc.tuple(
    name.map((each) => `${each}|gt`),
    fc.constantFrom(0, 100, 403, -7.5),
  ),
  fc.tuple(
    name.map((each) => `${each}|lte`),
    fc.constantFrom(0, 100, 403, -7.5),
  ),
);
const when = fc.letrec<{ when: unknown; mapping: Mapping; list: unknown[] }>((tie) => ({
  when: fc.oneof({ depthSize: 'small', withCrossShrink: true }, tie('mapping'), tie('list')),
  list: fc.array(tie('when'), { minLength: 1, maxLength: 3 }),
  mapping: fc
    .array(
      fc.oneof(
        { maxDepth: 3, depthIdentifier: 'when' },
        entry,
        fc.tuple(fc.constant('not'), tie('when')),
        fc.tuple(fc.constantFrom('any', 'all'), tie('list')),
      ),
      { minLength: 1, maxLength: 3 },
    )
    .map((entries) => Object.fromEntries<unknown>(entries)),
})).when;

function parsed(value: unknown): Condition {
  const result = parseWhen(value);
  if ('faults' in result) throw new Error(JSON.stringify(result.faults));
  return result.condition;
}

// Numbers whose text is not what JavaScript would write are left to the tables of test/event/match.test.ts.
const UNUSUAL_NUMBER = /[[:,\s](-0|1\.50|1e3|9007199254740993)[\s,}\]]|\d[eE]|\d{16}|0\.0000/;

t.test('conditions hold for exactly the events that they hold for when evaluated naively', async (t) => {
  const outcomes = { true: 0, false: 0 };
  fc.assert(
    fc.property(when, fc.array(objectText, { minLength: 1, maxLength: 6 }), (condition, objects) => {
      const lines = objects
        .filter((object) => !UNUSUAL_NUMBER.test(object))
        .map((object) => `{"requestObject":${object}}`);
      const fields = new FieldRegistry();
      const compiled = compileWhen(parsed(condition), fields);
      const { batch } = decode(Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1'), fields);
      return lines.every((line, i) => {
        const found = compiled(batch, i);
        outcomes[found ? 'true' : 'false']++;
        return found === evaluate(condition, parseFirstWins(line));
      });
    }),
    { numRuns: 2000 },
  );
  t.ok(outcomes.true > 300 && outcomes.false > 300, `both outcomes are common: ${JSON.stringify(outcomes)}`);
});
