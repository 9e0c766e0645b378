import { createRequire } from 'node:module';
import t from 'tap';
import { compileRegularExpression } from '../../src/event/regular-expression.js';

function found(source: string, text: string | Buffer, flags = ''): boolean {
  const compiled = compileRegularExpression(source, new Set(flags));
  if ('fault' in compiled) throw new Error(compiled.fault.message);
  return compiled.expression.test(Buffer.from(text));
}

t.test('the package is loaded with the first expression only', async (t) => {
  const isLoaded = (): boolean =>
    Object.keys(createRequire(import.meta.url).cache).some((file) => file.includes('/re2js/'));
  t.equal(isLoaded(), false);
  t.equal(found('b', 'abc'), true);
  t.equal(isLoaded(), true);
});

t.test('characters are matched, and each byte that is not UTF-8 is one', async (t) => {
  t.equal(found('^.$', '日'), true);
  t.equal(found('^日?本+$', '本本'), true);
  t.equal(found('^[ぁ-ん]{2}$', 'うえ'), true);
  t.equal(found('^.{2}$', Buffer.of(0xff, 0xfe)), true);
  t.equal(found('^\\pL$', 'é'), true);
  t.equal(found('^a.b$', Buffer.of(0x61, 0xff, 0x62)), true);
});

t.test('an expression that makes others try for years takes time in proportion to the text', async (t) => {
  const text = `${'a'.repeat(200_000)}!`;
  for (const source of ['(a+)+$', '^(a|aa)*$', '(a*)*b', '^(.*a){12}$', '(x+x+)+y', '([a-z]+)*\\d']) {
    t.equal(found(source, text), false, source);
  }
});

t.test('faults say what is wrong, and where', async (t) => {
  const rows: [source: string, fault: object][] = [
    ['a(?=b)', { message: /`\(\?=` is not supported/, hint: /`not:`/, offset: 1 }],
    ['a(?!b)', { message: /`\(\?!` is not supported/, offset: 1 }],
    ['ab(?<=b)c', { message: /`\(\?<=` is not supported/, offset: 2 }],
    ['ab(?<!b)c', { message: /`\(\?<!` is not supported/, offset: 2 }],
    ['x(?>a)', { message: /`\(\?>` is not supported/, offset: 1 }],
    ['(a)\\1', { message: /`\\1` is not supported/, hint: /RE2/, offset: 3 }],
    ['(?P<n>a)\\k<n>', { message: /`\\k` is not supported/, offset: 8 }],
    ['ab(', { message: /missing closing \)/, hint: /RE2/, offset: 0 }],
    ['a[b', { message: /missing closing \]/, offset: 1 }],
    ['*a', { message: /missing argument/, offset: 0 }],
    ['a++', { message: /nested repetition/, offset: 1 }],
    ['ab{1001}', { message: /repeat count/, offset: 2 }],
    ['[z-a]', { message: /character class range/, offset: 1 }],
    ['a\\', { message: /trailing backslash/, offset: 0 }],
    ['\\h', { message: /escape/, offset: 0 }],
  ];
  for (const [source, fault] of rows) {
    t.match(compileRegularExpression(source, new Set('im')), { fault }, source);
  }
});
