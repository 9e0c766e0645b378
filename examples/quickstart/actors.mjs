// Who and what there is in the invented cluster of the example: users, nodes, namespaces, programs; and what people
// call themselves who mean no good. Names follow those that a kube-apiserver 1.36 logged; they belong to nobody.

/**
 * @typedef {object} User
 * @property {string} username
 * @property {string} [uid]
 * @property {string[]} groups
 * @property {Record<string, string[]>} [extra]
 */

/** Namespaces that exist. */
export const NAMESPACES = [
  'payments',
  'checkout',
  'search',
  'team-red',
  'team-blue',
  'monitoring',
  'argocd',
  'kube-system',
];
/** Nodes of the cluster. */
export const NODES = ['cp-1', 'worker-1', 'worker-2', 'worker-3'];

/**
 * A number made from a name, so that a name always has the same identity.
 * @param {string} name
 * @returns {string}
 */
export function uidOf(name) {
  let hash = 0x811c9dc5;
  for (const c of Buffer.from(name)) hash = Math.imul(hash ^ c, 0x01000193) >>> 0;
  const hex = hash.toString(16).padStart(8, '0');
  return `${hex}-${hex.slice(0, 4)}-4${hex.slice(1, 4)}-8${hex.slice(2, 5)}-${hex}${hex.slice(0, 4)}`;
}

/**
 * The user that a service account is to the API server.
 * @param {string} namespace
 * @param {string} name
 * @returns {User}
 */
export function serviceAccount(namespace, name) {
  const username = `system:serviceaccount:${namespace}:${name}`;
  return {
    username,
    uid: uidOf(username),
    groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'],
    extra: { 'authentication.kubernetes.io/credential-id': [`JTI=${uidOf(`${username} token`)}`] },
  };
}

/** The cluster's administrator. @type {User} */
export const ADMIN = {
  username: 'kubernetes-admin',
  groups: ['kubeadm:cluster-admins', 'system:authenticated'],
};
/** Whoever has no credentials where that is allowed. @type {User} */
export const ANONYMOUS = { username: 'system:anonymous', groups: ['system:unauthenticated'] };
/** The deployment robot. @type {User} */
export const CI = {
  username: 'ci-bot',
  uid: '1004',
  groups: ['automation', 'ci:deployers', 'system:authenticated'],
};
/** People at their terminals. @type {readonly User[]} */
export const PEOPLE = [
  ADMIN,
  { username: 'alice@example.com', uid: '1001', groups: ['platform', 'system:authenticated'] },
  { username: 'bob', uid: '1002', groups: ['dev-team', 'system:authenticated'] },
  { username: 'Zoë Müller-Łącki', uid: '1003', groups: ['dev-team', 'system:authenticated'] },
];
/** What an identity provider lets people call themselves. @type {readonly User[]} */
export const HOSTILE_USERS = [
  { username: '../../../etc/cron.d/headgate', uid: '6661', groups: ['system:authenticated'] },
  { username: 'oidc:<b>Tom & "Jerry"</b>\\dom=x', uid: '6662', groups: ['<script>', 'system:authenticated'] },
  { username: 'team/blue/日本', uid: '6663', groups: [''] },
  {
    username: 'eve\n{"kind":"Event","apiVersion":"audit.k8s.io/v1"}',
    uid: '6664',
    groups: ['system:authenticated'],
  },
];
/** Namespaces that are asked for and do not exist. */
export const HOSTILE_NAMESPACES = ['日本', '..', 'a b', '%2e%2e', 'x'.repeat(300)];
/** Paths that scanners try. */
export const HOSTILE_URIS = [
  '/../../etc/passwd',
  '/.env',
  '/%00',
  '/login?user=admin&password=%3Cscript%3E',
  '/debug/pprof/cmdline',
];
/** A user agent that hopes to be shown in a browser. */
export const HOSTILE_AGENT =
  'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) <script>alert("xss")</script>';
/** Programs that people use. */
export const AGENTS = [
  'kubectl/v1.36.3 (linux/amd64) kubernetes/0fe831c',
  'kubectl/v1.32.4-dispatcher (darwin/arm64) kubernetes/d4f5a2a',
  'Lens/2025.1.161916 (Darwin; arm64)',
  'k9s/v0.32.5 (linux/amd64) kubernetes/$Format',
  'Terraform/1.9.5 (+https://www.terraform.io) Terraform-Provider-Kubernetes/2.31.0',
];
/** Controllers of the controller manager. */
export const CONTROLLERS = [
  'generic-garbage-collector',
  'replicaset-controller',
  'deployment-controller',
  'endpointslice-controller',
];
