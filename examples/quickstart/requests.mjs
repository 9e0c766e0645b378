// What is asked of the API server of an invented small cluster: controllers renew leases and reconcile, people work at a
// terminal, dashboards and probes look, strangers try things. The mix, the sizes and the oddities follow what a
// kube-apiserver 1.36 logged under load. Every namespace that a client names is audited as it was sent, whether it
// exists or not.
import {
  ADMIN,
  AGENTS,
  ANONYMOUS,
  CI,
  CONTROLLERS,
  HOSTILE_AGENT,
  HOSTILE_NAMESPACES,
  HOSTILE_URIS,
  HOSTILE_USERS,
  NAMESPACES,
  NODES,
  PEOPLE,
  serviceAccount,
  uidOf,
} from './actors.mjs';

/** @typedef {import('./random.mjs').Random} Random */
/** @typedef {import('./actors.mjs').User} User */

/**
 * @typedef {object} ObjectRef
 * @property {string} resource
 * @property {string} [namespace]
 * @property {string} [name]
 * @property {string} [uid]
 * @property {string} [apiGroup]
 * @property {string} apiVersion
 * @property {string} [resourceVersion]
 * @property {string} [subresource]
 */

/**
 * One request and its outcome. Without `user` the authentication failed.
 * @typedef {object} Request
 * @property {'Metadata' | 'RequestResponse'} level
 * @property {string} auditID
 * @property {string} requestURI
 * @property {string} verb
 * @property {User} [user]
 * @property {User} [impersonatedUser]
 * @property {string[]} sourceIPs
 * @property {string} userAgent
 * @property {ObjectRef} [objectRef]
 * @property {object} responseStatus
 * @property {object} [requestObject]
 * @property {object} [responseObject]
 * @property {Record<string, string>} annotations
 */

const OK = { metadata: {}, code: 200 };
const CREATED = { metadata: {}, code: 201 };
const BY_GROUP =
  'RBAC: allowed by ClusterRoleBinding "system:basic-user" of ClusterRole "system:basic-user" to Group "system:authenticated"';

/**
 * What the authorizer noted.
 * @param {string} reason
 * @returns {Record<string, string>}
 */
const allowed = (reason) => ({
  'authorization.k8s.io/decision': 'allow',
  'authorization.k8s.io/reason': reason,
});

/**
 * @param {string} role
 * @param {string} to
 * @returns {Record<string, string>}
 */
const byRole = (role, to) =>
  allowed(`RBAC: allowed by ClusterRoleBinding "${role}" of ClusterRole "${role}" to ${to}`);

/**
 * @param {string} message
 * @param {object} details
 * @returns {Pick<Request, 'responseStatus' | 'annotations'>}
 */
function forbidden(message, details) {
  return {
    responseStatus: { metadata: {}, status: 'Failure', message, reason: 'Forbidden', details, code: 403 },
    annotations: { 'authorization.k8s.io/decision': 'forbid', 'authorization.k8s.io/reason': '' },
  };
}

/**
 * The path of an API call.
 * @param {ObjectRef} ref
 * @returns {string}
 */
function uriOf(ref) {
  const group = ref.apiGroup === undefined ? '/api' : `/apis/${ref.apiGroup}`;
  const place = ref.namespace === undefined ? '' : `/namespaces/${encodeURIComponent(ref.namespace)}`;
  const tail = [ref.resource, ref.name, ref.subresource].filter((part) => part !== undefined).join('/');
  return `${group}/${ref.apiVersion}${place}/${tail}`;
}

/**
 * The parts that every request has.
 * @param {Random} random
 * @returns {Pick<Request, 'level' | 'auditID' | 'sourceIPs' | 'responseStatus'>}
 */
function common(random) {
  return {
    level: 'Metadata',
    auditID: random.uuid(),
    sourceIPs: [`10.0.${random.integer(0, 3)}.${random.integer(2, 250)}`],
    responseStatus: OK,
  };
}

/** @param {Random} random @returns {Request} */
function leaseRenewal(random) {
  const node = random.pick(NODES);
  const [user, userAgent, namespace, name] = random.pick([
    [
      { username: `system:node:${node}`, groups: ['system:nodes', 'system:authenticated'] },
      'kubelet/v1.36.3 (linux/amd64) kubernetes/$Format',
      'kube-node-lease',
      node,
    ],
    [
      { username: 'system:kube-scheduler', groups: ['system:authenticated'] },
      'kube-scheduler/v1.36.3 (linux/amd64) kubernetes/$Format/leader-election',
      'kube-system',
      'kube-scheduler',
    ],
  ]);
  /** @type {ObjectRef} */
  const objectRef = {
    resource: 'leases',
    namespace,
    name,
    uid: uidOf(`${namespace}/${name}`),
    apiGroup: 'coordination.k8s.io',
    apiVersion: 'v1',
    resourceVersion: String(random.integer(100_000, 999_999)),
  };
  const requestURI = `${uriOf(objectRef)}?timeout=5s`;
  return {
    ...common(random),
    requestURI,
    verb: 'update',
    user,
    userAgent,
    objectRef,
    annotations: allowed(''),
  };
}

