// Reads a `when` of a pipeline file: a Sigma selection (https://sigmahq.io/docs/basics/rules.html). A mapping of
// fields to values holds if all of them do; a list of values, or of mappings, if one does. `any:`, `all:` and `not:`
// combine conditions. What a value means is said here; `match.ts` makes it fast.
import { closest } from '../config/closest.js';
import { fromText } from './byte-string.js';
import type { Fault } from './fault.js';
import { formatFieldPath, readFieldPath, unexpected } from './field-path.js';
import type { FieldPath } from './field-path.js';
import { parsePattern, widen } from './pattern.js';
import type { Pattern } from './pattern.js';
import { timestampMs } from './timestamp.js';

export type Condition =
  | { readonly kind: 'all' | 'any'; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly of: Condition }
  | { readonly kind: 'field'; readonly path: FieldPath; readonly tests: readonly ValueTest[] };

/** What one value of a field may be; a field matches if one of its tests holds for one of its values. */
export type ValueTest =
  /** Absent or null. */
  | { readonly kind: 'null' }
  /** Neither absent nor null. */
  | { readonly kind: 'exists' }
  | { readonly kind: 'text'; readonly pattern: Pattern }
  /** The number, however it is written, or a string of its digits. */
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: Comparison; readonly bound: number };

export type Comparison = 'gt' | 'gte' | 'lt' | 'lte';

const COMPARISONS: readonly string[] = ['gt', 'gte', 'lt', 'lte'] satisfies Comparison[];
const TEXT_MODIFIERS: readonly string[] = ['contains', 'startswith', 'endswith'];
const MODIFIERS = [...TEXT_MODIFIERS, 'exists', ...COMPARISONS];

type ValuePath = readonly (string | number)[];

/**
 * Parses a condition; all its faults are told. Parts that are `undefined` were reported as broken before: with them
 * there is no condition, but no fault either.
 */
export function parseWhen(value: unknown): { condition: Condition } | { faults: Fault[] } {
  const parser = new WhenParser();
  const condition = parser.condition(value, []);
  return condition === undefined || parser.faults.length > 0 ? { faults: parser.faults } : { condition };
}

class WhenParser {
  readonly faults: Fault[] = [];

