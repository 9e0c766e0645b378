// What `headgate webhook send` posts, and what it makes of each answer, against a server that a test scripts.
import t from 'tap';
import type { Test } from 'tap';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { JsonLinesDecoder } from '../../../src/codec/json-lines.js';
import { FieldRegistry } from '../../../src/event/fields.js';
import { createMetrics } from '../../../src/metrics.js';
import { numberedLine } from '../../helpers/audit-lines.js';
import { finished, startHeadgate } from '../../helpers/headgate.js';
import { scriptedWebhook } from '../../helpers/scripted-webhook.js';
import type { Posted, Reply, Script } from '../../helpers/scripted-webhook.js';
import { temporaryDirectory } from '../../helpers/temporary.js';
import { webhook } from '../../helpers/webhook-command.js';

const lines = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => numberedLine(from + i, 1_780_000_000_000, 60).line);

interface List {
  kind: string;
  apiVersion: string;
  items: Record<string, unknown>[];
}
const listOf = ({ body }: Posted): List => JSON.parse(body.toString()) as List;

/** The lines that the log backend would have written for what was posted, as Headgate takes a list apart. */
function linesPosted(posts: readonly Posted[]): string[] {
  const decoder = new JsonLinesDecoder(new FieldRegistry(), 't', createMetrics());
  return posts.flatMap(({ body }) => {
    const chunk = {
      kind: 'chunk',
      data: body,
      path: 'p',
      file: 'p',
      offset: 0,
      readAtMs: 0,
      quarantined: [],
    };
    const batch = decoder.decode(chunk as Parameters<typeof decoder.decode>[0]);
    return Array.from({ length: batch.size }, (_, i) => batch.bytes(i).toString('latin1'));
  });
}

/** Sends a file with these contents to a server with this script. */
async function send(t: Test, content: string | Buffer, script?: Script, ...args: string[]) {
  const server = await scriptedWebhook(t, script);
  const file = join(temporaryDirectory(t), Buffer.isBuffer(content) ? 'audit.log.gz' : 'audit.log');
  writeFileSync(file, content);
  const url = `http://127.0.0.1:${server.port}/audit`;
  const run = await webhook('send', file, '--url', url, ...args);
  return { ...run, ...server, file, url };
}

t.test('a file of events arrives in lists of 400, byte for byte, in order', async (t) => {
  const sent = lines(1001);
  const { exitCode, stderr, posts, url } = await send(t, `${sent.join('\n')}\n`);
  t.equal(exitCode, 0, stderr);
  t.equal(stderr, `sent 1001 events in 3 requests to ${url}\n`);
  t.same(
    posts.map((post) => listOf(post).items.length),
    [400, 400, 201],
  );
  t.same(linesPosted(posts), sent);
});

t.test('a request is as the API server makes it', async (t) => {
  const { posts } = await send(t, `${lines(2).join('\n')}\n`);
  const [post] = posts;
  t.match(post, {
    method: 'POST',
    url: '/audit?timeout=30s',
    headers: { 'content-type': 'application/json', 'content-length': String(post?.body.length) },
  });
  const list = listOf(post as Posted);
  t.match(list, { kind: 'EventList', apiVersion: 'audit.k8s.io/v1', metadata: {} });
  for (const item of list.items) t.notOk('kind' in item || 'apiVersion' in item);
});

t.test('no list is longer than --batch-bytes, but for one event that is', async (t) => {
  const long = `{"kind":"Event","apiVersion":"audit.k8s.io/v1","requestURI":"${'x'.repeat(5000)}"}`;
  const sent = [...lines(10), long, ...lines(10, 10)];
  const args = ['--batch-bytes', '2KiB', '--batch-events', '100'];
  const { posts } = await send(t, `${sent.join('\n')}\n`, undefined, ...args);
  t.same(linesPosted(posts), sent);
  for (const { body } of posts) {
    const { items } = JSON.parse(body.toString()) as List;
    t.ok(body.length <= 2048 || items.length === 1, `${body.length} bytes, ${items.length} events`);
  }
  t.ok(posts.some((post) => listOf(post).items.length > 1));
});