/** @param {Random} random @param {string} [inNamespace] @returns {Request} */
function reconciliation(random, inNamespace) {
  const controller = random.pick(CONTROLLERS);
  const namespace = inNamespace ?? random.pick(NAMESPACES);
  const workload = `${random.pick(['web', 'worker', 'api'])}-${random.text(10)}`;
  const [resource, apiGroup, subresource, verb] = random.pick([
    ['replicasets', 'apps', 'status', 'update'],
    ['deployments', 'apps', 'status', 'update'],
    ['pods', undefined, undefined, 'get'],
    ['endpointslices', 'discovery.k8s.io', undefined, 'update'],
  ]);
  /** @type {ObjectRef} */
  const objectRef = {
    resource,
    namespace,
    name: workload,
    ...(apiGroup !== undefined && { apiGroup }),
    apiVersion: 'v1',
    ...(subresource !== undefined && { subresource }),
  };
  const role = `system:controller:${controller}`;
  return {
    ...common(random),
    requestURI: uriOf(objectRef),
    verb,
    user: serviceAccount('kube-system', controller),
    userAgent: `kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/$Format/system:serviceaccount:kube-system:${controller}`,
    objectRef,
    annotations: byRole(role, `ServiceAccount "${controller}/kube-system"`),
  };
}

/** @param {Random} random @param {string} [inNamespace] @returns {Request} */
function personAtWork(random, inNamespace) {
  const user = random.pick(PEOPLE);
  const namespace = inNamespace ?? random.pick(NAMESPACES);
  const [resource, apiGroup] = random.pick([
    ['pods', undefined],
    ['secrets', undefined],
    ['configmaps', undefined],
    ['deployments', 'apps'],
  ]);
  const verb = random.pick(['list', 'get', 'watch', 'delete', 'patch']);
  const isCollection = verb === 'list' || verb === 'watch';
  /** @type {ObjectRef} */
  const objectRef = {
    resource,
    namespace,
    ...(!isCollection && { name: `${resource.slice(0, -1)}-${random.text(5)}` }),
    ...(apiGroup !== undefined && { apiGroup }),
    apiVersion: 'v1',
  };
  const query = {
    list: '?limit=500',
    watch: '?resourceVersion=881223&timeoutSeconds=412&watch=true',
    patch: '?fieldManager=kubectl-edit&fieldValidation=Strict',
  };
  const requestURI = uriOf(objectRef) + (verb in query ? query[/** @type {keyof query} */ (verb)] : '');
  const request = { ...common(random), requestURI, verb, user, userAgent: random.pick(AGENTS), objectRef };
  if (user !== ADMIN && resource === 'secrets') {
    const message = `${resource} is forbidden: User "${user.username}" cannot ${verb} resource "${resource}" in API group "" in the namespace "${namespace}"`;
    return { ...request, ...forbidden(message, { kind: resource }) };
  }
  if (random.oneIn(12)) {
    const impersonatedUser = serviceAccount(namespace, 'app-0');
    return {
      ...request,
      impersonatedUser,
      annotations: byRole('edit', `ServiceAccount "app-0/${namespace}"`),
    };
  }
  return { ...request, annotations: byRole('developers', 'Group "dev-team"') };
}

// A body at level RequestResponse: keys in the order of the Go struct, `<` and `&` in values, and a number that
// does not survive a JavaScript JSON.parse.
/** @param {Random} random @param {string} [inNamespace] @returns {Request} */
function rollout(random, inNamespace) {
  const namespace = inNamespace ?? random.pick(NAMESPACES);
  const name = `release-${random.text(6)}`;
  const spec = {
    serial: 9007199254740993n + BigInt(random.integer(0, 1_000_000)),
    weight: 1.5,
    paused: false,
    note: random.pick(['a < b && c > d', 'für die Müllabfuhr', 'line one\nline two', '日本語のメモ']),
    steps: Array.from({ length: random.integer(1, 20) }, (_, i) => ({
      name: `step-${i}`,
      command: ['sh', '-c', 'test -f /ready && exec "$0"'],
    })),
  };
  const kind = { kind: 'Rollout', apiVersion: 'example.com/v1' };
  return {
    ...common(random),
    level: 'RequestResponse',
    requestURI: `/apis/example.com/v1/namespaces/${namespace}/rollouts?fieldManager=ci&fieldValidation=Warn`,
    verb: 'create',
    user: CI,
    userAgent: 'Go-http-client/2.0',
    objectRef: { resource: 'rollouts', namespace, name, apiGroup: 'example.com', apiVersion: 'v1' },
    responseStatus: CREATED,
    requestObject: { ...kind, metadata: { name, namespace }, spec },
    responseObject: {
      ...kind,
      metadata: {
        name,
        namespace,
        uid: random.uuid(),
        resourceVersion: String(random.integer(100_000, 999_999)),
        generation: 1,
      },
      spec,
    },
    annotations: byRole('cluster-admin', 'User "ci-bot"'),
  };
}

