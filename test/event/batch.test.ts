import t from 'tap';
import { JsonLinesDecoder } from '../../src/codec/json-lines.js';
import { readPool } from '../../src/codec/lines.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { createMetrics } from '../../src/metrics.js';
import { chunkOf, decode, rawField } from '../helpers/decode.js';
import { responseLine } from '../helpers/legacy.js';

const LINES = [
  '{"verb":"get","user":{"username":"a"}}',
  '{"verb":"list","user":{"username":"b"}}\r',
  '{"verb":"watch"}',
];

function batchOfLines() {
  const fields = new FieldRegistry();
  const verb = fields.slot(['verb']);
  const username = fields.slot(['user', 'username']);
  const { batch } = decode(LINES.map((line) => `${line}\n`).join(''), fields, {
    offset: 1000,
    file: 'a.log',
  });
  return { batch, verb, username };
}

t.test('an event is its line until it is changed', async (t) => {
  const { batch } = batchOfLines();
  for (const [i, line] of LINES.entries()) {
    t.equal(batch.bytes(i).toString(), line);
    t.equal(batch.line(i).toString(), line);
  }
  t.same(batch.origin(1), { file: 'a.log', offset: 1000 + 39 });
});

t.test('a changed event has other bytes and other fields, and its line stays', async (t) => {
  const { batch, verb, username } = batchOfLines();
  batch.tags[1] = 'mine';
  batch.rewrite([{ index: 1, bytes: Buffer.from('{"user":{"username":"c"},"verb":"none"}') }]);
  t.equal(batch.bytes(0).toString(), LINES[0]);
  t.equal(batch.bytes(1).toString(), '{"user":{"username":"c"},"verb":"none"}');
  t.equal(batch.bytes(2).toString(), LINES[2]);
  t.same(rawField(batch, 0, username)?.raw, '"a"');
  t.same(rawField(batch, 1, username)?.raw, '"c"');
  t.same(rawField(batch, 1, verb)?.raw, '"none"');
  t.same(rawField(batch, 2, verb)?.raw, '"watch"');
  t.equal(batch.line(1).toString(), LINES[1]);
  t.same(batch.origin(1), { file: 'a.log', offset: 1039 });
  t.equal(batch.tags[1], 'mine');
});

t.test('changes add up, and a field that was taken out is absent', async (t) => {
  const { batch, verb, username } = batchOfLines();
  batch.rewrite([
    { index: 0, bytes: Buffer.from('{"user":{"username":"x"}}') },
    { index: 2, bytes: Buffer.from('{}') },
  ]);
  batch.rewrite([{ index: 0, bytes: Buffer.from('{"verb":"y"}') }]);
  t.equal(rawField(batch, 0, username), undefined);
  t.equal(rawField(batch, 0, verb)?.raw, '"y"');
  t.equal(rawField(batch, 2, verb), undefined);
  for (const [i, line] of LINES.entries()) t.equal(batch.line(i).toString(), line);
  const target = Buffer.alloc(batch.byteLength(0) + 1);
  batch.copyLine(0, target, 0);
  t.equal(target.toString(), '{"verb":"y"}\n');
});

t.test('what is no event can not take the place of one', async (t) => {
  const { batch } = batchOfLines();
  for (const bytes of ['', '[]', '{"verb":"get"', '{}\n{}'])
    t.throws(() => {
      batch.rewrite([{ index: 0, bytes: Buffer.from(bytes) }]);
    }, /impossible/);
});

for (const [name, line] of [
  ['a changed event', LINES[0]],
  ['an event made by the decoder', responseLine('a')],
] as const)
  t.test(`quarantined lines beside ${name} stay until the batch is released`, async (t) => {
    const text = Buffer.from(`nonsense\n${String(line)}\n`);
    const data = readPool.take(64 * 1024);
    text.copy(data);
    const decoder = new JsonLinesDecoder(new FieldRegistry(), '', createMetrics());
    const batch = decoder.decode({ ...chunkOf(''), data: data.subarray(0, text.length) });
    batch.rewrite([{ index: 0, bytes: Buffer.from('{}') }]);
    // As the next reads do.
    for (let i = 0; i < 8; i++) readPool.take(64 * 1024).fill(0);
    t.equal(batch.quarantined[0]?.raw.toString(), 'nonsense');
  });
