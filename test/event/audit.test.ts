import t from 'tap';
import fc from 'fast-check';
import { compileLatency, compileTime, KNOWN_FIELDS } from '../../src/event/audit.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { parseTimestamp, timestampMs } from '../../src/event/timestamp.js';
import { batchOfEvent } from '../helpers/decode.js';

function microseconds(text: string): number {
  const bytes = Buffer.from(`"${text}"`);
  return parseTimestamp(bytes, 1, bytes.length - 1);
}

t.test('timestamps are read to the microsecond', async (t) => {
  const second = Date.UTC(2026, 10, 21, 9, 31, 11) * 1000;
  const table: [text: string, us: number][] = [
    ['2026-11-21T09:31:11Z', second],
    ['2026-11-21T09:31:11.5Z', second + 500_000],
    ['2026-11-21T09:31:11.543895Z', second + 543_895],
    ['2026-11-21T09:31:11.000001Z', second + 1],
    ['2026-11-21T09:31:11.123456789Z', second + 123_456],
    ['2026-11-21T10:31:11.543895+01:00', second + 543_895],
    ['2026-11-21T04:01:11-05:30', second],
    ['2026-11-21T09:31:11+00:00', second],
    ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29) * 1000],
    ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1) * 1000],
    ['1970-01-01T00:00:00Z', 0],
    ['9999-12-31T23:59:59Z', Date.UTC(9999, 11, 31, 23, 59, 59) * 1000],
  ];
  for (const [text, us] of table) t.equal(microseconds(text), us, text);
});

t.test('what is no timestamp is none', async (t) => {
  const texts = [
    '',
    '2026-11-21',
    '2026-11-21T09:31:11',
    '2026-11-21T09:31:11.Z',
    '2026-11-21T09:31:11.1234567890Z',
    '2026-11-21T09:31:11.5',
    '2026-11-21T09:31:11ZZ',
    '2026-11-21T09:31:11+0100',
    '2026-11-21T09:31:11+24:00',
    '2026-11-21T09:31:11+01:60',
    '2026-11-21 09:31:11Z',
    '2026-13-21T09:31:11Z',
    '2026-00-21T09:31:11Z',
    '2026-11-31T09:31:11Z',
    '2026-02-29T09:31:11Z',
    '2026-11-00T09:31:11Z',
    '2026-11-21T24:31:11Z',
    '2026-11-21T09:60:11Z',
    '2026-11-21T09:31:61Z',
    '2026-1x-21T09:31:11Z',
    '0001-01-01T00:00:00Z',
    '1969-12-31T23:59:59Z',
    '1970-01-01T00:00:00+00:01',
  ];
  for (const text of texts) t.ok(Number.isNaN(microseconds(text)), text);
  t.equal(timestampMs('2026-11-21'), undefined);
  t.equal(timestampMs('1970-01-01T00:00:01.5019Z'), 1501);
});

t.test('timestamps of any day are those that Date reads', async () => {
  const date = fc.date({ min: new Date(0), max: new Date('9999-12-31'), noInvalidDate: true });
  fc.assert(fc.property(date, (each) => microseconds(each.toISOString()) === each.getTime() * 1000));
});

t.test('time is stageTimestamp, else timestamp, else when the event was read', async (t) => {
  const fields = new FieldRegistry();
  const time = compileTime(fields);
  const stageTimestamp = '2026-11-21T09:31:11.543895Z';
  const timestamp = '2017-09-05T10:04:55Z';
  const table: [event: unknown, expected: number][] = [
    [{ stageTimestamp, timestamp }, Date.parse('2026-11-21T09:31:11.543Z')],
    [{ timestamp }, Date.parse(timestamp)],
    [{ stageTimestamp: 'soon', timestamp }, Date.parse(timestamp)],
    [{ stageTimestamp: null, timestamp }, Date.parse(timestamp)],
    [{ stageTimestamp: [stageTimestamp], timestamp }, Date.parse(timestamp)],
    [{ stageTimestamp: '0001-01-01T00:00:00Z', timestamp: '' }, 1234],
    [{ stageTimestamp: 20261121, timestamp: 1 }, 1234],
    [{ requestReceivedTimestamp: stageTimestamp }, Date.parse('2026-11-21T09:31:11.543Z')],
    [{ timestamp, requestReceivedTimestamp: stageTimestamp }, Date.parse(timestamp)],
    [{}, 1234],
    ['{"stageTimestamp":"2026-11-21T09:31:11.543895\\u005a"}', Date.parse('2026-11-21T09:31:11.543Z')],
  ];
  for (const [event, expected] of table) {
    t.equal(time(batchOfEvent(event, fields, { readAtMs: 1234 }), 0), expected, JSON.stringify(event));
  }
});

t.test('latency_ms is the time from receipt to stage, absent without either', async (t) => {
  const fields = new FieldRegistry();
  const latency = compileLatency(fields);
  const requestReceivedTimestamp = '2026-11-21T23:59:59.999999Z';
  const of = (stageTimestamp?: string): number =>
    latency(batchOfEvent({ requestReceivedTimestamp, stageTimestamp }, fields), 0);
  t.equal(of('2026-11-22T00:00:01.000000Z'), 1000.001);
  t.equal(of(requestReceivedTimestamp), 0);
  t.equal(of('2026-11-21T23:59:59.999000Z'), -0.999);
  t.ok(Number.isNaN(of()));
  t.ok(Number.isNaN(of('x')));
  t.ok(Number.isNaN(latency(batchOfEvent({ stageTimestamp: requestReceivedTimestamp }, fields), 0)));
});

t.test('the known fields are those of the API and the computed ones', async (t) => {
  for (const name of ['stageTimestamp', 'timestamp', 'metadata', 'tag', 'time', 'latency_ms']) {
    t.ok(Object.hasOwn(KNOWN_FIELDS, name), name);
  }
});
