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

/** Keeps a number for a text. */
function keep(known: KnownRanges, text: string, salt: number, value: number): boolean {
  const { view, end } = viewOf(text);
  const slot = known.keep(view, 0, end, salt);
  if (slot < 0) return false;
  assert.ok(known.valueOf(slot) < known.endOf(slot));
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

t.test('a range that does not fit is not kept, nor one that was taken back', async (t) => {
  const known = new KnownRanges(4, SLOT_BYTES);
  for (let i = 0; i < 3; i++) t.equal(keep(known, 'x'.repeat(SLOT_BYTES), 0, 1), false);
  keep(known, 'four', 0, 1);
  keep(known, 'four', 0, 1);
  const { view, end } = viewOf('four');
  known.forget(known.find(view, 0, end, 0));
  t.equal(find(known, 'four', 0), undefined);
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
