// Conditions as people write them to find attacks in an audit log: each finds the events that it is for, and not
// those beside them. The fields and values are those that public detection rules look at.
import t from 'tap';
import { matches } from '../helpers/matches.js';

interface Detection {
  when: unknown;
  finds: unknown[];
  ignores: unknown[];
}

const ALLOWED = { 'authorization.k8s.io/decision': 'allow' };
const DECISION = 'annotations["authorization.k8s.io/decision"]';

function pod(spec: object, verb = 'create'): object {
  return { verb, objectRef: { resource: 'pods', namespace: 'a' }, requestObject: { spec } };
}

function exec(query: string, subresource = 'exec'): object {
  const requestURI = `/api/v1/namespaces/a/pods/b/${subresource}?${query}`;
  return { verb: 'create', objectRef: { resource: 'pods', subresource }, requestURI };
}

const detections: Record<string, Detection> = {
  'a command is run in a container': {
    when: {
      verb: ['create', 'get'],
      'objectRef.resource': 'pods',
      'objectRef.subresource': ['exec', 'attach'],
    },
    finds: [exec('command=sh'), exec('stdin=true', 'attach')],
    ignores: [exec('', 'log'), { verb: 'create', objectRef: { resource: 'pods' } }],
  },
  'a reverse shell or a download is started in a container': {
    when: {
      'objectRef.subresource': 'exec',
      any: [
        {
          'requestURI|decoded|contains': ['/dev/tcp/', '169.254.169.254', '/var/run/secrets/', '/etc/shadow'],
        },
        { 'requestURI|decoded|re|i': ['command=nc[ +]+-e', 'curl.*https?:', '\\bsocat\\b'] },
      ],
    },
    finds: [
      exec('command=bash&command=-c&command=cat+%3C%2Fdev%2Ftcp%2F10.0.0.1%2F80'),
      exec('command=nc+-e+%2Fbin%2Fsh'),
      exec('command=CURL&command=-k&command=HTTPS%3A%2F%2Fx'),
      exec('command=cat&command=%2fetc%2fshadow'),
    ],
    ignores: [
      exec('command=ls'),
      exec('command=cat&command=%252fetc%252fshadow'),
      exec('command=websocated'),
    ],
  },
  'a privileged container': {
    when: {
      verb: 'create',
      'objectRef.resource': 'pods',
      any: ['containers', 'initContainers', 'ephemeralContainers'].map((list) => ({
        [`requestObject.spec.${list}.securityContext.privileged`]: true,
      })),
    },
    finds: [
      pod({ containers: [{ name: 'a' }, { name: 'b', securityContext: { privileged: true } }] }),
      pod({ containers: [{}], initContainers: [{ securityContext: { privileged: true } }] }),
    ],
    ignores: [
      pod({ containers: [{ securityContext: { privileged: false } }, {}], initContainers: [] }),
      pod({ securityContext: { privileged: true } }),
      pod({ containers: [{ securityContext: { privileged: true } }] }, 'update'),
    ],
  },
  'dangerous capabilities': {
    when: {
      'objectRef.resource': 'pods',
      'requestObject.spec.containers.securityContext.capabilities.add': ['SYS_ADMIN', 'NET_*', 'BPF'],
    },
    finds: [
      pod({ containers: [{}, { securityContext: { capabilities: { add: ['CHOWN', 'NET_ADMIN'] } } }] }),
    ],
    ignores: [
      pod({ containers: [{ securityContext: { capabilities: { drop: ['SYS_ADMIN'], add: ['CHOWN'] } } }] }),
    ],
  },
  'a pod in the network, the processes or the files of its node': {
    when: {
      'objectRef.resource': 'pods',
      any: [
        { 'requestObject.spec.hostNetwork': true },
        { 'requestObject.spec.hostPID': true },
        {
          'requestObject.spec.volumes.hostPath.path|re':
            '^/(proc|root|etc(/kubernetes)?|var/run/[^/]*\\.sock)?/?$',
        },
      ],
    },
    finds: [
      pod({ hostPID: true }),
      pod({ volumes: [{ emptyDir: {} }, { hostPath: { path: '/' } }] }),
      pod({ volumes: [{ hostPath: { path: '/var/run/docker.sock' } }] }),
    ],
    ignores: [pod({ hostNetwork: false, volumes: [{ hostPath: { path: '/srv/etc' } }] }), pod({})],
  },
  'a role that may do everything': {
    when: {
      'objectRef.resource': ['roles', 'clusterroles'],
      verb: ['create', 'update', 'patch'],
      any: [{ 'requestObject.rules.verbs': '\\*' }, { 'requestObject.rules.resources': '\\*' }],
    },
    finds: [
      {
        verb: 'create',
        objectRef: { resource: 'clusterroles' },
        requestObject: { rules: [{ verbs: ['get'], resources: ['pods'] }, { verbs: ['list', '*'] }] },
      },
    ],
    ignores: [
      {
        verb: 'create',
        objectRef: { resource: 'clusterroles' },
        requestObject: { rules: [{ verbs: ['get'], resources: ['pods/*'] }] },
      },
    ],
  },
  'a binding to cluster-admin': {
    when: {
      verb: 'create',
      'objectRef.resource|endswith': 'rolebindings',
      'requestObject.roleRef.name|cased': 'cluster-admin',
    },
    finds: [
      {
        verb: 'create',
        objectRef: { resource: 'clusterrolebindings' },
        requestObject: { roleRef: { name: 'cluster-admin' } },
      },
    ],
    ignores: [
      {
        verb: 'create',
        objectRef: { resource: 'rolebindings' },
        requestObject: { roleRef: { name: 'admin' } },
      },
    ],
  },
  'all secrets are listed from outside': {
    when: {
      verb: 'list',
      'objectRef.resource': 'secrets',
      'objectRef.namespace|exists': false,
      not: { 'sourceIPs|cidr': ['127.0.0.0/8', '::1/128', '10.0.0.0/8'] },
    },
    finds: [
      { verb: 'list', objectRef: { resource: 'secrets' }, sourceIPs: ['203.0.113.7'] },
      { verb: 'list', objectRef: { resource: 'secrets' }, sourceIPs: ['2001:db8::1'] },
    ],
    ignores: [
      { verb: 'list', objectRef: { resource: 'secrets' }, sourceIPs: ['203.0.113.7', '10.1.2.3'] },
      { verb: 'list', objectRef: { resource: 'secrets' }, sourceIPs: ['::ffff:127.0.0.1'] },
      { verb: 'list', objectRef: { resource: 'secrets', namespace: 'a' }, sourceIPs: ['203.0.113.7'] },
    ],
  },
  'secrets are read by a script': {
    when: { 'objectRef.resource': 'secrets', 'userAgent|re': '^(curl|python-requests|Go-http-client)/' },
    finds: [{ objectRef: { resource: 'secrets' }, userAgent: 'curl/7.88.1' }],
    ignores: [{ objectRef: { resource: 'secrets' }, userAgent: 'kubectl/v1.30 (curl/)' }],
  },
  'a privileged identity is impersonated': {
    when: {
      [DECISION]: 'allow',
      any: [
        { 'impersonatedUser.username|startswith': ['system:node:', 'system:serviceaccount:kube-system:'] },
        { 'impersonatedUser.groups|all': ['system:masters', 'system:authenticated'] },
      ],
    },
    finds: [
      { annotations: ALLOWED, impersonatedUser: { username: 'system:node:a' } },
      {
        annotations: ALLOWED,
        impersonatedUser: { username: 'x', groups: ['system:authenticated', 'dev', 'system:masters'] },
      },
    ],
    ignores: [
      { annotations: ALLOWED, user: { username: 'system:node:a' } },
      {
        annotations: { 'authorization.k8s.io/decision': 'forbid' },
        impersonatedUser: { username: 'system:node:a' },
      },
      { annotations: ALLOWED, impersonatedUser: { username: 'x', groups: ['system:masters'] } },
    ],
  },
  'someone without a name is let in': {
    when: {
      [DECISION]: 'allow',
      'user.username': ['system:anonymous', null],
      not: { 'requestURI|re': '^/(healthz|livez|readyz|version)([/?]|$)' },
    },
    finds: [
      { annotations: ALLOWED, user: { username: 'system:anonymous' }, requestURI: '/api/v1/pods' },
      { annotations: ALLOWED, user: {}, requestURI: '/versions' },
    ],
    ignores: [
      { annotations: ALLOWED, user: { username: 'system:anonymous' }, requestURI: '/livez?verbose' },
      { annotations: ALLOWED, user: { username: 'x' }, requestURI: '/api/v1/pods' },
    ],
  },
  'requests are forbidden': {
    when: [{ 'responseStatus.code': [401, 403] }, { [DECISION]: 'forbid' }],
    finds: [
      { responseStatus: { code: 403 } },
      { annotations: { 'authorization.k8s.io/decision': 'forbid' } },
    ],
    ignores: [{ responseStatus: { code: 201 }, annotations: ALLOWED }, {}],
  },
  'traces are removed': {
    when: { 'verb|startswith': 'delete', 'objectRef.resource': 'events' },
    finds: [{ verb: 'deletecollection', objectRef: { resource: 'events' } }],
    ignores: [{ verb: 'get', objectRef: { resource: 'events' } }],
  },
  'an ingress without TLS': {
    when: { verb: 'create', 'objectRef.resource': 'ingresses', 'requestObject.spec.tls|exists': false },
    finds: [
      { verb: 'create', objectRef: { resource: 'ingresses' }, requestObject: { spec: { rules: [] } } },
      { verb: 'create', objectRef: { resource: 'ingresses' }, requestObject: { spec: { tls: [] } } },
    ],
    ignores: [
      {
        verb: 'create',
        objectRef: { resource: 'ingresses' },
        requestObject: { spec: { tls: [{ hosts: ['a'] }] } },
      },
    ],
  },
};

for (const [name, { when, finds, ignores }] of Object.entries(detections)) {
  t.test(`${name}: is found, and nothing beside it`, async (t) => {
    for (const event of finds) t.equal(matches(when, event), true, JSON.stringify(event));
    for (const event of ignores) t.equal(matches(when, event), false, JSON.stringify(event));
  });
}
