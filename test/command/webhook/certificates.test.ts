// Certificates as others judge them: node's TLS, and openssl where it is installed.
import t from 'tap';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createAuthority, issue } from '../../../src/command/webhook/certificates.js';
import type { Identity, Leaf } from '../../../src/command/webhook/certificates.js';
import { readIdentity } from '../../../src/command/webhook/given.js';
import { UsageError } from '../../../src/errors.js';
import { temporaryDirectory } from '../../helpers/temporary.js';

const DAY_MS = 864e5;
const SERVER: Leaf = { commonName: 'headgate', usage: 'server', names: ['127.0.0.1'], validMs: DAY_MS };
const CLIENT: Leaf = { commonName: 'kube-apiserver', usage: 'client', names: [], validMs: DAY_MS };

const run = (...args: string[]) => spawnSync('openssl', args, { encoding: 'utf8' });
const openssl = { skip: run('version').status !== 0 && 'openssl is not installed' };

t.test('an authority may sign certificates, and what it signs may not', async (t) => {
  const authority = await createAuthority('an authority', 10 * DAY_MS);
  t.equal(authority.certificate.ca, true);
  t.ok(authority.certificate.checkPrivateKey(authority.key));
  for (const leaf of [SERVER, CLIENT]) {
    const { certificate, key } = await issue(authority, leaf);
    t.equal(certificate.ca, false);
    t.ok(certificate.checkPrivateKey(key));
    t.ok(certificate.checkIssued(authority.certificate));
    t.ok(certificate.verify(authority.certificate.publicKey));
    t.equal(certificate.subject, `CN=${leaf.commonName}`);
    t.equal(certificate.issuer, 'CN=an authority');
  }
});

t.test('each certificate has a key and a number of its own', async (t) => {
  const authority = await createAuthority('a', DAY_MS);
  const all = await Promise.all([issue(authority, SERVER), issue(authority, SERVER)]);
  t.equal(new Set([authority, ...all].map(({ certificate }) => certificate.serialNumber)).size, 3);
  t.equal(new Set(all.map(({ key }) => key.export({ type: 'pkcs8', format: 'pem' }))).size, 2);
});

t.test('host names and addresses of both families are names of the server', async (t) => {
  const names = ['audit.example.org', '127.0.0.1', '::1', 'fd00:10::12:1', '2001:db8::', '1:2:3:4:5:6:7:8'];
  const { certificate } = await issue(await createAuthority('a', DAY_MS), { ...SERVER, names });
  t.ok(certificate.checkHost('audit.example.org', { subject: 'never' }));
  for (const address of names.slice(1)) t.ok(certificate.checkIP(address), address);
  t.notOk(certificate.checkIP('fd00:10::12:2'));
  t.notOk(certificate.checkHost('headgate', { subject: 'never' }));
});

t.test(
  'a certificate begins before now, for clocks that are behind, and lasts as long as was said',
  async (t) => {
    const { certificate } = await issue(await createAuthority('a', 10 * DAY_MS), {
      ...SERVER,
      validMs: 3 * DAY_MS,
    });
    const [from, to] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)];
    t.ok(from < Date.now() - 60_000 && from > Date.now() - 3_600_000, certificate.validFrom);
    t.ok(Math.abs(to - Date.now() - 3 * DAY_MS) < 3_600_000, certificate.validTo);
  },
);

t.test('nothing lasts longer than its authority', async (t) => {
  const authority = await createAuthority('a', DAY_MS);
  const { certificate } = await issue(authority, { ...SERVER, validMs: 300 * DAY_MS });
  t.equal(certificate.validTo, authority.certificate.validTo);
});

t.test('a certificate that lasts beyond 2050 tells its time with four digits of the year', async (t) => {
  const { certificate } = await createAuthority('a', 40 * 365 * DAY_MS);
  t.ok(Date.parse(certificate.validTo) > Date.parse('2060-01-01'), certificate.validTo);
});

t.test('an authority of a type that is not known is refused in words', async (t) => {
  const { certificate } = await createAuthority('a', DAY_MS);
  const { privateKey } = generateKeyPairSync('ed25519');
  await t.rejects(
    issue({ certificate, key: privateKey }, SERVER),
    new UsageError(
      'USAGE',
      'the key of the authority is of type ed25519: RSA, or EC on P-256, P-384 or P-521 is needed',
    ),
  );
});

/** Files that openssl can read. */
function written(t: { teardown(run: () => void): unknown }, all: Record<string, Identity>) {
  const directory = temporaryDirectory(t);
  const path = (name: string): string => join(directory, name);
  for (const [name, { certificate }] of Object.entries(all))
    writeFileSync(path(name), certificate.toString());
  return path;
}

t.test('openssl -x509_strict accepts each for its purpose, and for no other', openssl, async (t) => {
  const ca = await createAuthority('a', 10 * DAY_MS);
  const path = written(t, { ca, server: await issue(ca, SERVER), client: await issue(ca, CLIENT) });
  const verify = (name: string, purpose: string): number | null =>
    run('verify', '-x509_strict', '-purpose', purpose, '-CAfile', path('ca'), path(name)).status;
  t.same(
    [
      verify('server', 'sslserver'),
      verify('client', 'sslclient'),
      verify('server', 'sslclient'),
      verify('client', 'sslserver'),
    ].map((status) => status === 0),
    [true, true, false, false],
  );
});

for (const [name, key] of [
  ['RSA', ['-newkey', 'rsa:2048']],
  ['P-384', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1']],
] as const) {
  t.test(`an authority that openssl made signs with its ${name} key`, openssl, async (t) => {
    const directory = temporaryDirectory(t);
    const [crt, pem] = [join(directory, 'ca.crt'), join(directory, 'ca.key')];
    const subject = ['-subj', '/O=Example/CN=their authority', '-days', '9'];
    const made = run('req', '-x509', '-nodes', ...key, ...subject, '-keyout', pem, '-out', crt);
    t.equal(made.status, 0);
    const path = written(t, { server: await issue(await readIdentity(crt, pem), SERVER) });
    const verified = run('verify', '-purpose', 'sslserver', '-CAfile', crt, path('server'));
    t.equal(verified.status, 0, verified.stderr);
  });
}
