// Templates: ordinary text with `{{ field ?? other ?? "text" }}` in it. The first alternative that an event has
// is taken; a field that is null counts as absent, an empty text as present. The last alternative must be one
// that no event lacks, so that rendering can not fail. Values are put in as they are: what is safe in the name
// of a file, `sink/files` knows.
import { computedField, KNOWN_FIELDS } from './audit.js';
import type { EventBatch } from './batch.js';
import { fromText } from './byte-string.js';
import type { ByteString } from './byte-string.js';
import type { Fault } from './fault.js';
import { formatFieldPath, readFieldPath } from './field-path.js';
import type { FieldPath } from './field-path.js';
import type { FieldRegistry } from './fields.js';
import type { Shape } from './shape.js';
import { compileFieldText, MAX_REMEMBERED, MAX_REMEMBERED_LENGTH } from './field-text.js';

export type Alternative =
  { readonly kind: 'field'; readonly path: FieldPath } | { readonly kind: 'text'; readonly text: ByteString };

/** Text between the values; `offset` is where in the template's text it begins, in characters. */
export interface Literal {
  readonly kind: 'literal';
  readonly text: ByteString;
  readonly offset: number;
}

/** The content of one `{{ }}`, in order of preference; no event lacks the last. */
export interface Alternatives {
  readonly kind: 'alternatives';
  readonly list: readonly Alternative[];
  readonly offset: number;
}

export type TemplatePart = Literal | Alternatives;
export type Template = readonly TemplatePart[];

/** Renders something for event i of a batch. */
export type Render = (batch: EventBatch, i: number) => ByteString;

/** Parses a template of `known` fields; all its faults are told, with their offsets. */
export function parseTemplate(
  text: string,
  known: Shape = KNOWN_FIELDS,
): { template: Template } | { faults: Fault[] } {
  const template: TemplatePart[] = [];
  const faults: Fault[] = [];
  let p = 0;
  while (p < text.length) {
    const open = text.indexOf('{{', p);
    const literal = open < 0 ? text.slice(p) : text.slice(p, open);
    const stray = literal.indexOf('}}');
    if (stray >= 0) faults.push(broken('`}}` without a `{{` before it', p + stray, LITERAL_BRACES));
    if (literal !== '') template.push({ kind: 'literal', text: fromText(literal), offset: p });
    if (open < 0) break;
    const value = readValue(text, open, known);
    if ('fault' in value) {
      faults.push(value.fault);
      const close = text.indexOf('}}', value.fault.offset ?? open);
      if (close < 0) break;
      p = close + 2;
    } else {
      template.push({ kind: 'alternatives', list: value.list, offset: open });
      p = value.end;
    }
  }
  return faults.length > 0 ? { faults } : { template };
}

const LITERAL_BRACES = 'braces that are meant as text are written `{{ "{{" }}`';

function broken(message: string, offset: number, hint: string): Fault {
  return { code: 'CONFIG_TEMPLATE', message, offset, hint };
}

// Reads `{{ … }}` from its first brace on.
function readValue(
  text: string,
  open: number,
  known: Shape,
): { list: Alternative[]; end: number } | { fault: Fault } {
  const list: Alternative[] = [];
  let p = open + 2;
  for (;;) {
    p = skipSpace(text, p);
    const start = p;
    const read = readAlternative(text, p, open, known);
    if ('fault' in read) return read;
    list.push(read.alternative);
    p = skipSpace(text, read.end);
    if (text.startsWith('??', p)) {
      p += 2;
      continue;
    }
    if (!text.startsWith('}}', p)) {
      if (p === text.length) return { fault: broken('`{{` is never closed', open, 'close it with `}}`') };
      return { fault: broken('`??` or `}}` must stand here', p, 'write `{{ field ?? other ?? "text" }}`') };
    }
    if (canBeAbsent(read.alternative)) {
      const field = formatFieldPath(read.alternative.path);
      return {
        fault: {
          code: 'CONFIG_TEMPLATE_ABSENT',
          message: `an event can lack \`${field}\``,
          hint: `end with a text for that case: \`{{ ${field} ?? "none" }}\``,
          offset: start,
        },
      };
    }
    return { list, end: p + 2 };
  }
}

