// What an event is in a document: its bodies, and the fields around it.
import t from 'tap';
import { withoutBodies } from '../../../src/sink/elasticsearch/bodies.js';
import type { DocumentOptions } from '../../../src/sink/elasticsearch/document.js';
import { documentOf, NATIVE } from '../../helpers/elasticsearch-document.js';

type Json = Record<string, unknown>;

function parsed(event: string, options: Partial<DocumentOptions> = {}): Json {
  return JSON.parse(documentOf(event, options) ?? '') as Json;
}

t.test('a body that a flattened field would refuse is put into an object', async (t) => {
  const wrapped = ['5', '"x"', 'true', '[1,2]', '[{"op":"add"},5]', '[["x"]]', '-0.5e400'];
  for (const body of wrapped) {
    for (const name of ['requestObject', 'responseObject']) {
      const event = `{"verb":"patch","${name}": ${body} ,"level":"Request"}`;
      const expected = `,"verb":"patch","${name}": {"headgate.io/value":${body}} ,"level":"Request"}`;
      t.equal(documentOf(event)?.slice(-expected.length), expected);
    }
  }
});

t.test('a body that it takes stays as it is, byte for byte', async (t) => {
  for (const body of [
    '{}',
    'null',
    '[]',
    '[ {"op":"add", "value":[1,"x"]},null ]',
    '[[{"a":1}]]',
    '{"a":1e400}',
  ]) {
    const rest = `"requestObject":${body},"n":12345678901234567890}`;
    t.equal(documentOf(`{${rest}`)?.slice(-rest.length), rest);
  }
});

t.test('managedFields are taken out of a body that is wrapped, too', async (t) => {
  const { requestObject } = parsed('{"requestObject":[{"metadata":{"managedFields":[],"name":"n"}},1]}');
  t.strictSame(requestObject, { 'headgate.io/value': [{ metadata: { name: 'n' } }, 1] });
});

t.test('with bodies as text a body is the string of its JSON, without managedFields', async (t) => {
  const body = '{"a":"\\u003c\\"\\n","n":1e400,"metadata":{"managedFields":[{".":{}}]}}';
  const event = `{"requestObject":${body},"responseObject":[1],"x":null}`;
  const document = parsed(event, { bodies: 'text' });
  t.equal(document['requestObject'], body.replace('"managedFields":[{".":{}}]', ''));
  t.equal(document['responseObject'], '[1]');
  t.equal(parsed('{"requestObject":"5"}', { bodies: 'text' })['requestObject'], '"5"');
  for (const body of ['{"a\\"\\\\":"\\u0001"}', '{\t"a":\t"\\t\\\\"}'])
    t.equal(parsed(`{"requestObject":${body}}`, { bodies: 'text' })['requestObject'], body);
  t.equal(parsed('{"requestObject":null}', { bodies: 'text' })['requestObject'], null);
});

t.test('without bodies a document says so in each form', async (t) => {
  const body = '{"a":"\u00e9"}';
  const event = `{"requestObject":${body},"level":"Request","annotations":{"a.b/c":"d"}}`;
  const mark = { 'headgate.io/truncated': { bytes: Buffer.byteLength(body) } };
  for (const format of ['native', 'ecs'] as const) {
    for (const bodies of ['flattened', 'text'] as const) {
      const document = Buffer.from(documentOf(event, { format, bodies }) ?? '', 'latin1');
      const smaller = withoutBodies(document, { format, bodies });
      const found = JSON.parse(smaller?.toString() ?? '') as Json;
      const audit = format === 'ecs' ? ((found['kubernetes'] as Json)['audit'] as Json) : found;
      const value = audit['requestObject'];
      t.match(bodies === 'text' ? JSON.parse(String(value)) : value, mark, `${format} ${bodies}`);
      const key = format === 'ecs' ? 'headgate_io/truncated' : 'headgate.io/truncated';
      t.match(audit['annotations'], { [key]: 'requestObject' });
      t.equal(smaller && withoutBodies(smaller, { format, bodies }), undefined, 'nothing more to take out');
    }
  }
  t.equal(withoutBodies(Buffer.from('{"requestObject":{}}'), { ...NATIVE, format: 'ecs' }), undefined);
});

const EVENT = {
  kind: 'Event',
  apiVersion: 'audit.k8s.io/v1',
  level: 'Metadata',
  auditID: 'id',
  stage: 'ResponseComplete',
  requestURI: '/api/v1/namespaces/n/secrets/s',
  verb: 'get',
  user: { username: 'u', uid: '1', groups: ['g', 'h'], extra: { '.': ['x'] } },
  impersonatedUser: { username: 'v', groups: ['i'] },
  sourceIPs: ['10.0.0.1', '::1'],
  userAgent: 'kubectl/"1"',
  objectRef: { resource: 'secrets', namespace: 'n', name: 's' },
  responseStatus: { metadata: {}, code: 403 },
  requestReceivedTimestamp: '2026-11-21T09:31:11.000001Z',
  stageTimestamp: '2026-11-21T09:31:11.250003Z',
  annotations: { 'authorization.k8s.io/decision': 'forbid', 'a.b': '1', a_b: '2' },
};

