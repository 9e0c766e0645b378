import assert from 'node:assert/strict';
import t from 'tap';
import fc from 'fast-check';
import { KnownRanges } from '../../src/codec/known-ranges.js';
import { randomRuns } from '../helpers/random-runs.js';

const SLOT_BYTES = 64;

function viewOf(text: string): { view: DataView; end: number } {
  const data = new Uint8Array(Buffer.from(`${text}?`, 'latin1'));
  return { view: new DataView(data.buffer), end: text.length };
}

/** Keeps a number for a text, and says that there are as many `words`. */
function keep(known: KnownRanges, text: string, salt: number, value: number, words = 1): boolean {
  const { view, end } = viewOf(text);
  const slot = known.keep(view, 0, end, salt, words);
  if (slot < 0) return false;
  known.words[known.valueOf(slot)] = value;
  return true;
}

function find(known: KnownRanges, text: string, salt: number): number | undefined {
  const { view, end } = viewOf(text);
  const slot = known.find(view, 0, end, salt);
  return slot < 0 ? undefined : known.words[known.valueOf(slot)];
}

t.test('what came twice is kept, for the same bytes and the same salt', async (t) => {
  const known = new KnownRanges(64, SLOT_BYTES);
  t.equal(keep(known, 'namespace="a"', 1, 7), false);
  t.equal(keep(known, 'namespace="a"', 1, 7), true);
  t.equal(find(known, 'namespace="a"', 1), 7);
  t.equal(find(known, 'namespace="a"', 2), undefined);
  t.equal(find(known, 'namespace="b"', 1), undefined);
  t.equal(find(known, 'namespace="a" ', 1), undefined);
});

t.test('a range that does not fit in with its value is not kept, and takes no place', async (t) => {
  const known = new KnownRanges(4, SLOT_BYTES);
  const four = ['one.', 'two.', 'three', 'four'];
  for (const text of [...four, ...four]) keep(known, text, 0, 1);
  for (let i = 0; i < 3; i++) t.equal(keep(known, 'x'.repeat(SLOT_BYTES), 0, 1), false);
  // Of 16 words, a slot has three of its own.
  for (let i = 0; i < 3; i++) t.equal(keep(known, 'twelve bytes', 0, 1, 11), false);
  for (const text of four) t.equal(find(known, text, 0), 1);
  t.equal(keep(known, 'twelve bytes', 0, 2, 10), false);
  t.equal(keep(known, 'twelve bytes', 0, 2, 10), true);
  t.equal(find(known, 'twelve bytes', 0), 2);
});

t.test('a range is kept once', async (t) => {
  const known = new KnownRanges(64, SLOT_BYTES);
  t.same(
    [1, 2, 3, 4].map((value) => keep(known, 'again', 0, value)),
    [false, true, false, false],
  );
  t.equal(find(known, 'again', 0), 2);
});

t.test('as many are kept as there is room for, but for those that share a place', async (t) => {
  const known = new KnownRanges(1024, SLOT_BYTES);
  const texts = Array.from({ length: 600 }, (_, i) => `range ${i}`);
  for (const text of [...texts, ...texts]) keep(known, text, 0, 1);
  t.ok(texts.filter((text) => find(known, text, 0) === 1).length > 500);
});

// In one place of four slots everything is as if all hashes were equal.
t.test('whatever hashes are equal, what is found was kept for the same range', async () => {
  const text = fc.string({ unit: fc.constantFrom('a', 'b', '\x00', '\xff'), minLength: 4, maxLength: 13 });
  fc.assert(
    fc.property(fc.array(fc.tuple(text, fc.nat(1)), { maxLength: 60 }), (ranges) => {
      const known = new KnownRanges(4, SLOT_BYTES);
      const kept = new Map<string, number>();
      ranges.concat(ranges).forEach(([text, salt], i) => {
        const value = find(known, text, salt);
        if (value !== undefined) assert.equal(value, kept.get(`${salt}${text}`));
        else if (keep(known, text, salt, i)) kept.set(`${salt}${text}`, i);
      });
    }),
    { numRuns: randomRuns(1000) },
  );
});

t.test('a serial number tells that another range came into a slot', async (t) => {
  const known = new KnownRanges(4, SLOT_BYTES);
  const { view, end } = viewOf('first');
  keep(known, 'first', 0, 1);
  keep(known, 'first', 0, 1);
  const slot = known.find(view, 0, end, 0);
  const serial = known.serialOf(slot);
  for (let i = 0; find(known, 'first', 0) !== undefined; i++) {
    keep(known, `other ${i}`, 0, 2);
    keep(known, `other ${i}`, 0, 2);
  }
  t.not(known.serialOf(slot), serial);
});
