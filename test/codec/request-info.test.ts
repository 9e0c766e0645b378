// The table of kube-apiserver's own documentation of URIs, and odd ones; the expected values follow requestinfo.go.
import t from 'tap';
import { RequestInfo } from '../../src/codec/request-info.js';

function infoOf(method: string, uri: string): Record<string, string> {
  const data = Buffer.from(`before${uri}`);
  const info = new RequestInfo();
  info.read(data, 6, data.length);
  const found: Record<string, string> = { verb: info.verbOf(method) };
  if (!info.isResource) return found;
  for (const key of ['group', 'version', 'namespace', 'resource', 'name', 'subresource'] as const)
    if (info[key] >= 0)
      found[key] = info.path.toString('utf8', info.partStart(info[key]), info.partEnd(info[key]));
  const selected = info.selectedName(found['verb'] ?? '');
  if (selected !== undefined) found['name'] = selected;
  return found;
}

const V1 = { version: 'v1' };
const POD = { ...V1, namespace: 'x', resource: 'pods', name: 'y' };

const TABLE: [string, string, Record<string, string>][] = [
  ['GET', '/api/v1/pods', { ...V1, verb: 'list', resource: 'pods' }],
  ['HEAD', '/api/v1/pods', { ...V1, verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/nodes/n', { ...V1, verb: 'get', resource: 'nodes', name: 'n' }],
  ['HEAD', '/api/v1/namespaces/x/pods/y', { ...POD, verb: 'get' }],
  ['PUT', '/api/v1/namespaces/x/pods/y', { ...POD, verb: 'update' }],
  ['PATCH', '/api/v1/namespaces/x/pods/y/status', { ...POD, verb: 'patch', subresource: 'status' }],
  ['GET', '/api/v1/namespaces/x/pods/y/log?follow=true', { ...POD, verb: 'get', subresource: 'log' }],
  ['GET', '/api/v1/namespaces/x/pods/y/proxy/a/b', { ...POD, verb: 'get', subresource: 'proxy' }],
  ['DELETE', '/api/v1/namespaces/x/pods/y', { ...POD, verb: 'delete' }],
  [
    'DELETE',
    '/api/v1/namespaces/x/pods',
    { ...V1, verb: 'deletecollection', namespace: 'x', resource: 'pods' },
  ],
  ['POST', '/api/v1/namespaces/x/pods', { ...V1, verb: 'create', namespace: 'x', resource: 'pods' }],
  ['OPTIONS', '/api/v1/namespaces/x/pods', { ...V1, verb: '', namespace: 'x', resource: 'pods' }],
  ['', '/api/v1/pods', { ...V1, verb: '', resource: 'pods' }],
  // Namespaces themselves.
  ['GET', '/api/v1/namespaces', { ...V1, verb: 'list', resource: 'namespaces' }],
  ['POST', '/api/v1/namespaces', { ...V1, verb: 'create', resource: 'namespaces' }],
  ['GET', '/api/v1/namespaces/x', { ...V1, verb: 'get', namespace: 'x', resource: 'namespaces', name: 'x' }],
  [
    'PUT',
    '/api/v1/namespaces/x/finalize',
    { ...V1, verb: 'update', namespace: 'x', resource: 'namespaces', name: 'x', subresource: 'finalize' },
  ],
  // Groups.
  [
    'GET',
    '/apis/apps/v1/namespaces/x/deployments/d/scale',
    {
      group: 'apps',
      ...V1,
      verb: 'get',
      namespace: 'x',
      resource: 'deployments',
      name: 'd',
      subresource: 'scale',
    },
  ],
  ['GET', '/apis/apps/v1/deployments', { group: 'apps', ...V1, verb: 'list', resource: 'deployments' }],
  // Watches and field selectors.
  ['GET', '/api/v1/pods?watch=true', { ...V1, verb: 'watch', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch', { ...V1, verb: 'watch', resource: 'pods' }],
  ['GET', '/api/v1/pods?a=b&w%61tch=1', { ...V1, verb: 'watch', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch=False&watch=true', { ...V1, verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/pods?watch=0', { ...V1, verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/pods?allowWatchBookmarks=true', { ...V1, verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1/namespaces/x/pods/y?watch=true', { ...POD, verb: 'get' }],
  [
    'GET',
    '/api/v1/namespaces/x/secrets?fieldSelector=metadata.name%3Dy&watch=true',
    { ...V1, verb: 'watch', namespace: 'x', resource: 'secrets', name: 'y' },
  ],
  [
    'GET',
    '/api/v1/nodes?fieldSelector=spec.a%21%3Db,metadata.name==n',
    { ...V1, verb: 'list', resource: 'nodes', name: 'n' },
  ],
  ['GET', '/api/v1/nodes?fieldSelector=metadata.name!=n', { ...V1, verb: 'list', resource: 'nodes' }],
  ['GET', '/api/v1/nodes?fieldSelector=metadata.name=..', { ...V1, verb: 'list', resource: 'nodes' }],
  [
    'DELETE',
    '/api/v1/nodes?fieldSelector=metadata.name=n',
    { ...V1, verb: 'deletecollection', resource: 'nodes' },
  ],
  // Verbs in the path.
  ['GET', '/api/v1/watch/pods', { ...V1, verb: 'watch', resource: 'pods' }],
  ['GET', '/api/v1/watch/namespaces/x/pods/y', { ...POD, verb: 'watch' }],
  ['GET', '/api/v1/proxy/namespaces/x/pods/y/status', { ...POD, verb: 'proxy' }],
  ['POST', '/api/v1/redirect/nodes/n', { ...V1, verb: 'redirect', resource: 'nodes', name: 'n' }],
  // No resources.
  ['GET', '/', { verb: 'get' }],
  ['OPTIONS', '*', { verb: 'options' }],
  ['POST', '/healthz?verbose', { verb: 'post' }],
  ['GET', '/api/v1', { verb: 'get' }],
  ['GET', '/api/v1/', { verb: 'get' }],
  ['GET', '/apis/apps/v1', { verb: 'get' }],
  ['GET', '/openapi/v3/apis/apps/v1', { verb: 'get' }],
  ['GET', '/api/v1/watch', { verb: 'get' }],
  ['GET', '/API/v1/pods', { verb: 'get' }],
  // Odd ones.
  ['GET', '//api/v1/pods//', { ...V1, verb: 'list', resource: 'pods' }],
  ['GET', '/api/v1//pods', { ...V1, verb: 'get', name: 'pods' }],
  [
    'GET',
    '/api/v1/namespaces/%E6%97%A5%E6%9C%AC/pods',
    { ...V1, verb: 'list', namespace: '日本', resource: 'pods' },
  ],
  ['GET', '/api/v1/namespaces/x%2Fpods%2fy', { ...POD, verb: 'get' }],
  ['GET', '/api/v1/pods/%zz%4', { ...V1, verb: 'get', resource: 'pods', name: '%zz%4' }],
  ['GET', '/api/v1/nodes/a%3Fb', { ...V1, verb: 'get', resource: 'nodes', name: 'a?b' }],
  ['GET', 'https://api.example:6443/api/v1/pods?watch=1', { ...V1, verb: 'watch', resource: 'pods' }],
  ['GET', '/api/v1/namespaces/x/pods/y/proxy/1/2/3/4/5/6/7/8', { ...POD, verb: 'get', subresource: 'proxy' }],
];

t.test('method and URI tell verb and object as they tell kube-apiserver', async (t) => {
  for (const [method, uri, expected] of TABLE) t.same(infoOf(method, uri), expected, `${method} ${uri}`);
});

t.test('what was read last leaves nothing behind', async (t) => {
  const info = new RequestInfo();
  for (const uri of [
    '/api/v1/namespaces/x/pods/y/log',
    '/api/v1/namespaces/%41/pods?watch=1',
    '/api/v1/pods',
  ]) {
    const data = Buffer.from(uri);
    info.read(data, 0, data.length);
  }
  t.equal(info.verbOf('GET'), 'list');
  t.same([info.namespace, info.name, info.subresource], [-1, -1, -1]);
});