  condition(value: unknown, path: ValuePath): Condition | undefined {
    if (value === undefined) return undefined;
    if (Array.isArray(value)) return this.#conditions('any', value, path);
    if (typeof value !== 'object' || value === null) {
      return this.#fault(path, 'a condition is a mapping of fields to values, or a list of such mappings', {
        hint: 'write for example `{ verb: delete, objectRef.resource: secrets }`',
      });
    }
    const entries = Object.entries(value);
    if (entries.length === 0) {
      return this.#fault(path, 'an empty condition', { hint: 'name a field, or leave `when` out' });
    }
    const of = entries.map(([key, inner]) => this.#entry(key, inner, [...path, key]));
    return combine('all', of);
  }

  #conditions(kind: 'all' | 'any', value: unknown, path: ValuePath): Condition | undefined {
    if (value === undefined) return undefined;
    if (!Array.isArray(value)) return this.#fault(path, `\`${kind}\` takes a list of conditions`);
    if (value.length === 0) return this.#fault(path, 'an empty list of conditions');
    return combine(
      kind,
      value.map((inner: unknown, index) => this.condition(inner, [...path, index])),
    );
  }

  #entry(key: string, value: unknown, path: ValuePath): Condition | undefined {
    if (key === 'any' || key === 'all') return this.#conditions(key, value, path);
    if (key === 'not') {
      const of = this.condition(value, path);
      return of && { kind: 'not', of };
    }
    const read = readFieldPath(key, 0);
    if ('fault' in read) return this.#keyFault(path, read.fault);
    if (read.end < key.length && key[read.end] !== '|')
      return this.#keyFault(path, unexpected(key, read.end));
    const [, ...modifiers] = key.slice(read.end).split('|');
    if (modifiers.length > 1 && modifiers.every((modifier) => MODIFIERS.includes(modifier))) {
      return this.#keyFault(path, {
        code: 'CONFIG_MODIFIER',
        message: 'these modifiers can not be combined',
        hint: 'write one condition for each, under `all:`',
        offset: read.end,
      });
    }
    let offset = read.end;
    for (const modifier of modifiers) {
      if (!MODIFIERS.includes(modifier)) return this.#unknownModifier(modifier, offset + 1, path);
      offset += modifier.length + 1;
    }
    return this.#field(read.path, modifiers[0], value, path);
  }

  #unknownModifier(modifier: string, offset: number, path: ValuePath): undefined {
    const near = closest(modifier, MODIFIERS);
    return this.#keyFault(path, {
      code: 'CONFIG_MODIFIER',
      message: `there is no modifier \`|${modifier}\``,
      hint: near === undefined ? `the modifiers are |${MODIFIERS.join(' |')}` : `did you mean \`|${near}\`?`,
      offset,
    });
  }

  #field(
    field: FieldPath,
    modifier: string | undefined,
    value: unknown,
    path: ValuePath,
  ): Condition | undefined {
    if (value === undefined) return undefined;
    if (modifier === 'exists') {
      if (typeof value !== 'boolean') return this.#fault(path, '`|exists` takes true or false');
      const exists: Condition = { kind: 'field', path: field, tests: [{ kind: 'exists' }] };
      return value ? exists : { kind: 'not', of: exists };
    }
    if (isComparison(modifier)) {
      const bound = this.#bound(field, modifier, value, path);
      return bound === undefined
        ? undefined
        : { kind: 'field', path: field, tests: [{ kind: modifier, bound }] };
    }
    if (!Array.isArray(value)) {
      const test = this.#test(field, modifier, value, path);
      return test && { kind: 'field', path: field, tests: [test] };
    }
    if (value.length === 0) return this.#fault(path, 'an empty list matches nothing');
    const tests = value.map((each: unknown, index) => this.#test(field, modifier, each, [...path, index]));
    return tests.includes(undefined)
      ? undefined
      : { kind: 'field', path: field, tests: tests.filter((test) => test !== undefined) };
  }

  #bound(field: FieldPath, modifier: string, value: unknown, path: ValuePath): number | undefined {
    if (field.length === 1 && field[0] === 'time') {
      const ms = typeof value === 'string' ? timestampMs(value) : undefined;
      const hint = "write it as in an event: '2026-11-21T09:30:00Z'";
      return ms ?? this.#fault(path, `\`time|${modifier}\` takes a timestamp`, { hint });
    }
    if (typeof value === 'number') return this.#number(value, path);
    const isQuoted = typeof value === 'string' && value.trim() !== '' && Number.isFinite(Number(value));
    const options = isQuoted ? { hint: `write ${value} without quotes` } : {};
    return this.#fault(path, `\`|${modifier}\` takes a number`, options);
  }

  #test(
    field: FieldPath,
    modifier: string | undefined,
    value: unknown,
    path: ValuePath,
  ): ValueTest | undefined {
    if (value === undefined) return undefined;
    if (value === null) {
      if (modifier === undefined) return { kind: 'null' };
      return this.#fault(path, `\`|${modifier}\` takes a text, not null`);
    }
    if (typeof value === 'number' && this.#number(value, path) === undefined) return undefined;
    if (typeof value === 'number' && modifier === undefined) return { kind: 'number', value };
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
      const inner = Array.isArray(value) ? undefined : Object.keys(value)[0];
      return this.#fault(
        path,
        'a value is a text, a number, true, false or null',
        inner === undefined
          ? {}
          : { hint: `write \`${formatFieldPath([...field, fromText(inner)])}\` as the field` },
      );
    }
    const pattern = parsePattern(String(value));
    const where = modifier as 'contains' | 'startswith' | 'endswith' | undefined;
    return { kind: 'text', pattern: where === undefined ? pattern : widen(pattern, where) };
  }

  // Above 2^53 YAML's number is not the one that was written.
  #number(value: number, path: ValuePath): number | undefined {
    if (!Number.isFinite(value)) return this.#fault(path, 'JSON has no such number');
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value;
    return this.#fault(path, 'too large to be an exact number', { hint: 'write it in quotes' });
  }

  #fault(path: ValuePath, message: string, more: { hint?: string } = {}): undefined {
    this.faults.push({ code: 'CONFIG_WHEN', message, path, ...more });
    return undefined;
  }

  #keyFault(path: ValuePath, fault: Fault): undefined {
    this.faults.push({ ...fault, path, atKey: true });
    return undefined;
  }
}

function isComparison(modifier: string | undefined): modifier is Comparison {
  return modifier !== undefined && COMPARISONS.includes(modifier);
}

function combine(kind: 'all' | 'any', of: readonly (Condition | undefined)[]): Condition | undefined {
  const conditions = of.filter((condition) => condition !== undefined);
  if (conditions.length < of.length) return undefined;
  return conditions.length === 1 ? conditions[0] : { kind, of: conditions };
}
