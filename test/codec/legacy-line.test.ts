import t from 'tap';
import { ID, KEYS } from '../../src/codec/legacy-keys.js';
import { LegacyLine } from '../../src/codec/legacy-line.js';
import { readLine, requestLine, responseLine, TIME } from '../helpers/legacy.js';

/** What stands between the quotes, by key. */
function valuesOf(line: LegacyLine): Record<string, string> {
  return Object.fromEntries(
    KEYS.flatMap((key, i) =>
      line.has(i) ? [[key, line.data.toString('latin1', line.startOf(i), line.endOf(i))]] : [],
    ),
  );
}

const ONE_LINE = `${TIME} AUDIT: id="a" stage="ResponseComplete" ip="10.2.1.3" method="update" user="u" groups="<none>" as="<self>" asgroups="<lookup>" user-agent="curl" namespace="n" uri="/" response="200"`;

t.test('which of the formats a line has follows from its keys', async (t) => {
  t.equal(readLine(requestLine('a')).kind, 'request');
  t.equal(
    readLine(`${TIME} AUDIT: id="a" ip="1" method="GET" user="u" as="<self>" namespace="n" uri="/"`).kind,
    'request',
  );
  t.equal(readLine(responseLine('a')).kind, 'response');
  t.equal(readLine(ONE_LINE).kind, 'complete');
  t.equal(readLine(ONE_LINE.replace(' stage="ResponseComplete"', '')).kind, 'complete');
  t.equal(readLine(ONE_LINE.replace('"200"', '"<deferred>"')).isDeferred, true);
});

t.test('a line is read without the spaces between its pairs, and with more of them', async (t) => {
  const expected = valuesOf(readLine(ONE_LINE));
  t.match(expected, { id: 'a', 'user-agent': 'curl', asgroups: '<lookup>', response: '200' });
  const [beginning = '', ...pairs] = ONE_LINE.split(/ (?=[a-z-]+=")/);
  t.same(valuesOf(readLine(beginning + pairs.join(''))), expected);
  t.same(valuesOf(readLine(`${beginning.replace(' ', '')}${pairs.join('  ')}  \r`)), expected);
});

t.test('a value is what stands between quotes that are not escaped', async (t) => {
  const line = readLine(`${TIME} AUDIT: id="\\" id=\\"b\\\\" response="200"`);
  t.equal(line.data.toString('latin1', line.startOf(ID), line.endOf(ID)), '\\" id=\\"b\\\\');
  t.equal(line.isEscaped(ID), true);
});

t.test('a value is plain where JSON holds it as it stands', async (t) => {
  const plain = ['', 'a', 'abc', 'abcd', 'x'.repeat(33), "a'/-?=%"];
  const special = ['<', '>', '&', 'a<', 'abc>', 'abcd&', 'ab&cdefgh', 'é', 'abcé', 'aé"', '\t'];
  for (const [values, isPlain] of [
    [plain, true],
    [special, false],
  ] as const)
    for (const value of values) {
      const line = readLine(`${TIME} AUDIT: id="${value.replace('"', '')}" response="200"`);
      t.equal(line.isPlain(ID), isPlain, value);
    }
});

t.test('what surrounds a value does not make it special', async (t) => {
  t.equal(readLine(`${TIME} AUDIT: id="abcde"ip="é" method="GET" uri="/"`).isPlain(ID), true);
});

const MALFORMED: [string, string][] = [
  ['', 'no timestamp at its beginning'],
  ['2017', 'no timestamp at its beginning'],
  ['2017-13-21T03:57:09Z AUDIT: id="a" response="200"', 'no timestamp at its beginning'],
  [`${TIME} audit: id="a" response="200"`, 'no `AUDIT:` behind its timestamp'],
  [`${TIME} AUDIT`, 'no `AUDIT:` behind its timestamp'],
  [`${TIME} AUDIT:`, 'no id'],
  [`${TIME} AUDIT: response="200"`, 'no id'],
  [`${TIME} AUDIT: id="a"`, 'neither a request nor a response'],
  [`${TIME} AUDIT: id="a" user="u" response="200"`, 'neither a request nor a response'],
  [`${TIME} AUDIT: id="a" response="OK"`, 'a response that is no status code'],
  [`${TIME} AUDIT: id="a" response=""`, 'a response that is no status code'],
  [`${TIME} AUDIT: id="a" response="0200"`, 'a response that is no status code'],
  [`${TIME} AUDIT: id="a" response="<deferred>"`, 'a response that is no status code'],
  [`${TIME} AUDIT: id="a" id="b" response="200"`, 'the key id twice'],
  [`${TIME} AUDIT: id="a" color="red"`, 'an unknown key'],
  [`${TIME} AUDIT: id="a" response=200`, 'something else than key="value" pairs'],
  [`${TIME} AUDIT: id="a" response`, 'something else than key="value" pairs'],
  [`${TIME} AUDIT: id="a" response="200`, 'the value of response does not end'],
  [`${TIME} AUDIT: id="a\\" response=`, 'the value of id does not end'],
  [`${TIME} AUDIT: id="\\q" response="200"`, 'the value of id holds an invalid escape'],
  [`${TIME} AUDIT: id="${'a'.repeat(8 << 20)}"`, 'longer than 8388608 bytes'],
];

t.test('what is wrong with a line is said without anything of the line', async (t) => {
  for (const [line, fault] of MALFORMED)
    t.throws(() => readLine(line), { message: fault }, line.slice(0, 80));
});

t.test('half a line with a whole one behind it is no line', async (t) => {
  const whole = requestLine('b');
  const half = requestLine('a');
  for (let length = 1; length < half.length; length++)
    t.throws(() => readLine(half.slice(0, length) + whole), `cut behind ${length} bytes`);
});

t.test('a line that was copied reads the same', async (t) => {
  const read = new LegacyLine();
  const data = Buffer.from(`some bytes${requestLine('a')} and more`);
  read.read(data, 'some bytes'.length, data.length - ' and more'.length);
  const before = valuesOf(read);
  read.keep();
  data.fill(0);
  t.same(valuesOf(read), before);
  t.equal(read.data.toString('latin1', read.start, read.end), requestLine('a'));
});
