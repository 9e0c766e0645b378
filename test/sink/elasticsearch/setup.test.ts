// What is installed for a sink, and what becomes of what is there already; and what waits for it. Servers are scripts here:
// a real one is in test/elasticsearch.
import t from 'tap';
import { Value } from '@sinclair/typebox/value';
import { pino } from 'pino';
import type { Answer, ClusterRequest } from '../../../src/sink/elasticsearch/cluster.js';
import { mappingsOf, TEMPLATE_VERSION } from '../../../src/sink/elasticsearch/mappings.js';
import { elasticsearchOptions } from '../../../src/sink/elasticsearch/options.js';
import type { ElasticsearchOptions } from '../../../src/sink/elasticsearch/options.js';
import { compare, setUp } from '../../../src/sink/elasticsearch/setup.js';
import { guardTemplate } from '../../../src/sink/elasticsearch/template-guard.js';
import { installationOf, matchesPattern } from '../../../src/sink/elasticsearch/templates.js';
import type { LogLine } from '../../helpers/headgate.js';

type Json = Record<string, unknown>;

function optionsOf(given: Json = {}): ElasticsearchOptions {
  const options = { nodes: ['http://127.0.0.1:1'], index: 'logs-kubernetes.audit-default', ...given };
  return Value.Default(elasticsearchOptions, structuredClone(options)) as ElasticsearchOptions;
}

t.test('the names that an index can make are those of its template', async (t) => {
  for (const [given, patterns] of [
    [{ index: 'audit' }, ['audit']],
    [{ index: 'audit-%Y.%m' }, ['audit-*.*']],
    [{ index: 'audit-{{ tag }}' }, ['audit-*']],
    [{ index: 'a-{{ tag }}-%Y' }, ['a-*-*', 'a-*_*', 'a-overflow']],
    [{ index: 'a-{{ tag }}', overflow_index: 'others-%Y' }, ['a-*', 'others-*']],
  ] as const)
    t.strictSame(installationOf(optionsOf(given)).patterns, patterns);
  t.equal(matchesPattern('a-*-*', 'a-b'), false);
  t.equal(matchesPattern('a-*-*', 'a--'), true);
  t.equal(matchesPattern('*', ''), true);
  t.equal(matchesPattern('a*a', 'a'), false);
});

t.test('time slices are indices, everything else is a data stream, unless told otherwise', async (t) => {
  const isDataStream = (given: Json): boolean => installationOf(optionsOf(given)).isDataStream;
  t.equal(isDataStream({ index: 'audit' }), true);
  t.equal(isDataStream({ index: 'audit-{{ tag }}' }), true);
  t.equal(isDataStream({ index: 'audit-%Y' }), false);
  const setup = optionsOf({ index: 'audit' }).setup;
  t.equal(isDataStream({ index: 'audit', setup: { ...setup, data_stream: false } }), false);
});

t.test('of two templates that a name matches the one that says more of it goes first', async (t) => {
  const priorityOf = (index: string): unknown =>
    installationOf(optionsOf({ index })).resources.at(-1)?.body['priority'];
  t.ok(Number(priorityOf('audit-system')) > Number(priorityOf('audit-{{ tag }}')));
  t.ok(Number(priorityOf('a-{{ tag }}')) > 200, 'above those of the server and of integrations');
});

t.test(
  'a policy deletes only where that is asked for, and is there only where it does something',
  async (t) => {
    const policyOf = (given: Json): unknown => {
      const [first] = installationOf(optionsOf(given)).resources;
      return first?.kind === 'lifecycle policy' ? (first.body['policy'] as Json)['phases'] : undefined;
    };
    const rollover = { max_primary_shard_size: '53687091200b', max_age: '30d' };
    t.strictSame(policyOf({}), { hot: { min_age: '0ms', actions: { rollover } } });
    t.match(policyOf({ setup: { lifecycle: { ...optionsOf().setup.lifecycle, keep_age: '90d' } } }), {
      delete: { min_age: '90d', actions: { delete: {} } },
    });
    t.equal(policyOf({ index: 'audit-%Y' }), undefined);
    t.equal(policyOf({ flavor: 'opensearch' }), undefined);
  },
);

