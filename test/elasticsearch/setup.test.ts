// With a real server: what `headgate elasticsearch setup` installs takes every event, whole, and answers what is asked of
// an audit log. `HEADGATE_TEST_ALL` takes all of the genuine logs in the place of their beginnings.
import t from 'tap';
import type { Test } from 'tap';
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { usedOf } from '../../examples/kibana/objects.mjs';
import { exampleFiles } from '../../examples/quickstart/generate.mjs';
import { call, eachDocument, findElasticsearch } from '../helpers/elasticsearch.js';
import type { FoundDocument } from '../helpers/elasticsearch.js';
import { complaints, finished, headgate, reconcile, startHeadgate } from '../helpers/headgate.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

type Json = Record<string, unknown>;

/** Lines of each of the large genuine logs. */
const LINES_OF_LARGE = process.env['HEADGATE_TEST_ALL'] === undefined ? 1_000 : Infinity;
const FORMS = {
  native: '',
  text: ', bodies: text',
  ecs: ', format: ecs, cluster_name: production',
} as const;
type Form = keyof typeof FORMS;
const FORM_NAMES = Object.keys(FORMS) as Form[];

/** All genuine logs of JSON, each line once. */
function genuineLines(data: string): string[] {
  const below = (directory: string, name: RegExp): string[] =>
    readdirSync(join(data, directory))
      .filter((each) => name.test(each))
      .map((each) => join(data, directory, each));
  const lines = (path: string): string[] => {
    const content = readFileSync(path);
    return (path.endsWith('.gz') ? gunzipSync(content) : content).toString().split('\n');
  };
  const small = [
    ...below('openshift', /\.log$/),
    join(data, 'audit2rbac/demo.log'),
    join(data, 'k8s-docs/v1beta1.log'),
  ];
  const pretty = below('openshift', /^raw_.*\.json$/);
  const large = below('kubernetes', /^(metadata|requestresponse)\.log\.gz$/);
  const all = [
    ...small.flatMap(lines),
    ...pretty.map((path) => JSON.stringify(JSON.parse(readFileSync(path, 'utf8')))),
    ...large.flatMap((path) => lines(path).slice(0, LINES_OF_LARGE)),
  ];
  return [...new Set(all)].filter((line) => line.startsWith('{'));
}

const nested = (depth: number): string => '{"a":'.repeat(depth) + '1' + '}'.repeat(depth);
const HOSTILE = [
  ...['5', '-1.5e400', '"text"', 'true', '[1,"x",[null]]', '[{"op":"add","value":5},7]', '[[1]]', '[]'],
  '{".":{"..":1},"":{"":2}," ":3,"a.b":4,"a":{"b":5},"a.":6,".a":7}',
  `{"long":"${'x'.repeat(40_000)}","${'k'.repeat(20_000)}":"${'€'.repeat(40_000)}"}`,
  nested(150),
  nested(900),
  '{"n":"text","m":{"x":1}}',
  '{"n":1,"m":"text"}',
  '{"n":[1,"x",{"y":[[]]}],"m":null}',
  '{"metadata":{"managedFields":[{"fieldsV1":{".":{},"f:a":{}}}],"name":"n"},"nul":"a\\u0000b","lone":"\\ud800"}',
]
  .map((body) => `"requestObject":${body},"responseObject":${body}`)
  .concat(
    `"userAgent":"${'x'.repeat(40_000)}","requestURI":"/${'€'.repeat(12_000)}"`,
    '"responseStatus":{"code":"200","metadata":{".":1},"details":{"retryAfterSeconds":"soon"}}',
    '"responseStatus":{"code":"none"},"sourceIPs":["10.0.0.1","not an address",""]',
    '"user":{"username":5,"extra":{".":["x"],"":["y"],"a.b/c":["z"],"a":["w"]}}',
    '"annotations":{"a.b":"c","a":"d",".":"e","authorization.k8s.io/decision":"allow"}',
    '"stageTimestamp":"2300-01-01T00:00:00Z"',
    '"requestReceivedTimestamp":"yesterday","unknown":{".":{"x":1}}',
  )
  .map((members, i) => `{"kind":"Event","auditID":"hostile-${i}",${members}}`);