t.test('events of two versions of the API go in lists of their own', async (t) => {
  const old = '{"kind":"Event","apiVersion":"audit.k8s.io/v1beta1","auditID":"old"}';
  const sent = [...lines(2), old, ...lines(1, 2)];
  const { posts } = await send(t, `${sent.join('\n')}\n`);
  t.same(
    posts.map((post) => [listOf(post).apiVersion, listOf(post).items.length]),
    [
      ['audit.k8s.io/v1', 2],
      ['audit.k8s.io/v1beta1', 1],
      ['audit.k8s.io/v1', 1],
    ],
  );
  t.same(linesPosted(posts), sent);
});

t.test('bytes that JSON would not keep arrive as they are', async (t) => {
  const sent = [
    '{"kind":"Event","apiVersion":"audit.k8s.io/v1","a":12345678901234567890,"b":"\\u003c","b":1}',
    '{"kind":"Event","apiVersion":"audit.k8s.io/v1","name":"日本"}',
    '{"auditID":"1","kind":"Event","apiVersion":"audit.k8s.io/v1"}',
  ].map((line) => Buffer.from(line).toString('latin1'));
  const { posts } = await send(t, Buffer.from(sent.join('\n'), 'latin1').toString());
  t.same(linesPosted(posts), sent);
});

t.test('a compressed file, and standard input, are read alike', async (t) => {
  const sent = lines(20);
  const { posts, exitCode, stderr } = await send(t, gzipSync(`${sent.join('\n')}\n`));
  t.equal(exitCode, 0, stderr);
  t.same(linesPosted(posts), sent);

  const server = await scriptedWebhook(t);
  const args = ['webhook', 'send', '-', '--url', `http://127.0.0.1:${server.port}/`];
  const running = startHeadgate(args, { withStdin: true });
  running.child.stdin?.end(sent.join('\n'));
  t.equal((await finished(running)).exitCode, 0);
  t.same(linesPosted(server.posts), sent);
});

t.test('lines that are no events are named, counted and left out, exit code 1', async (t) => {
  const [first = '', second = ''] = lines(2);
  const broken = '{"kind":"Event","apiVersion":"audit.k8s.io/v1","a":}';
  const { exitCode, stderr, posts, file, url } = await send(t, `${first}\n${broken}\n[1]\n${second}\n`);
  t.equal(exitCode, 1);
  t.same(linesPosted(posts), [first, second]);
  t.match(stderr, `${file}, byte ${first.length + 1}: malformed: `);
  t.match(stderr, `${file}, byte ${first.length + broken.length + 2}: not_an_object: `);
  t.match(stderr, `sent 2 events in 1 request to ${url}, 2 lines are no events\n`);
});

t.test('of very many lines that are no events the first ten are named', async (t) => {
  const { stderr, posts } = await send(t, 'x\n'.repeat(1000));
  t.equal(posts.length, 0);
  t.equal(stderr.split('\n').filter((line) => line.includes('malformed')).length, 10);
  t.match(stderr, '1000 lines are no events');
});

const failures: [name: string, reply: Reply | 'lost', told: string][] = [
  ['500', { status: 500, text: 'busy\u001b[2J' }, 'answered 500: busy\\u001b[2J, trying again'],
  ['503', { status: 503 }, 'answered 503, trying again'],
  ['429', { status: 429, headers: { 'Retry-After': '0' } }, 'answered 429, trying again'],
  ['408', { status: 408 }, 'answered 408, trying again'],
  ['a lost connection', 'lost', 'trying again'],
];
for (const [name, reply, told] of failures) {
  t.test(`after ${name} the same list is sent again`, async (t) => {
    const script: Script = (number) => (number === 1 || number === 2 ? reply : { status: 200 });
    const { exitCode, posts, stderr } = await send(
      t,
      `${lines(3).join('\n')}\n`,
      script,
      '--batch-events',
      '1',
    );
    t.equal(exitCode, 0, stderr);
    t.equal(posts.length, 5);
    t.same(posts[2]?.body, posts[1]?.body);
    t.same(posts[3]?.body, posts[1]?.body);
    t.equal(stderr.split(told).length, 2, 'it is told once');
    t.match(stderr, 'sent 3 events in 3 requests');
    t.match(stderr, 'tried again 2 times');
  });
}

