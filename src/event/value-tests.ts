// The tests that a condition holds for one field, made ready to run over bytes: a value is looked at where it
// stands in the line, and only a string with escapes is copied first (to a scratch buffer). One test that holds
// is enough.
import { BACKSLASH, OPEN_BRACE, QUOTE } from './json-reader.js';
import { unescapeTo } from './json-string.js';
import { MAX_ADDRESS_BYTES, Networks } from './networks.js';
import { PERCENT, decodePercent } from './percent.js';
import { ANY_TEXT, literalLength, matchesPattern, parsePattern } from './pattern.js';
import type { Pattern } from './pattern.js';
import type { RegularExpression } from './regular-expression.js';
import type { Comparison, FieldCondition } from './when.js';

const NULL = 0x6e;
const MINUS = 0x2d;
const NINE = 0x39;
/** Larger values with escapes get a buffer of their own. */
const SCRATCH_BYTES = 64 * 1024;
/** So many texts are compared one by one; more of them are looked up by their hash. */
const MAX_COMPARED = 8;
/** Longer texts are no numbers. */
const MAX_NUMBER_BYTES = 64;

const scratch = Buffer.alloc(SCRATCH_BYTES);

interface PatternTest {
  pattern: Pattern;
  /** Signs before the first wildcard. */
  literal: number;
  /** Nothing but one `*` follows them. */
  isPrefix: boolean;
}

interface NumberTest {
  kind: Comparison | 'equal';
  bound: number;
}

export class ValueTests {
  /** Whether `matchesText` has anything to say that `matchesNumber` has not. */
  readonly hasTexts: boolean;
  /** Whether an absent or null field matches. */
  readonly matchesAbsent: boolean;
  readonly #isExists: boolean;
  /** Texts without wildcards, all of them, and by their hash where there are many. */
  readonly #texts: Pattern[] = [];
  readonly #byHash = new Map<number, Pattern[]>();
  readonly #patterns: PatternTest[] = [];
  readonly #numbers: NumberTest[] = [];
  readonly #expressions: RegularExpression[] = [];
  readonly #networks: Networks | undefined;
  readonly #isDecoded: boolean;
  /** Whether there is a test that nothing less than the whole text without escapes answers. */
  readonly #needsWholeText: boolean;

  constructor({ tests, isDecoded }: Pick<FieldCondition, 'tests' | 'isDecoded'>) {
    this.#isDecoded = isDecoded;
    this.matchesAbsent = tests.some((test) => test.kind === 'null');
    this.#isExists = tests.some((test) => test.kind === 'exists');
    for (const test of tests) {
      if (test.kind === 'text') {
        this.#addPattern(test.pattern);
      } else if (test.kind === 'number') {
        this.#texts.push(parsePattern(String(test.value)));
        this.#numbers.push({ kind: 'equal', bound: test.value });
      } else if (test.kind === 're') {
        this.#expressions.push(test.expression);
      } else if ('bound' in test) {
        this.#numbers.push({ kind: test.kind, bound: test.bound });
      }
    }
    const networks = tests.flatMap((test) => (test.kind === 'cidr' ? [test.network] : []));
    if (networks.length > 0) this.#networks = new Networks(networks);
    const hasParsed = this.#expressions.length > 0 || networks.length > 0;
    this.hasTexts = this.#isExists || this.#texts.length > 0 || this.#patterns.length > 0 || hasParsed;
    this.#needsWholeText = this.#texts.length > MAX_COMPARED || this.#numbers.length > 0 || hasParsed;
    if (this.#texts.length > MAX_COMPARED) {
      for (const text of this.#texts) {
        const hash = hashOf(text, 0, text.length);
        this.#byHash.set(hash, [...(this.#byHash.get(hash) ?? []), text]);
      }
    }
  }

