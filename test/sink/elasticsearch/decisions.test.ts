// What is decided without a server: verdicts, names of indices, how many requests may be under way, documents.
import t from 'tap';
import { FieldRegistry } from '../../../src/event/fields.js';
import { withoutBodies } from '../../../src/sink/elasticsearch/bodies.js';
import { IndexNames, parseIndexTemplate } from '../../../src/sink/elasticsearch/index-name.js';
import { AdaptiveLimit, RequestSize } from '../../../src/sink/elasticsearch/limit.js';
import { checkElasticsearchOptions } from '../../../src/sink/elasticsearch/options.js';
import type { ElasticsearchOptions } from '../../../src/sink/elasticsearch/options.js';
import {
  allCreated,
  describeError,
  itemsOf,
  judgeItem,
  judgeRequest,
  neverFits,
} from '../../../src/sink/elasticsearch/verdict.js';
import { batchOfEvent } from '../../helpers/decode.js';
import { documentOf, NATIVE } from '../../helpers/elasticsearch-document.js';

t.test('the verdict on an item', async (t) => {
  for (const [status, type, verdict] of [
    [200, undefined, 'done'],
    [201, undefined, 'done'],
    [409, 'version_conflict_engine_exception', 'done'],
    [400, 'document_parsing_exception', 'rejected'],
    [400, 'illegal_argument_exception', 'rejected'],
    [400, undefined, 'rejected'],
    [413, 'any', 'rejected'],
    [400, 'index_closed_exception', 'wait'],
    [400, 'validation_exception', 'wait'],
    [404, 'index_not_found_exception', 'wait'],
    [401, 'security_exception', 'wait'],
    [403, 'cluster_block_exception', 'wait'],
    [429, 'es_rejected_execution_exception', 'wait'],
    [500, 'any', 'wait'],
    [503, 'unavailable_shards_exception', 'wait'],
    [0, undefined, 'wait'],
    [302, undefined, 'wait'],
  ] as const)
    t.equal(judgeItem({ status, ...(type && { error: { type } }) }), verdict, `${status} ${type}`);
});

t.test('the verdict on a request', async (t) => {
  const error = (type: string) => ({ error: { type } });
  for (const [status, body, verdict] of [
    [413, '', 'split'],
    [400, error('x_content_parse_exception'), 'split'],
    [400, error('validation_exception'), 'again'],
    [400, '<html>', 'unknown'],
    [400, { error: 'text' }, 'unknown'],
    [401, error('security_exception'), 'again'],
    [403, '', 'again'],
    [429, '', 'again'],
    [404, '', 'unknown'],
    [301, '', 'unknown'],
    [500, '', 'unknown'],
    [504, '', 'unknown'],
  ] as const)
    t.equal(judgeRequest(status, body, 1_000), verdict, `${status} ${JSON.stringify(body)}`);
});

t.test('a request that a node would never have room for is told from one that has to wait', async (t) => {
  const elasticsearch9 =
    'rejected execution of primary operation [coordinating_and_primary_bytes=11060754, replica_bytes=0, all_bytes=11060754, primary_operation_bytes=44242408, max_primary_bytes=51897958]';
  const elasticsearch7 =
    'rejected execution of coordinating operation [coordinating_and_primary_bytes=0, replica_bytes=0, all_bytes=0, coordinating_operation_bytes=1108, max_coordinating_and_primary_bytes=1024]';
  for (const [status, reason, bytes, expected] of [
    [429, elasticsearch9, 11_060_754, true],
    // It had no room with what else was under way; alone it would have.
    [429, elasticsearch9, 7_000_000, false],
    [429, elasticsearch7, 1_108, true],
    [429, elasticsearch7.replace('_bytes=1108', '_bytes=908'), 908, false],
    [429, 'rejected execution of TimedRunnable on EsThreadPoolExecutor[queue capacity = 10000]', 5e7, false],
    [429, undefined, 5e7, false],
    [503, elasticsearch9, 11_060_754, false],
  ] as const) {
    const error = { type: 'es_rejected_execution_exception', ...(reason !== undefined && { reason }) };
    t.equal(neverFits({ status, error }, bytes), expected, `${status} ${reason}`);
    const verdict = expected ? 'split' : status === 429 ? 'again' : 'unknown';
    t.equal(judgeRequest(status, { error }, bytes), verdict);
  }
});

t.test('an answer that is not whole is none', async (t) => {
  const item = { create: { status: 201 } };
  t.equal(itemsOf({ items: [item, item] }, 2)?.length, 2);
  for (const body of [
    null,
    'text',
    {},
    { items: {} },
    { items: [item] },
    { items: [item, {}] },
    { items: [item, null] },
    { items: [item, { create: { status: '201' } }] },
    { items: [item, item, item] },
  ])
    t.equal(itemsOf(body, 2), undefined, JSON.stringify(body));
});