/** A pipeline from a log to one sink for each form; the names of the indices are unique. */
interface Delivered {
  lines: string[];
  names: Record<Form, string>;
  yaml: string;
  url: string;
}

function pipelineOf(directory: string, url: string, names: Record<Form, string>, forms = FORM_NAMES): string {
  mkdirSync(join(directory, 'log'), { recursive: true });
  const sinks = forms.map(
    (form) => `  ${form}: { type: elasticsearch, nodes: ['${url}'], index: ${names[form]}${FORMS[form]} }\n`,
  );
  const yaml = join(directory, 'p.yaml');
  writeFileSync(
    yaml,
    `source: { type: file, paths: ['${directory}/log/audit.log'] }
routes: [{ to: [${forms.join(', ')}] }]
commit_interval: 200ms
sinks:
${sinks.join('')}`,
  );
  return yaml;
}

let unique = Date.now();
function newNames(): Record<Form, string> {
  const suffix = `t${unique++}`;
  return {
    native: `logs-headgate.native-${suffix}`,
    text: `logs-headgate.text-${suffix}`,
    ecs: `logs-headgate.ecs-${suffix}`,
  };
}

/** A node of plain jars lacks the library that `best_compression` needs; it's an operator's own settings that go last. */
async function putOwnSettings(url: string, names: Record<Form, string>): Promise<void> {
  const template = { settings: { index: { codec: 'default' } } };
  for (const name of Object.values(names))
    await call(url, 'PUT', `/_component_template/headgate-${name}@custom`, { template });
}

const setUp = (yaml: string, ...options: string[]) => headgate(['elasticsearch', 'setup', ...options, yaml]);

async function delivered(t: Test, url: string, lines: readonly string[]): Promise<Delivered> {
  const directory = temporaryDirectory(t);
  const names = newNames();
  const yaml = pipelineOf(directory, url, names);
  await putOwnSettings(url, names);
  writeFileSync(join(directory, 'log/audit.log'), lines.map((line) => `${line}\n`).join(''));
  const setup = await setUp(yaml);
  t.equal(setup.exitCode, 0, setup.stdout + setup.stderr);
  const run = await headgate(['run', '--once', '--state-dir', join(directory, 'state'), yaml]);
  t.equal(run.exitCode, 0, complaints(run));
  const counters = run.counters['p'] ?? {};
  t.equal(reconcile(counters), undefined);
  t.match(counters, {
    headgate_events_delivered_total: lines.length,
    headgate_events_quarantined_total: 0,
  });
  t.notOk(
    run.logs.some(({ code }) => code === 'SINK_REJECTED'),
    'nothing is rejected',
  );
  return { lines: [...lines], names, yaml, url };
}

const BODIES = ['requestObject', 'responseObject'];

function withoutManagedFields(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutManagedFields);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([key]) => key !== 'managedFields');
  return Object.fromEntries(members.map(([key, each]) => [key, withoutManagedFields(each)]));
}

/** What a flattened field takes as it is. */
function isFlattenable(value: unknown): boolean {
  if (Array.isArray(value)) return value.every(isFlattenable);
  return typeof value === 'object';
}

/** The event of a line, as it should stand in a document. */
function expectedEvent(line: string, form: Form): Json {
  const event = JSON.parse(line) as Json;
  for (const name of BODIES) {
    if (event[name] === undefined) continue;
    const body = withoutManagedFields(event[name]);
    event[name] = form === 'text' || isFlattenable(body) ? body : { 'headgate.io/value': body };
  }
  const annotations = event['annotations'];
  if (form === 'ecs' && typeof annotations === 'object' && annotations !== null)
    event['annotations'] = Object.fromEntries(
      Object.entries(annotations).map(([key, value]) => [key.replaceAll('.', '_'), value as unknown]),
    );
  return event;
}

/** The event that stands in a document. */
function foundEvent({ _source: source }: FoundDocument, form: Form): Json {
  if (form === 'ecs') return (source['kubernetes'] as Json)['audit'] as Json;
  const added = ['@timestamp', 'event', 'host', 'log', 'headgate'];
  const event = Object.fromEntries(Object.entries(source).filter(([key]) => !added.includes(key)));
  if (form === 'text')
    for (const name of BODIES)
      if (typeof event[name] === 'string') event[name] = JSON.parse(event[name]) as unknown;
  return event;
}

