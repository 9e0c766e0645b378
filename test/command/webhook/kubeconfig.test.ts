// What the command writes, what it refuses, and what it tells.
import t from 'tap';
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { createAuthority, issue } from '../../../src/command/webhook/certificates.js';
import type { Identity } from '../../../src/command/webhook/certificates.js';
import { readKubeconfig } from '../../../src/command/webhook/kubeconfig-file.js';
import { headgate } from '../../helpers/headgate.js';
import { temporaryDirectory } from '../../helpers/temporary.js';
import { webhook } from '../../helpers/webhook-command.js';

const DAY_MS = 864e5;
const MTLS = [
  'apiserver/ca.crt',
  'apiserver/client.crt',
  'apiserver/client.key',
  'apiserver/kubeconfig.yaml',
];
const MADE = [...MTLS, 'ca.crt', 'ca.key', 'server.crt', 'server.key'];

const kubeconfig = (...args: string[]) => webhook('kubeconfig', ...args);
const filesOf = (directory: string): string[] =>
  readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
const certificate = (path: string): X509Certificate => new X509Certificate(readFileSync(path));

/** Writes a certificate and its key to files. */
function save(directory: string, name: string, { certificate, key }: Identity) {
  const paths = { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
  writeFileSync(paths.certificate, certificate.toString());
  writeFileSync(paths.key, key.export({ type: 'pkcs8', format: 'pem' }));
  return paths;
}

t.test('everything that the webhook needs is made, for its owner alone', async (t) => {
  const out = join(temporaryDirectory(t), 'deep/webhook');
  const { exitCode, stdout, stderr } = await headgate(['webhook', 'kubeconfig', '--out', out]);
  t.equal(exitCode, 0, stderr);
  t.same(filesOf(out), MADE.sort());
  for (const name of MADE) {
    t.equal(statSync(join(out, name)).mode & 0o777, 0o600, name);
    t.ok(stdout.includes(join(out, name)), `${name} is told`);
  }
  for (const name of ['', 'apiserver']) t.equal(statSync(join(out, name)).mode & 0o777, 0o700);
  t.ok(certificate(join(out, 'server.crt')).checkIP('127.0.0.1'));
});

t.test(
  'the kubeconfig names its files beside it, as client-go reads them again when they change',
  async (t) => {
    const out = temporaryDirectory(t);
    await kubeconfig('--out', out, '--server', 'https://audit.example.org:9443/audit');
    t.same(parse(readFileSync(join(out, 'apiserver/kubeconfig.yaml'), 'utf8')), {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [
        {
          name: 'headgate',
          cluster: { server: 'https://audit.example.org:9443/audit', 'certificate-authority': 'ca.crt' },
        },
      ],
      users: [
        { name: 'kube-apiserver', user: { 'client-certificate': 'client.crt', 'client-key': 'client.key' } },
      ],
      contexts: [{ name: 'webhook', context: { cluster: 'headgate', user: 'kube-apiserver' } }],
      'current-context': 'webhook',
    });
    const target = await readKubeconfig(join(out, 'apiserver/kubeconfig.yaml'));
    t.equal(target.ca, readFileSync(join(out, 'ca.crt'), 'utf8'));
  },
);

t.test('the server has every name that is given', async (t) => {
  const out = temporaryDirectory(t);
  const names = ['--name', 'audit.example.org', '--name', '10.0.0.7'];
  const { exitCode } = await kubeconfig('--out', out, '--server', 'https://[fd00::7]:9443/', ...names);
  t.equal(exitCode, 0);
  const server = certificate(join(out, 'server.crt'));
  t.ok(server.checkIP('fd00::7') && server.checkIP('10.0.0.7') && server.checkHost('audit.example.org'));
});

t.test('with --auth token both sides have the same token, and no client certificate is made', async (t) => {
  const out = temporaryDirectory(t);
  const { exitCode, stdout } = await kubeconfig('--out', out, '--auth', 'token');
  t.equal(exitCode, 0);
  t.notOk(filesOf(out).some((name) => name.includes('client')));
  const { token } = await readKubeconfig(join(out, 'apiserver/kubeconfig.yaml'));
  t.match(token, /^[\w-]{43}$/);
  t.equal(readFileSync(join(out, 'tokens'), 'utf8').trim(), token);
  t.notOk(stdout.includes(token ?? '?'), 'it is not printed');
});

t.test('validity and the name of the client are as was said', async (t) => {
  const out = temporaryDirectory(t);
  await kubeconfig('--out', out, '--valid', '30d', '--ca-valid', '60d', '--client-name', 'cp-1');
  const days = (name: string): number =>
    Math.round((Date.parse(certificate(join(out, name)).validTo) - Date.now()) / DAY_MS);
  t.same([days('server.crt'), days('apiserver/client.crt'), days('ca.crt')], [30, 30, 60]);
  t.equal(certificate(join(out, 'apiserver/client.crt')).subject, 'CN=cp-1');
});

t.test('nothing is written over, and nothing is written beside what exists', async (t) => {
  for (const name of ['server.key', 'apiserver/kubeconfig.yaml']) {
    const out = temporaryDirectory(t);
    mkdirSync(join(out, 'apiserver'));
    writeFileSync(join(out, name), 'mine');
    const { exitCode, stderr, stdout } = await kubeconfig('--out', out);
    t.equal(exitCode, 2);
    t.match(stderr, `${join(out, name)} exists`);
    t.equal(stdout, '');
    t.same(filesOf(out), [name]);
    t.equal(readFileSync(join(out, name), 'utf8'), 'mine');
  }
});

t.test('a directory that cannot be made is told, exit code 1', async (t) => {
  t.match(await kubeconfig('--out', '/sys/headgate'), {
    exitCode: 1,
    stderr: "SETUP_FAILED: /sys/headgate can't be written: E",
  });
});

const asRoot = { skip: process.getuid?.() === 0 && 'root may write everywhere' };
t.test('what fails half-way leaves no file behind', asRoot, async (t) => {
  const out = temporaryDirectory(t);
  mkdirSync(join(out, 'apiserver'), { mode: 0o500 });
  const { exitCode, stderr } = await kubeconfig('--out', out);
  t.equal(exitCode, 1);
  t.match(stderr, "client.crt can't be written: EACCES");
  t.same(filesOf(out), []);
});

t.test('--dry-run tells the same and writes nothing', async (t) => {
  const out = join(temporaryDirectory(t), 'webhook');
  const dry = await kubeconfig('--out', out, '--dry-run');
  t.equal(dry.exitCode, 0);
  t.throws(() => statSync(out), { code: 'ENOENT' });
  const real = await kubeconfig('--out', out);
  t.equal(dry.stdout.replace('These files would be written', 'Written'), real.stdout);
  const again = await kubeconfig('--out', out, '--dry-run');
  t.equal(again.exitCode, 2, 'what exists is told by it, too');
});

t.test('each part can be printed by itself', async (t) => {
  const out = join(temporaryDirectory(t), 'webhook');
  const print = async (part: string, ...more: string[]): Promise<string> => {
    const { exitCode, stdout, stderr } = await kubeconfig('--out', out, '--print', part, ...more);
    t.equal(exitCode, 0, stderr);
    return stdout;
  };
  const file = `--audit-webhook-config-file=${out}/apiserver/kubeconfig.yaml`;
  const mount = { name: 'headgate-webhook', mountPath: `${out}/apiserver`, readOnly: true };
  const volume = { name: 'headgate-webhook', hostPath: { path: `${out}/apiserver`, type: 'Directory' } };

  t.same(parse(await print('source')), {
    source: {
      type: 'webhook',
      listen: '127.0.0.1:9443',
      path: '/audit',
      tls: {
        cert_file: `${out}/server.crt`,
        key_file: `${out}/server.key`,
        client_ca_file: `${out}/ca.crt`,
        client_names: ['kube-apiserver'],
      },
    },
  });
  t.same(parse(await print('source', '--auth', 'token', '--server', 'https://audit.example.org:8443')), {
    source: {
      type: 'webhook',
      listen: '0.0.0.0:8443',
      tls: { cert_file: `${out}/server.crt`, key_file: `${out}/server.key` },
      token_file: `${out}/tokens`,
    },
  });
  const listen = async (server: string): Promise<unknown> =>
    (parse(await print('source', '--server', server)) as { source: { listen: unknown } }).source.listen;
  t.equal(await listen('https://localhost:9443/'), '127.0.0.1:9443');
  t.equal(await listen('https://127.0.0.2/'), '127.0.0.2:443');
  t.equal(await listen('https://[::1]:9443/'), '[::1]:9443');
  t.equal(await listen('https://[fd00::1]:9443/'), '[::]:9443');

  const flags = (await print('flags')).trim().split('\n');
  t.ok(flags.includes(file) && flags.includes('--audit-webhook-mode=batch'));
  t.ok(flags.includes('--audit-webhook-batch-max-wait=1s'));
  const strict = (await print('flags', '--mode', 'blocking-strict')).trim().split('\n');
  t.ok(strict.includes('--audit-webhook-mode=blocking-strict'));
  t.notOk(
    strict.some((flag) => flag.includes('batch-')),
    'batches are for batch alone',
  );

  const kubeadm = parse(await print('kubeadm')) as {
    apiServer: { extraArgs: { name: string; value: unknown }[]; extraVolumes: unknown };
  };
  t.same(
    kubeadm.apiServer.extraArgs.map(({ name, value }) => `--${name}=${String(value)}`),
    flags,
  );
  t.ok(kubeadm.apiServer.extraArgs.every(({ value }) => typeof value === 'string'));
  t.same(kubeadm.apiServer.extraVolumes, [
    {
      name: 'headgate-webhook',
      hostPath: `${out}/apiserver`,
      mountPath: `${out}/apiserver`,
      readOnly: true,
      pathType: 'Directory',
    },
  ]);

  const patch = parse(await print('patch')) as { op: string; path: string; value: unknown }[];
  t.same(
    patch.map(({ op, path, value }) => [op, path, value]),
    [
      ...flags.map((flag) => ['add', '/spec/containers/0/command/-', flag]),
      ['add', '/spec/containers/0/volumeMounts/-', mount],
      ['add', '/spec/volumes/-', volume],
    ],
  );
  t.same(parse(await print('manifest')), {
    spec: {
      containers: [{ command: ['kube-apiserver', ...flags], volumeMounts: [mount] }],
      volumes: [volume],
    },
  });
  t.throws(() => statSync(out), { code: 'ENOENT' }, 'nothing is written');
});

t.test('an authority that was given signs, and its key is not copied', async (t) => {
  const directory = temporaryDirectory(t);
  const authority = await createAuthority('their authority', 90 * DAY_MS);
  const ca = save(directory, 'theirs', authority);
  const out = join(directory, 'webhook');
  const { exitCode, stderr, stdout } = await kubeconfig(
    '--out',
    out,
    '--ca',
    ca.certificate,
    '--ca-key',
    ca.key,
  );
  t.equal(exitCode, 0, stderr);
  t.same(filesOf(out), [...MTLS, 'server.crt', 'server.key'].sort());
  t.ok(certificate(join(out, 'server.crt')).verify(authority.certificate.publicKey));
  t.match(stdout, `client_ca_file: ${ca.certificate}`);
});

t.test(
  'certificates that were given are used: the server’s where it is, the client’s beside the kubeconfig',
  async (t) => {
    const directory = temporaryDirectory(t);
    const authority = await createAuthority('their authority', 90 * DAY_MS);
    const ca = save(directory, 'theirs', authority);
    const leaf = { validMs: DAY_MS, names: ['127.0.0.1'] };
    const server = save(
      directory,
      's',
      await issue(authority, { ...leaf, commonName: 's', usage: 'server' }),
    );
    const client = save(
      directory,
      'c',
      await issue(authority, { ...leaf, commonName: 'c', usage: 'client' }),
    );
    const out = join(directory, 'webhook');
    const { exitCode, stdout, stderr } = await kubeconfig(
      ...['--out', out, '--ca', ca.certificate],
      ...['--server-cert', server.certificate, '--server-key', server.key],
      ...['--client-cert', client.certificate, '--client-key', client.key],
    );
    t.equal(exitCode, 0, stderr);
    t.same(filesOf(out), MTLS);
    t.match(stdout, `cert_file: ${server.certificate}`);
    t.match(stdout, /client_names:\n\s+- c\n/, 'the name is that of the certificate');
    t.equal(certificate(join(out, 'apiserver/client.crt')).subject, 'CN=c');
  },
);

t.test('what was given and cannot work is refused before anything is written', async (t) => {
  const directory = temporaryDirectory(t);
  const authority = await createAuthority('their authority', 90 * DAY_MS);
  const ca = save(directory, 'theirs', authority);
  const other = save(directory, 'other', await createAuthority('another', DAY_MS));
  const leaf = { commonName: 's', usage: 'server', validMs: DAY_MS } as const;
  const server = save(directory, 's', await issue(authority, { ...leaf, names: ['127.0.0.1'] }));
  const elsewhere = save(directory, 'e', await issue(authority, { ...leaf, names: ['10.0.0.1'] }));
  const past = save(
    directory,
    'p',
    await issue(authority, { ...leaf, names: ['127.0.0.1'], validMs: -1000 }),
  );
  const out = join(directory, 'webhook');
  const withCa = ['--ca', ca.certificate, '--ca-key', ca.key];
  const given = ({ certificate, key }: { certificate: string; key: string }) => [
    ...['--server-cert', certificate, '--server-key', key],
  ];
  const refusals: [args: string[], message: string][] = [
    [['--ca', ca.certificate], 'give --ca-key, or the certificate'],
    [['--ca-key', ca.key], '--ca-key is the key of --ca'],
    [['--ca', ca.certificate, '--ca-key', other.key], `${other.key} is not the key of ${ca.certificate}`],
    [['--ca', server.certificate, '--ca-key', server.key], `${server.certificate} is no authority`],
    [['--ca', ca.key, '--ca-key', ca.key], `${ca.key} holds no certificate`],
    [['--ca', join(directory, 'none')], "none can't be read: ENOENT"],
    [given(server), '--server-cert needs --ca'],
    [[...withCa, '--server-cert', server.certificate], '--server-cert and --server-key belong together'],
    [
      ['--ca', other.certificate, '--ca-key', other.key, ...given(server)],
      'was not signed by an authority in',
    ],
    [
      [...withCa, ...given(elsewhere)],
      `${elsewhere.certificate} is for IP Address:10.0.0.1, and not for 127.0.0.1`,
    ],
    [[...withCa, ...given(past)], 'is not valid any more'],
    [
      [...withCa, '--auth', 'token', '--client-cert', 'x', '--client-key', 'y'],
      'is of no use with --auth token',
    ],
    [['--server', 'http://127.0.0.1:9443/'], 'is no https URL'],
    [['--server', 'https://127.0.0.1:9443/?a=b'], 'nothing else'],
    [['--name', 'no name'], 'is neither a host name nor an IP address'],
    [['--auth', 'basic'], '--auth basic is none of mtls, token'],
    [['--mode', 'fast'], '--mode fast is none of batch, blocking, blocking-strict'],
    [['--print', 'all'], '--print all is none of'],
    [['--auth', 'token', '--client-name', 'x'], '--client-name is for a client certificate that is made'],
    [[...withCa, ...given(server), '--name', 'h'], '--name is for a server certificate that is made'],
    [['--valid', '0d'], 'must be longer than nothing'],
    [['--valid', '1'], '--valid 1 is no duration'],
    [['--client-name', 'x'.repeat(65)], '1 to 64 bytes'],
    [['more'], 'more is not understood'],
    [['--bogus'], "Unknown option '--bogus'"],
  ];
  for (const [args, message] of refusals) {
    const { exitCode, stderr } = await kubeconfig('--out', out, ...args);
    t.equal(exitCode, 2, args.join(' '));
    t.match(stderr, message);
  }
  t.throws(() => statSync(out), { code: 'ENOENT' });
});

t.test('what stands behind a certificate in its file must have signed it', async (t) => {
  const directory = temporaryDirectory(t);
  const root = await createAuthority('root', 90 * DAY_MS);
  const server = await issue(root, {
    commonName: 's',
    usage: 'server',
    names: ['127.0.0.1'],
    validMs: DAY_MS,
  });
  const ca = save(directory, 'root', root);
  const files = save(directory, 's', server);
  // Out of order: the second did not sign the first.
  const stranger = await createAuthority('stranger', DAY_MS);
  writeFileSync(files.certificate, `${server.certificate.toString()}${stranger.certificate.toString()}`);
  const args = ['--ca', ca.certificate, '--ca-key', ca.key, '--server-cert', files.certificate];
  const run = (): ReturnType<typeof kubeconfig> =>
    kubeconfig('--out', join(directory, 'webhook'), '--dry-run', ...args, '--server-key', files.key);
  t.match(await run(), { exitCode: 2, stderr: /was not signed by an authority/ });
  // With the root itself behind it, as some tools write it.
  writeFileSync(files.certificate, `${server.certificate.toString()}${root.certificate.toString()}`);
  t.equal((await run()).exitCode, 0);
});

const openssl = (...args: string[]) => spawnSync('openssl', args, { encoding: 'utf8' });
const needsOpenssl = { skip: openssl('version').status !== 0 && 'openssl is not installed' };

t.test('an authority that another signed needs its root behind it', needsOpenssl, async (t) => {
  const directory = temporaryDirectory(t);
  const root = await createAuthority('root', 90 * DAY_MS);
  const rootFiles = save(directory, 'root', root);
  const [crt, key] = [join(directory, 'between.crt'), join(directory, 'between.key')];
  // openssl, as an authority made here signs none.
  const made = openssl(
    ...['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
    ...['-CA', rootFiles.certificate, '-CAkey', rootFiles.key, '-subj', '/CN=between', '-days', '9'],
    ...['-addext', 'basicConstraints=critical,CA:TRUE', '-keyout', key, '-out', crt],
  );
  t.equal(made.status, 0);
  const run = (): ReturnType<typeof kubeconfig> =>
    kubeconfig('--out', join(directory, 'webhook'), '--ca', crt, '--ca-key', key);
  t.match(await run(), { exitCode: 2, stderr: 'leads to no root' });
  appendFileSync(crt, root.certificate.toString());
  t.equal((await run()).exitCode, 0);
});
