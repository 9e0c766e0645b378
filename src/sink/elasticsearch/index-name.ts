// Which index an event goes to: a template of literal text, values and time, made fit for the server's rules. A name
// always begins with the operator's own text, so that no value can name an index of the system; and there is a bound on
// how many names values can make, because each costs the cluster memory.
import { createHash } from 'node:crypto';
import { compileTime } from '../../event/audit.js';
import type { EventBatch } from '../../event/batch.js';
import { toBuffer, toText } from '../../event/byte-string.js';
import type { ByteString } from '../../event/byte-string.js';
import type { Fault } from '../../event/fault.js';
import type { FieldRegistry } from '../../event/fields.js';
import type { Shape } from '../../event/shape.js';
import { compileAlternatives } from '../../event/template.js';
import { parsePathTemplate, renderPath, sliceOf } from '../files/path-template.js';
import type { PathTemplate, TimeSlice } from '../files/path-template.js';

/** A name has at most 255 bytes, and that of a backing index puts `.ds-` and `-2026.11.21-000001` around it. */
const LONGEST_NAME = 230;
/** What is cut to fit is told apart by so many hex digits of its SHA-256. */
const DIGEST_LENGTH = 32;
const MAX_CACHED = 10_000;

/** What may not stand in a name: elastic/elasticsearch `Strings.INVALID_FILENAME_CHARS`, upper case, and the rest of ASCII and UTF-8. */
const UNFIT = /[^a-z0-9._@+=%-]/g;

/** Takes the template of a name apart. Faults: those of a path of one part, and what no name may hold. */
export function parseIndexTemplate(
  text: string,
  known?: Shape,
): { template: PathTemplate } | { faults: Fault[] } {
  const parsed = parsePathTemplate(text, known);
  if ('faults' in parsed) return parsed;
  const { parts } = parsed.template;
  const fault = (message: string, hint: string): { faults: Fault[] } => ({
    faults: [{ code: 'CONFIG_TEMPLATE', message, hint }],
  });
  const [first] = parts;
  if (first?.kind !== 'text' || !/^[a-z0-9.]/.test(first.text))
    return fault(
      'the name of an index begins with text: a small letter or a digit',
      'write for example `audit-{{ tag }}`',
    );
  const literal = parts.map((part) => (part.kind === 'text' ? toText(part.text) : '')).join('');
  const unfit = literal.match(/[^a-z0-9._@+=-]/u)?.[0];
  if (unfit !== undefined)
    return fault(
      `\`${unfit}\` can not stand in the name of an index`,
      'use small letters, digits, `-`, `_` and `.`',
    );
  return parsed;
}

/** A value as it stands in a name. Different values can become the same: they share an index, and nothing else. */
export function indexNamePart(value: ByteString): string {
  const fit = value.slice(0, LONGEST_NAME).toLowerCase().replace(UNFIT, '_');
  return value.length <= LONGEST_NAME ? fit : `${fit}_${digestOf(toBuffer(value))}`;
}

function fitting(name: string): string {
  if (name.length <= LONGEST_NAME) return name;
  return `${name.slice(0, LONGEST_NAME - DIGEST_LENGTH - 1)}_${digestOf(name)}`;
}

function digestOf(bytes: Buffer | string): string {
  return createHash('sha256').update(bytes).digest('hex').slice(0, DIGEST_LENGTH);
}

/** Where an event goes. */
export interface IndexName {
  /** What is written to. */
  target: string;
  /** Where its document can be already: one made before the bound was reached, or after. */
  places: readonly string[];
}

/** Names the indices of events. */
export class IndexNames {
  readonly #template: PathTemplate;
  readonly #values: ((batch: EventBatch, i: number) => ByteString)[];
  readonly #time: (batch: EventBatch, i: number) => number;
  readonly #maxGroups: number;
  readonly #overflow: string;
  readonly #groups = new Set<string>();
  #slice: TimeSlice = { startMs: Infinity, endMs: -Infinity, date: new Date(0) };
  /** Names in that slice by the values that made them. */
  readonly #known = new Map<ByteString, IndexName>();

  /** `overflow` is a template that validation has passed, of text and time only. */
  constructor(text: string, maxGroups: number, overflow: string | undefined, fields: FieldRegistry) {
    this.#template = indexTemplateOf(text);
    const { parts, unit } = this.#template;
    this.#values = parts.flatMap((part) =>
      part.kind === 'value' ? [compileAlternatives(part.alternatives, fields)] : [],
    );
    this.#time = unit === undefined ? () => 0 : compileTime(fields);
    this.#maxGroups = maxGroups;
    const [first] = parts;
    this.#overflow = overflow ?? `${first?.kind === 'text' ? first.text : ''}overflow`;
  }

  /** The name for event i. The object is shared: one a name. */
  of(batch: EventBatch, i: number): IndexName {
    const timeMs = this.#time(batch, i);
    if (timeMs < this.#slice.startMs || timeMs >= this.#slice.endMs) {
      this.#slice = sliceOf(this.#template.unit, timeMs);
      this.#known.clear();
    }
    const key = this.#keyOf(batch, i);
    let name = this.#known.get(key);
    if (!name) {
      name = this.#make(this.#values.map((value) => value(batch, i)));
      if (this.#known.size >= MAX_CACHED) this.#known.clear();
      this.#known.set(key, name);
    }
    return name;
  }

  #keyOf(batch: EventBatch, i: number): ByteString {
    const [only] = this.#values;
    if (!only) return '';
    if (this.#values.length === 1) return only(batch, i);
    return this.#values.map((value) => lengthFirst(value(batch, i))).join('');
  }

  /** The name that event i has where there is no bound; nothing is remembered. */
  plain(batch: EventBatch, i: number): string {
    const values = this.#values.map((value) => value(batch, i));
    const slice = sliceOf(this.#template.unit, this.#time(batch, i));
    return fitting(renderPath(this.#template, slice, values, indexNamePart).key);
  }

  #make(values: readonly ByteString[]): IndexName {
    const { key, group } = renderPath(this.#template, this.#slice, values, indexNamePart);
    const own = fitting(key);
    if (values.length === 0) return { target: own, places: [own] };
    // Which names come first depends on where reading began: before a crash the same event can have gone to the other.
    if (this.#groups.has(group) || this.#groups.size < this.#maxGroups) {
      this.#groups.add(group);
      return { target: own, places: [own, this.#overflow] };
    }
    return { target: this.#overflow, places: [this.#overflow, own] };
  }
}

/** Such texts one after the other are not equal unless each is. */
function lengthFirst(text: ByteString): ByteString {
  return `${text.length}:${text}`;
}

/** The template of a validated name. */
export function indexTemplateOf(text: string): PathTemplate {
  const result = parseIndexTemplate(text, 'anything');
  if ('faults' in result) throw new Error(`impossible: unvalidated index ${JSON.stringify(text)}`);
  return result.template;
}
