import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { isPlainEvent, ItemPrefixes, readEventList, readList } from '../../src/codec/event-list.js';
import { JsonReader } from '../../src/event/json-reader.js';
import { GENUINE_LINE } from '../helpers/json.js';

function itemsOf(text: string | Buffer): (string | undefined)[] | undefined {
  const data = Buffer.concat([Buffer.from(text), Buffer.from('\n')]);
  const reader = new JsonReader();
  reader.load(data);
  const list = readEventList(reader, 0);
  return list?.items.map((item) => {
    if (!item.isObject) return undefined;
    const prefix = new ItemPrefixes(list).of(item) ?? data.subarray(item.start, item.start + 1);
    return prefix.toString() + data.toString('utf8', item.start + 1, item.end);
  });
}

t.test('kind and apiVersion of the list go in front of items that lack them', async (t) => {
  t.same(
    itemsOf(
      '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[{"level":"None", "n":1.0},{} , {"kind":"Event","apiVersion":"x"},{"apiVersion":"y"}]}',
    ),
    [
      '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"None", "n":1.0}',
      '{"kind":"Event","apiVersion":"audit.k8s.io/v1"}',
      '{"kind":"Event","apiVersion":"x"}',
      '{"kind":"Event","apiVersion":"y"}',
    ],
  );
});

t.test('the list is known by its kind, wherever that stands', async (t) => {
  t.same(itemsOf('{"items":[{"a":1}],"kind":"\\u0045ventList"}'), ['{"kind":"Event","a":1}']);
  t.same(itemsOf('{"kind":"EventList"}'), []);
  t.same(itemsOf('{"kind":"EventList","items":null}'), []);
  t.equal(itemsOf('{"kind":"Event","items":[{}]}'), undefined);
  t.equal(itemsOf('{"items":[{"kind":"EventList"}]}'), undefined);
});

t.test('an item that is no object is no event', async (t) => {
  t.same(itemsOf('{"kind":"EventList","items":[1,[{"a":1}],null,{"b":2}]}'), [
    undefined,
    undefined,
    undefined,
    '{"kind":"Event","b":2}',
  ]);
});

t.test('a long apiVersion is not copied to the items', async (t) => {
  const version = 'v'.repeat(100_000);
  t.same(itemsOf(`{"kind":"EventList","apiVersion":"${version}","items":[{"a":1}]}`), [
    '{"kind":"Event","a":1}',
  ]);
});

t.test('of a list that breaks, the items before that are whole', async (t) => {
  const read = (text: string, maxItems?: number) => {
    const reader = new JsonReader();
    reader.load(Buffer.from(text));
    const { isList, items, end, brokenAt, hasTooMany } = readList(reader, 0, maxItems);
    const rest = brokenAt < 0 ? undefined : text.slice(brokenAt);
    return { isList, items: items.map(({ start, end }) => text.slice(start, end)), end, rest, hasTooMany };
  };
  const head = '{"kind":"EventList","items":[';
  for (const [rest, items, broken] of [
    ['{"a":1},{"b":2', ['{"a":1}'], '{"b":2'],
    ['{"a":1},{"b":tru},{"c":3}]}', ['{"a":1}'], '{"b":tru},{"c":3}]}'],
    ['{"a":1} {"b":2}]}', ['{"a":1}'], '{"b":2}]}'],
    ['{"a":1},', ['{"a":1}'], ''],
    ['{"a":1},]}', ['{"a":1}'], ']}'],
    ['{"a":1}],"x"}', ['{"a":1}'], ',"x"}'],
    ['', [], ''],
  ] as const) {
    const found = read(head + rest);
    t.same(found, { isList: true, items, end: -1, rest: broken, hasTooMany: false }, rest);
  }
  t.match(read(`${head}{},{},{}]}`, 2), { end: -1, hasTooMany: true });
  t.match(read(`${head}{},{}]}`, 2), { end: head.length + 7, hasTooMany: false });
  t.match(read('{"items":[{"a":1}],"x"}'), { isList: false, end: -1 });
});

t.test('what is told apart at a glance', async (t) => {
  t.ok(isPlainEvent(Buffer.from(GENUINE_LINE), 0));
  for (const line of [
    '{"kind":"EventList","a":1}',
    '{ "kind":"EventList"}',
    '{"items":[],"kind":"EventList"}',
  ])
    t.notOk(isPlainEvent(Buffer.from(line), 0), line);
});

const data = process.env['HEADGATE_TEST_DATA'];
const skip = data === undefined ? 'HEADGATE_TEST_DATA is not set: no genuine logs' : false;

t.test('genuine bodies become the very lines that the log backend wrote', { skip }, async (t) => {
  for (const run of ['batch', 'trunc']) {
    const directory = join(data ?? '', 'kubernetes/webhook');
    const witness = gunzipSync(readFileSync(join(directory, `${run}.witness-audit.log.gz`)));
    const lines = new Set(witness.toString().split('\n'));
    let items = 0;
    let unknown = 0;
    for (const name of readdirSync(join(directory, run))) {
      const read = readFileSync(join(directory, run, name));
      const post = name.endsWith('.gz') ? gunzipSync(read) : read;
      const start = post.indexOf('{"kind":"EventList"');
      if (start < 0) continue;
      for (const item of itemsOf(post.subarray(start)) ?? []) {
        items++;
        if (!lines.has(item ?? '')) unknown++;
      }
    }
    t.ok(items > 2000, `${items} items of ${run}`);
    // The log backend of that run did not truncate: 20 events are shorter in the webhook.
    t.ok(unknown <= (run === 'trunc' ? 20 : 0), `${unknown} are not in the log`);
  }
});
