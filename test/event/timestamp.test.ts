import t from 'tap';
import fc from 'fast-check';
import { parseTimestamp, TIMESTAMP_BYTES, writeTimestamp } from '../../src/event/timestamp.js';

function written(us: number): string {
  const target = Buffer.alloc(TIMESTAMP_BYTES + 2);
  t.equal(writeTimestamp(target, 1, us), TIMESTAMP_BYTES + 1);
  return target.toString('latin1', 1, TIMESTAMP_BYTES + 1);
}

t.test('a time is written as the API server writes it, in UTC with six digits', async (t) => {
  for (const [text, expected] of [
    ['2017-03-21T03:57:09.106841886-04:00', '2017-03-21T07:57:09.106841Z'],
    ['2016-12-31T23:59:59+00:00', '2016-12-31T23:59:59.000000Z'],
    ['2020-02-28T23:30:00.5-05:30', '2020-02-29T05:00:00.500000Z'],
  ] as const)
    t.equal(written(parseTimestamp(Buffer.from(text), 0, text.length)), expected, text);
  t.equal(written(0), '1970-01-01T00:00:00.000000Z');
});

t.test('what is written is read as the same time', async () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.UTC(2250, 0) }), fc.nat(999), (ms, us) => {
      const text = written(ms * 1000 + us);
      return (
        text === new Date(ms).toISOString().replace('Z', `${String(us).padStart(3, '0')}Z`) &&
        parseTimestamp(Buffer.from(text), 0, text.length) === ms * 1000 + us
      );
    }),
  );
});