function readAlternative(
  text: string,
  start: number,
  open: number,
  known: Shape,
): { alternative: Alternative; end: number } | { fault: Fault } {
  const first = text[start];
  if (first === undefined) return { fault: broken('`{{` is never closed', open, 'close it with `}}`') };
  if (first === '"') {
    const quoted = /^"((?:[^"\\]|\\["\\])*)"/s.exec(text.slice(start));
    if (!quoted) {
      const hint = 'a text ends with `"`; inside it a quote is written `\\"` and a backslash `\\\\`';
      return { fault: broken('broken text in quotes', start, hint) };
    }
    const content = (quoted[1] ?? '').replace(/\\(.)/gs, '$1');
    return { alternative: { kind: 'text', text: fromText(content) }, end: start + quoted[0].length };
  }
  if (first === "'") return { fault: broken('a text must stand in double quotes', start, 'write `"none"`') };
  if (text.startsWith('}}', start) || text.startsWith('??', start)) {
    return {
      fault: broken('a field or a text in quotes must stand here', start, 'write `{{ field ?? "text" }}`'),
    };
  }
  const read = readFieldPath(text, start, known);
  if ('fault' in read) return read;
  return { alternative: { kind: 'field', path: read.path }, end: read.end };
}

function canBeAbsent(alternative: Alternative): alternative is Alternative & { kind: 'field' } {
  if (alternative.kind === 'text') return false;
  const computed = computedField(alternative.path);
  return computed !== 'tag' && computed !== 'time';
}

function skipSpace(text: string, at: number): number {
  let p = at;
  while (p < text.length && ' \t\r\n'.includes(text.charAt(p))) p++;
  return p;
}

/** Makes the function that renders a template. Strings are made once per distinct value, not per event. */
export function compileTemplate(template: Template, fields: FieldRegistry): Render {
  const renders: Render[] = [];
  const lastValue = template.findLastIndex((part) => part.kind === 'alternatives');
  const trailing = literalText(template.slice(lastValue + 1));
  let before = '';
  template.slice(0, lastValue + 1).forEach((part, index) => {
    if (part.kind === 'literal') {
      before += part.text;
      return;
    }
    const prefix = before;
    const suffix = index === lastValue ? trailing : '';
    renders.push(compileAlternatives(part, fields, (value) => prefix + value + suffix));
    before = '';
  });
  const [first, ...others] = renders;
  return first === undefined ? () => trailing : others.reduce(concatenated, first);
}

/**
 * Makes the function that renders the alternatives of one `{{ }}`. `transform` is applied to the value, once per
 * distinct value as far as the caches reach; it must depend on its argument only.
 */
export function compileAlternatives(
  alternatives: Alternatives,
  fields: FieldRegistry,
  transform: (value: ByteString) => ByteString = (value) => value,
): Render {
  const renders = alternatives.list.map((alternative) => {
    if (alternative.kind === 'field') return compileFieldText(alternative.path, fields, transform);
    const text = transform(alternative.text);
    return () => text;
  });
  return (batch, i) => {
    for (const render of renders) {
      const value = render(batch, i);
      if (value !== undefined) return value;
    }
    throw new Error('impossible: a template whose last alternative is absent');
  };
}

function literalText(parts: Template): ByteString {
  return parts.map((part) => (part.kind === 'literal' ? part.text : '')).join('');
}

// Two rendered strings as one. Both come out of caches, so that looking up the pair is cheaper than making, and
// later hashing, a new string for each event.
function concatenated(left: Render, right: Render): Render {
  const known = new Map<ByteString, Map<ByteString, ByteString>>();
  let size = 0;
  return (batch, i) => {
    const a = left(batch, i);
    const b = right(batch, i);
    if (a.length + b.length > MAX_REMEMBERED_LENGTH) return a + b;
    let pairs = known.get(a);
    let result = pairs?.get(b);
    if (result === undefined) {
      if (size >= MAX_REMEMBERED) {
        known.clear();
        size = 0;
        pairs = undefined;
      }
      result = a + b;
      if (pairs === undefined) known.set(a, (pairs = new Map<ByteString, ByteString>()));
      pairs.set(b, result);
      size++;
    }
    return result;
  };
}