t.test('what OpenSearch does not know is not in what is sent to it', async (t) => {
  for (const format of ['native', 'ecs'] as const) {
    const text = JSON.stringify(installationOf(optionsOf({ flavor: 'opensearch', format })).resources);
    t.notMatch(text, /"type":"flat|ignore_missing|lifecycle|"mode"/);
  }
  const { properties } = mappingsOf({ format: 'native', bodies: 'flattened', flavor: 'opensearch' });
  t.match(properties, {
    requestObject: { enabled: false },
    user: { properties: { extra: { enabled: false } } },
  });
});

t.test('no mapping is dynamic, and no term can be longer than Lucene takes', async (t) => {
  for (const format of ['native', 'ecs'] as const) {
    const mappings = mappingsOf({ format, bodies: 'flattened', flavor: 'elasticsearch' });
    t.equal(mappings['dynamic'], false);
    const visit = (node: Json): void => {
      const { type } = node;
      if (type === 'keyword') t.ok(Number(node['ignore_above']) * 4 <= 32_766);
      if (type === 'flattened') t.ok(Number(node['ignore_above']) <= 1024 && node['depth_limit'] === 1000);
      t.not(type, 'date', 'times have microseconds');
      for (const below of Object.values((node['properties'] ?? {}) as Record<string, Json>)) visit(below);
    };
    visit(mappings);
  }
});

t.test('what is found is held against what is wanted', async (t) => {
  const [policy, component] = installationOf(optionsOf()).resources;
  if (!policy || !component) throw new Error('impossible: it has resources');
  const server = (body: unknown): Json => JSON.parse(JSON.stringify(body)) as Json;
  for (const each of [policy, component]) {
    t.equal(compare(each, undefined).state, 'missing');
    t.equal(compare(each, server(each.body)).state, 'same');
    t.equal(compare(each, {}).state, 'foreign');
  }
  t.equal(compare(component, { ...server(component.body), version: TEMPLATE_VERSION + 1 }).state, 'newer');
  t.equal(compare(component, { ...server(component.body), created_date_millis: 5 }).state, 'same');
  const other = server(component.body);
  const mappings = (other['template'] as Json)['mappings'] as { properties: Record<string, Json> };
  mappings.properties['verb'] = { type: 'text' };
  t.match(compare(component, other), {
    state: 'different',
    differences: [
      'template.mappings.properties.verb.type: "text" → "keyword"',
      /ignore_above: nothing → 8191/,
    ],
  });
});

/** A server that has nothing, or what `found` says, and takes everything that is put. */
function server(found: (request: ClusterRequest) => Answer | undefined = () => undefined) {
  const requests: string[] = [];
  const lines: string[] = [];
  const request = async (each: ClusterRequest): Promise<Answer> => {
    requests.push(`${each.method} ${decodeURIComponent(each.path)}`);
    const missing = { error: { type: 'resource_not_found_exception', reason: 'not found' } };
    return (
      found(each) ?? (each.method === 'GET' ? answer(404, missing) : answer(200, { acknowledged: true }))
    );
  };
  const say = (line: string): void => {
    lines.push(line);
  };
  const setup = { request, say, isDryRun: false, isForced: false, withRollover: false };
  return { requests, lines, setup };
}
const answer = (status: number, body: unknown): Answer => ({ status, body, retryAfterMs: 0 });
const NAME = 'headgate-logs-kubernetes.audit-default';

t.test('on a server with lifecycles all is installed, in the order in which it is needed', async (t) => {
  const { setup, requests } = server();
  t.equal(await setUp(optionsOf(), setup), true);
  t.strictSame(
    requests.filter((each) => !each.startsWith('GET')),
    [
      `PUT /_ilm/policy/${NAME}`,
      `PUT /_component_template/${NAME}@mappings`,
      `PUT /_component_template/${NAME}@settings`,
      `PUT /_index_template/${NAME}`,
      'PUT /_data_stream/logs-kubernetes.audit-default',
    ],
  );
});

t.test('a dry run only reads', async (t) => {
  const { setup, requests, lines } = server();
  t.equal(await setUp(optionsOf(), { ...setup, isDryRun: true }), true);
  t.ok(requests.every((each) => each.startsWith('GET')));
  t.equal(lines.filter((line) => line.startsWith('would create')).length, 5);
});

t.test('a server without lifecycles is told of, and gets the rest without them', async (t) => {
  for (const flavor of ['elasticsearch', 'opensearch']) {
    const none = answer(400, { error: 'no handler found for uri [/_ilm/policy/x] and method [GET]' });
    const bodies: unknown[] = [];
    const { setup, lines } = server(({ path, body }) => {
      bodies.push(body);
      return path.startsWith('/_ilm') ? none : undefined;
    });
    t.equal(await setUp(optionsOf({ flavor }), setup), true);
    t.match(lines[0], /^skipped +lifecycle/);
    t.notMatch(JSON.stringify(bodies), /lifecycle/);
  }
});

t.test('of what is refused nothing is changed, also not what would go in front', async (t) => {
  const template = { index_templates: [{ name: NAME, index_template: { index_patterns: ['x'] } }] };
  const foreign = ({ method, path }: ClusterRequest): Answer | undefined =>
    method === 'GET' && path.startsWith('/_index_template') ? answer(200, template) : undefined;
  const refusing = server(foreign);
  t.equal(await setUp(optionsOf(), refusing.setup), false);
  t.ok(refusing.requests.every((each) => each.startsWith('GET')));
  t.match(refusing.lines, [/^refused +index template .* not Headgate’s.*--force/]);
  const forced = server(foreign);
  t.equal(await setUp(optionsOf(), { ...forced.setup, isForced: true }), true);
  t.match(forced.lines.join('\n'), `replaced   index template ${NAME}`);
});

t.test('rights that do not reach are told, with what they should be', async (t) => {
  const { setup, lines } = server(() =>
    answer(403, { error: { type: 'security_exception', reason: 'action is unauthorized' } }),
  );
  t.equal(await setUp(optionsOf(), setup), false);
  t.match(lines, [/^failed .*403: action is unauthorized; it needs `manage_index_templates`/]);
});

t.test('an index that has the name of a data stream is told of', async (t) => {
  const { setup, lines, requests } = server(({ path }) =>
    path.startsWith('/_resolve')
      ? answer(200, { indices: [{ name: 'logs-kubernetes.audit-default' }], data_streams: [] })
      : path.includes('/_mapping')
        ? answer(200, {})
        : undefined,
  );
  t.equal(await setUp(optionsOf(), setup), true);
  t.match(lines.join('\n'), /is an index, not a data stream/);
  t.match(lines.join('\n'), /unless you reindex them: logs-kubernetes.audit-default/);
  t.notOk(requests.some((each) => each.startsWith('PUT /_data_stream')));
});

/** A guard in front of a server that answers requests for templates with these, and the rest with 200. */
function guarded(given: Json, templates: (path: string) => Answer) {
  const paths: string[] = [];
  const logs: LogLine[] = [];
  const log = pino({ level: 'info' }, { write: (line) => logs.push(JSON.parse(line) as LogLine) });
  let isDown = false;
  const request = guardTemplate(
    optionsOf(given),
    async ({ path }) => {
      if (isDown) throw new Error('no answer');
      paths.push(path);
      return path.startsWith('/_index_template') ? templates(path) : answer(200, {});
    },
    { log, component: 'sinks.elastic' },
  );
  const send = () => request({ method: 'POST', path: '/_bulk' });
  const setDown = (down: boolean): void => {
    isDown = down;
  };
  return { send, paths, logs, setDown };
}
const simulates =
  (simulated: unknown, logs = answer(404, {})) =>
  (path: string): Answer =>
    path.includes('_simulate_index') ? answer(200, simulated) : logs;
const BUILTIN = answer(200, { index_templates: [{ index_template: { index_patterns: ['logs-*-*'] } }] });
const OURS = { template: { mappings: { _meta: { managed_by: 'headgate' } } } };

t.test('events wait while the server’s own template would take them', async (t) => {
  let simulated: unknown = { template: { mappings: {} }, overlapping: [] };
  const { send, paths, setDown } = guarded({}, (path) => simulates(simulated, BUILTIN)(path));
  await t.rejects(send(), {
    name: 'ClusterFault',
    message: /headgate elasticsearch setup.*builtin_template/,
  });
  await t.rejects(send(), { name: 'ClusterFault' });
  t.notOk(paths.includes('/_bulk'));
  simulated = OURS;
  await send();
  const looked = paths.length;
  await send();
  t.equal(paths.length, looked + 1, 'it is looked once');
  setDown(true);
  await t.rejects(send());
  setDown(false);
  simulated = {};
  await t.rejects(send(), { name: 'ClusterFault' }, 'and again when the server was gone');
});

t.test('events do not wait where another template goes first, or there is none', async (t) => {
  for (const templates of [
    simulates({ template: {}, overlapping: [{ name: 'logs' }] }, BUILTIN),
    simulates({}),
    simulates({}, answer(200, { index_templates: [{ index_template: { index_patterns: ['logs-x-*'] } }] })),
  ]) {
    const { send, paths, logs } = guarded({}, templates);
    await send();
    t.ok(paths.includes('/_bulk'));
    t.strictSame(logs, []);
  }
});

t.test('where looking for the template is not allowed that is told once, and events go on', async (t) => {
  for (const templates of [() => answer(403, {}), simulates({}, answer(403, {})), () => answer(500, 'x')]) {
    const { send, logs, setDown } = guarded({}, templates);
    await send();
    setDown(true);
    await t.rejects(send());
    setDown(false);
    await send();
    t.match(logs, [{ code: 'SINK_TEMPLATE', component: 'sinks.elastic', cause: /answered with/ }]);
    t.equal(logs.length, 1);
  }
  const busy = guarded({}, () => answer(429, {}));
  await t.rejects(busy.send(), { name: 'ClusterFault' }, 'a server that is busy is asked again');
});

t.test('nothing is looked for where the template can not be the server’s own', async (t) => {
  for (const given of [{ index: 'audit' }, { builtin_template: 'use' }, { flavor: 'opensearch' }]) {
    const { send, paths } = guarded(given, () => answer(500, {}));
    await send();
    t.strictSame(paths, ['/_bulk']);
  }
  const { send, paths } = guarded({ index: 'logs-{{ tag }}-%Y' }, simulates(OURS));
  await send();
  t.ok(paths.some((path) => path.endsWith('_simulate_index/logs-x-x')));
});
