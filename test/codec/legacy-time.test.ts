// Times of legacy lines as they are read, whatever was read before, and as events have them.
import assert from 'node:assert/strict';
import t from 'tap';
import fc from 'fast-check';
import { QUOTED_TIME_BYTES, TimeReader, TimeWriter } from '../../src/codec/legacy-time.js';
import { JsonWriter } from '../../src/event/json-writer.js';
import { parseTimestamp } from '../../src/event/timestamp.js';
import { randomRuns } from '../helpers/random-runs.js';

function parsed(text: string): number {
  return parseTimestamp(Buffer.from(text), 0, text.length);
}

function read(reader: TimeReader, text: string): number {
  const data = new Uint8Array(Buffer.from(`before ${text} behind`, 'latin1'));
  const start = 'before '.length;
  return reader.read(Buffer.from(data.buffer), new DataView(data.buffer), start, start + text.length);
}

function written(writer: TimeWriter, us: number): string {
  const out = new JsonWriter(Buffer.alloc(1));
  writer.write(out, us);
  return out.buffer.toString('latin1', 0, out.length);
}

const few = <T>(...values: T[]) => fc.constantFrom(...values);
const times = fc
  .tuple(
    few('2017-03-21T03:57:09', '2017-03-21T03:57:10', '1970-01-01T00:30:00', '2016-02-30T00:00:00'),
    few('', '', '.'),
    fc.stringMatching(/^[0-9]{0,10}$/),
    few('Z', '+01:00', '-05:30', '+01:01', '+24:00', 'Z+01:00', '+0100'),
  )
  .map(([second, dot, digits, zone]) => second + (digits === '' ? dot : `.${digits}`) + zone);
/** Changes a byte somewhere. */
const damaged = fc
  .tuple(times, fc.nat(34), few('0', '9', 'Z', '.', ':', ' ', '/', 'é'))
  .map(([time, at, put]) => time.slice(0, at) + put + time.slice(at + 1));

t.test('a time is read as it is read by itself, whatever was read before', async () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(times, times, damaged), { maxLength: 20 }), (texts) => {
      const reader = new TimeReader();
      for (const text of texts) {
        // As in a line, where shorter ones are not tried.
        if (text.length < 20) continue;
        const latin1 = Buffer.from(text, 'latin1');
        assert.equal(read(reader, text), parseTimestamp(latin1, 0, latin1.length), text);
      }
    }),
    { numRuns: randomRuns(2000) },
  );
});

t.test('a time is written as the API server writes it, in UTC with six digits', async (t) => {
  const writer = new TimeWriter(',"time":');
  for (const [text, expected] of [
    ['2017-03-21T03:57:09.106841886-04:00', '2017-03-21T07:57:09.106841Z'],
    ['2016-12-31T23:59:59+00:00', '2016-12-31T23:59:59.000000Z'],
    ['2020-02-28T23:30:00.5-05:30', '2020-02-29T05:00:00.500000Z'],
    ['1970-01-01T00:00:00Z', '1970-01-01T00:00:00.000000Z'],
  ] as const)
    t.equal(written(writer, parsed(text)), `,"time":"${expected}"`, text);
  t.equal(QUOTED_TIME_BYTES, '"2017-03-21T07:57:09.106841Z"'.length);
});

t.test('what is written is read as the same time', async () => {
  const writer = new TimeWriter('');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.UTC(2250, 0) }), fc.nat(999), (ms, us) => {
      const text = written(writer, ms * 1000 + us).slice(1, -1);
      return (
        text === new Date(ms).toISOString().replace('Z', `${String(us).padStart(3, '0')}Z`) &&
        parsed(text) === ms * 1000 + us
      );
    }),
  );
});

t.test('what looks like a reader that has read nothing is no time', async (t) => {
  for (const zone of ['Z', '\0\0\0\0\0\0']) {
    const text = `${'\0'.repeat(19)}.123${zone}`;
    t.ok(Number.isNaN(read(new TimeReader(), text)));
    t.ok(Number.isNaN(parsed(text)));
  }
});
