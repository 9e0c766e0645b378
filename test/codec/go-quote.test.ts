import t from 'tap';
import { escapeLength, unquoteTo } from '../../src/codec/go-quote.js';

function unquote(quoted: string): string {
  const data = Buffer.from(quoted, 'latin1');
  const target = Buffer.alloc(data.length);
  return target.toString('latin1', 0, unquoteTo(target, 0, data, 0, data.length));
}

t.test('every escape of Go is undone', async (t) => {
  const cases: [string, string][] = [
    ['\\a\\b\\f\\n\\r\\t\\v', '\x07\b\f\n\r\t\v'],
    ['\\\\ \\" \\\'', '\\ " \''],
    ['\\x00\\x7f\\xfF', '\x00\x7f\xff'],
    ['\\000\\101\\377', '\x00A\xff'],
    ['\\u0041\\u00e9\\u65e5\\uFFFD', 'A\xc3\xa9\xe6\x97\xa5\xef\xbf\xbd'],
    ['\\U0001F600\\U0010ffff', '\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf'],
    ['plain, \xff and \xe6\x97\xa5', 'plain, \xff and \xe6\x97\xa5'],
  ];
  for (const [quoted, expected] of cases) t.equal(unquote(quoted), expected, quoted);
});

t.test('what is no escape has no length', async (t) => {
  const wrong = [
    '\\',
    '\\q',
    '\\x',
    '\\x0',
    '\\x0g',
    '\\u12',
    '\\u123g',
    '\\ud800',
    '\\udfff',
    '\\U00110000',
  ];
  for (const escape of [...wrong, '\\U0000d800', '\\U1234567', '\\400', '\\08', '\\018', '\\8'])
    t.equal(escapeLength(Buffer.from(escape), 0, escape.length), 0, escape);
});

t.test('an escape ends before the end that is given', async (t) => {
  for (const escape of ['\\n', '\\x41', '\\101', '\\u0041', '\\U00000041']) {
    const data = Buffer.from(escape);
    t.equal(escapeLength(data, 0, data.length), data.length, escape);
    for (let end = 0; end < data.length; end++)
      t.equal(escapeLength(data, 0, end), 0, `${escape} cut at ${end}`);
  }
});
