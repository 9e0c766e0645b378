import assert from 'node:assert/strict';
import fc from 'fast-check';
import t from 'tap';
import {
  FINGERPRINT_BYTES,
  fingerprint,
  hasHead,
  isWholeHead,
  Trail,
} from '../../src/position/fingerprint.js';

t.test('a fingerprint is 32 hex digits over at most the first KiB', async (t) => {
  const long = Buffer.alloc(5000, 'abc');
  t.equal(fingerprint(long).length, FINGERPRINT_BYTES);
  t.match(fingerprint(long).hash, /^[0-9a-f]{32}$/);
  t.same(fingerprint(long), fingerprint(long.subarray(0, FINGERPRINT_BYTES)));
  t.equal(fingerprint(Buffer.from('abc')).hash, 'ba7816bf8f01cfea414140de5dae2223', 'sha256 of the standard');
});

t.test('a head is found again in a file that grew', async (t) => {
  const head = fingerprint(Buffer.from('one line\n'));
  t.ok(hasHead(Buffer.from('one line\nand another\n'), head));
  t.notOk(hasHead(Buffer.from('one line'), head), 'a shorter file');
  t.notOk(hasHead(Buffer.from('two line\n'), head), 'another file');
});

t.test('the head of a short finished file does not fit a longer file', async (t) => {
  const head = fingerprint(Buffer.from('one line\n'));
  t.ok(isWholeHead(Buffer.from('one line\n'), head));
  t.notOk(isWholeHead(Buffer.from('one line\nand another\n'), head));
  t.notOk(isWholeHead(Buffer.from('something'), fingerprint(Buffer.alloc(0))), 'nor that of an empty one');
  const long = Buffer.alloc(FINGERPRINT_BYTES, 'x');
  t.ok(isWholeHead(long, fingerprint(long)));
});

t.test('a trail knows the first and the last bytes however they were appended', async (t) => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 3000 }), { maxLength: 8 }), (parts) => {
      const trail = new Trail();
      for (const part of parts) trail.append(Buffer.from(part));
      const all = Buffer.concat(parts);
      const before = all.subarray(Math.max(0, all.length - FINGERPRINT_BYTES));
      assert.equal(trail.offset, all.length);
      assert.deepEqual(trail.head(), fingerprint(all));
      assert.deepEqual(trail.before(), fingerprint(before));
    }),
    { numRuns: 200 },
  );
  t.pass();
});

t.test('a copy of a trail goes its own way, and neither keeps the appended buffer', async (t) => {
  const trail = new Trail();
  const bytes = Buffer.from('abc');
  trail.append(bytes);
  const copy = trail.copy();
  copy.append(Buffer.from('def'));
  bytes.fill(0);
  t.same(trail.head(), fingerprint(Buffer.from('abc')));
  t.same(copy.before(), fingerprint(Buffer.from('abcdef')));
});

t.test('a trail that begins in the middle of a file goes on from there', async (t) => {
  const all = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251));
  const trail = new Trail(3000, all.subarray(0, 1024), all.subarray(3000 - 1024, 3000));
  trail.append(all.subarray(3000, 3100));
  t.equal(trail.offset, 3100);
  t.same(trail.head(), fingerprint(all));
  t.same(trail.before(), fingerprint(all.subarray(3100 - 1024, 3100)));
});
