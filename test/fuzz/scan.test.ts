// The scanner against JSON.parse: the same lines are objects, and fields have the same values.
import t from 'tap';
import fc from 'fast-check';
import { SLOT_STRIDE } from '../../src/event/batch.js';
import { compileScanner } from '../../src/event/scan.js';
import type { Scanner } from '../../src/event/scan.js';
import { comparable, GENUINE_LINE, isObjectLine, objectText, parseFirstWins } from '../helpers/json.js';
import type { Json } from '../helpers/json.js';
import { randomRuns } from '../helpers/random-runs.js';

const PATHS = [
  ['a'],
  ['a', 'b'],
  ['a', 'b', 'c'],
  ['b', 'a'],
  ['stage'],
  ['user', 'a'],
  ['objectRef'],
  ['objectRef', 'a', 'a', 'b'],
  [''],
  ['', 'a'],
  ['\xc3\xa9', 'a'],
];

const slots = new Int32Array(PATHS.length * SLOT_STRIDE);

/** The position of the newline, or -1. */
function scan(scanner: Scanner, line: string): number {
  scanner.load(Buffer.from(`${line}\n`, 'latin1'));
  return scanner.scanLine(0, slots, 0, false);
}

/** Where a path leads, as a slot must say: the value, and the segments that led to it. */
function follow(value: Json, path: readonly string[]): { value: Json; depth: number } | undefined {
  let inner: Json | undefined = value;
  for (const [depth, segment] of path.entries()) {
    if (Array.isArray(inner)) return { value: inner, depth };
    inner = inner instanceof Map ? inner.get(segment) : undefined;
    if (inner === undefined) return undefined;
  }
  return { value: inner, depth: path.length };
}

t.test('fields of any object are those that a parser finds', async () => {
  const scanner = compileScanner(PATHS);
  fc.assert(
    fc.property(objectText, (line) => {
      if (!isObjectLine(line)) throw new Error('the generator made no object');
      if (scan(scanner, line) !== line.length) return false;
      const object = parseFirstWins(line);
      return PATHS.every((path, slot) => {
        const [start = -1, end = -1, depth] = slots.subarray(slot * SLOT_STRIDE);
        const expected = follow(object, path);
        if (expected === undefined || start < 0) return expected === undefined && start < 0;
        const found = parseFirstWins(line.slice(start, end));
        return depth === expected.depth && comparable(found) === comparable(expected.value);
      });
    }),
    { numRuns: randomRuns(2_000) },
  );
});

// A newline can't stand inside a line.
const byte = fc.oneof(
  fc.constantFrom(...'{}[]",:\\u0123456789eE+-.tfn \t\r\0'),
  fc.integer({ min: 0, max: 255 }).map((code) => (code === 10 ? ' ' : String.fromCharCode(code))),
);
const mutation = fc.record({
  at: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  removed: fc.nat({ max: 3 }),
  inserted: fc.array(byte, { maxLength: 3 }).map((bytes) => bytes.join('')),
});

function mutate(
  line: string,
  { at, removed, inserted }: { at: number; removed: number; inserted: string },
): string {
  const position = Math.floor(at * line.length);
  return line.slice(0, position) + inserted + line.slice(position + removed);
}

function agrees(scanner: Scanner, line: string): boolean {
  return (scan(scanner, line) === line.length) === isObjectLine(line);
}

t.test('a genuine line with a few bytes changed is an object exactly if JSON.parse says so', async () => {
  const scanner = compileScanner([['objectRef', 'namespace'], ['user', 'groups', 'x'], ['stageTimestamp']]);
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 2 }), (mutations) =>
      agrees(scanner, mutations.reduce(mutate, GENUINE_LINE)),
    ),
    { numRuns: randomRuns(15_000) },
  );
});

t.test('a small object with a few bytes changed is an object exactly if JSON.parse says so', async () => {
  const scanner = compileScanner(PATHS);
  fc.assert(
    fc.property(objectText, fc.array(mutation, { minLength: 1, maxLength: 2 }), (line, mutations) =>
      agrees(scanner, mutations.reduce(mutate, line)),
    ),
    { numRuns: randomRuns(3_000) },
  );
});

