import t from 'tap';
import { SLOT_STRIDE } from '../../src/event/batch.js';
import { compileScanner } from '../../src/event/scan.js';

interface Scanned {
  end: number;
  /** The raw JSON of each field, and the depth where the path did not go on. */
  fields: (string | undefined)[];
  depths: (number | undefined)[];
  failedAt: number;
  expected: string;
}

function scan(line: string, paths: string[][], mayStop = false): Scanned {
  const scanner = compileScanner(paths);
  const data = Buffer.from(`${line}\n`, 'latin1');
  const slots = new Int32Array(paths.length * SLOT_STRIDE);
  scanner.load(data);
  const end = scanner.scanLine(0, slots, 0, mayStop);
  const fields = paths.map((_, slot) => {
    const [start = -1, stop = -1] = slots.subarray(slot * SLOT_STRIDE);
    return start < 0 ? undefined : data.toString('latin1', start, stop);
  });
  const depths = paths.map((_, slot) => {
    const [start = -1, , depth] = slots.subarray(slot * SLOT_STRIDE);
    return start < 0 ? undefined : depth;
  });
  return { end, fields, depths, failedAt: scanner.failedAt, expected: scanner.expected };
}

t.test('wanted fields come out as they are written', async (t) => {
  const line =
    '{ "a" : 1.50 ,"b":{"c":"x\\u0041","d":[1,2]}, "e":null,"f":{},"g":"","user":{"username":"u","groups":["a"]}}';
  const paths = [
    ['a'],
    ['b', 'c'],
    ['b', 'd'],
    ['e'],
    ['f', 'x'],
    ['g'],
    ['missing'],
    ['user'],
    ['user', 'username'],
  ];
  const { end, fields } = scan(line, paths);
  t.equal(end, line.length);
  t.same(fields, [
    '1.50',
    '"x\\u0041"',
    '[1,2]',
    'null',
    undefined,
    '""',
    undefined,
    '{"username":"u","groups":["a"]}',
    '"u"',
  ]);
});

t.test('a path that meets an array stops there and says how far it came', async (t) => {
  const line = '{"a":{"b":[{"c":1},{"c":2}]},"x":[[]],"s":"text"}';
  const { fields, depths } = scan(line, [
    ['a', 'b', 'c'],
    ['a', 'b'],
    ['x', 'y', 'z'],
    ['s', 'y'],
  ]);
  t.same(fields, ['[{"c":1},{"c":2}]', '[{"c":1},{"c":2}]', '[[]]', undefined]);
  t.same(depths, [2, 2, 1, undefined]);
});

t.test('of two equal keys the first wins, at every level', async (t) => {
  t.same(scan('{"a":1,"a":2}', [['a']]).fields, ['1']);
  t.same(
    scan('{"o":{"a":1,"a":2},"o":{"a":3,"b":4}}', [
      ['o', 'a'],
      ['o', 'b'],
    ]).fields,
    ['1', undefined],
  );
  t.same(scan('{"o":null,"o":{"a":3}}', [['o', 'a']]).fields, [undefined]);
  t.same(scan('{"\\u0061":1,"a":2}', [['a']]).fields, ['1'], 'the same key in two spellings');
});

t.test('keys are compared by what they stand for', async (t) => {
  t.same(scan('{"st\\u0061ge":1}', [['stage']]).fields, ['1']);
  t.same(scan('{"a\\/b":1,"\\"":2,"":3}', [['a/b'], ['"'], ['']]).fields, ['1', '2', '3']);
  t.same(scan('{"\xc3\xa9":1}', [['\xc3\xa9']]).fields, ['1'], 'UTF-8 bytes');
  t.same(scan('{"\\u00e9":1}', [['\xc3\xa9']]).fields, ['1'], 'an escape for the same character');
  t.same(
    scan('{"stagf":1,"stag":2,"stages":3,"xtage":4}', [['stage']]).fields,
    [undefined],
    'nearly the key',
  );
});

t.test('keys that share a place in the table are told apart', async (t) => {
  const keys = Array.from({ length: 300 }, (_, i) => `${String.fromCharCode(97 + (i % 26))}${i}`);
  const line = `{${keys.map((key, i) => `"${key}":${i}`).join(',')}}`;
  t.same(
    scan(
      line,
      keys.map((key) => [key]),
    ).fields,
    keys.map((_, i) => String(i)),
  );
});

