// Reads a `when` of a pipeline file: a Sigma selection (https://sigmahq.io/docs/basics/rules.html). A mapping of
// fields to values holds if all of them do; a list of values, or of mappings, if one does. `any:`, `all:` and `not:`
// combine conditions. What a value means is said here, `modifiers.ts` has the modifiers; `match.ts` makes it fast.
import { KNOWN_FIELDS } from './audit.js';
import { fromText } from './byte-string.js';
import type { Fault } from './fault.js';
import { formatFieldPath, readFieldPath, unexpected } from './field-path.js';
import type { FieldPath } from './field-path.js';
import { readModifiers } from './modifiers.js';
import type { Modifiers, Test } from './modifiers.js';
import { parseNetwork } from './networks.js';
import type { Network } from './networks.js';
import { parsePattern, widen } from './pattern.js';
import type { Pattern } from './pattern.js';
import { compileRegularExpression } from './regular-expression.js';
import type { RegularExpression } from './regular-expression.js';
import type { Shape } from './shape.js';
import { timestampMs } from './timestamp.js';

export type Condition =
  | { readonly kind: 'all' | 'any'; readonly of: readonly Condition[] }
  | { readonly kind: 'not'; readonly of: Condition }
  | FieldCondition;

export interface FieldCondition {
  readonly kind: 'field';
  readonly path: FieldPath;
  readonly tests: readonly ValueTest[];
  /** The tests see a text with each `%XX` decoded. */
  readonly isDecoded: boolean;
}

/** What one value of a field may be; a field matches if one of its tests holds for one of its values. */
export type ValueTest =
  /** Absent or null. */
  | { readonly kind: 'null' }
  /** Neither absent nor null. */
  | { readonly kind: 'exists' }
  | { readonly kind: 'text'; readonly pattern: Pattern }
  /** The number, however it is written, or a string of its digits. */
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 're'; readonly expression: RegularExpression }
  | { readonly kind: 'cidr'; readonly network: Network }
  | { readonly kind: Comparison; readonly bound: number };

export type Comparison = 'gt' | 'gte' | 'lt' | 'lte';

type ValuePath = readonly (string | number)[];

/**
 * Parses a condition on `known` fields; all its faults are told. Parts that are `undefined` were reported as broken before: with them
 * there is no condition, but no fault either.
 */
export function parseWhen(
  value: unknown,
  known: Shape = KNOWN_FIELDS,
): { condition: Condition } | { faults: Fault[] } {
  const parser = new WhenParser(known);
  const condition = parser.condition(value, []);
  return condition === undefined || parser.faults.length > 0 ? { faults: parser.faults } : { condition };
}

class WhenParser {
  readonly faults: Fault[] = [];
  readonly #known: Shape;

  constructor(known: Shape) {
    this.#known = known;
  }

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
    const read = readFieldPath(key, 0, this.#known);
    if ('fault' in read) return this.#keyFault(path, read.fault);
    if (read.end < key.length && key[read.end] !== '|')
      return this.#keyFault(path, unexpected(key, read.end));
    const modifiers = readModifiers(key, read.end);
    if ('fault' in modifiers) return this.#keyFault(path, modifiers.fault);
    return value === undefined ? undefined : this.#field(read.path, modifiers, value, path);
  }

  #field(field: FieldPath, modifiers: Modifiers, value: unknown, path: ValuePath): Condition | undefined {
    const { test, changes } = modifiers;
    const condition = (...tests: ValueTest[]): FieldCondition => ({
      kind: 'field',
      path: field,
      tests,
      isDecoded: changes.has('decoded'),
    });
    if (test === 'exists') {
      if (typeof value !== 'boolean') return this.#fault(path, '`|exists` takes true or false');
      const exists = condition({ kind: 'exists' });
      return value ? exists : { kind: 'not', of: exists };
    }
    if (isComparison(test)) {
      const bound = this.#bound(field, test, value, path);
      return bound === undefined ? undefined : condition({ kind: test, bound });
    }
    const isList = Array.isArray(value);
    if (changes.has('all') && !(isList && value.length > 1)) {
      return this.#fault(path, '`|all` takes a list of at least two values');
    }
    if (isList && value.length === 0) return this.#fault(path, 'an empty list matches nothing');
    const read = isList
      ? value.map((each: unknown, index) => this.#test(field, modifiers, each, [...path, index]))
      : [this.#test(field, modifiers, value, path)];
    const tests = read.filter((each) => each !== undefined);
    if (tests.length < read.length) return undefined;
    return changes.has('all')
      ? { kind: 'all', of: tests.map((each) => condition(each)) }
      : condition(...tests);
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

  #test(field: FieldPath, modifiers: Modifiers, value: unknown, path: ValuePath): ValueTest | undefined {
    if (value === undefined) return undefined;
    const { test, changes } = modifiers;
    const isPlain = test === 'equals' && !changes.has('decoded');
    if (value === null) {
      if (isPlain && !changes.has('cased')) return { kind: 'null' };
      const name = test !== 'equals' ? test : changes.has('decoded') ? 'decoded' : 'cased';
      return this.#fault(path, `\`|${name}\` takes a text, not null`);
    }
    if (typeof value === 'number' && this.#number(value, path) === undefined) return undefined;
    if (typeof value === 'number' && isPlain) return { kind: 'number', value };
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
    return this.#textTest(modifiers, String(value), path);
  }

  #textTest({ test, changes }: Modifiers, text: string, path: ValuePath): ValueTest | undefined {
    if (test === 're') {
      const compiled = compileRegularExpression(text, changes);
      if ('expression' in compiled) return { kind: 're', expression: compiled.expression };
      return this.#fault(path, compiled.fault.message, compiled.fault);
    }
    if (test === 'cidr') {
      const network = parseNetwork(text);
      if (network) return { kind: 'cidr', network };
      const hint = 'write a network such as `10.0.0.0/8` or `fd00::/8`, or one address';
      return this.#fault(path, '`|cidr` takes an IP network', { hint });
    }
    const pattern = parsePattern(text);
    const isPart = test === 'contains' || test === 'startswith' || test === 'endswith';
    return { kind: 'text', pattern: isPart ? widen(pattern, test) : pattern };
  }

  // Above 2^53 YAML's number is not the one that was written.
  #number(value: number, path: ValuePath): number | undefined {
    if (!Number.isFinite(value)) return this.#fault(path, 'JSON has no such number');
    if (!Number.isInteger(value) || Number.isSafeInteger(value)) return value;
    return this.#fault(path, 'too large to be an exact number', { hint: 'write it in quotes' });
  }

  #fault(path: ValuePath, message: string, more: Pick<Fault, 'hint' | 'offset'> = {}): undefined {
    this.faults.push({ code: 'CONFIG_WHEN', ...more, message, path });
    return undefined;
  }

  #keyFault(path: ValuePath, fault: Fault): undefined {
    this.faults.push({ ...fault, path, atKey: true });
    return undefined;
  }
}

function isComparison(test: Test): test is Comparison {
  return test === 'gt' || test === 'gte' || test === 'lt' || test === 'lte';
}

function combine(kind: 'all' | 'any', of: readonly (Condition | undefined)[]): Condition | undefined {
  const conditions = of.filter((condition) => condition !== undefined);
  if (conditions.length < of.length) return undefined;
  return conditions.length === 1 ? conditions[0] : { kind, of: conditions };
}
