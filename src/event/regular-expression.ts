// Regular expressions that no event can stop the collector with: RE2 (package re2js) takes time in proportion to the
// length of a text times the size of the expression, whatever they are, and a bounded memory of some MiB. They are
// matched against the bytes of a text as UTF-8; a byte that is none counts as one character, U+FFFD. Bytes cost about
// 0.3 µs a value more than decoding a string first, but no copy of a value of many MiB.
import { createRequire } from 'node:module';
import type { Fault } from './fault.js';

/** A compiled expression. */
export interface RegularExpression {
  /** Whether the expression matches somewhere in the text, given as its bytes. */
  test(text: Uint8Array): boolean;
}

// Loaded when a condition has an expression: that costs 22 to 37 ms. CommonJS, since a condition is parsed at once.
const require = createRequire(import.meta.url);

const SYNTAX = 'the syntax is that of RE2: https://github.com/google/re2/wiki/Syntax';

/** Compiles an expression; `flags` are some of `i`, `m` and `s`. A fault's offset is one in `source`. */
export function compileRegularExpression(
  source: string,
  flags: ReadonlySet<string>,
): { expression: RegularExpression } | { fault: Omit<Fault, 'code'> } {
  const { RE2JS, RE2JSException, RE2JSSyntaxException } = require('re2js') as typeof import('re2js');
  try {
    const bits =
      (flags.has('i') ? RE2JS.CASE_INSENSITIVE : 0) |
      (flags.has('m') ? RE2JS.MULTILINE : 0) |
      (flags.has('s') ? RE2JS.DOTALL : 0);
    return { expression: RE2JS.compile(source, bits) };
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    const isSyntax = error instanceof RE2JSSyntaxException;
    const what = isSyntax ? error.getDescription() : error.message;
    return { fault: faultOf(source, what, (isSyntax && error.getPattern()) || '') };
  }
}

// `piece` is what re2js quotes: what is faulty, the expression from there on, or all of it behind its flags.
function faultOf(source: string, what: string, piece: string): Omit<Fault, 'code'> {
  const offset = Math.max(source.indexOf(piece), 0);
  const [construct] = /^(\(\?<?[=!]|\(\?>|\\[1-9k])/.exec(piece) ?? [];
  if (construct === undefined) return { message: `broken regular expression: ${what}`, hint: SYNTAX, offset };
  const isReference = construct.startsWith('\\');
  return {
    message: `\`${construct}\` is not supported: expressions run in linear time, whatever the text is`,
    hint: isReference ? SYNTAX : 'write a condition of its own for that part, under `all:` or `not:`',
    offset,
  };
}
