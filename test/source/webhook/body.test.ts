import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { readBody } from '../../../src/source/webhook/body.js';

function read(body: string, maxItems = 1000) {
  const found = readBody(Buffer.from(body), maxItems);
  if (found === undefined || found === 'too many') return found;
  const { lines, count, isBroken } = found;
  const text = lines.toString();
  t.equal(text.split('\n').length - 1, count, 'each line ends with a newline');
  return { lines: text.split('\n').slice(0, -1), isBroken };
}

const HEAD = '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[';
const FRONT = '{"kind":"Event","apiVersion":"audit.k8s.io/v1"';

t.test('each item is a line, with what it lacks in front and every other byte as it was', async (t) => {
  t.same(read(`${HEAD}{"level":"Metadata","n":9007199254740993, "u":"\\u003c"},{}]}\n`), {
    lines: [`${FRONT},"level":"Metadata","n":9007199254740993, "u":"\\u003c"}`, `${FRONT}}`],
    isBroken: false,
  });
  for (const version of ['v1', 'v1beta1', 'v1alpha1'])
    t.same(read(`{"kind":"EventList","apiVersion":"audit.k8s.io/${version}","items":[{"a":1}]}`), {
      lines: [`{"kind":"Event","apiVersion":"audit.k8s.io/${version}","a":1}`],
      isBroken: false,
    });
});

t.test('a single event is a line', async (t) => {
  const event = '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata"}';
  t.same(read(` ${event}\n`), { lines: [event], isBroken: false });
});

t.test('a list without items has no lines, and a body without anything is none', async (t) => {
  t.same(read(`${HEAD}]}`), { lines: [], isBroken: false });
  t.same(read('{"kind":"EventList"}'), { lines: [], isBroken: false });
  t.equal(read(''), undefined);
  t.equal(read(' \n\r\n'), undefined);
});

t.test('newlines between values become spaces, so that an item is one line', async (t) => {
  t.same(
    read(`{\n "kind": "EventList",\n "items": [\n  {\n   "a": "\\n\\"\\\\",\n   "b": [\n1]\n  }\n ]\n}\n`),
    {
      lines: ['{"kind":"Event",    "a": "\\n\\"\\\\",    "b": [ 1]   }'],
      isBroken: false,
    },
  );
});

t.test('an item that is no object is a line of its own, for the quarantine', async (t) => {
  t.same(read(`${HEAD}{"a":1},7,[{"b":2}],null,{"c":3}]}`), {
    lines: [`${FRONT},"a":1}`, '7', '[{"b":2}]', 'null', `${FRONT},"c":3}`],
    isBroken: false,
  });
});

t.test('of a list that breaks, the items before that are delivered and the rest is one line', async (t) => {
  t.same(read(`${HEAD}{"a":1},{"b":tru},{"c":3}]}`), {
    lines: [`${FRONT},"a":1}`, '{"b":tru},{"c":3}]}'],
    isBroken: true,
  });
  t.same(read(`${HEAD}{"a":1},{"b":"1\n2"},\n{"c":3}]}`), {
    lines: [`${FRONT},"a":1}`, '{"b":"1 2"}, {"c":3}]}'],
    isBroken: true,
  });
  t.same(read(`${HEAD}{"a":1}]} and {"b":2}`), {
    lines: [`${FRONT},"a":1}`, 'and {"b":2}'],
    isBroken: true,
  });
});

t.test('what is no JSON is one line, whole', async (t) => {
  for (const body of ['text', '<xml/>', '{"kind":"EventList"', '{"items":[{}]', '\u0000', '"'])
    t.same(read(`${body}\n`), { lines: [body], isBroken: true }, body);
  t.same(read('a\nb\n"c\nd'), { lines: ['a b "c d'], isBroken: true });
  t.same(read('[{"a":1}]'), { lines: ['[{"a":1}]'], isBroken: false }, 'JSON, but neither event nor list');
});

t.test('no line begins with a space, since a header of the spool does', async (t) => {
  for (const body of [' {"a":1}', ' 7', ' x', `${HEAD} {"a":1} , 7 , x`, `${HEAD}{}] x`, `${HEAD}\n7]}`]) {
    const found = read(body);
    t.ok(typeof found === 'object' && found.lines.length > 0);
    if (typeof found === 'object')
      t.notOk(
        found.lines.some((line) => /^\s/.test(line)),
        body,
      );
  }
});

t.test('more items than are allowed are too many, before they take any memory', async (t) => {
  t.equal(read(`${HEAD}${'{},'.repeat(20)}{}]}`, 20), 'too many');
  t.ok(read(`${HEAD}${'{},'.repeat(19)}{}]}`, 20));
});

t.test('work is linear in the length of a body, whatever it holds', async (t) => {
  const size = 4_000_000;
  for (const [name, body] of Object.entries({
    newlines: '\n'.repeat(size) + 'x',
    'newlines in a list': HEAD + '\n'.repeat(size),
    'newlines in strings': HEAD + '"\n'.repeat(size / 2),
    nesting: `${HEAD}${'['.repeat(size)}`,
    quotes: '"'.repeat(size),
  })) {
    const start = performance.now();
    t.ok(readBody(Buffer.from(body), 1000), name);
    // Quadratic work would take hours.
    t.ok(performance.now() - start < 30_000, `${name} in time`);
  }
});

const data = process.env['HEADGATE_TEST_DATA'];
const skip = data === undefined ? 'HEADGATE_TEST_DATA is not set: no genuine bodies' : false;

t.test('genuine bodies become the lines that the log backend wrote', { skip }, async (t) => {
  for (const run of ['batch', 'trunc']) {
    const directory = join(data ?? '', 'kubernetes/webhook');
    const witness = gunzipSync(readFileSync(join(directory, `${run}.witness-audit.log.gz`)));
    const known = new Set(witness.toString().split('\n'));
    const names = readdirSync(join(directory, run)).filter((name) => name.endsWith('.json'));
    const lines = names.flatMap((name) => {
      const found = readBody(readFileSync(join(directory, run, name)), 1000);
      if (typeof found !== 'object') throw new Error(name);
      t.notOk(found.isBroken, name);
      return found.lines.toString().split('\n').slice(0, -1);
    });
    const strange = lines.filter((line) => !known.has(line)).length;
    t.equal(lines.length, run === 'batch' ? 10_638 : 2_911);
    // The log backend of that run did not truncate: 20 events are shorter in the webhook.
    t.equal(strange, run === 'batch' ? 0 : 20);
  }
});