  #addPattern(pattern: Pattern): void {
    const literal = literalLength(pattern);
    if (literal === pattern.length) {
      this.#texts.push(pattern);
    } else {
      const isPrefix = literal === pattern.length - 1 && pattern[literal] === ANY_TEXT;
      this.#patterns.push({ pattern, literal, isPrefix });
    }
  }

  /** Whether the raw JSON value `data[start..end)`, no array, matches. An object has no text: it only exists. */
  matchesRaw(data: Buffer, start: number, end: number): boolean {
    const first = data[start] as number;
    if (first === NULL) return this.matchesAbsent;
    if (this.#isExists) return true;
    if (first === OPEN_BRACE) return false;
    if (first === QUOTE) return this.#matchesString(data, start + 1, end - 1);
    if (this.#matchesTexts(data, start, end)) return true;
    const isNumber = first <= NINE || first === MINUS;
    return (
      isNumber && this.#numbers.length > 0 && this.matchesNumber(Number(data.toString('latin1', start, end)))
    );
  }

  /** Whether a text matches, given as its bytes; a text of digits is compared as a number too. */
  matchesText(data: Buffer, start: number, end: number): boolean {
    if (!this.#isDecoded) return this.#matchesWhole(data, start, end);
    const target = roomFor(end - start);
    data.copy(target, 0, start, end);
    return this.#matchesWhole(target, 0, decodePercent(target, end - start));
  }

  /** Whether a number matches one of the comparisons. */
  matchesNumber(value: number): boolean {
    return this.#numbers.some((test) => compares(test.kind, value, test.bound));
  }

  // The content of a JSON string. Most values differ from a text, or from the beginning of a pattern, in their first
  // few bytes, long before anyone has to know whether an escape comes later.
  #matchesString(data: Buffer, start: number, end: number): boolean {
    if (this.#isDecoded && hasEscape(data, start, end)) return this.#matchesEscaped(data, start, end);
    const isLookedUp = this.#texts.length > MAX_COMPARED;
    if (!isLookedUp) {
      for (const text of this.#texts) {
        const same = sameLength(text, text.length, data, start, end);
        if (same === text.length && same === end - start) return true;
        if (same < text.length && data[start + same] === BACKSLASH)
          return this.#matchesEscaped(data, start, end);
      }
    }
    let isLookedAt = false;
    for (const { pattern, literal, isPrefix } of this.#patterns) {
      const same = sameLength(pattern, literal, data, start, end);
      if (same < literal) {
        if (data[start + same] === BACKSLASH) return this.#matchesEscaped(data, start, end);
        continue;
      }
      if (isPrefix) return true;
      if (!isLookedAt && hasBackslash(data, start, end)) return this.#matchesEscaped(data, start, end);
      isLookedAt = true;
      if (matchesPattern(pattern, data, start, end)) return true;
    }
    if (!this.#needsWholeText) return false;
    if (!isLookedAt && hasBackslash(data, start, end)) return this.#matchesEscaped(data, start, end);
    return this.#matchesWhole(data, start, end);
  }

  #matchesEscaped(data: Buffer, start: number, end: number): boolean {
    const target = roomFor(end - start);
    const length = unescapeTo(target, data, start, end);
    return this.#matchesWhole(target, 0, this.#isDecoded ? decodePercent(target, length) : length);
  }

  #matchesWhole(data: Buffer, start: number, end: number): boolean {
    return this.#isExists || this.#matchesTexts(data, start, end) || this.#matchesDigits(data, start, end);
  }

  #matchesTexts(data: Buffer, start: number, end: number): boolean {
    let texts: readonly Pattern[] = this.#texts;
    if (texts.length > MAX_COMPARED) texts = this.#byHash.get(hashOf(data, start, end)) ?? [];
    for (const text of texts) if (isEqual(text, data, start, end)) return true;
    for (const { pattern } of this.#patterns) if (matchesPattern(pattern, data, start, end)) return true;
    if (this.#networks !== undefined && end - start <= MAX_ADDRESS_BYTES) {
      if (this.#networks.has(data.toString('latin1', start, end))) return true;
    }
    for (const expression of this.#expressions) {
      if (expression.test(data.subarray(start, end))) return true;
    }
    return false;
  }

  #matchesDigits(data: Buffer, start: number, end: number): boolean {
    if (this.#numbers.length === 0 || end - start > MAX_NUMBER_BYTES) return false;
    const text = data.toString('latin1', start, end);
    if (!/^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(text)) return false;
    // `equal` is for numbers; of a string it asks for the same digits.
    return this.#numbers.some(
      (test) => test.kind !== 'equal' && compares(test.kind, Number(text), test.bound),
    );
  }
}

function compares(kind: NumberTest['kind'], value: number, bound: number): boolean {
  switch (kind) {
    case 'equal':
      return value === bound;
    case 'gt':
      return value > bound;
    case 'gte':
      return value >= bound;
    case 'lt':
      return value < bound;
    case 'lte':
      return value <= bound;
  }
}

function roomFor(bytes: number): Buffer {
  return bytes <= SCRATCH_BYTES ? scratch : Buffer.allocUnsafe(bytes);
}

function hasEscape(data: Buffer, start: number, end: number): boolean {
  for (let p = start; p < end; p++) if (data[p] === BACKSLASH || data[p] === PERCENT) return true;
  return false;
}

function hasBackslash(data: Buffer, start: number, end: number): boolean {
  for (let p = start; p < end; p++) if (data[p] === BACKSLASH) return true;
  return false;
}

// How many of the first `length` bytes are those of the value, up to its end or its first escape.
function sameLength(bytes: Pattern, length: number, data: Buffer, start: number, end: number): number {
  const most = Math.min(length, end - start);
  let k = 0;
  while (k < most && bytes[k] === data[start + k] && bytes[k] !== BACKSLASH) k++;
  return k;
}

function isEqual(text: Pattern, data: Buffer, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let k = 0; k < text.length; k++) if (text[k] !== data[start + k]) return false;
  return true;
}

// FNV-1a. Only configured texts are in the table, so that no event can fill it.
function hashOf(data: Pattern | Buffer, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let p = start; p < end; p++) hash = Math.imul(hash ^ (data[p] as number), 0x01000193);
  return hash;
}
