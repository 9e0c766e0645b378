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

const SEQUENCE = /[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}|[\x80-\xff]/g;

/** The text of a byte string; each byte that is no UTF-8 is U+FFFD. */
function characters(bytes: string): string {
  const text = bytes.replace(SEQUENCE, (sequence) => {
    const buffer = Buffer.from(sequence, 'latin1');
    const isValid = Buffer.from(buffer.toString()).equals(buffer);
    return isValid ? buffer.toString() : '\ufffd'.repeat(sequence.length);
  });
  // For JavaScript these end a line, and these are letters of ASCII when capitals do not count; for RE2 they are not.
  return text.replace(/[\r\u2028\u2029]/g, '\x01').replace(/[\u017f\u212a]/g, 'ж');
}

function isIn(network: string, address: string): boolean {
  const [base = '', bits = '32'] = network.split('/');
  const parts = address.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return false;
  }
  const size = 2 ** (32 - Number(bits));
  const [start, at] = [base, address].map((text) =>
    Math.floor(text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0) / size),
  );
  return start === at;
}

function holds(value: Json | undefined, modifiers: readonly string[], wanted: Wanted): boolean {
  const is = (name: string): boolean => modifiers.includes(name);
  const isAbsent = value === undefined || value === null;
  if (is('exists')) return !isAbsent;
  if (wanted === null) return isAbsent;
  let text = textOf(value);
  if (text === undefined) return false;
  if (is('gt') || is('lte')) {
    const isNumber =
      typeof value === 'number' ||
      (typeof value === 'string' && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value));
    const bound = wanted as number;
    return isNumber && (is('gt') ? Number(value) > bound : Number(value) <= bound);
  }
  if (is('decoded')) {
    text = text.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)));
  } else if (typeof wanted === 'number' && modifiers.every((name) => name === 'cased' || name === 'all')) {
    return value === wanted || text === String(wanted);
  }
  if (is('re')) {
    const flags = modifiers.filter((name) => 'ims'.includes(name)).join('');
    return new RegExp(String(wanted), `u${flags}`).test(characters(text));
  }
  if (is('cidr')) return isIn(String(wanted), text);
  const bytes = Buffer.from(String(wanted)).toString('latin1');
  const before = is('contains') || is('endswith') ? '*' : '';
  const after = is('contains') || is('startswith') ? '*' : '';
  return expression(`${before}${bytes}${after}`).test(text);
}

function evaluate(when: unknown, event: Json): boolean {
  if (Array.isArray(when)) return when.some((inner) => evaluate(inner, event));
  return Object.entries(when as Mapping).every(([key, wanted]) => {
    if (key === 'any') return (wanted as unknown[]).some((inner) => evaluate(inner, event));
    if (key === 'all') return (wanted as unknown[]).every((inner) => evaluate(inner, event));
    if (key === 'not') return !evaluate(wanted, event);
    const [name = '', ...modifiers] = key.split('|');
    const values = valuesOf(
      event,
      name.split('.').map((segment) => Buffer.from(segment).toString('latin1')),
    );
    const matches = (each: Wanted): boolean => values.some((value) => holds(value, modifiers, each));
    const list = (Array.isArray(wanted) ? wanted : [wanted]) as Wanted[];
    const isMatch = modifiers.includes('all') ? list.every(matches) : list.some(matches);
    return modifiers.includes('exists') && wanted === false ? !isMatch : isMatch;
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
// Expressions that mean the same to RE2 and JavaScript.
const atom = fc.constantFrom(
  'a',
  'b',
  '.',
  'é',
  '日',
  '-',
  '4',
  '[a-c]',
  '[^a]',
  '\\*',
  '\\.',
  '\\d',
  '\\b',
  '^',
  '$',
  '(?:)',
);
const repeated = fc.tuple(atom, fc.constantFrom('', '', '', '*', '+', '?', '{2}', '{1,3}', '*?')).map(
  // Anchors are not repeated.
  ([sign, times]) => (/^(\^|\$|\\b)$/.test(sign) ? sign : `${sign}${times}`),
);
const branch = fc.array(repeated, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''));
const regularExpression = fc.oneof(
  branch,
  fc.tuple(branch, branch).map(([left, right]) => `${left}|${right}`),
  fc
    .tuple(branch, branch, fc.constantFrom('', '*', '?'))
    .map(([left, right, times]) => `(${left})${times}${right}`),
);
const network = fc.constantFrom(
  '10.0.0.0/8',
  '10.1.0.0/17',
  '192.168.1.7',
  '0.0.0.0/0',
  '172.16.0.0/12',
  '128.0.0.0/1',
);

/** An entry for a field with these modifiers, each of the optional ones sometimes, in any order. */
function modified(
  modifiers: readonly string[],
  optional: readonly string[],
  values: fc.Arbitrary<unknown>,
): fc.Arbitrary<[string, unknown]> {
  return fc
    .tuple(
      name,
      fc.shuffledSubarray([...optional]),
      fc.boolean(),
      fc.array(values, { minLength: 2, maxLength: 3 }),
    )
    .map(([field, more, isFirst, list]) => {
      const names = isFirst ? [...modifiers, ...more] : [...more, ...modifiers];
      return [[field, ...names].join('|'), more.includes('all') || list.length > 2 ? list : list[0]];
    });
}

const entry = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(name, value) },
  modified([], ['all'], fc.oneof(scalar, fc.constant(null))),
  modified([], ['all', 'cased', 'decoded'], scalar),
  modified(['contains'], ['all', 'cased', 'decoded'], scalar),
  modified(['startswith'], ['all', 'cased', 'decoded'], scalar),
  modified(['endswith'], ['all', 'cased', 'decoded'], scalar),
  { weight: 2, arbitrary: modified(['re'], ['all', 'decoded', 'i', 'm', 's'], regularExpression) },
  modified(['cidr'], ['all'], network),
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
