import t from 'tap';
import { findLastObject } from '../../src/codec/last-object.js';
import { JsonLinesDecoder } from '../../src/codec/json-lines.js';
import type { EventBatch } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { createMetrics } from '../../src/metrics.js';
import type { PipelineMetrics } from '../../src/metrics.js';
import { chunkOf, decode, rawField } from '../helpers/decode.js';
import { GENUINE_LINE } from '../helpers/json.js';

const WHOLE =
  '{"kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"RequestReceived","user":{"username":"a\\\\"},"verb":"get"}';

function events(batch: EventBatch): string[] {
  return Array.from({ length: batch.size }, (_, i) => batch.bytes(i).toString('latin1'));
}

function reconciles(m: PipelineMetrics): boolean {
  return m.linesRead === m.events + m.linesJoined + m.linesBlank + m.linesQuarantined;
}

t.test('each line is an event with its own bytes', async (t) => {
  const lines = [WHOLE, '{}', ' {"a":1} ', '{"invalid":"\xff"}', `${WHOLE}\r`];
  const { batch, metrics } = decode(Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1'));
  t.same(events(batch), lines);
  t.same(batch.tags, ['pipeline', 'pipeline', 'pipeline', 'pipeline', 'pipeline']);
  t.match(metrics, { linesRead: 5, events: 5, linesBlank: 0, linesQuarantined: 0, bytesRead: 0 });
});

t.test(
  'fields are found in every event, also where a batch holds more events than was expected',
  async (t) => {
    const fields = new FieldRegistry();
    const a = fields.slot(['a']);
    const b = fields.slot(['b', 'c']);
    const decoder = new JsonLinesDecoder(fields, 'pipeline', createMetrics());
    const text = Array.from({ length: 2000 }, (_, i) => `{"a":${i},"b":{"c":"x${i}"}}\n`).join('');
    for (const round of ['first', 'second']) {
      const batch = decoder.decode(chunkOf(text));
      t.equal(batch.size, 2000, `${round} batch`);
      const found = Array.from({ length: 2000 }, (_, i) => [
        rawField(batch, i, a)?.raw,
        rawField(batch, i, b)?.raw,
      ]);
      t.same(
        found,
        Array.from({ length: 2000 }, (_, i) => [`${i}`, `"x${i}"`]),
      );
    }
  },
);

t.test('fields asked for before the first batch are found', async (t) => {
  const fields = new FieldRegistry();
  const decoder = new JsonLinesDecoder(fields, 'pipeline', createMetrics());
  const slot = fields.slot(['verb']);
  t.equal(rawField(decoder.decode(chunkOf(`${WHOLE}\n`)), 0, slot)?.raw, '"get"');
});

t.test('blank lines are counted and nothing else', async (t) => {
  const { batch, metrics } = decode(`\n${WHOLE}\n  \t\r\n\r\n`);
  t.equal(batch.size, 1);
  t.same(batch.quarantined, []);
  t.match(metrics, { linesRead: 4, events: 1, linesBlank: 3, linesQuarantined: 0 });
});

t.test('an empty chunk is an empty batch', async (t) => {
  const { batch, metrics } = decode('');
  t.equal(batch.size, 0);
  t.equal(metrics.linesRead, 0);
});

t.test('what is no event goes to the quarantine with its bytes, place and reason', async (t) => {
  const table: [line: string, reason: string, detail: RegExp][] = [
    ['[1,2]', 'not_an_object', /valid JSON/],
    [` "text" `, 'not_an_object', /valid JSON/],
    ['null', 'not_an_object', /valid JSON/],
    ['not json', 'malformed', /an object was expected at byte 0 of the line$/],
    ['{"a":1,}', 'malformed', /a key in quotes was expected at byte 7 of the line$/],
    ['{"a":1}}', 'malformed', /the end of the line was expected at byte 7/],
    ['{"kind":"Event","apiVersion":"audit.k8s.io/v1","le', 'malformed', /at byte 50/],
    ['{"a":1}{"b":2}', 'malformed', /the end of the line was expected at byte 7/],
    ['{', 'malformed', /pretty-printed/],
    ['    "kind": "Event",', 'malformed', /pretty-printed/],
    ['  },', 'malformed', /pretty-printed/],
    ['\0\0\0', 'malformed', /NUL/],
    ['\xff\xfe', 'malformed', /an object was expected/],
  ];
  for (const [line, reason, detail] of table) {
    const { batch, metrics } = decode(Buffer.from(`${WHOLE}\n${line}\n${WHOLE}\n`, 'latin1'), undefined, {
      offset: 1000,
    });
    t.same(events(batch), [WHOLE, WHOLE], line);
    t.equal(batch.quarantined.length, 1);
    t.match(batch.quarantined[0], {
      reason,
      detail,
      path: '/var/log/audit.log',
      offset: 1000 + WHOLE.length + 1,
      length: line.length,
    });
    t.equal(batch.quarantined[0]?.raw.toString('latin1'), line);
    t.match(metrics, { linesRead: 3, events: 2, linesQuarantined: 1 });
  }
});

t.test(
  'an EventList becomes its items, each with its place, and what is no event goes to the quarantine',
  async (t) => {
    const list =
      '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"verb":"get"},7,{"verb":"list"}]}';
    const sorted = '{"apiVersion":"audit.k8s.io/v1beta1","items":[{"verb":"watch"}],"kind":"EventList"}';
    const fields = new FieldRegistry();
    const verb = fields.slot(['verb']);
    const text = `${WHOLE}\n${list}\n{"kind":"EventList","items":[]}\n${sorted}\n${WHOLE}\n`;
    const { batch, metrics } = decode(text, fields);
    t.same(
      Array.from({ length: batch.size }, (_, i) => batch.bytes(i).toString()),
      [
        WHOLE,
        '{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"get"}',
        '{"kind":"Event","apiVersion":"audit.k8s.io/v1","verb":"list"}',
        '{"kind":"Event","apiVersion":"audit.k8s.io/v1beta1","verb":"watch"}',
        WHOLE,
      ],
    );
    t.equal(rawField(batch, 2, verb)?.raw, '"list"');
    t.equal(batch.line(1).toString(), '{"verb":"get"}');
    t.equal(batch.origin(1).offset, text.indexOf('{"verb":"get"}'));
    t.match(batch.quarantined, [{ reason: 'not_an_object', offset: text.indexOf('7,{'), length: 1 }]);
    t.match(metrics, { linesRead: 7, events: 5, linesBlank: 1, linesQuarantined: 1 });
  },
);

t.test('an event that speaks of lists is none', async (t) => {
  const lines = ['{"kind":"Pod","note":"EventList"}', '{"requestObject":{"kind":"EventList","items":[{}]}}'];
  const { batch } = decode(lines.map((line) => `${line}\n`).join(''));
  t.equal(batch.size, 2);
});

t.test('lines that the source put aside are passed on and counted', async (t) => {
  const entry = {
    reason: 'too_long' as const,
    path: '/var/log/audit.log',
    offset: 7,
    length: 99,
    detail: 'too long',
    raw: Buffer.from('{'),
  };
  const { batch, metrics } = decode(`${WHOLE}\nx\n`, undefined, { quarantined: [entry] });
  t.same(
    batch.quarantined.map(({ reason }) => reason),
    ['too_long', 'malformed'],
  );
  t.match(metrics, { linesRead: 3, events: 1, linesQuarantined: 2 });
});

t.test('a whole event is saved from behind half an event, wherever the half was cut', async (t) => {
  const fields = new FieldRegistry();
  const slots = [
    fields.slot(['stage']),
    fields.slot(['user', 'username']),
    fields.slot(['requestObject', 'spec']),
  ];
  const half = Buffer.from(GENUINE_LINE);
  for (let cut = 1; cut < half.length; cut++) {
    const torn = Buffer.concat([half.subarray(0, cut), Buffer.from(`${WHOLE}\n`)]);
    const { batch, metrics } = decode(torn, fields, { offset: 50 });
    const [entry] = batch.quarantined;
    const isRight =
      batch.size === 1 &&
      events(batch)[0] === WHOLE &&
      entry?.reason === 'torn' &&
      entry.offset === 50 &&
      entry.length === cut &&
      entry.raw.equals(half.subarray(0, cut)) &&
      slots.map((slot) => rawField(batch, 0, slot)?.raw).join() === '"RequestReceived","a\\\\",' &&
      metrics.linesRead === 2 &&
      reconciles(metrics);
    if (!isRight) t.fail(`cut at ${cut}`);
  }
  t.match(decode(`${GENUINE_LINE.slice(0, 99)}${WHOLE}\n`).batch.quarantined[0]?.detail, /half an event/);
});

t.test('several halves before a whole event are one torn entry', async (t) => {
  const halves = `${WHOLE.slice(0, 60)}${GENUINE_LINE.slice(0, 700)}`;
  const { batch } = decode(`${halves}${WHOLE}\r\n`);
  t.same(events(batch), [`${WHOLE}\r`]);
  t.equal(batch.quarantined[0]?.raw.toString(), halves);
});

t.test('events on one line whose newlines were lost are all delivered', async (t) => {
  const { batch, metrics } = decode(`${WHOLE}${GENUINE_LINE}${WHOLE}\n`);
  t.same(events(batch), [WHOLE, GENUINE_LINE, WHOLE]);
  t.same(batch.quarantined, []);
  t.match(metrics, { linesRead: 3, events: 3 });
  const behind = decode(`${WHOLE}${WHOLE.slice(0, 70)}${WHOLE}\n`);
  t.same(events(behind.batch), [WHOLE, WHOLE], 'a half between two whole ones');
  t.equal(behind.batch.quarantined[0]?.offset, WHOLE.length);
});

t.test('a hole of NUL bytes before an event is told apart from half an event', async (t) => {
  const hole = '\0'.repeat(4096);
  const { batch } = decode(`${hole}${WHOLE}\n`);
  t.same(events(batch), [WHOLE]);
  t.match(batch.quarantined, [{ reason: 'torn', length: 4096, detail: /4096 NUL bytes.*copytruncate/ }]);
});

t.test('an event inside the body of another is never taken for one of its own', async (t) => {
  const nested = `${WHOLE.slice(0, -1)},"requestObject":${WHOLE},"responseObject":[${WHOLE},${WHOLE}]}`;
  t.same(events(decode(`${nested}\n`).batch), [nested]);
  t.same(events(decode(`${WHOLE.slice(0, 50)}${nested}\n`).batch), [nested], 'behind a half');
  const half = nested.slice(0, -`,${WHOLE}]}`.length);
  t.same(events(decode(`${half}${WHOLE}\n`).batch), [WHOLE], 'a half that ends with an inner event');
  const broken = nested.replace('"get"}', '"get",}');
  const { batch } = decode(`${broken}\n`);
  t.equal(batch.size, 0, 'in a broken event');
  t.equal(batch.quarantined[0]?.reason, 'malformed');
});

t.test('the last line of a finished file is an event if it is whole, else torn', async (t) => {
  t.same(events(decode(`${WHOLE}\n${WHOLE}`).batch), [WHOLE, WHOLE]);
  const fields = new FieldRegistry();
  fields.slot(['stage']);
  for (const end of [WHOLE.slice(0, -1), WHOLE.slice(0, -'"get"}'.length), '{', 'x', '[1]', '\0']) {
    const { batch, metrics } = decode(`${WHOLE}\n${end}`, fields);
    t.same(events(batch), [WHOLE]);
    t.match(batch.quarantined, [{ reason: 'torn', offset: WHOLE.length + 1, length: end.length }], end);
    t.ok(reconciles(metrics));
  }
  const cutBehindObject = `${WHOLE.slice(0, WHOLE.indexOf(',"verb"'))}`;
  t.equal(
    decode(cutBehindObject, fields).batch.size,
    0,
    'not even if all fields were found and a brace ends it',
  );
  const inner = `${WHOLE.slice(0, -1)},"requestObject":{"items":[${WHOLE}`;
  t.equal(decode(inner).batch.size, 0, 'nor does an inner event count that it was cut behind');
  t.same(events(decode(`${WHOLE.slice(0, 60)}${WHOLE}`).batch), [WHOLE], 'an event behind a half does');
  t.match(decode(' \t').metrics, { linesRead: 1, linesBlank: 1 });
});

t.test('hostile lines cost time in proportion to their length', async (t) => {
  const size = 4 << 20;
  const needle = '{"kind":"Event","apiVersion":"audit';
  const fields = new FieldRegistry();
  fields.slot(['stage']);
  const lines = {
    needles: needle.repeat(size / needle.length),
    quotes: '"'.repeat(size),
    backslashes: `"${'\\'.repeat(size)}"}`,
    'escaped quotes': `${'\\"'.repeat(size / 2)}"}`,
    'closing braces': '}'.repeat(size),
    'opening braces': '{'.repeat(size),
    'inner events': `{"x":[${`${WHOLE},`.repeat(size / WHOLE.length)}`,
    'whole events without newlines': `${WHOLE.repeat(size / WHOLE.length)}{`,
    'empty objects': '{}'.repeat(size / 2),
  };
  for (const [name, line] of Object.entries(lines)) {
    const data = Buffer.from(`${line}\n`);
    const began = process.cpuUsage();
    const { metrics } = decode(data, fields);
    const { user } = process.cpuUsage(began);
    t.ok(reconciles(metrics), name);
    // 4 MiB take some 20 ms; anything quadratic takes minutes.
    t.ok(user < 3e6, `${name}: ${Math.round(user / 1000)} ms`);
  }
});

t.test('the object that a text ends with is found backwards', async (t) => {
  const table: [text: string, expected: number][] = [
    ['{}', 0],
    ['x{}', 1],
    ['{"a":"}"}', 0],
    ['"{"{"a":"{\\"{\\\\"}', 3],
    ['{"a":[{}]}{"b":[{},{}]}', 10],
    ['abc\\{"a":1}', 4],
    ['{"a":1]', -1],
    ['[1}', -1],
    ['"}', -1],
    ['{} ', -1],
    ['', -1],
  ];
  for (const [text, expected] of table) {
    t.equal(findLastObject(Buffer.from(text), 0, text.length), expected, text);
  }
  t.equal(findLastObject(Buffer.from('{{}'), 1, 3), 1);
  t.equal(findLastObject(Buffer.from('{"a":1}'), 1, 7), -1, 'not before the start');
});
