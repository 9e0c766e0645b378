// Who is let in: certificates, names, tokens, and how they are changed while it runs.
import { once } from 'node:events';
import { copyFileSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { request as httpsRequest } from 'node:https';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { numberedLine } from '../../helpers/audit-lines.js';
import { Authority, withoutOpenssl } from '../../helpers/certificates.js';
import type { Certified } from '../../helpers/certificates.js';
import { startWebhook } from '../../helpers/running-webhook.js';
import { temporaryDirectory } from '../../helpers/temporary.js';
import { until } from '../../helpers/until.js';
import { listOf } from '../../helpers/webhook.js';

const skip = withoutOpenssl;
const TOKENS = ['first-token-0123456789', 'second-token-0123456789'] as const;

interface Caller {
  port: number;
  ca: string;
  client?: Certified | undefined;
  token?: string | undefined;
}

let sent = 0;
const nextBody = (): Buffer => listOf([numberedLine(sent++, Date.UTC(2026, 1, 1)).line]);
const tlsOf = ({ ca, client }: Caller) => ({
  ca,
  ...(client && { cert: client.cert, key: client.key }),
});
const headersOf = ({ token }: Caller) => ({
  'content-type': 'application/json',
  ...(token !== undefined && { authorization: `Bearer ${token}` }),
});

/** The status over HTTP/1.1; 0 where there is no connection. */
function post1(caller: Caller): Promise<number> {
  return new Promise((resolve) => {
    const options = { host: '127.0.0.1', port: caller.port, agent: false, method: 'POST', ...tlsOf(caller) };
    const request = httpsRequest({ ...options, headers: headersOf(caller) }, (response) => {
      response.resume().on('end', () => {
        resolve(response.statusCode ?? 0);
      });
    });
    request.on('error', () => {
      resolve(0);
    });
    request.end(nextBody());
  });
}

/** The status over HTTP/2; 0 where there is no connection. */
async function post2(caller: Caller): Promise<number> {
  const session = connectHttp2(`https://127.0.0.1:${caller.port}`, tlsOf(caller));
  session.on('error', () => undefined);
  try {
    const stream = session.request({ ':method': 'POST', ':path': '/?timeout=30s', ...headersOf(caller) });
    stream.on('error', () => undefined);
    stream.end(nextBody());
    const status = await Promise.race([
      once(stream, 'response').then(([headers]) => Number((headers as Record<string, unknown>)[':status'])),
      once(stream, 'close').then(() => 0),
    ]);
    stream.resume();
    return status;
  } catch {
    return 0;
  } finally {
    session.close();
  }
}

async function served(port: number): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false });
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  const { subject } = socket.getPeerCertificate();
  socket.destroy();
  return String(subject.CN);
}

t.test('clients show a certificate of the CA that carries one of the names', { skip }, async (t) => {
  const root = temporaryDirectory(t);
  const [ours, theirs] = [new Authority(root, 'ours'), new Authority(root, 'theirs')];
  const server = ours.sign('server');
  const source = `tls: { cert_file: ${server.certPath}, key_file: ${server.keyPath}, client_ca_file: ${ours.certPath}, client_names: [kube-apiserver, other.example] }`;
  const webhook = await startWebhook(t, { source, root });
  const caller = { port: webhook.port, ca: ours.cert };
  for (const [what, post] of [
    ['HTTP/1.1', post1],
    ['HTTP/2', post2],
  ] as const) {
    t.equal(
      await post({ ...caller, client: ours.sign('kube-apiserver') }),
      200,
      `${what}: by its common name`,
    );
    const other = ours.sign('somebody', 'DNS:other.example');
    t.equal(await post({ ...caller, client: other }), 200, `${what}: by its alternative name`);
    t.equal(await post({ ...caller, client: ours.sign('x', 'DNS:*.example') }), 403, `${what}: a wildcard`);
    t.equal(await post({ ...caller, client: ours.sign('stranger') }), 403, `${what}: another name`);
    t.equal(await post({ ...caller, client: theirs.sign('kube-apiserver') }), 0, `${what}: another CA`);
    t.equal(await post(caller), 0, `${what}: no certificate`);
  }
  await webhook.delivered(4);
  await webhook.stop();
  t.equal(webhook.events().length, 4);
});

t.test('tokens are needed, and change without a restart', { skip }, async (t) => {
  const root = temporaryDirectory(t);
  const authority = new Authority(root, 'ca');
  const { certPath, keyPath } = authority.sign('server');
  const tokens = join(root, 'tokens');
  writeFileSync(tokens, `${TOKENS[0]}\n`);
  const source = `token_file: ${tokens}, tls: { cert_file: ${certPath}, key_file: ${keyPath} }`;
  const webhook = await startWebhook(t, { source, root });
  const call = (token?: string): Promise<number> => post2({ port: webhook.port, ca: authority.cert, token });
  t.equal(await call(), 401);
  t.equal(await call('first-token-012345678'), 401, 'a part of it');
  t.equal(await call(TOKENS[1]), 401);
  t.equal(await call(TOKENS[0]), 200);
  writeFileSync(tokens, `${TOKENS[0]}\n\n${TOKENS[1]}\n`);
  await until('the second token is let in', async () => (await call(TOKENS[1])) === 200, 30_000);
  t.equal(await call(TOKENS[0]), 200, 'both are');
  writeFileSync(tokens, '\n');
  await until('it is told', () => webhook.webhook.reloadFailures > 0, 30_000);
  t.equal(await call(TOKENS[0]), 200, 'a file without any token changes nothing');
  writeFileSync(tokens, TOKENS[1]);
  await until('the first one is out', async () => (await call(TOKENS[0])) === 401, 30_000);
  t.notOk(
    webhook.logs.some((line) => JSON.stringify(line).includes('-token-')),
    'no token is told',
  );
});

t.test('certificates change without a restart, and a bad one leaves the one before', { skip }, async (t) => {
  const root = temporaryDirectory(t);
  const authority = new Authority(root, 'ca');
  const [first, second] = [authority.sign('first'), authority.sign('second')];
  const [cert, key] = [join(root, 'tls.crt'), join(root, 'tls.key')];
  copyFileSync(first.certPath, cert);
  const source = `tls: { cert_file: ${cert}, key_file: ${key} }`;
  const webhook = await startWebhook(t, { source, root, isWaiting: true });
  await until('it says what it lacks', () => webhook.logs.some(({ code }) => code === 'WEBHOOK_SECRET'));
  copyFileSync(first.keyPath, key);
  await until('it listens', () => webhook.port > 0, 30_000);
  t.equal(await served(webhook.port), 'first');
  copyFileSync(second.certPath, cert);
  await until('half of the pair is told', () => webhook.webhook.reloadFailures > 0, 30_000);
  t.equal(await served(webhook.port), 'first');
  copyFileSync(second.keyPath, key);
  await until('the new one is used', async () => (await served(webhook.port)) === 'second', 30_000);
});
