// A fault in a pipeline file as a person sees it: where, which, the line with a caret, and what to write instead.
// Whatever stands in the file, printing it never moves the caret or reaches the terminal as an escape sequence.
import type { ConfigCode } from '../errors.js';

export interface Diagnostic {
  code: ConfigCode;
  /** What is wrong, in lower case, without a full stop. */
  message: string;
  /** What to write instead. */
  hint?: string;
  /** As named on the command line, or found in a directory named there. */
  file: string;
  /** From 1. A fault of the file as a whole has line 1, column 1 and no `sourceLine`. */
  line: number;
  /** From 1, in characters (not bytes, not UTF-16 units). */
  column: number;
  sourceLine?: string;
}

/** Columns of a source line that are shown; a longer line is cut around the caret. */
const MAX_SHOWN_COLUMNS = 100;
/** Columns kept before the caret when a line is cut. */
const SHOWN_BEFORE_CARET = 60;
const TAB_COLUMNS = 4;

/** By file, then position. */
export function compareDiagnostics(a: Diagnostic, b: Diagnostic): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return a.line - b.line || a.column - b.column;
}

/** `file:line:column: CODE message`, the source line with a caret, the hint; each line ends with a newline. */
export function formatDiagnostic(diagnostic: Diagnostic): string {
  const { file, line, column, code, message, hint, sourceLine } = diagnostic;
  const lines = [`${printable(file)}:${line}:${column}: ${code} ${printable(message)}`];
  if (sourceLine !== undefined) {
    const gutter = `  ${line} | `;
    const { text, caretColumn } = excerpt(sourceLine, column);
    lines.push(gutter + text, `${' '.repeat(gutter.length - 2)}| ${' '.repeat(caretColumn)}^`);
  }
  if (hint !== undefined) lines.push(`  hint: ${printable(hint)}`);
  return lines.join('\n') + '\n';
}

/** Characters that a terminal obeys or that reorder or hide text become U+FFFD. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, '\uFFFD');
}

/** What is shown of a line, and how many terminal columns stand before the caret. */
function excerpt(sourceLine: string, column: number): { text: string; caretColumn: number } {
  const cells = Array.from(sourceLine, (character) => {
    if (character === '\t') return { text: ' '.repeat(TAB_COLUMNS), columns: TAB_COLUMNS };
    const text = printable(character);
    return { text, columns: columnsOf(text) };
  });
  let from = Math.min(column - 1, cells.length);
  let caretColumn = 0;
  const total = cells.reduce((sum, cell) => sum + cell.columns, 0);
  const limit = total > MAX_SHOWN_COLUMNS ? SHOWN_BEFORE_CARET : Infinity;
  for (; from > 0; from--) {
    const columns = cells[from - 1]?.columns ?? 0;
    if (caretColumn + columns > limit) break;
    caretColumn += columns;
  }
  let to = from;
  let shown = 0;
  for (; to < cells.length; to++) {
    shown += cells[to]?.columns ?? 0;
    if (shown > MAX_SHOWN_COLUMNS) break;
  }
  const isCutBefore = from > 0;
  const text = cells.slice(from, to).map((cell) => cell.text);
  return {
    text: (isCutBefore ? '…' : '') + text.join('') + (to < cells.length ? '…' : ''),
    caretColumn: caretColumn + (isCutBefore ? 1 : 0),
  };
}

const WIDE =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\p{Emoji_Presentation}\u3000-\u303e\uff01-\uff60\uffe0-\uffe6]/u;

/** Terminal columns of one printable character. */
function columnsOf(character: string): number {
  if (/[\p{Mn}\p{Me}]/u.test(character)) return 0;
  return WIDE.test(character) ? 2 : 1;
}