t.test('in format ecs the fields of ECS stand around the event', async (t) => {
  const options = { format: 'ecs', index: 'logs-kubernetes.audit_logs-prod', clusterName: 'c' } as const;
  t.strictSame(parsed(JSON.stringify(EVENT), options), {
    '@timestamp': EVENT.stageTimestamp,
    host: { name: 'h"' },
    log: { file: { path: '/var/log/audit.log' }, offset: 0 },
    headgate: { pipeline: 'p', tag: 'pipeline' },
    ecs: { version: '8.17.0' },
    event: {
      kind: 'event',
      module: 'kubernetes',
      dataset: 'kubernetes.audit_logs',
      action: 'get',
      outcome: 'failure',
      id: 'id',
      start: EVENT.requestReceivedTimestamp,
      duration: 250_002_000,
      ingested: 'now',
    },
    user: {
      name: 'u',
      id: '1',
      group: { name: ['g', 'h'] },
      effective: { name: 'v', group: { name: ['i'] } },
    },
    user_agent: { original: EVENT.userAgent },
    source: { ip: EVENT.sourceIPs },
    client: { ip: EVENT.sourceIPs },
    related: { user: ['1', 'u', 'v'], ip: EVENT.sourceIPs },
    url: { original: EVENT.requestURI },
    http: { response: { status_code: 403 } },
    orchestrator: {
      type: 'kubernetes',
      api_version: 'audit.k8s.io/v1',
      namespace: 'n',
      resource: { type: 'secrets', name: 's' },
      cluster: { name: 'c' },
    },
    data_stream: { type: 'logs', dataset: 'kubernetes.audit_logs', namespace: 'prod' },
    kubernetes: {
      audit: {
        ...EVENT,
        annotations: { 'authorization_k8s_io/decision': 'forbid', 'a.b': '1', a_b: '2' },
      },
    },
  });
});

t.test('what has another shape than its field of ECS stays in the event alone', async (t) => {
  const event = {
    verb: 5,
    user: [{ username: 'in a list' }],
    sourceIPs: ['10.0.0.1', { a: 1 }],
    responseStatus: { code: '200' },
    annotations: { 'authorization.k8s.io/decision': 'maybe' },
    event: { forged: true },
    '@timestamp': 'forged',
  };
  const document = parsed(JSON.stringify(event), { format: 'ecs' });
  const { annotations, ...rest } = event;
  t.match(document, { kubernetes: { audit: rest } });
  t.notOk(Object.keys(document).some((key) => ['user', 'source', 'http', 'related'].includes(key)));
  t.same(Object.keys(document['event'] as Json), ['kind', 'module', 'dataset', 'ingested']);
  t.ok(annotations);
});

t.test('in format ecs the bytes of the event are kept', async (t) => {
  const event = '{ "n":12345678901234567890,"s":"\\u003c", "requestObject": {"a" : 1.0} }';
  t.ok(documentOf(event, { format: 'ecs' })?.endsWith(`"kubernetes":{"audit":${event}}}`));
  const broken = '{"verb":"get","level":"Request","x":tru}';
  t.equal(documentOf(broken, { format: 'ecs' }), undefined);
});

t.test('the duration of a request is in nanoseconds, and absent where it is not known', async (t) => {
  const durationOf = (event: object): unknown => (parsed(JSON.stringify(event))['event'] as Json)['duration'];
  const { requestReceivedTimestamp, stageTimestamp } = EVENT;
  t.equal(durationOf(EVENT), 250_002_000);
  t.equal(durationOf({ ...EVENT, event: {} }), 250_002_000, 'also beside members of its own');
  t.equal(durationOf({ stageTimestamp }), undefined);
  t.equal(
    durationOf({ requestReceivedTimestamp: stageTimestamp, stageTimestamp: requestReceivedTimestamp }),
    undefined,
  );
});

t.test('a time that an index can not hold is not the time of the document', async (t) => {
  const stageTimestamp = '2262-06-01T00:00:00Z';
  t.equal(parsed(JSON.stringify({ stageTimestamp }))['@timestamp'], '2023-11-14T22:13:20.000Z');
});

t.test('the name of the cluster is in each document', async (t) => {
  const orchestrator = { cluster: { name: 'c' } };
  for (const event of ['{"verb":"get"}', '{"host":1}', '{"orchestrator":{"cluster":{"name":"forged"}}}'])
    t.match(parsed(event, { clusterName: 'c' }), { orchestrator });
});