// Cluster-scoped: no namespace in the objectRef, but one inside the body, which must not be mistaken for it.
/** @param {Random} random @returns {Request} */
function accessReview(random) {
  const namespace = random.pick(NAMESPACES);
  const kind = { kind: 'SelfSubjectAccessReview', apiVersion: 'authorization.k8s.io/v1' };
  const spec = { resourceAttributes: { namespace, verb: 'list', resource: 'secrets' } };
  return {
    ...common(random),
    level: 'RequestResponse',
    requestURI: '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews',
    verb: 'create',
    user: random.pick(PEOPLE),
    userAgent: random.pick(AGENTS),
    objectRef: { resource: 'selfsubjectaccessreviews', apiGroup: 'authorization.k8s.io', apiVersion: 'v1' },
    responseStatus: CREATED,
    requestObject: { ...kind, metadata: {}, spec, status: { allowed: false } },
    responseObject: {
      ...kind,
      metadata: {},
      spec,
      status: { allowed: false, reason: `no rule for "${namespace}"` },
    },
    annotations: allowed(BY_GROUP),
  };
}

/** @param {Random} random @returns {Request} */
function clusterScoped(random) {
  const [resource, name, apiGroup] = random.pick([
    ['nodes', random.pick(NODES), undefined],
    ['clusterroles', 'view', 'rbac.authorization.k8s.io'],
    ['persistentvolumes', `pvc-${random.uuid()}`, undefined],
  ]);
  /** @type {ObjectRef} */
  const objectRef = { resource, name, ...(apiGroup !== undefined && { apiGroup }), apiVersion: 'v1' };
  const user = random.pick([ADMIN, CI]);
  return {
    ...common(random),
    requestURI: uriOf(objectRef),
    verb: 'get',
    user,
    userAgent: random.pick(AGENTS),
    objectRef,
    annotations: allowed(''),
  };
}

/** @param {Random} random @returns {Request} */
function probe(random) {
  const [requestURI, user, userAgent] = random.pick([
    ['/readyz', ANONYMOUS, 'kube-probe/1.36'],
    ['/livez?verbose', ANONYMOUS, 'curl/7.88.1'],
    ['/metrics', serviceAccount('monitoring', 'prometheus'), 'Prometheus/2.53.1'],
    ['/openapi/v3', ADMIN, 'kubectl/v1.36.3 (linux/amd64) kubernetes/0fe831c'],
  ]);
  return { ...common(random), requestURI, verb: 'get', user, userAgent, annotations: allowed(BY_GROUP) };
}

/** @param {Random} random @returns {Request} */
function failedLogin(random) {
  return {
    ...common(random),
    requestURI: '/api/v1/namespaces/payments/secrets',
    verb: 'list',
    userAgent: random.pick(AGENTS),
    objectRef: { resource: 'secrets', namespace: 'payments', apiVersion: 'v1' },
    responseStatus: {
      metadata: {},
      status: 'Failure',
      message: 'Unauthorized',
      reason: 'Unauthorized',
      code: 401,
    },
    annotations: {},
  };
}

// Everything that the client chooses, chosen badly: its name, the namespace, the path, the audit ID, the addresses.
/** @param {Random} random @returns {Request} */
function stranger(random) {
  const user = random.pick(HOSTILE_USERS);
  const request = {
    ...common(random),
    auditID: random.pick(['dup-dup-dup', '<"\'>', '../../audit', random.uuid()]),
    user,
    sourceIPs: ['203.0.113.7', '2001:db8::17', '10.0.0.9'],
    userAgent: HOSTILE_AGENT,
  };
  if (random.oneIn(2)) {
    const requestURI = random.pick(HOSTILE_URIS);
    const message = `forbidden: User "${user.username}" cannot get path "${requestURI}"`;
    return { ...request, requestURI, verb: 'get', ...forbidden(message, {}) };
  }
  const namespace = random.pick(HOSTILE_NAMESPACES);
  /** @type {ObjectRef} */
  const objectRef = { resource: 'pods', namespace, apiVersion: 'v1' };
  const message = `pods is forbidden: User "${user.username}" cannot list resource "pods" in API group "" in the namespace "${namespace}"`;
  return {
    ...request,
    requestURI: uriOf(objectRef),
    verb: 'list',
    objectRef,
    ...forbidden(message, { kind: 'pods' }),
  };
}

/** @type {readonly (readonly [number, (random: Random, namespace?: string) => Request])[]} */
const MIX = [
  [10, leaseRenewal],
  [42, reconciliation],
  [24, personAtWork],
  [3, rollout],
  [2, accessReview],
  [6, clusterScoped],
  [8, probe],
  [2, failedLogin],
  [2, stranger],
];

/**
 * A request as it comes to the cluster.
 * @param {Random} random
 * @returns {Request}
 */
export function nextRequest(random) {
  return random.weighted(MIX)(random);
}

/**
 * A request for an object in a namespace.
 * @param {Random} random
 * @param {string} namespace
 * @returns {Request}
 */
export function requestIn(random, namespace) {
  return random.pick([reconciliation, personAtWork, rollout])(random, namespace);
}
