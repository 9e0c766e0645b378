// `headgate webhook`: the command line of what sets up and tries out a webhook.
import { isIP } from 'node:net';
import { parseBytes } from '../../config/units.js';
import { UsageError } from '../../errors.js';
import { duration, parse, text } from '../arguments.js';
import { MODES, PARTS } from './instructions.js';
import type { Part } from './instructions.js';
import { kubeconfigCommand, setupOf } from './kubeconfig.js';
import type { KubeconfigOptions } from './kubeconfig.js';
import { readKubeconfig } from './kubeconfig-file.js';
import type { WebhookTarget } from './kubeconfig-file.js';
import { sendCommand } from './send.js';

const DEFAULT_SERVER = 'https://127.0.0.1:9443/audit';
const DEFAULT_DIRECTORY = '/etc/headgate/webhook';
const HOST_NAME = /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i;

type Values = Readonly<Record<string, unknown>>;

/** Where a command writes. */
export interface WebhookIo {
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WriteStream;
}

/** Resolves to the exit code. */
export async function webhookCommand([action, ...args]: string[], io: WebhookIo): Promise<number> {
  if (action === 'kubeconfig') return kubeconfig(args, io);
  if (action === 'send') return send(args, io);
  throw new UsageError(
    'USAGE',
    'write headgate webhook kubeconfig, or headgate webhook send FILE; see headgate --help',
  );
}

async function kubeconfig(args: string[], { stdout }: WebhookIo): Promise<number> {
  const string = { type: 'string' } as const;
  const { values, positionals } = parse(args, {
    ...{ server: string, name: { type: 'string', multiple: true }, out: string, auth: string, mode: string },
    ...{ valid: string, 'ca-valid': string, 'client-name': string, ca: string, 'ca-key': string },
    ...{ 'server-cert': string, 'server-key': string, 'client-cert': string, 'client-key': string },
    ...{ 'dry-run': { type: 'boolean' }, print: string },
  });
  if (positionals.length > 0) throw new UsageError('USAGE', `${positionals.join(' ')} is not understood`);
  const options: KubeconfigOptions = {
    server: serverUrl(text(values['server']) ?? DEFAULT_SERVER),
    names: ((values['name'] ?? []) as string[]).map(hostName),
    directory: text(values['out']) ?? DEFAULT_DIRECTORY,
    auth: oneOf('auth', values, ['mtls', 'token'] as const) ?? 'mtls',
    mode: oneOf('mode', values, MODES) ?? 'batch',
    clientName: text(values['client-name']) ?? 'kube-apiserver',
    validMs: duration('valid', text(values['valid']) ?? '365d'),
    caValidMs: duration('ca-valid', text(values['ca-valid']) ?? '3650d'),
    given: {
      ca: text(values['ca']),
      caKey: text(values['ca-key']),
      server: pair('server', values),
      client: pair('client', values),
    },
  };
  refuseMeaningless(options, values);
  const part = oneOf('print', values, Object.keys(PARTS) as Part[]);
  if (part === undefined) return kubeconfigCommand(options, values['dry-run'] === true, stdout);
  stdout.write(PARTS[part](await setupOf(options)));
  return 0;
}

/** What would have no effect, or could not be right. */
function refuseMeaningless(options: KubeconfigOptions, values: Values): void {
  const { given, auth, clientName, names, validMs, caValidMs } = options;
  const fault = (message: string): never => {
    throw new UsageError('USAGE', message);
  };
  if (given.ca === undefined) {
    if (given.caKey !== undefined) fault('--ca-key is the key of --ca: give that, too');
    if (given.server)
      fault('--server-cert needs --ca: the authority that signed it, which the API server is to trust');
    if (given.client)
      fault('--client-cert needs --ca: the authority that signed it, which the server is to trust');
  }
  if (auth === 'token' && given.client) fault('--client-cert is of no use with --auth token');
  if (values['client-name'] !== undefined && (auth === 'token' || given.client))
    fault('--client-name is for a client certificate that is made');
  if (names.length > 0 && given.server) fault('--name is for a server certificate that is made');
  if (validMs === 0 || caValidMs === 0) fault('--valid and --ca-valid must be longer than nothing');
  if (clientName === '' || Buffer.byteLength(clientName) > 64)
    fault('--client-name must have 1 to 64 bytes, as a common name has');
}

function oneOf<T extends string>(option: string, values: Values, all: readonly T[]): T | undefined {
  const value = text(values[option]);
  const found = all.find((each) => each === value);
  if (value === undefined || found !== undefined) return found;
  throw new UsageError('USAGE', `--${option} ${value} is none of ${all.join(', ')}`);
}

function pair(name: string, values: Values): { certificate: string; key: string } | undefined {
  const [certificate, key] = [text(values[`${name}-cert`]), text(values[`${name}-key`])];
  if (certificate === undefined && key === undefined) return undefined;
  if (certificate !== undefined && key !== undefined) return { certificate, key };
  throw new UsageError('USAGE', `--${name}-cert and --${name}-key belong together`);
}

function serverUrl(value: string): URL {
  const url = URL.canParse(value) ? new URL(value) : undefined;
  if (url?.protocol !== 'https:')
    throw new UsageError('USAGE', `--server ${value} is no https URL: write ${DEFAULT_SERVER}`);
  if (url.username !== '' || url.search !== '' || url.hash !== '')
    throw new UsageError('USAGE', `--server ${value} may hold a host, a port and a path, and nothing else`);
  return url;
}

function hostName(name: string): string {
  if (isIP(name) !== 0 || HOST_NAME.test(name)) return name;
  throw new UsageError('USAGE', `--name ${name} is neither a host name nor an IP address`);
}

async function send(args: string[], { stderr }: WebhookIo): Promise<number> {
  const string = { type: 'string' } as const;
  const { values, positionals } = parse(args, {
    ...{ kubeconfig: string, url: string },
    ...{ 'batch-events': string, 'batch-bytes': string, deadline: string },
  });
  const [file] = positionals;
  if (file === undefined || positionals.length > 1)
    throw new UsageError('USAGE', 'write headgate webhook send FILE; - is standard input');
  const maxEvents = Number(text(values['batch-events']) ?? '400');
  if (!Number.isInteger(maxEvents) || maxEvents < 1)
    throw new UsageError('USAGE', `--batch-events ${String(values['batch-events'])} is no number of events`);
  const maxBytes = parseBytes(text(values['batch-bytes']) ?? '10MiB');
  if (maxBytes === undefined)
    throw new UsageError('USAGE', `--batch-bytes ${String(values['batch-bytes'])} is no size: write 10MiB`);
  return sendCommand({
    file,
    target: await targetOf(text(values['kubeconfig']), text(values['url'])),
    limits: { maxEvents, maxBytes },
    deadlineMs: duration('deadline', text(values['deadline']) ?? '10m'),
    stderr,
  });
}

async function targetOf(kubeconfig: string | undefined, url: string | undefined): Promise<WebhookTarget> {
  if (kubeconfig !== undefined && url === undefined) return readKubeconfig(kubeconfig);
  if (kubeconfig !== undefined || url === undefined)
    throw new UsageError('USAGE', 'write either --kubeconfig FILE or --url URL');
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && ['http:', 'https:'].includes(parsed.protocol)) return { url: parsed };
  throw new UsageError('USAGE', `--url ${url} is neither an http nor an https URL`);
}
