// What can't be said of a webhook source, and where `headgate check` says so: above all nothing that would let others make
// up events, or leave the API server without a way in.
import t from 'tap';
import { components } from '../../../src/components.js';
import { expectFaults, load } from '../../helpers/faults.js';
import type { Expected } from '../../helpers/faults.js';

const REST = 'routes: [{ to: out }]\nsinks: { out: { type: stdout } }\n';
const TLS = 'cert_file: /a.crt, key_file: /a.key';

const value = (...messages: string[]): Expected[] =>
  messages.map((message) => ['CONFIG_VALUE', message] as const);

const ROWS: [source: string, expected: Expected[]][] = [
  ["listen: ‸'0.0.0.0:9443'", value('needs `tls`')],
  ["listen: ‸'[::]:9443', token_file: ‸/tokens", value('needs `tls`', 'sends no token')],
  [`listen: ‸'10.0.0.1:9443', tls: { ${TLS} }`, value('anybody could make up events')],
  ["listen: ‸'[::ffff:10.0.0.1]:9443'", value('needs `tls`')],
  ["listen: ‸'localhost:9443'", value('must be an IP address')],
  ["listen: ‸'127.0.0.1'", value('must be an address with a port')],
  ["listen: ‸'127.0.0.1:70000'", value('a port is at most 65535')],
  ['token_file: ‸/tokens', value('over plain HTTP the API server sends no token')],
  [
    `tls: { ${TLS}, client_names: ‸[kube-apiserver] }`,
    value('without it clients are not asked for a certificate'),
  ],
  ['max_body_bytes: ‸2GiB', value('at most 1GiB')],
  ['spool: { max_bytes: ‸64MiB }', value('at least four times `max_body_bytes`')],
];
for (const [source, expected] of ROWS)
  t.test(source, async (t) => {
    await expectFaults(t, `source: { type: webhook, ${source} }\n${REST}`, expected, {}, components);
  });

for (const source of [
  "listen: '[::1]:9443'",
  `listen: '0.0.0.0:9443', tls: { ${TLS}, client_ca_file: /ca.crt }`,
  `listen: '0.0.0.0:9443', tls: { ${TLS} }, token_file: /tokens`,
])
  t.test(`${source} is well`, async (t) => {
    const { diagnostics } = await load(
      t,
      { 'a.yaml': `source: { type: webhook, ${source} }\n${REST}` },
      {},
      components,
    );
    t.same(diagnostics, []);
  });

t.test('of two pipelines only one can listen on an address', async (t) => {
  const pipeline = (source: string): string => `source: { type: webhook${source} }\n${REST}`;
  const messagesOf = async (t: Parameters<typeof load>[0], ...sources: string[]): Promise<string[]> => {
    const files = Object.fromEntries(sources.map((source, i) => [`${i}.yaml`, pipeline(source)]));
    const { diagnostics } = await load(t, files, {}, components);
    return diagnostics.map(({ code, message }) => `${code} ${message}`);
  };
  const everywhere = `, listen: '0.0.0.0:9443', token_file: /t, tls: { ${TLS} }`;
  for (const [first, second, address] of [
    ['', '', '127.0.0.1:9443'],
    [", listen: '127.0.0.1:1'", ", listen: '127.0.0.1:1'", '127.0.0.1:1'],
    [everywhere, ", listen: '127.0.0.1:9443'", '0.0.0.0:9443'],
  ] as const)
    t.same(await messagesOf(t, first, second), [
      `CONFIG_SHARED_INPUT the pipeline of 0.yaml listens on ${address} already`,
    ]);
  t.same(await messagesOf(t, ", listen: '127.0.0.1:0'", ", listen: '127.0.0.1:0'"), []);
  t.same(await messagesOf(t, ", listen: '127.0.0.1:1'", ", listen: '127.0.0.1:2'"), []);
});