t.test('Retry-After is waited for', async (t) => {
  const times: number[] = [];
  const script: Script = (number) => {
    times.push(performance.now());
    return number === 0 ? { status: 429, headers: { 'Retry-After': '1' } } : { status: 200 };
  };
  const { exitCode } = await send(t, `${lines(1).join()}\n`, script);
  t.equal(exitCode, 0);
  t.ok((times[1] ?? 0) - (times[0] ?? 0) >= 990, 'a second, and not the jitter of a first retry');
});

const refusals: [status: number, hint: string][] = [
  [400, 'because'],
  [401, 'the token is missing'],
  [403, 'none of the names in `client_names`'],
  [404, 'the path of the URL is not that of the source'],
  [413, '--batch-bytes'],
  [301, 'because'],
];
for (const [status, hint] of refusals) {
  t.test(`${status} is final: exit code 1, and how much was sent`, async (t) => {
    const script: Script = (number) => ({ status: number === 1 ? status : 200, text: 'because' });
    const args = ['--batch-events', '2'];
    const { exitCode, posts, stderr, url } = await send(t, `${lines(9).join('\n')}\n`, script, ...args);
    t.equal(exitCode, 1);
    t.equal(posts.length, 2);
    t.match(stderr, `sent 2 events in 1 request to ${url}\n`);
    t.match(stderr, `SEND_REFUSED: ${url} answered ${status}: because`);
    t.match(stderr, hint);
  });
}

t.test('when nothing is taken until the deadline, exit code 1', async (t) => {
  const reply: Script = () => ({ status: 503 });
  const { exitCode, stderr, url } = await send(t, `${lines(1).join()}\n`, reply, '--deadline', '300ms');
  t.equal(exitCode, 1);
  t.match(stderr, `DEADLINE: nothing was taken for 0.3 seconds: ${url} answered 503`);
  t.match(stderr, 'sent 0 events in 0 requests');
});

t.test('what is wrong with the command line is refused before anything is sent', async (t) => {
  const directory = temporaryDirectory(t);
  const url = ['--url', 'http://127.0.0.1:1/'];
  let configs = 0;
  const config = (text: string): string[] => {
    const path = join(directory, `kubeconfig-${configs++}`);
    writeFileSync(path, text);
    return ['--kubeconfig', path];
  };
  const user = (fields: string): string =>
    `{clusters: [{name: c, cluster: {server: 'https://h/'}}], users: [{name: u, user: ${fields}}], contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}`;
  const faults: [args: string[], message: string][] = [
    [url, 'write headgate webhook send FILE'],
    [['a', 'b', ...url], 'write headgate webhook send FILE'],
    [[join(directory, 'none'), ...url], "none can't be read: ENOENT"],
    [['f'], 'write either --kubeconfig FILE or --url URL'],
    [['f', '--url', 'ftp://h/'], 'is neither an http nor an https URL'],
    [['f', ...url, '--batch-events', '0'], '--batch-events 0 is no number of events'],
    [['f', ...url, '--batch-bytes', '10'], '--batch-bytes 10 is no size'],
    [['f', '--kubeconfig', join(directory, 'none')], "none can't be read: ENOENT"],
    [['f', ...config('{')], 'no YAML'],
    [['f', ...config('[]')], 'no kubeconfig'],
    [['f', ...config('{}')], 'contexts holds no ""'],
    [['f', ...config(user('{exec: {command: x}}'))], 'exec is not supported'],
    [['f', ...config(user('{tokenFile: gone}'))], "gone can't be read: ENOENT"],
  ];
  for (const [args, message] of faults) {
    const { exitCode, stderr } = await webhook('send', ...args);
    t.equal(exitCode, 2, args.join(' '));
    t.match(stderr, message);
  }
});

