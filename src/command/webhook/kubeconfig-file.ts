// The kubeconfig of the API server's webhook client (`--audit-webhook-config-file`): where the webhook is, whom to trust, and
// how to prove who is asking. Written with files beside it, because client-go reads those again when they change (the
// certificate every 5 minutes, a token every minute), and what stands inside never.
import { readFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { parse, stringify } from 'yaml';
import { systemCode, UsageError } from '../../errors.js';

/** Where to send events, and with which credentials. */
export interface WebhookTarget {
  url: URL;
  /** PEM; the system's authorities where absent. */
  ca?: string;
  certificate?: string;
  key?: string;
  token?: string;
  /** The name that the server's certificate must have, in place of the URL's host. */
  serverName?: string;
  /** Any certificate will do. */
  isInsecure?: boolean;
}

/** Files of the client, as the kubeconfig names them: relative to it, or absolute. */
export type ClientFiles = { certificate: string; key: string } | { token: string };

/** The text of a kubeconfig file. */
export function formatKubeconfig(server: string, caFile: string, client: ClientFiles): string {
  const user =
    'token' in client
      ? { tokenFile: client.token }
      : { 'client-certificate': client.certificate, 'client-key': client.key };
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'headgate', cluster: { server, 'certificate-authority': caFile } }],
    users: [{ name: 'kube-apiserver', user }],
    contexts: [{ name: 'webhook', context: { cluster: 'headgate', user: 'kube-apiserver' } }],
    'current-context': 'webhook',
  });
}

type Fields = Readonly<Record<string, unknown>>;

/** Reads one as client-go does, with the files that it names. Throws `UsageError` where it leads nowhere. */
export async function readKubeconfig(path: string): Promise<WebhookTarget> {
  const fault = (what: string): UsageError => new UsageError('USAGE', `${path}: ${what}`, { path });
  const text = await readText(path);
  let config: unknown;
  try {
    config = parse(text);
  } catch (error) {
    throw fault(`no YAML: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (!isFields(config)) throw fault('no kubeconfig');
  const named = (list: string, part: string, name: unknown): Fields => {
    const all = config[list];
    const found = (Array.isArray(all) ? all : []).find((each) => isFields(each) && each['name'] === name) as
      Fields | undefined;
    const value = found?.[part];
    if (!isFields(value)) throw fault(`${list} holds no ${JSON.stringify(name)}`);
    return value;
  };
  const context = named('contexts', 'context', config['current-context'] ?? '');
  const cluster = named('clusters', 'cluster', context['cluster'] ?? '');
  const user = context['user'] === undefined ? {} : named('users', 'user', context['user']);
  const unknown = ['exec', 'auth-provider', 'username'].find((key) => user[key] !== undefined);
  if (unknown !== undefined)
    throw fault(
      `${unknown} is not supported: give a client certificate, token or tokenFile, as the webhook asks for`,
    );

  const { server } = cluster;
  const url = typeof server === 'string' && URL.canParse(server) ? new URL(server) : undefined;
  if (!url || !['http:', 'https:'].includes(url.protocol)) throw fault('the cluster has no server URL');
  const pem = async (fields: Fields, key: string): Promise<string | undefined> => {
    const [data, file] = [fields[`${key}-data`], fields[key]];
    if (typeof data === 'string' && data !== '') return Buffer.from(data, 'base64').toString();
    return typeof file === 'string' && file !== '' ? readText(resolve(dirname(path), file)) : undefined;
  };
  const { token, tokenFile } = user;
  const fromFile =
    typeof tokenFile === 'string' ? await readText(resolve(dirname(path), tokenFile)) : undefined;
  const [ca, certificate, key] = [
    await pem(cluster, 'certificate-authority'),
    await pem(user, 'client-certificate'),
    await pem(user, 'client-key'),
  ];
  const secret = fromFile?.trim() ?? token;
  const serverName = cluster['tls-server-name'];
  return {
    url,
    ...(ca === undefined ? {} : { ca }),
    ...(certificate === undefined ? {} : { certificate }),
    ...(key === undefined ? {} : { key }),
    // client-go, too, sends none in clear.
    ...(typeof secret === 'string' && url.protocol === 'https:' ? { token: secret } : {}),
    ...(typeof serverName === 'string' ? { serverName } : {}),
    ...(cluster['insecure-skip-tls-verify'] === true ? { isInsecure: true } : {}),
  };
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A small text file; `UsageError` where it can't be read. */
export async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new UsageError('USAGE', `${path} can't be read: ${systemCode(error) ?? 'unknown'}`, { path });
  });
}
