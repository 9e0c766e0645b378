// The position file: what was written is read, and nothing else is ever read as a record.
import t from 'tap';
import fc from 'fast-check';
import { HeadgateError } from '../../src/errors.js';
import type { PipelineRecord, SegmentRecord } from '../../src/position/position.js';
import { decodeRecord, encodeRecord } from '../../src/position/record-file.js';
import { randomRuns } from '../helpers/random-runs.js';

const size = fc.maxSafeNat();
const text = fc.string({ unit: 'binary', maxLength: 20 });
const head = fc.record({ length: fc.nat(1024), hash: fc.stringMatching(/^[0-9a-f]{32}$/) });
const path = fc.record({
  path: text,
  current: fc.option(fc.record({ name: text, dev: size, ino: size, offset: size, head, before: head })),
  finishedThrough: fc.option(text),
  finished: fc.array(fc.record({ stem: text, ino: size, head }), { maxLength: 3 }),
  gaps: fc.array(
    fc.record({
      time: text,
      reason: fc.constantFrom('pruned' as const, 'truncated' as const, 'damaged' as const),
      file: text,
      offset: size,
      detail: text,
    }),
    { maxLength: 2 },
  ),
  gapCount: size,
});
const segment: fc.Arbitrary<SegmentRecord> = fc
  .record({ id: size, sink: text, path: text, key: text, length: size, ino: size, openedAtMs: size })
  .chain((base) =>
    fc
      .record({ from: text, group: text, sliceEndMs: size, closed: fc.boolean() }, { requiredKeys: [] })
      .map((more) => ({ ...base, ...more })),
  );
const record: fc.Arbitrary<PipelineRecord> = fc.record({
  version: fc.constant(1 as const),
  pipeline: text,
  generation: size,
  savedAt: text,
  isClean: fc.boolean(),
  source: fc.record({ paths: fc.array(path, { maxLength: 3 }) }),
  nextSegmentId: size,
  segments: fc.array(segment, { maxLength: 5 }),
});

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** What reading damaged content may give: the very same record (nothing that counts was hit), or nothing. */
const isNoOther = (content: Buffer, written: PipelineRecord): boolean => {
  const read = decodeRecord(content, 'x');
  return read === undefined || same(read, written);
};

t.test('any record is read as it was written', async (t) => {
  fc.assert(
    fc.property(record, (written) => same(decodeRecord(encodeRecord(written), 'x'), written)),
    { numRuns: randomRuns(500) },
  );
  t.pass('for all runs');
});

t.test(
  'a file cut anywhere, with one bit flipped, or with a block of zeroes is no other record',
  async (t) => {
    const place = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
    fc.assert(
      fc.property(record, place, fc.nat(7), fc.nat(600), (written, where, bit, zeroes) => {
        const content = encodeRecord(written);
        const at = Math.floor(where * content.length);
        const flipped = Buffer.from(content);
        flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
        const zeroed = Buffer.from(content).fill(0, at, Math.min(at + zeroes, content.length));
        return [content.subarray(0, at), flipped, zeroed].every((damaged) => isNoOther(damaged, written));
      }),
      { numRuns: randomRuns(2_000) },
    );
    t.pass('for all runs');
  },
);

t.test('whatever bit of a record is flipped, it is damage, never a newer version', async (t) => {
  const [written] = fc.sample(record, { numRuns: 1, seed: 7 });
  if (!written) throw new Error('impossible: no sample');
  const content = encodeRecord(written);
  const missed: number[] = [];
  for (let i = 0; i < content.length * 8; i++) {
    const flipped = Buffer.from(content);
    flipped[i >> 3] = (flipped[i >> 3] ?? 0) ^ (1 << (i & 7));
    if (!isNoOther(flipped, written)) missed.push(i);
  }
  t.same(missed, []);
});

t.test('garbage is told as damage, or refused in words as a newer version', async (t) => {
  const garbage = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.json().map((json) => Buffer.from(json)),
    fc
      .record({ version: fc.anything(), checksum: fc.anything(), segments: fc.anything() })
      .map((value) =>
        Buffer.from(
          JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'bigint' ? 0 : inner)) ?? '',
        ),
      ),
  );
  fc.assert(
    fc.property(garbage, (content) => {
      try {
        return decodeRecord(content, 'x') === undefined;
      } catch (error) {
        return error instanceof HeadgateError && error.code === 'POSITION_VERSION';
      }
    }),
    { numRuns: randomRuns(3_000) },
  );
  const deep = `{"version":1,"checksum":"x","segments":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  t.equal(decodeRecord(Buffer.from(deep), 'x'), undefined, 'nesting of 100,000 levels');
});
