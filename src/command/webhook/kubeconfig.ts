// `headgate webhook kubeconfig`: makes the certificates that a webhook needs, or takes given ones, and the kubeconfig for
// kube-apiserver; and tells what to do with them.
//
// Invariant: nothing that exists is written over, and everything is checked before anything is written.
import { randomBytes } from 'node:crypto';
import { lstat, mkdir, open, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { HeadgateError, systemCode, UsageError } from '../../errors.js';
import { createAuthority, issue } from './certificates.js';
import type { Identity } from './certificates.js';
import {
  checkAuthorities,
  checkIssued,
  checkServes,
  commonNameOf,
  readCertificates,
  readIdentity,
} from './given.js';
import { formatInstructions } from './instructions.js';
import type { Mode, Setup } from './instructions.js';
import { formatKubeconfig } from './kubeconfig-file.js';

const AUTHORITY_NAME = 'Headgate webhook';
const TOKEN_BYTES = 32;

export interface KubeconfigOptions {
  /** Where the API server is to post. */
  server: URL;
  /** Further host names and addresses of the server. */
  names: readonly string[];
  directory: string;
  auth: 'mtls' | 'token';
  mode: Mode;
  /** The common name of a client certificate that is made. */
  clientName: string;
  validMs: number;
  caValidMs: number;
  /** Files to take instead of making them. A certificate comes with its key; only that of a CA may be elsewhere. */
  given: {
    ca?: string | undefined;
    caKey?: string | undefined;
    server?: { certificate: string; key: string } | undefined;
    client?: { certificate: string; key: string } | undefined;
  };
}

interface File {
  path: string;
  content: string;
  /** What it is for, for people. */
  what: string;
}

/** Where everything is, made or given; writes nothing. */
export async function setupOf(options: KubeconfigOptions): Promise<Setup> {
  const { server, mode, auth, given } = options;
  const clientName = given.client
    ? commonNameOf((await readCertificates(given.client.certificate)).all[0])
    : options.clientName;
  const directory = resolve(options.directory);
  const apiserverDirectory = join(directory, 'apiserver');
  return {
    server,
    mode,
    apiserverDirectory,
    kubeconfig: join(apiserverDirectory, 'kubeconfig.yaml'),
    serverCertificate: resolve(given.server?.certificate ?? join(directory, 'server.crt')),
    serverKey: resolve(given.server?.key ?? join(directory, 'server.key')),
    access:
      auth === 'token'
        ? { tokens: join(directory, 'tokens') }
        : { ca: resolve(given.ca ?? join(directory, 'ca.crt')), clientName },
  };
}

/** Makes and writes; with `isDryRun` only tells what would be written. Resolves to the exit code. */
export async function kubeconfigCommand(
  options: KubeconfigOptions,
  isDryRun: boolean,
  stdout: NodeJS.WritableStream,
): Promise<number> {
  const setup = await setupOf(options);
  const files = await makeFiles(options, setup);
  await refuseExisting(files);
  if (!isDryRun) await writeAll(files);
  const width = Math.max(...files.map(({ path }) => path.length));
  const list = files.map(({ path, what }) => `  ${path.padEnd(width)}  ${what}\n`).join('');
  stdout.write(`${isDryRun ? 'These files would be written' : 'Written'}:\n${list}`);
  stdout.write(formatInstructions(setup));
  return 0;
}

/** Everything that is to be written. */
async function makeFiles(options: KubeconfigOptions, setup: Setup): Promise<File[]> {
  const { server, names, auth, given, clientName, validMs } = options;
  const host = server.hostname.replace(/^\[|\]$/g, '');
  const files: File[] = [];
  const add = (path: string, content: string, what: string): void => {
    files.push({ path, content, what });
  };
  const addIdentity = (certificatePath: string, keyPath: string, identity: Identity, whose: string): void => {
    add(certificatePath, identity.certificate.toString(), `the certificate of ${whose}`);
    add(keyPath, pemOf(identity), 'its key');
  };
  const ca = await takeAuthority(options);
  if (given.ca === undefined && ca.signer) {
    const [certificatePath, keyPath] = ['ca.crt', 'ca.key'].map((name) =>
      resolve(options.directory, name),
    ) as [string, string];
    add(certificatePath, ca.pem, 'the authority that signed the others');
    add(keyPath, pemOf(ca.signer), 'its key, needed for further certificates only: keep it elsewhere');
  }

  if (given.server) {
    const identity = await readIdentity(given.server.certificate, given.server.key);
    checkIssued(given.server.certificate, identity.chain, ca.path, ca.all);
    checkServes(given.server.certificate, identity.certificate, host);
  } else {
    const all = [...new Set([host, ...names])];
    const leaf = { commonName: 'headgate', usage: 'server', names: all, validMs } as const;
    const identity = await issue(signerOf(ca, 'the certificate of the server'), leaf);
    addIdentity(setup.serverCertificate, setup.serverKey, identity, `the server, ${all.join(', ')}`);
  }

  const inApiserver = (name: string): string => join(setup.apiserverDirectory, name);
  if (auth === 'token') {
    const token = `${randomBytes(TOKEN_BYTES).toString('base64url')}\n`;
    add(resolve(options.directory, 'tokens'), token, 'the tokens that the server lets in');
    add(inApiserver('token'), token, 'for the API server: its token');
  } else if (given.client) {
    const identity = await readIdentity(given.client.certificate, given.client.key);
    checkIssued(given.client.certificate, identity.chain, ca.path, ca.all);
    add(inApiserver('client.crt'), identity.pem, `for the API server: ${given.client.certificate}`);
    add(inApiserver('client.key'), pemOf(identity), `for the API server: ${given.client.key}`);
  } else {
    const leaf = { commonName: clientName, usage: 'client', names: [], validMs } as const;
    const identity = await issue(signerOf(ca, 'the certificate of the client'), leaf);
    addIdentity(inApiserver('client.crt'), inApiserver('client.key'), identity, 'the API server');
  }
  add(inApiserver('ca.crt'), ca.pem, 'for the API server: whom to trust');
  const client = auth === 'token' ? { token: 'token' } : { certificate: 'client.crt', key: 'client.key' };
  add(setup.kubeconfig, formatKubeconfig(server.href, 'ca.crt', client), '--audit-webhook-config-file');
  return files;
}

/** Whom both sides trust. */
interface Authority {
  path: string;
  pem: string;
  all: Parameters<typeof checkIssued>[3];
  /** Absent where its key was not given. */
  signer?: Identity;
}

async function takeAuthority({ given, directory, caValidMs }: KubeconfigOptions): Promise<Authority> {
  if (given.ca === undefined) {
    const signer = await createAuthority(AUTHORITY_NAME, caValidMs);
    const { certificate } = signer;
    return { path: join(directory, 'ca.crt'), pem: certificate.toString(), all: [certificate], signer };
  }
  const { pem, all } = await readCertificates(given.ca);
  checkAuthorities(given.ca, all);
  const signer = given.caKey === undefined ? undefined : await readIdentity(given.ca, given.caKey);
  return { path: given.ca, pem, all, ...(signer ? { signer } : {}) };
}

function signerOf({ path, signer }: Authority, what: string): Identity {
  if (signer) return signer;
  throw new UsageError('USAGE', `${what} is to be signed by ${path}: give --ca-key, or the certificate`);
}

function pemOf({ key }: Identity): string {
  return key.export({ type: 'pkcs8', format: 'pem' }).toString();
}

async function refuseExisting(files: readonly File[]): Promise<void> {
  const existing: string[] = [];
  for (const { path } of files) if (await exists(path)) existing.push(path);
  if (existing.length === 0) return;
  const all = existing.join(', ');
  throw new UsageError(
    'USAGE',
    `${existing.length === 1 ? `${all} exists` : `these exist: ${all}`}; nothing is written over: choose another --out, or move what is there away`,
    existing[0] === undefined ? {} : { path: existing[0] },
  );
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'ENOENT') return false;
    throw new UsageError('USAGE', `${path} can't be looked at: ${code ?? 'unknown'}`, { cause: error, path });
  }
}

/** Either all are there, or none. */
async function writeAll(files: readonly File[]): Promise<void> {
  const written: string[] = [];
  const directories = new Set(files.map(({ path }) => dirname(path)));
  try {
    for (const directory of directories) await mkdir(directory, { recursive: true, mode: 0o700 });
    for (const { path, content } of files) {
      const file = await open(path, 'wx', 0o600);
      written.push(path);
      try {
        await file.writeFile(content);
        await file.sync();
      } finally {
        await file.close();
      }
    }
  } catch (error) {
    for (const path of written) await rm(path, { force: true });
    const what = systemCode(error) ?? String(error);
    const where =
      error instanceof Error && 'path' in error ? String(error.path) : dirname(files[0]?.path ?? '');
    throw new HeadgateError('SETUP_FAILED', `${where} can't be written: ${what}`, { cause: error });
  }
}
