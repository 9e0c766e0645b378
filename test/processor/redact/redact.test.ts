import { createHmac } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { components } from '../../../src/components.js';
import { redactProcessor } from '../../../src/processor/redact/index.js';
import { expectFaults } from '../../helpers/faults.js';
import { process, processOpened, textsOf } from '../../helpers/processor.js';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

/** The event as text, redacted. */
function redacted(options: Record<string, unknown>, event: unknown): string {
  return textsOf(process([[redactProcessor, options]], [event]))[0] ?? '';
}

function event(resource: string, more: object): string {
  const [name, subresource] = resource.split('/');
  const objectRef = { resource: name, ...(subresource === undefined ? {} : { subresource }) };
  return JSON.stringify({ level: 'RequestResponse', objectRef, ...more, stage: 'ResponseComplete' });
}

t.test('bodies of what holds credentials go as a whole', async (t) => {
  const bodies = { requestObject: { data: 'c2VjcmV0' }, responseObject: { data: 'c2VjcmV0' } };
  for (const resource of [
    'secrets',
    'tokenreviews',
    'serviceaccounts/token',
    'certificatesigningrequests',
    'certificatesigningrequests/status',
    'oauthaccesstokens',
  ])
    t.equal(redacted({ preset: 'secrets' }, event(resource, bodies)), event(resource, {}), resource);
  for (const resource of ['pods', 'serviceaccounts', 'configmaps'])
    t.equal(redacted({ preset: 'secrets' }, event(resource, bodies)), event(resource, bodies), resource);
  const withConfigMaps = { preset: 'secrets', configmaps: true };
  t.equal(redacted(withConfigMaps, event('configmaps', bodies)), event('configmaps', {}));
});

t.test('a request for secrets is told by any of its references, wherever they stand', async (t) => {
  const [pods, secrets] = ['"objectRef":{"resource":"pods"}', '"objectRef":{"resource":"secrets"}'];
  for (const references of [`${pods},${secrets}`, `${secrets},${pods}`])
    t.equal(
      redacted({ preset: 'secrets' }, `{"responseObject":{"data":1},${references},"stage":"x"}`),
      `{${references},"stage":"x"}`,
    );
  const broken = '{"objectRef":null,"requestObject":{"data":1}}';
  t.equal(redacted({ preset: 'secrets' }, broken), broken);
});

t.test('a body that says it is a secret goes, whatever was asked for', async (t) => {
  for (const body of [
    { kind: 'Secret', data: 'x' },
    { kind: 'SecretList', items: [] },
    { kind: 'List', items: [{ kind: 'Pod' }, { kind: 'Secret', data: 'x' }] },
    { kind: 'TokenRequest', status: { token: 'x' } },
  ])
    t.equal(
      redacted({ preset: 'secrets' }, event('widgets', { responseObject: body })),
      event('widgets', {}),
    );
});

t.test('the last applied configuration goes wherever it stands in a body', async (t) => {
  const annotations = (more: object): object => ({ metadata: { annotations: { a: 'b', ...more } } });
  const full = annotations({ [LAST_APPLIED]: '{"data":"c2VjcmV0"}' });
  const body = (pod: object): object => ({ items: [pod, { spec: { template: pod } }] });
  t.equal(
    redacted(
      { preset: 'secrets' },
      event('deployments', { requestObject: full, responseObject: body(full) }),
    ),
    event('deployments', { requestObject: annotations({}), responseObject: body(annotations({})) }),
  );
});

t.test('a key written with escapes is the same key, and of two equal ones both go', async (t) => {
  const escaped = '"kubectl.kubernetes.io\\/last\\u002dapplied-configuration"';
  t.equal(
    redacted(
      { preset: 'secrets' },
      `{"level":"Request","requestObject":{${escaped}:"x","${LAST_APPLIED}":"y","z":1},"requestObject":{${escaped}:"x"}}`,
    ),
    '{"level":"Request","requestObject":{"z":1},"requestObject":{}}',
  );
});