t.test(
  'an answer that all documents were made is known by its text, and no other is taken for it',
  async (t) => {
    const item = '{"create":{"status":201}}';
    const of = (...items: string[]): string => `{"items":[${items.join(',')}]}`;
    for (const count of [3, 1, 5000, 2]) {
      const text = of(...new Array<string>(count).fill(item));
      t.strictSame(allCreated(text), JSON.parse(text));
    }
    const others = [
      of(),
      of(item, item.replace('201', '200')),
      of(item, item.replace('201', '409'), item),
      of(item, item).replace('},{', '} {'),
      of(item, item).slice(0, -1),
      `${of(item)} `,
      of(item).replace('items', 'itemz'),
      '',
    ];
    for (const text of others) t.equal(allCreated(text), undefined, text);
  },
);

t.test('the words of a server are bounded', async (t) => {
  const error = { type: 'some_exception', reason: 'x'.repeat(10_000) };
  t.ok(describeError({ status: 400, error }).length <= 500);
  t.equal(describeError({ status: 400 }), '400 without a reason: ');
});

const faultOf = (text: string): string => {
  const parsed = parseIndexTemplate(text);
  return 'faults' in parsed ? (parsed.faults[0]?.message ?? '') : '';
};

t.test('the name of an index begins with text and is fit for one', async (t) => {
  for (const good of ['audit', 'logs-k8s.audit-default', 'a-{{ tag }}-%Y.%m.%d', '.own-{{ tag }}'])
    t.equal(faultOf(good), '', good);
  t.match(faultOf('{{ tag }}'), /begins with text/);
  t.match(faultOf('%Y-audit'), /begins with text/);
  t.match(faultOf('-audit'), /begins with text/);
  for (const bad of ['Audit', 'a b', 'a/b', 'a*', 'a,b', 'a#', 'a:b', 'ä', 'a"b'])
    t.not(faultOf(bad), '', bad);
});

function namesOf(template: string, tags: readonly string[], max = 100, overflow?: string): string[] {
  const fields = new FieldRegistry();
  const names = new IndexNames(template, max, overflow, fields);
  return tags.map((tag) => {
    const batch = batchOfEvent({ stageTimestamp: '2026-11-21T23:59:59.999999Z' }, fields);
    batch.tags[0] = tag;
    return names.of(batch, 0).target;
  });
}

t.test('no value makes a name that a server refuses, or that is not the template’s', async (t) => {
  const tags = [
    'Team A',
    '',
    '../x',
    '.security',
    'a,b',
    'ä*?"<>|#:\\/\0',
    'x'.repeat(1000),
    'y'.repeat(300),
  ];
  const names = namesOf('audit-{{ tag }}-%Y.%m.%d', tags);
  t.equal(names[0], 'audit-team_a-2026.11.21');
  for (const name of names) {
    t.match(name, /^audit-[a-z0-9._@+=%-]*$/);
    t.ok(name.length <= 230);
  }
  t.equal(new Set(names.slice(-2)).size, 2, 'what is cut stays apart');
});

t.test('values make so many names and no more; time does not count', async (t) => {
  t.strictSame(namesOf('a-{{ tag }}-%d', ['x', 'y', 'z', 'x', 'q'], 2), [
    'a-x-21',
    'a-y-21',
    'a-overflow',
    'a-x-21',
    'a-overflow',
  ]);
  t.strictSame(namesOf('a-{{ tag }}', ['x', 'y'], 1, 'others'), ['a-x', 'others']);
});

t.test('before and after the bound was reached an event is looked for in both places', async (t) => {
  const fields = new FieldRegistry();
  const names = new IndexNames('a-{{ tag }}', 1, undefined, fields);
  const places = ['x', 'y'].map((tag) => {
    const batch = batchOfEvent({}, fields);
    batch.tags[0] = tag;
    return names.of(batch, 0).places;
  });
  t.strictSame(places, [
    ['a-x', 'a-overflow'],
    ['a-overflow', 'a-y'],
  ]);
});

t.test('under pressure fewer requests are under way, then slowly more, and never none', async (t) => {
  const limit = new AdaptiveLimit(8);
  for (const expected of [4, 2, 1, 1]) {
    limit.lower();
    t.equal(limit.limit, expected);
  }
  for (let k = 0; k < 50; k++) limit.raise();
  t.equal(limit.limit, 8);

  const { signal } = new AbortController();
  for (let k = 0; k < 5; k++) limit.lower();
  let active = 0;
  let most = 0;
  const run = (): Promise<void> =>
    limit.run(signal, async () => {
      most = Math.max(most, ++active);
      await new Promise(setImmediate);
      active--;
    });
  await Promise.all(Array.from({ length: 10 }, run));
  t.equal(most, 1);
});

t.test(
  'a request that is refused makes later ones smaller; what had no room grows again, a limit stays',
  async (t) => {
    const size = new RequestSize();
    t.equal(size.maxBytes, Infinity);
    size.noRoom(1_000_000);
    t.equal(size.maxBytes, 500_000);
    for (let k = 0; k < 20; k++) size.fit();
    t.ok(size.maxBytes > 1_000_000);
    size.tooLarge(100_000);
    for (let k = 0; k < 20; k++) size.fit();
    t.equal(size.maxBytes, 50_000);
    size.tooLarge(1);
    t.equal(size.maxBytes, 4096, 'never nothing');
  },
);

