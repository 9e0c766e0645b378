// The scanner against JSON.parse: the same lines are objects, and fields have the same values.
import t from 'tap';
import fc from 'fast-check';
import { SLOT_STRIDE } from '../../src/event/batch.js';
import { compileScanner } from '../../src/event/scan.js';
import type { Scanner } from '../../src/event/scan.js';
import { comparable, GENUINE_LINE, isObjectLine, objectText, parseFirstWins } from '../helpers/json.js';
import type { Json } from '../helpers/json.js';

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
    { numRuns: 2000 },
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
    { numRuns: 15_000 },
  );
});

t.test('a small object with a few bytes changed is an object exactly if JSON.parse says so', async () => {
  const scanner = compileScanner(PATHS);
  fc.assert(
    fc.property(objectText, fc.array(mutation, { minLength: 1, maxLength: 2 }), (line, mutations) =>
      agrees(scanner, mutations.reduce(mutate, line)),
    ),
    { numRuns: 3000 },
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
