// Options against the schema that their component declares. What JSON Schema can say is checked by typebox; unknown
// keys, units, templates, conditions and paths are checked here. Each faulty part is reported once, with a
// position and, where possible, with what to write instead.
import { FormatRegistry, TypeRegistry } from '@sinclair/typebox';
import { Value, ValueErrorType } from '@sinclair/typebox/value';
import type { ValueError } from '@sinclair/typebox/value';
import { stringify } from 'yaml';
import type { Shape } from '../event/shape.js';
import { closest } from './closest.js';
import type { ConfigDocument, ValuePath } from './document.js';
import { FORMATS } from './formats.js';
import type { TSchema } from './schema.js';
import { parseBytes, parseDuration } from './units.js';

// typebox knows the formats of `schema.ts` as always valid, because `checkFormat` checks them, and the kind of
// `oneOf` and `when` as what their words say.
for (const format of Object.keys(FORMATS)) FormatRegistry.Set(format, () => true);
TypeRegistry.Set<TSchema>(
  'Unsafe',
  (schema, value) => !isArray(schema['enum']) || schema['enum'].includes(value),
);

interface Check {
  document: ConfigDocument;
  /** Where the options stand, and what has them: "the `files` sink". */
  base: ValuePath;
  owner: string;
  /** What may be named of an event. */
  known: Shape | undefined;
  /** Parts that a fault was found in: what typebox would find there is the same fault again. */
  reported: Set<string>;
}

/**
 * Reports every fault of the options at `base` and returns them with defaults filled in; they are good only where
 * nothing was reported. `owner` names in messages what has the options: "the `files` sink". `known` is what may be named
 * of an event there; else the fields of audit events.
 */
export function checkOptions(
  document: ConfigDocument,
  base: ValuePath,
  owner: string,
  schema: TSchema,
  value: unknown,
  known?: Shape,
): unknown {
  const check: Check = { document, base, owner, known, reported: new Set() };
  const filled = Value.Default(schema, checkPart(check, base, schema, structuredClone(value)));
  for (const error of Value.Errors(schema, filled)) {
    const path = [...base, ...error.path.split('/').slice(1).map(unescapePointer)];
    if (isReported(check, path)) continue;
    check.reported.add(keyOf(path));
    reportError(check, path, error);
  }
  return filled;
}

/**
 * What typebox doesn't check: keys that the schema lacks, and formats. Returns the value, in which text from the
 * environment has become a number or a boolean where the schema wants one.
 */
function checkPart(check: Check, path: ValuePath, schema: TSchema, value: unknown): unknown {
  if (FORMATS[formatOf(schema)]) {
    checkFormat(check, path, schema, value);
  } else if (isObject(schema['properties']) && isObject(value)) {
    const properties = schema['properties'] as Record<string, TSchema>;
    const isOpen = isObject(schema['additionalProperties']);
    for (const [key, part] of Object.entries(value)) {
      const property = Object.hasOwn(properties, key) ? properties[key] : undefined;
      if (property) value[key] = checkPart(check, [...path, key], property, part);
      else if (!isOpen) reportUnknownKey(check, [...path, key], properties, value);
    }
  } else if (isObject(schema['items']) && isArray(value)) {
    const items = schema['items'] as TSchema;
    return value.map((item, i) => checkPart(check, [...path, i], items, item));
  } else if (typeof value === 'string' && check.document.isFromEnvironment(path)) {
    return readAs(schema, value);
  }
  return value;
}