/** A server with the certificates that the command made. */
async function secured(t: Test, ...args: string[]) {
  const out = temporaryDirectory(t);
  const made = await webhook('kubeconfig', '--out', out, ...args);
  t.equal(made.exitCode, 0, made.stderr);
  const [ca, cert, key] = ['ca.crt', 'server.crt', 'server.key'].map((name) => readFileSync(join(out, name)));
  const tls = { ca, cert, key, requestCert: true, rejectUnauthorized: !args.includes('token') };
  const server = await scriptedWebhook(t, undefined, tls);
  const path = join(out, 'apiserver/kubeconfig.yaml');
  const config = readFileSync(path, 'utf8').replace(':9443/', `:${server.port}/`);
  writeFileSync(path, config);
  const file = join(out, 'audit.log');
  writeFileSync(file, `${lines(3).join('\n')}\n`);
  return { out, path, file, ...server };
}

t.test(
  'with the kubeconfig that was made, the server knows the client, and the client the server',
  async (t) => {
    const { path, file, posts } = await secured(t, '--client-name', 'cp-1');
    const { exitCode, stderr } = await webhook('send', file, '--kubeconfig', path);
    t.equal(exitCode, 0, stderr);
    t.equal(posts.length, 1);
    t.equal(posts[0]?.client, 'cp-1');
    t.same(linesPosted(posts), lines(3));
  },
);

t.test('with --auth token the request carries it', async (t) => {
  const { out, path, file, posts } = await secured(t, '--auth', 'token');
  const { exitCode, stderr } = await webhook('send', file, '--kubeconfig', path);
  t.equal(exitCode, 0, stderr);
  const token = readFileSync(join(out, 'tokens'), 'utf8').trim();
  t.equal(posts[0]?.headers.authorization, `Bearer ${token}`);
});

t.test('a kubeconfig with everything inside leads there, too', async (t) => {
  const { out, path, file, posts } = await secured(t);
  const data = (name: string): string => readFileSync(join(out, 'apiserver', name)).toString('base64');
  const inside = readFileSync(path, 'utf8')
    .replace('certificate-authority: ca.crt', `certificate-authority-data: ${data('ca.crt')}`)
    .replace('client-certificate: client.crt', `client-certificate-data: ${data('client.crt')}`)
    .replace('client-key: client.key', `client-key-data: ${data('client.key')}`);
  writeFileSync(path, inside);
  const { exitCode, stderr } = await webhook('send', file, '--kubeconfig', path);
  t.equal(exitCode, 0, stderr);
  t.equal(posts[0]?.client, 'kube-apiserver');
});

t.test('a server that is not who the kubeconfig trusts gets nothing, and is not asked again', async (t) => {
  const { path, file, posts } = await secured(t);
  const stranger = await secured(t);
  writeFileSync(path, readFileSync(path, 'utf8').replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${stranger.port}`));
  const { exitCode, stderr } = await webhook('send', file, '--kubeconfig', path);
  t.equal(exitCode, 1);
  t.match(stderr, 'SEND_REFUSED');
  t.equal(posts.length + stranger.posts.length, 0);
});

t.test('a token is not sent in clear, as the API server sends none', async (t) => {
  const { posts, port } = await scriptedWebhook(t);
  const directory = temporaryDirectory(t);
  const [path, file] = [join(directory, 'kubeconfig'), join(directory, 'audit.log')];
  writeFileSync(file, `${lines(1).join()}\n`);
  writeFileSync(
    path,
    `{clusters: [{name: c, cluster: {server: 'http://127.0.0.1:${port}/'}}], users: [{name: u, user: {token: secret}}], contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}`,
  );
  const { exitCode, stderr } = await webhook('send', file, '--kubeconfig', path);
  t.equal(exitCode, 0, stderr);
  t.equal(posts[0]?.headers.authorization, undefined);
});