t.test('an event without members, or in white space, becomes a document', async (t) => {
  for (const event of ['{}', ' { } ', '\t{"a":1}', '{ "a":1 }\r'])
    t.match(
      JSON.parse(documentOf(event) ?? ''),
      { host: { name: 'h"' }, headgate: { pipeline: 'p', tag: 'pipeline' } },
      event,
    );
});

t.test('an event that has such keys itself keeps what else stands there', async (t) => {
  const event =
    '{"event":{"dataset":"d","ingested":"forged"},"host":"forged","@timestamp":1,"headgate":{"tag":"forged"},"log":{"x":1},"stageTimestamp":"2026-11-21T09:31:11.543895Z","host":2}';
  const document = documentOf(event) ?? '';
  t.strictSame(JSON.parse(document), {
    event: { dataset: 'd', ingested: 'now' },
    host: { name: 'h"' },
    '@timestamp': '2026-11-21T09:31:11.543895Z',
    headgate: { tag: 'pipeline', pipeline: 'p' },
    log: { x: 1, file: { path: '/var/log/audit.log' }, offset: 0 },
    stageTimestamp: '2026-11-21T09:31:11.543895Z',
  });
  t.equal(document.match(/"host"/g)?.length, 1, 'no key is there twice');
});

t.test('the time of a document is the event’s own, to the microsecond', async (t) => {
  const timeOf = (event: object): unknown =>
    (JSON.parse(documentOf(JSON.stringify(event)) ?? '') as Record<string, unknown>)['@timestamp'];
  t.equal(timeOf({ stageTimestamp: '2026-11-21T09:31:11.543895Z' }), '2026-11-21T09:31:11.543895Z');
  t.equal(timeOf({ timestamp: '2026-11-21T09:31:11Z' }), '2026-11-21T09:31:11Z');
  for (const stageTimestamp of ['0001-01-01T00:00:00Z', 'x', 5, null, '2026-13-01T00:00:00Z'])
    t.equal(timeOf({ stageTimestamp }), '2023-11-14T22:13:20.000Z');
});

t.test('managedFields are taken out of bodies only, at any depth', async (t) => {
  const event =
    '{"managedFields":1,"requestObject":{"metadata":{"managedFields":[{".":{}}],"name":"n"}},"responseObject":{"items":[{"metadata":{"managedFields":[]}}]},"requestURI":"managedFields"}';
  const document = JSON.parse(documentOf(event) ?? '') as Record<string, unknown>;
  t.equal(document['managedFields'], 1);
  t.strictSame(document['requestObject'], { metadata: { name: 'n' } });
  t.strictSame(document['responseObject'], { items: [{ metadata: {} }] });
  t.match(documentOf(event, { keepManagedFields: true }), event.slice(1));
});

t.test('a document without bodies says so', async (t) => {
  const body = JSON.stringify({ data: 'x'.repeat(1000) });
  const smaller = withoutBodies(
    Buffer.from(`{"requestObject":${body},"responseObject":{},"level":"Request"}`),
    NATIVE,
  );
  t.match(JSON.parse(smaller?.toString() ?? ''), {
    requestObject: { 'headgate.io/truncated': { bytes: body.length, sha256: /^[0-9a-f]{64}$/ } },
    responseObject: { 'headgate.io/truncated': { bytes: 2 } },
    level: 'Request',
    annotations: { 'headgate.io/truncated': 'requestObject,responseObject' },
  });
  t.equal(withoutBodies(Buffer.from('{"level":"Metadata"}'), NATIVE), undefined, 'nothing to take out');
  t.equal(smaller && withoutBodies(smaller, NATIVE), undefined, 'nothing more to take out');
});

t.test('options that do not go together are faults', async (t) => {
  const faultsOf = (options: object): string[] =>
    checkElasticsearchOptions({
      nodes: ['https://a'],
      auth: {},
      tls: {},
      index: 'a',
      ...options,
    } as unknown as ElasticsearchOptions).map(({ message }) => message);
  t.strictSame(faultsOf({}), []);
  t.strictSame(faultsOf({ auth: { username: 'u', password_file: '/p' } }), []);
  t.strictSame(faultsOf({ auth: { api_key_env: 'K' }, tls: { ca_file: '/c' } }), []);
  t.match(faultsOf({ auth: { username: 'u' } }), [/belong together/]);
  t.match(faultsOf({ auth: { password_env: 'P' } }), [/belong together/]);
  t.match(faultsOf({ auth: { api_key_file: '/a', api_key_env: 'K' } }), [/more than one way/]);
  t.match(faultsOf({ auth: { api_key_file: '/a', username: 'u', password_file: '/p' } }), [
    /more than one way/,
  ]);
  t.match(faultsOf({ nodes: ['http://a'], tls: { ca_file: '/c' } }), [/https/]);
  t.match(faultsOf({ tls: { cert_file: '/c' } }), [/needs its key/]);
});