t.test('a genuine line cut anywhere is no object', async (t) => {
  const scanner = compileScanner([
    ['annotations', 'x'],
    ['requestObject', 'spec', 'containers', 'name'],
  ]);
  t.equal(scan(scanner, GENUINE_LINE), GENUINE_LINE.length);
  for (let length = 0; length < GENUINE_LINE.length; length++) {
    if (scan(scanner, GENUINE_LINE.slice(0, length)) >= 0) t.fail(`taken at ${length} bytes`);
  }
});

t.test('a scan that may stop early finds the fields that a whole scan finds', async () => {
  const scanner = compileScanner(PATHS);
  const early = new Int32Array(slots.length);
  fc.assert(
    fc.property(objectText, fc.array(objectText, { maxLength: 3 }), (line, others) => {
      const data = Buffer.from([line, ...others].map((each) => `${each}\n`).join(''), 'latin1');
      let start = 0;
      return [line, ...others].every((each) => {
        scan(scanner, each);
        const whole = [...slots];
        scanner.load(data);
        const end = scanner.scanLine(start, early, 0, true);
        const isSame = [...early].every((value, i) => {
          const expected = whole[i] ?? -1;
          // Ends and depths of absent fields mean nothing; places count from the beginning of the line.
          if ((whole[i - (i % SLOT_STRIDE)] ?? -1) < 0) return i % SLOT_STRIDE !== 0 || value === -1;
          return value === (i % SLOT_STRIDE === 2 ? expected : expected + start);
        });
        const isWhole = end === start + each.length;
        start = end + 1;
        return isSame && isWhole;
      });
    }),
    { numRuns: randomRuns(2_000) },
  );
});

t.test('what is hostile in a line is read as JSON.parse reads it', async (t) => {
  const deep = (open: string, close: string, inner = '1'): string =>
    `{"x":${open.repeat(100_000)}${inner}${close.repeat(100_000)},"stage":"a"}`;
  const lines = [
    '{"a":1e999,"stage":-1e999}',
    `{"a":${'9'.repeat(100_000)},"stage":0.${'0'.repeat(10_000)}1}`,
    '{"stage":"\\ud800","a":"\\udc00\\ud800"}',
    '{"\\u0073tage":"first","stage":"second"}',
    '{"stage":"\\u0000\\n","user":{"a":1,"a":2,"\\u0061":3}}',
    `{${'"a":{"b":1},'.repeat(10_000)}"stage":null}`,
    deep('[', ']'),
    deep('{"a":', '}'),
    deep('[{"a":', '}]', '{"a":1,"a":2}'),
    `{"objectRef":${'{"a":'.repeat(100_000)}1${'}'.repeat(100_000)}}`,
    `{"\\u0061${'b'.repeat(100_000)}":1,"${'k'.repeat(1_000_000)}":2,"stage":"end"}`,
  ];
  const broken = [
    '{"a":1e}',
    '{"a":+1}',
    '{"a":01}',
    '{"a":Infinity}',
    '{"a":"\\ud80"}',
    '{"a":"\u0001"}',
    deep('[', '}'),
    `{"x":${'['.repeat(100_000)}`,
    `{"x":"${'\\'.repeat(100_001)}"}`,
  ];
  const scanner = compileScanner(PATHS);
  for (const [i, line] of lines.entries()) {
    t.ok(isObjectLine(line), `line ${i} is an object`);
    t.equal(scan(scanner, line), line.length, `line ${i} is read`);
    const stage = PATHS.findIndex((path) => path.join() === 'stage');
    const [start = -1, end = -1] = slots.subarray(stage * SLOT_STRIDE);
    const parsed = JSON.parse(line) as { stage?: unknown };
    if (i !== 3)
      t.same(start < 0 ? undefined : JSON.parse(line.slice(start, end)), parsed.stage, `stage of line ${i}`);
    else t.equal(line.slice(start, end), '"first"', 'of two equal keys the first counts');
  }
  for (const [i, line] of broken.entries()) {
    t.notOk(isObjectLine(line), `broken line ${i} is no object`);
    t.equal(scan(scanner, line), -1, `broken line ${i} is refused`);
  }
});