/** A variable holds text only, and inside `{ }` a reference to it must be quoted. */
function readAs(schema: TSchema, text: string): unknown {
  if (schema['type'] === 'integer' && /^-?\d{1,15}$/.test(text)) return Number(text);
  if (schema['type'] === 'boolean' && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

function checkFormat(check: Check, path: ValuePath, schema: TSchema, value: unknown): void {
  const format = FORMATS[formatOf(schema)];
  const hasUnit = schema['format'] === 'bytes' || schema['format'] === 'duration';
  const isChecked =
    schema['type'] !== 'string' || typeof value === 'string' || (hasUnit && typeof value === 'number');
  if (!format || !isChecked || check.document.hasBrokenPart(path)) return;
  const faults = format.check(value, check.known);
  if (faults.length > 0) check.reported.add(keyOf(path));
  for (const fault of faults) {
    if (hasUnit) {
      const message = `${nameOf(path)}: ${fault.message}, found ${check.document.quote(path)}`;
      check.document.report(path, { ...fault, message });
    } else {
      check.document.reportForeign(path, fault);
    }
  }
  const minimum: unknown = schema['formatMinimum'];
  if (faults.length === 0 && typeof minimum === 'string') {
    const parse = schema['format'] === 'bytes' ? parseBytes : parseDuration;
    if ((parse(String(value)) ?? 0) < (parse(minimum) ?? 0)) {
      const message = `${nameOf(path)} must be at least \`${minimum}\`, found ${check.document.quote(path)}`;
      check.document.report(path, { code: 'CONFIG_VALUE', message });
      check.reported.add(keyOf(path));
    }
  }
}

function reportUnknownKey(
  check: Check,
  path: ValuePath,
  properties: Record<string, TSchema>,
  siblings: object,
): void {
  const key = String(path.at(-1));
  const known = Object.keys(properties);
  // A key that is already set is hardly the one that was meant.
  const near = closest(
    key,
    known.filter((name) => !Object.hasOwn(siblings, name)),
  );
  const hint = near === undefined ? `known keys: ${known.join(', ')}` : `did you mean \`${near}\`?`;
  const message = `unknown key \`${key}\` in ${ownerOf(check, path)}`;
  check.document.report(path, { code: 'CONFIG_UNKNOWN_KEY', message, hint, atKey: true });
  check.reported.add(keyOf(path));
  // That the option itself is missing is the same mistake.
  if (near !== undefined) check.reported.add(keyOf([...path.slice(0, -1), near]));
}

function reportError(check: Check, path: ValuePath, { type, schema, value }: ValueError): void {
  const { document } = check;
  const example = exampleOf(path, schema);
  if (value === undefined) {
    const message = `${ownerOf(check, path)} lacks ${nameOf(path)}`;
    const hint = `add ${example ?? `${nameOf(path)}: ${expectedOf(schema)}`}`;
    document.report(path, { code: 'CONFIG_MISSING', message, hint });
    return;
  }
  const words: unknown = schema['enum'];
  const near = typeof value === 'string' && isArray(words) ? closest(value, words.map(String)) : undefined;
  const hint = near !== undefined ? `did you mean \`${near}\`?` : example && `for example ${example}`;
  const isWrongType = WRONG_TYPE.has(type) || (isArray(words) && typeof value !== 'string');
  document.report(path, {
    code: isWrongType ? 'CONFIG_TYPE' : 'CONFIG_VALUE',
    message: `${nameOf(path)} must be ${expectedOf(schema)}, found ${document.quote(path)}`,
    ...(hint === undefined ? {} : { hint }),
  });
}

const WRONG_TYPE: ReadonlySet<ValueErrorType> = new Set([
  ValueErrorType.Array,
  ValueErrorType.Boolean,
  ValueErrorType.Integer,
  ValueErrorType.Number,
  ValueErrorType.Object,
  ValueErrorType.String,
  ValueErrorType.Union,
]);

/** What a schema wants, as it stands after "must be". */
function expectedOf(schema: TSchema): string {
  const format = FORMATS[formatOf(schema)];
  if (format) return format.expected;
  if (schema.title !== undefined) return schema.title;
  if (isArray(schema['enum'])) return schema['enum'].map((word) => `\`${String(word)}\``).join(' or ');
  if (isArray(schema['anyOf'])) return (schema['anyOf'] as TSchema[]).map(expectedOf).join(' or ');
  switch (schema['type']) {
    case 'string':
      return typeof schema['pattern'] === 'string' ? `text that matches \`${schema['pattern']}\`` : 'text';
    case 'boolean':
      return '`true` or `false`';
    case 'integer':
      return `a whole number${rangeOf(schema)}`;
    case 'number':
      return `a number${rangeOf(schema)}`;
    case 'array':
      return schema['minItems'] === undefined ? 'a list' : `a list of at least ${String(schema['minItems'])}`;
    case 'object':
      return 'a mapping';
    default:
      return 'something else';
  }
}

function rangeOf(schema: TSchema): string {
  const { minimum, maximum } = schema as TSchema & { minimum?: number; maximum?: number };
  if (minimum === undefined) return maximum === undefined ? '' : ` of at most ${maximum}`;
  return maximum === undefined ? ` of at least ${minimum}` : ` from ${minimum} to ${maximum}`;
}

/** `key: value` as in a pipeline file, from the option's first example or its default. */
function exampleOf(path: ValuePath, schema: TSchema): string | undefined {
  const value: unknown = isArray(schema.examples) ? schema.examples[0] : schema.default;
  if (value === undefined) return undefined;
  const text = stringify(value, { collectionStyle: 'flow', singleQuote: true, lineWidth: 0 }).trim();
  const key = path.at(-1);
  return typeof key === 'string' ? `\`${key}: ${text}\`` : `\`${text}\``;
}

/** The last key of a path with the indexes after it, as messages name a part: `` `paths[0]` ``. */
function nameOf(path: ValuePath): string {
  const keyAt = path.findLastIndex((step) => typeof step === 'string' && !/^\d+$/.test(step));
  return `\`${String(path[keyAt])}${path
    .slice(keyAt + 1)
    .map((index) => `[${index}]`)
    .join('')}\``;
}

/** What the last step of a path belongs to. */
function ownerOf({ base, owner }: Check, path: ValuePath): string {
  return path.length - 1 > base.length ? nameOf(path.slice(0, -1)) : owner;
}

function isReported({ base, reported }: Check, path: ValuePath): boolean {
  for (let length = base.length; length <= path.length; length++) {
    if (reported.has(keyOf(path.slice(0, length)))) return true;
  }
  return false;
}

function keyOf(path: ValuePath): string {
  return path.map((step) => escapePointer(String(step))).join('/');
}

// RFC 6901 §3: the paths of typebox's errors.
function escapePointer(step: string): string {
  return step.replaceAll('~', '~0').replaceAll('/', '~1');
}
function unescapePointer(step: string): string {
  return step.replaceAll('~1', '/').replaceAll('~0', '~');
}

function formatOf(schema: TSchema): string {
  return typeof schema['format'] === 'string' ? schema['format'] : '';
}
function isArray(value: unknown): value is unknown[] {
  return Array.isArray(value);
}
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !isArray(value);
}