async function checkDocuments(t: Test, { lines, names, url }: Delivered): Promise<void> {
  for (const form of FORM_NAMES) {
    let count = 0;
    const others: string[] = [];
    await eachDocument(url, names[form], (document) => {
      const line = lines[count++] ?? '{}';
      if (!isDeepStrictEqual(foundEvent(document, form), expectedEvent(line, form)))
        others.push(line.slice(0, 300));
    });
    t.equal(count, lines.length, `${form}: as many documents as lines`);
    t.strictSame(others, [], `${form}: each holds its line`);
  }
}

/** What is asked of an audit log: in Elasticsearch, by form, and of an event. */
const QUESTIONS: {
  name: string;
  queries: { native: string; ecs: string };
  holds: (event: AuditEvent) => boolean;
}[] = [
  {
    name: 'who read secrets',
    queries: {
      native: 'objectRef.resource:secrets AND verb:(get OR list OR watch)',
      ecs: 'orchestrator.resource.type:secrets AND event.action:(get OR list OR watch)',
    },
    holds: ({ objectRef, verb }) =>
      objectRef?.resource === 'secrets' && ['get', 'list', 'watch'].includes(verb ?? ''),
  },
  {
    name: 'denied requests per user',
    queries: {
      native: 'annotations.authorization.k8s.io\\/decision:forbid',
      ecs: 'event.outcome:failure',
    },
    holds: ({ annotations }) => annotations?.['authorization.k8s.io/decision'] === 'forbid',
  },
  {
    name: 'exec into pods',
    queries: {
      native: 'objectRef.resource:pods AND objectRef.subresource:exec',
      ecs: 'orchestrator.resource.type:pods AND kubernetes.audit.objectRef.subresource:exec',
    },
    holds: ({ objectRef }) => objectRef?.resource === 'pods' && objectRef.subresource === 'exec',
  },
];
interface AuditEvent {
  stage?: string;
  requestReceivedTimestamp?: string;
  stageTimestamp?: string;
  verb?: string;
  user?: { username?: string };
  objectRef?: { resource?: string; subresource?: string };
  responseStatus?: { code?: number };
  annotations?: Record<string, string>;
}

/** The number of events that a query finds, by user. */
async function countByUser(url: string, name: string, query: string, user: string): Promise<Json> {
  interface Found {
    aggregations: { users: { buckets: { key: string; doc_count: number }[] } };
  }
  const { aggregations } = await call<Found>(url, 'POST', `/${name}/_search`, {
    size: 0,
    query: { query_string: { query } },
    aggs: { users: { terms: { field: user, size: 10_000 } } },
  });
  return Object.fromEntries(aggregations.users.buckets.map(({ key, doc_count }) => [key, doc_count]));
}

async function askQuestions(t: Test, { lines, names, url }: Delivered): Promise<number> {
  const events = lines.map((line) => JSON.parse(line) as AuditEvent);
  let answers = 0;
  for (const { name, queries, holds } of QUESTIONS) {
    const expected: Json = {};
    for (const event of events.filter(holds)) {
      const user = event.user?.username;
      if (user !== undefined) expected[user] = Number(expected[user] ?? 0) + 1;
    }
    answers += Object.keys(expected).length;
    for (const form of FORM_NAMES) {
      const [query, user] = form === 'ecs' ? [queries.ecs, 'user.name'] : [queries.native, 'user.username'];
      t.strictSame(await countByUser(url, names[form], query, user), expected, `${form}: ${name}`);
    }
  }
  return answers;
}

/** KQL as `query_string` takes it, as far as the saved objects use it. */
function queryStringOf(kql: string): string {
  const query = kql
    .replace(/ >= /g, ':>=')
    .replace(/ : /g, ':')
    .replace(/\b(and|or|not)\b/g, (word) => word.toUpperCase())
    .replaceAll('/', '\\/');
  return query === '' ? '*' : query;
}

function durationUs({ requestReceivedTimestamp: from = '', stageTimestamp: to = '' }: AuditEvent): number {
  const us = (time: string): number =>
    Date.parse(`${time.slice(0, 19)}Z`) * 1000 + Number(time.slice(20, 26));
  return us(to) - us(from);
}