t.test('what JSON.parse refuses is refused, with its place', async (t) => {
  const table: [line: string, failedAt: number, expected: string][] = [
    ['', 0, 'an object'],
    ['[1]', 0, 'an object'],
    ['{"a":1', 6, 'a comma or the closing brace'],
    ['{"a":1}x', 7, 'the end of the line'],
    ['{"a":1}  {}', 9, 'the end of the line'],
    ['{"a" 1}', 5, 'a colon'],
    ['{"a":}', 5, 'a value'],
    ['{"a":1,}', 7, 'a key in quotes'],
    ['{a:1}', 1, 'a key in quotes'],
    ['{"a":01}', 6, 'a comma or the closing brace'],
    ['{"a":1.}', 7, 'a digit'],
    ['{"a":-}', 6, 'a digit'],
    ['{"a":1e+}', 8, 'a digit'],
    ['{"a":tru}', 5, 'a value'],
    ['{"a":NaN}', 5, 'a value'],
    ['{"a":"\\x"}', 6, 'an escape sequence'],
    ['{"a":"\\u12g4"}', 6, 'an escape sequence'],
    ['{"a":"\t"}', 6, 'the rest of a string without control characters'],
    ['{"a\t":1}', 3, 'the rest of a string without control characters'],
    ['{"a":[1 2]}', 8, 'a comma or the closing bracket'],
    ['{"a":[1,]}', 8, 'a value'],
    ['{"a":{"b":1]}', 11, 'a comma or the closing brace'],
    ['{"a":{"b" 1}}', 10, 'a colon'],
    ['{"a":\'b\'}', 5, 'a value'],
    ['\xef\xbb\xbf{}', 0, 'an object'],
  ];
  for (const [line, failedAt, expected] of table) {
    const result = scan(line, [['z']]);
    t.match(result, { end: -1, failedAt, expected }, line);
  }
});

t.test(
  'every control character is refused wherever it stands in a string, and every other byte taken',
  async (t) => {
    for (let code = 0; code < 256; code++) {
      if (code === 0x0a) continue;
      for (let before = 0; before < 9; before++) {
        const byte = String.fromCharCode(code);
        const line = `{"a":"${'x'.repeat(before)}${byte === '"' || byte === '\\' ? '\\' : ''}${byte}xxxxxxxx"}`;
        const isTaken = scan(line, [['z']]).end === line.length;
        if (isTaken !== code >= 0x20) t.fail(`byte ${code} behind ${before} others`);
      }
    }
  },
);

t.test('what JSON.parse takes is taken', async (t) => {
  const lines = [
    '{}',
    ' \t\r{ } \t\r',
    '{"a":-0.0e-10,"b":1E5,"c":[ ],"d":{ },"e":[true,false,null,"",0]}',
    '{"a":"\\"\\\\\\/\\b\\f\\n\\r\\t\\ud800"}',
    '{"a":"\x7f\x80\xff"}',
    '{"a":[[],[[]],{"b":[{}]}]}',
  ];
  for (const line of lines) {
    t.type(JSON.parse(line), Object);
    t.equal(scan(line, [['z']]).end, line.length, line);
    t.equal(scan(line, []).end, line.length, 'without fields');
  }
});

t.test('nesting of 100,000 levels is no trouble', async (t) => {
  for (const [open, close] of [
    ['[', ']'],
    ['{"a":', '}'],
    ['[{"a":', '}]'],
  ] as const) {
    const depth = 100_000;
    const line = `{"x":${open.repeat(depth)}1${close.repeat(depth)},"y":2}`;
    t.same(scan(line, [['y']]).fields, ['2']);
    t.equal(scan(`${line.slice(0, -8)},"y":2}`, [['y']]).end, -1, 'one bracket is missing');
    const swapped = `{"x":${open.repeat(depth)}1${close.repeat(depth - 1)}${close === ']' ? '}' : ']'},"y":2}`;
    t.equal(scan(swapped, [['y']]).end, -1, 'one bracket is of the other kind');
  }
});

t.test('a scan stops early only where a whole event is sure to end the line', async (t) => {
  const needle = '{"kind":"Event","apiVersion":"audit.k8s.io/v1"';
  const broken = '{"a":1,"b":tru}';
  t.equal(scan(broken, [['a']], true).end, broken.length, 'what follows is not looked at');
  t.equal(scan(`${broken}\r`, [['a']], true).end, broken.length + 1, 'with a carriage return');
  t.equal(scan(broken, [['a']], false).end, -1, 'where it may not stop');
  t.equal(scan(broken, [['a'], ['z']], true).end, -1, 'a field is still wanted');
  t.equal(scan('{"a":1,"b":tru', [['a']], true).end, -1, 'no closing brace');
  t.equal(scan(`{"a":1,"b":tru${needle}}`, [['a']], true).end, -1, 'a second event begins inside');
  const nested = `${needle},"a":1,"b":${needle}}}`;
  t.equal(scan(nested, [['a']], true).end, nested.length, 'an event inside an event is scanned through');
});

t.test('lines of one buffer are told apart by their needles', async (t) => {
  const line = '{"kind":"Event","apiVersion":"audit.k8s.io/v1","a":1,"b":2}';
  const torn = `${line.slice(0, 53)}${line}`;
  const data = Buffer.from(`${line}\n${line}\n${torn}\n${line}\n`);
  const scanner = compileScanner([['a']]);
  scanner.load(data);
  const slots = new Int32Array(3);
  const ends = [0, 1, 2, 3].map((_, i) => {
    const start = i < 3 ? i * (line.length + 1) : 2 * (line.length + 1) + torn.length + 1;
    return scanner.scanLine(start, slots, 0, true) >= 0;
  });
  t.same(ends, [true, true, false, true]);
});

t.test('lines without a last newline are a bug of the caller', async (t) => {
  t.throws(() => compileScanner([]).load(Buffer.from('{}')), /impossible/);
});
