// What is to be done with a webhook's kubeconfig, as text: the source of the pipeline, the flags of kube-apiserver, and three
// ways to a static pod that has them. Pure.
import { stringify } from 'yaml';

export const MODES = ['batch', 'blocking', 'blocking-strict'] as const;
/** `--audit-webhook-mode`. */
export type Mode = (typeof MODES)[number];

/** What was made, by where it is. */
export interface Setup {
  server: URL;
  mode: Mode;
  /** The directory that the API server's pod is to see. */
  apiserverDirectory: string;
  kubeconfig: string;
  serverCertificate: string;
  serverKey: string;
  /** How clients prove who they are. */
  access: { ca: string; clientName: string | undefined } | { tokens: string };
}

/** The parts by name, for `--print`. */
export const PARTS = {
  source: formatSource,
  flags: formatFlags,
  kubeadm: formatKubeadm,
  patch: formatPatch,
  manifest: formatManifest,
} as const;
export type Part = keyof typeof PARTS;

const VOLUME = 'headgate-webhook';

/** All of them, in the order in which they are needed. */
export function formatInstructions(setup: Setup): string {
  return `
1. The source of a pipeline in /etc/headgate/pipelines (see pipelines/webhook-by-user.yaml). Start Headgate first, and try it
   out: headgate webhook send --kubeconfig ${setup.kubeconfig} FILE

${indented(formatSource(setup))}
2. The flags of kube-apiserver, beside --audit-policy-file:

${indented(reasonedFlags(setup))}
3. Its static pod must have them, and see ${setup.apiserverDirectory}. With kubeadm, in the ClusterConfiguration:

${indented(formatKubeadm(setup))}
   --print patch writes a patch for kubeadm's --patches instead (kube-apiserver+json.yaml), and --print manifest what to add by
   hand to /etc/kubernetes/manifests/kube-apiserver.yaml.

Each control-plane node needs ${setup.apiserverDirectory}. docs/webhook.md tells more.
`;
}

function indented(text: string): string {
  return text.replace(/^(?=.)/gm, '     ');
}

function formatSource({ server, serverCertificate, serverKey, access }: Setup): string {
  const mtls =
    'tokens' in access
      ? {}
      : {
          client_ca_file: access.ca,
          ...(access.clientName === undefined ? {} : { client_names: [access.clientName] }),
        };
  return stringify({
    source: {
      type: 'webhook',
      listen: listenAddress(server),
      ...(server.pathname === '/' ? {} : { path: server.pathname }),
      tls: { cert_file: serverCertificate, key_file: serverKey, ...mtls },
      ...('tokens' in access ? { token_file: access.tokens } : {}),
    },
  });
}

/** Of this machine alone where the URL says so, else on all its addresses: which one others see is not known here. */
function listenAddress({ hostname, port }: URL): string {
  const isLocal = hostname === 'localhost' || hostname.startsWith('127.') || hostname === '[::1]';
  const host = hostname.startsWith('[') ? (isLocal ? '[::1]' : '[::]') : isLocal ? '127.0.0.1' : '0.0.0.0';
  return `${isLocal && hostname !== 'localhost' ? hostname : host}:${port === '' ? '443' : port}`;
}

interface Flag {
  name: string;
  value: string;
  why: string;
}

/** Defaults of kube-apiserver that are right are not repeated. */
function flagsOf({ kubeconfig, mode }: Setup): Flag[] {
  const flag = (name: string, value: string, why: string): Flag => ({
    name: `audit-webhook-${name}`,
    value,
    why,
  });
  const common = [flag('config-file', kubeconfig, 'where to send events, and the credentials')];
  if (mode === 'batch')
    return [
      ...common,
      flag('mode', mode, 'no API request waits; what is in memory is lost when the API server dies'),
      flag('batch-max-wait', '1s', 'instead of 30s: that is less to lose'),
      flag('batch-buffer-size', '20000', 'events that wait to be sent; more are dropped'),
      flag('batch-throttle-qps', '50', 'instead of 10: 20,000 events a second in batches of 400, not 4,000'),
      flag('batch-throttle-burst', '100', 'after a quiet time'),
      flag('initial-backoff', '10s', 'the default: Headgate may be away for 80 s before a batch is dropped'),
    ];
  const why =
    mode === 'blocking'
      ? 'each API request waits until its events are on the disk of Headgate; while that is away they are dropped'
      : 'an API request whose RequestReceived is not on the disk of Headgate fails: while that is away, all do';
  return [
    ...common,
    flag('mode', mode, why),
    flag(
      'initial-backoff',
      '1s',
      'instead of 10s: a request waits for 8 s while Headgate is away, not for 80',
    ),
  ];
}

function formatFlags(setup: Setup): string {
  return flagsOf(setup)
    .map(({ name, value }) => `--${name}=${value}\n`)
    .join('');
}

function reasonedFlags(setup: Setup): string {
  return flagsOf(setup)
    .map(({ name, value, why }) => `# ${why}\n--${name}=${value}\n`)
    .join('');
}

function formatKubeadm(setup: Setup): string {
  const path = setup.apiserverDirectory;
  return stringify({
    apiVersion: 'kubeadm.k8s.io/v1beta4',
    kind: 'ClusterConfiguration',
    apiServer: {
      extraArgs: flagsOf(setup).map(({ name, value }) => ({ name, value })),
      extraVolumes: [
        { name: VOLUME, hostPath: path, mountPath: path, readOnly: true, pathType: 'Directory' },
      ],
    },
  });
}

function formatPatch(setup: Setup): string {
  const { mount, volume } = volumeOf(setup);
  const add = (path: string, value: unknown) => ({ op: 'add', path, value });
  return stringify([
    ...flagsOf(setup).map(({ name, value }) => add('/spec/containers/0/command/-', `--${name}=${value}`)),
    add('/spec/containers/0/volumeMounts/-', mount),
    add('/spec/volumes/-', volume),
  ]);
}

function formatManifest(setup: Setup): string {
  const { mount, volume } = volumeOf(setup);
  return stringify({
    spec: {
      containers: [
        {
          command: ['kube-apiserver', ...flagsOf(setup).map(({ name, value }) => `--${name}=${value}`)],
          volumeMounts: [mount],
        },
      ],
      volumes: [volume],
    },
  });
}

function volumeOf({ apiserverDirectory: path }: Setup) {
  return {
    mount: { name: VOLUME, mountPath: path, readOnly: true },
    volume: { name: VOLUME, hostPath: { path, type: 'Directory' } },
  };
}