/** The queries of Kibana's saved objects run, and find what is there. */
async function runSavedQueries(t: Test, { lines, names, url }: Delivered): Promise<void> {
  const events = lines.map((line) => JSON.parse(line) as AuditEvent);
  const denied = events.filter(
    ({ annotations, responseStatus }) =>
      annotations?.['authorization.k8s.io/decision'] === 'forbid' ||
      [401, 403].includes(responseStatus?.code ?? 0),
  );
  const slow = events.filter(
    (event) => durationUs(event) >= 500_000 && event.verb !== 'watch' && event.stage === 'ResponseComplete',
  );
  for (const form of ['native', 'ecs'] as const) {
    const counts: Record<string, number> = {};
    for (const [name, kql] of Object.entries(usedOf(form).queries)) {
      const query = { query_string: { query: queryStringOf(kql) } };
      counts[name] = (await call<{ count: number }>(url, 'POST', `/${names[form]}/_count`, { query })).count;
    }
    t.match(counts, { all: lines.length, denied: denied.length, slow: slow.length }, form);
    const { secrets = 0, changes = 0 } = counts;
    t.ok(Math.min(secrets, changes) > 0, JSON.stringify(counts));
  }
}

t.test('with an ordinary server', async (t) => {
  const server = await findElasticsearch(t);
  if ('missing' in server) {
    t.skip(server.missing, async () => undefined);
    return;
  }
  const { url } = server;

  t.test('every event of the example is one whole document, in each form', async (t) => {
    const text = exampleFiles().map(({ content }) => content.toString('latin1'));
    const lines = text.join('').split('\n').filter(Boolean);
    const all = [...new Set(lines.map((line) => Buffer.from(line, 'latin1').toString()))];
    const result = await delivered(t, url, all.slice(0, 400));
    await checkDocuments(t, result);
    t.ok((await askQuestions(t, result)) > 0);
    await runSavedQueries(t, result);
  });

  t.test('hostile events are all indexed, and whole', async (t) => {
    await checkDocuments(t, await delivered(t, url, HOSTILE));
  });

  const data = process.env['HEADGATE_TEST_DATA'];
  const hasData = data !== undefined && existsSync(data);
  t.test(
    'genuine logs arrive whole, and give the answers that they hold',
    { skip: !hasData && 'HEADGATE_TEST_DATA is not set: no genuine logs' },
    async (t) => {
      const result = await delivered(t, url, genuineLines(data ?? ''));
      await checkDocuments(t, result);
      t.ok((await askQuestions(t, result)) > 3, 'there is something to be found');
      await runSavedQueries(t, result);
      const { native } = result.names;
      const found = await countByUser(url, native, 'requestObject.kind:Pod', 'user.username');
      t.ok(Object.keys(found).length > 0, 'bodies can be searched');
    },
  );

  t.test('repeated it changes nothing, changed it tells what, and rolls over when asked', async (t) => {
    const directory = temporaryDirectory(t);
    const names = newNames();
    const yaml = pipelineOf(directory, url, names, ['native']);
    await putOwnSettings(url, names);
    const templates = async (): Promise<unknown> => call(url, 'GET', '/_component_template');
    const before = await templates();
    const dry = await setUp(yaml, '--dry-run');
    t.equal(dry.exitCode, 0, dry.stderr);
    t.match(dry.stdout, `would create index template headgate-${names.native}`);
    t.strictSame(await templates(), before, 'a dry run changes nothing');

    t.match((await setUp(yaml)).stdout, `created    index template headgate-${names.native}`);
    const installed = await templates();
    const again = await setUp(yaml);
    t.equal(again.exitCode, 0);
    t.notMatch(again.stdout, /^ +(created|changed|note|would|refused)/m);
    t.strictSame(await templates(), installed, 'repeated it writes nothing');

    writeFileSync(join(directory, 'log/audit.log'), '{"verb":"get","requestObject":{"a":1}}\n');
    const run = await headgate(['run', '--once', '--state-dir', join(directory, 'state'), yaml]);
    t.equal(run.exitCode, 0, complaints(run));
    writeFileSync(
      yaml,
      readFileSync(yaml, 'utf8').replace(`${names.native} }`, `${names.native}, bodies: text }`),
    );
    const changed = await setUp(yaml, '--dry-run');
    t.match(changed.stdout, `would change component template headgate-${names.native}@mappings`);
    t.match(changed.stdout, 'requestObject.type: "flattened" → "text"');
    t.match(changed.stdout, `data stream ${names.native}: its newest index has other mappings`);
    t.match((await setUp(yaml, '--rollover')).stdout, `rolled     data stream ${names.native}`);
    appendFileSync(join(directory, 'log/audit.log'), '{"verb":"list","requestObject":[1]}\n');
    const next = await headgate(['run', '--once', '--state-dir', join(directory, 'state'), yaml]);
    t.equal(next.exitCode, 0, complaints(next));
    const documents: FoundDocument[] = [];
    await eachDocument(url, names.native, (each) => documents.push(each));
    t.equal(new Set(documents.map(({ _index }) => _index)).size, 2);
    t.strictSame(
      documents.map(({ _source }) => _source['requestObject']),
      [{ a: 1 }, '[1]'],
    );
    t.notMatch((await setUp(yaml)).stdout, /note/);
  });

  t.test('a template that is not Headgate’s is replaced only when that is asked for', async (t) => {
    const yaml = pipelineOf(temporaryDirectory(t), url, newNames(), ['native']);
    t.equal((await setUp(yaml)).exitCode, 0);
    const name = `headgate-${/index: (logs-headgate.native-\w+)/.exec(readFileSync(yaml, 'utf8'))?.[1]}`;
    const own = { index_patterns: [`${name}-none`], priority: 1, template: { settings: {} } };
    await call(url, 'PUT', `/_index_template/${name}`, own);
    const refused = await setUp(yaml);
    t.equal(refused.exitCode, 1);
    t.match(refused.stdout, `refused    index template ${name}: it is not Headgate’s`);
    const kept = await call<{ index_templates: [{ index_template: object }] }>(
      url,
      'GET',
      `/_index_template/${name}`,
    );
    t.match(kept.index_templates[0].index_template, { index_patterns: [`${name}-none`] });
    t.match((await setUp(yaml, '--force')).stdout, `replaced   index template ${name}`);
    t.equal((await setUp(yaml)).exitCode, 0);
  });

  t.test('events wait where the server’s own template would take them, until there is another', async (t) => {
    // The node is made of the server without its plug-ins, which would bring it along.
    const isOwn = process.env['ELASTICSEARCH_URL'] === undefined;
    if (isOwn)
      await call(url, 'PUT', '/_index_template/logs', {
        index_patterns: ['logs-*-*'],
        priority: 100,
        _meta: { managed: true },
        data_stream: {},
        template: { mappings: { properties: { '@timestamp': { type: 'date' } } } },
      });
    const directory = temporaryDirectory(t);
    const names = newNames();
    const yaml = pipelineOf(directory, url, names, ['native']);
    await putOwnSettings(url, names);
    const free = join(directory, 'q.yaml');
    const freeName = `headgate-free-${unique}`;
    writeFileSync(
      free,
      `source: { type: file, paths: ['${directory}/log/audit.log'] }
routes: [{ to: elastic }]
commit_interval: 200ms
sinks: { elastic: { type: elasticsearch, nodes: ['${url}'], index: ${freeName} } }
`,
    );
    writeFileSync(join(directory, 'log/audit.log'), '{"verb":"get"}\n');
    const running = startHeadgate(['run', '--state-dir', join(directory, 'state'), yaml, free]);
    t.teardown(() => running.child.kill('SIGKILL'));
    const countOf = async (name: string): Promise<number> => {
      const found = await call<{ count: number }>(url, 'GET', `/${name}/_count`).catch(() => undefined);
      return found?.count ?? 0;
    };
    await until('the other pipeline delivers', async () => (await countOf(freeName)) === 1, 60_000);
    await until(
      'it says what it waits for',
      () => running.logs().some(({ code, cause }) => code === 'SINK_WAITING' && /setup/.test(String(cause))),
      60_000,
    );
    t.equal(await countOf(names.native), 0);
    t.equal((await setUp(yaml)).exitCode, 0);
    await until('it goes on', async () => (await countOf(names.native)) === 1, 60_000);
    running.child.kill('SIGTERM');
    const run = await finished(running);
    t.equal(run.exitCode, 0, complaints(run));
    if (isOwn) await call(url, 'DELETE', '/_index_template/logs');
  });
});