t.test('a patch is looked through like the object that it changes', async (t) => {
  const op = (path: string, value: unknown): object => ({ op: 'add', path, value });
  const patch = (operations: object[]): string => event('deployments', { requestObject: operations });
  t.equal(
    redacted(
      { preset: 'secrets' },
      patch([
        op('/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration', 'secret'),
        op('/metadata/annotations', { [LAST_APPLIED]: 'secret', a: 'b' }),
        op('/spec/replicas', 3),
      ]),
    ),
    patch([
      { op: 'add', path: '/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration' },
      op('/metadata/annotations', { a: 'b' }),
      op('/spec/replicas', 3),
    ]),
  );
  const fields = { fields: ['requestObject.spec.containers.env.value', 'requestObject.spec.key'] };
  t.equal(
    redacted(
      fields,
      patch([
        op('/spec/containers/0/env/1/value', 'secret'),
        op('/spec/containers/-', { env: [{ name: 'A', value: 'secret' }] }),
        op('/spec', { key: 'secret', keys: 1 }),
        op('/spec/key/inner', 'secret'),
        op('/status/key', 'public'),
      ]),
    ),
    patch([
      { op: 'add', path: '/spec/containers/0/env/1/value' },
      op('/spec/containers/-', { env: [{ name: 'A' }] }),
      op('/spec', { keys: 1 }),
      { op: 'add', path: '/spec/key/inner' },
      op('/status/key', 'public'),
    ]),
  );
});

t.test(
  'the command of an exec goes by choice, and the rest of the URI stays as it was written',
  async (t) => {
    const uri = (query: string, subresource = 'exec'): string =>
      `{"level":"Metadata","requestURI":"/api/v1/namespaces/a/pods/b/${subresource}?${query}","objectRef":{"resource":"pods","subresource":"${subresource}"}}`;
    const options = { preset: 'secrets', exec_commands: true };
    const query =
      'command=sh\\u0026command=-c\\u0026command=echo+s3cret%26\\u0026container=c%2F\\u0026stdout=true';
    t.equal(
      redacted(options, uri(query)),
      uri('command=\\u0026command=\\u0026command=\\u0026container=c%2F\\u0026stdout=true'),
    );
    t.equal(redacted({ preset: 'secrets' }, uri(query)), uri(query));
    t.equal(redacted(options, uri(query, 'log')), uri(query, 'log'));
    // What Go reads as the same parameter, and what it does not.
    t.equal(
      redacted(options, uri('c%6fmmand=x&\\u0063ommand\\u003dx')),
      uri('c%6fmmand=&\\u0063ommand\\u003d'),
    );
    t.equal(redacted(options, uri('commands=x&xcommand=x&command')), uri('commands=x&xcommand=x&command'));
    t.equal(redacted(options, uri('a=#&command=x\\\\u0026b=y&c')), uri('a=#&command=&c'));
  },
);

t.test('a hash stands in the place of a value, and equal values have equal hashes', async (t) => {
  const keyFile = join(t.testdir(), 'key');
  const key = Buffer.alloc(32, 7);
  writeFileSync(keyFile, key);
  const hash = (text: string): string =>
    `hmac-sha256:${createHmac('sha256', key).update(text).digest('hex')}`;
  const options = {
    preset: 'secrets',
    exec_commands: true,
    fields: ['userAgent', 'sourceIPs'],
    method: 'hmac',
    key_file: keyFile,
  };
  const { events } = await processOpened(
    [[redactProcessor, options]],
    [
      '{"level":"Metadata","userAgent":"\\u0061bc","sourceIPs":["10.0.0.1"]}',
      event('secrets', { requestObject: { data: 1 } }),
      '{"level":"Metadata","requestURI":"/x/exec?command=a%62c","objectRef":{"subresource":"exec"}}',
    ],
  );
  t.same(events, [
    `{"level":"Metadata","userAgent":"${hash('abc')}","sourceIPs":"${hash('["10.0.0.1"]')}"}`,
    event('secrets', { requestObject: hash('{"data":1}') }),
    `{"level":"Metadata","requestURI":"/x/exec?command=${hash('abc')}","objectRef":{"subresource":"exec"}}`,
  ]);
});

t.test('without its key, or with a short one, a pipeline does not start', async (t) => {
  const directory = t.testdir({ short: 'x'.repeat(31) });
  for (const name of ['short', 'missing']) {
    const options = { fields: ['userAgent'], method: 'hmac', key_file: join(directory, name) };
    await t.rejects(processOpened([[redactProcessor, options]], []), { code: 'KEY_UNUSABLE' });
  }
});

t.test('what would redact nothing is told with its place', async (t) => {
  const pipeline = (processor: string): string =>
    `source: { type: file, paths: [/a.log] }
processors:
  - ${processor}
routes: [{ to: out }]
sinks: { out: { type: stdout } }
`;
  const cases: [string, string][] = [
    ['‸type: redact', 'nothing is redacted'],
    ['{ type: redact, fields: [userAgent], configmaps: ‸true }', '`configmaps` belongs to the preset'],
    ['{ type: redact, preset: secrets, method: ‸hmac }', '`hmac` needs a key'],
    ['{ type: redact, preset: secrets, key_file: ‸/key }', 'a key without `method: hmac`'],
  ];
  for (const [processor, message] of cases)
    await expectFaults(t, pipeline(processor), [['CONFIG_VALUE', message]], {}, components);
});
