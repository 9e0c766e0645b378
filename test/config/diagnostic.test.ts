import t from 'tap';
import { formatDiagnostic } from '../../src/config/diagnostic.js';
import type { Diagnostic } from '../../src/config/diagnostic.js';

const fault = (sourceLine: string, column: number): Diagnostic => ({
  code: 'CONFIG_VALUE',
  message: 'broken',
  file: 'a.yaml',
  line: 12,
  column,
  sourceLine,
});
/** The source line and the caret's line, without the gutter. */
function shown(sourceLine: string, column: number): [string, string] {
  const lines = formatDiagnostic(fault(sourceLine, column)).split('\n');
  return [lines[1]?.slice('  12 | '.length) ?? '', lines[2]?.slice('     | '.length) ?? ''];
}

t.test('place, code, message, line, caret and hint', async (t) => {
  t.equal(
    formatDiagnostic({ ...fault('  keep: x', 9), hint: 'write `keep: 48`' }),
    `a.yaml:12:9: CONFIG_VALUE broken
  12 |   keep: x
     |         ^
  hint: write \`keep: 48\`
`,
  );
});

t.test('a fault of the whole file has no line to show', async (t) => {
  t.equal(
    formatDiagnostic({
      code: 'CONFIG_EMPTY',
      message: 'the file is empty',
      file: 'a.yaml',
      line: 1,
      column: 1,
    }),
    'a.yaml:1:1: CONFIG_EMPTY the file is empty\n',
  );
});

t.test('tabs and wide, combining and control characters do not misplace the caret', async (t) => {
  t.same(shown('\tx: y', 5), ['    x: y', '       ^']);
  t.same(shown('日本😀: y', 6), ['日本😀: y', '        ^']);
  t.same(shown('e\u0301a: y', 5), ['e\u0301a: y', '   ^']);
  t.same(shown('\u001b[31m\u0007: y', 9), ['\uFFFD[31m\uFFFD: y', '        ^']);
  t.same(shown('', 1), ['', '^']);
});

t.test('nothing in a diagnostic reaches the terminal as an escape sequence or reorders text', async (t) => {
  const evil = 'a\u001b]0;x\u0007\u009b\r\u202e\u2066\u200b\u2028\u007f\ud800b';
  const text = formatDiagnostic({ ...fault(evil, 1), file: evil, message: evil, hint: evil });
  t.notMatch(text, /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\u2028]/u);
  t.equal(text.split('\n').length, 5, 'nor does it add a line');
});

t.test('a long line is cut around the caret', async (t) => {
  const line = Array.from({ length: 100 }, (_, i) => String(i).padStart(4, ' ')).join('');
  for (const column of [1, 61, 62, 200, 397, 400]) {
    const [text, caret] = shown(line, column);
    const at = caret.length - 1;
    t.equal(text[at], line[column - 1], `column ${column}`);
    t.ok(text.length <= 102);
    const isCutBefore = text.startsWith('…');
    t.equal(isCutBefore, column > 61);
    t.ok(line.includes(text.replaceAll('…', '')));
  }
  t.match(shown(line, 1)[0], /…$/);
  t.notMatch(shown(line, 400)[0], /…$/);
  const [text, caret] = shown('日'.repeat(200), 100);
  t.ok(Array.from(text).length <= 52, 'wide characters count twice');
  t.equal(caret, `${' '.repeat(61)}^`);
});
