import t from 'tap';
import { FieldRegistry } from '../../src/event/fields.js';
import { compileWhen, parseWhen } from '../../src/event/match.js';
import { batchOfEvent } from '../helpers/decode.js';
import { matches } from '../helpers/matches.js';

function table(
  t: { equal(found: unknown, wanted: unknown, name: string): unknown },
  rows: [when: unknown, event: unknown, expected: boolean][],
): void {
  for (const [when, event, expected] of rows) {
    t.equal(
      matches(when, event),
      expected,
      `${JSON.stringify(when)} of ${String(JSON.stringify(event)).slice(0, 100)}`,
    );
  }
}

t.test('a mapping is AND, a list of values is OR, a list of mappings is OR', async (t) => {
  const event = { verb: 'get', stage: 'Panic', user: { username: 'a' } };
  table(t, [
    [{ verb: 'get' }, event, true],
    [{ verb: 'Get' }, event, false],
    [{ verb: 'get', stage: 'Panic' }, event, true],
    [{ verb: 'get', stage: 'x' }, event, false],
    [{ verb: ['list', 'get'] }, event, true],
    [{ verb: ['list', 'watch'] }, event, false],
    [[{ verb: 'list' }, { stage: 'Panic' }], event, true],
    [[{ verb: 'list' }, { stage: 'x' }], event, false],
    [{ 'user.username': 'a' }, event, true],
  ]);
});

t.test('any, all and not combine conditions', async (t) => {
  const event = { verb: 'get', stage: 'Panic' };
  table(t, [
    [{ any: [{ verb: 'x' }, { stage: 'Panic' }] }, event, true],
    [{ any: [{ verb: 'x' }, { stage: 'x' }] }, event, false],
    [{ all: [{ verb: 'get' }, { stage: 'Panic' }] }, event, true],
    [{ all: [{ verb: 'get' }, { stage: 'x' }] }, event, false],
    [{ not: { verb: 'get' } }, event, false],
    [{ not: [{ verb: 'x' }, { stage: 'x' }] }, event, true],
    [{ verb: 'get', not: { stage: 'Panic' } }, event, false],
    [{ verb: 'get', any: [{ stage: 'x' }, { not: { stage: 'x' } }] }, event, true],
    [{ all: [[{ verb: 'x' }, { verb: 'get' }], { not: { not: { stage: 'Panic' } } }] }, event, true],
  ]);
});

t.test('wildcards match texts and characters', async (t) => {
  const rows: [pattern: string, value: string, expected: boolean][] = [
    ['kube-*', 'kube-system', true],
    ['kube-*', 'kube-', true],
    ['kube-*', 'kube', false],
    ['*-system', 'kube-system', true],
    ['*', '', true],
    ['*', 'x', true],
    ['a*b*c', 'a-b-b-c', true],
    ['a*b*c', 'a-c-b', false],
    ['**a**', 'xax', true],
    ['a?c', 'abc', true],
    ['a?c', 'ac', false],
    ['a?c', 'a日c', true],
    ['a??c', 'a日c', false],
    ['*??', '日', false],
    ['*??', '日本', true],
    ['*??b*', '日bcc', false],
    ['?', '😀', true],
    ['a\\*', 'a*', true],
    ['a\\*', 'ab', false],
    ['a\\?', 'a?', true],
    ['a\\?', 'ab', false],
    ['a\\\\', 'a\\', true],
    ['a\\\\*', 'a\\b', true],
    ['a\\b', 'a\\b', true],
    ['\\', '\\', true],
    ['日*', '日本', true],
    ['*"*', 'say "x"', true],
    ['say "x"', 'say "x"', true],
    ['<b>*', '<b>x', true],
  ];
  for (const [pattern, value, expected] of rows) {
    t.equal(matches({ verb: pattern }, { verb: value }), expected, `${pattern} of ${value}`);
    const escaped = [...Array(value.length).keys()]
      .map((i) => `\\u${value.charCodeAt(i).toString(16).padStart(4, '0')}`)
      .join('');
    t.equal(
      matches({ verb: pattern }, `{"verb":"${escaped}"}`),
      expected,
      `${pattern} of ${value} in escapes`,
    );
  }
});

t.test('modifiers look at parts of a text', async (t) => {
  const event = { requestURI: '/api/v1/pods?x=*', verb: 'get', responseStatus: { code: 403 } };
  table(t, [
    [{ 'requestURI|contains': 'pods' }, event, true],
    [{ 'requestURI|contains': 'secrets' }, event, false],
    [{ 'requestURI|contains': ['secrets', 'pods'] }, event, true],
    [{ 'requestURI|startswith': '/api/' }, event, true],
    [{ 'requestURI|startswith': 'api' }, event, false],
    [{ 'requestURI|endswith': '=\\*' }, event, true],
    [{ 'requestURI|endswith': 'pods' }, event, false],
    [{ 'requestURI|contains': 'v?/p*s' }, event, true],
    [{ 'requestURI|contains': '' }, event, true],
    [{ 'userAgent|contains': '' }, event, false],
    [{ 'responseStatus.code|startswith': 4 }, event, true],
    [{ 'responseStatus.code|contains': '5' }, event, false],
  ]);
});

t.test('a number matches numbers and texts of the same digits', async (t) => {
  const code = (raw: string): string => `{"responseStatus":{"code":${raw}}}`;
  table(t, [
    [{ 'responseStatus.code': 403 }, code('403'), true],
    [{ 'responseStatus.code': 403 }, code('"403"'), true],
    [{ 'responseStatus.code': '403' }, code('403'), true],
    [{ 'responseStatus.code': '40?' }, code('403'), true],
    [{ 'responseStatus.code': 403 }, code('4.03e2'), true],
    [{ 'responseStatus.code': 403 }, code('403.0'), true],
    [{ 'responseStatus.code': 403 }, code('"403.0"'), false],
    [{ 'responseStatus.code': 403 }, code('4030'), false],
    [{ 'responseStatus.code': 0 }, code('-0'), true],
    [{ 'responseStatus.code': 1.5 }, code('1.50'), true],
    [{ 'responseStatus.code': [404, 403] }, code('403'), true],
    [{ 'responseStatus.code': 403 }, code('null'), false],
    [{ 'responseStatus.code': 403 }, code('true'), false],
    [{ 'responseStatus.code': 9007199254740991 }, code('9007199254740993'), false],
    [{ 'responseStatus.code': '9007199254740993' }, code('9007199254740993'), true],
  ]);
});

t.test('true and false match booleans and their texts', async (t) => {
  const privileged = (raw: string): string => `{"requestObject":{"privileged":${raw}}}`;
  const field = 'requestObject.privileged';
  table(t, [
    [{ [field]: true }, privileged('true'), true],
    [{ [field]: true }, privileged('"true"'), true],
    [{ [field]: true }, privileged('false'), false],
    [{ [field]: false }, privileged('false'), true],
    [{ [field]: 'tr*' }, privileged('true'), true],
    [{ [field]: true }, privileged('1'), false],
  ]);
});

t.test('null is absent or null, exists is the opposite', async (t) => {
  const field = 'objectRef.namespace';
  const absent = [
    {},
    { objectRef: {} },
    { objectRef: null },
    { objectRef: 'x' },
    { objectRef: { namespace: null } },
  ];
  for (const event of [...absent, { objectRef: { namespace: [] } }]) {
    table(t, [
      [{ [field]: null }, event, true],
      [{ [field]: ['x', null] }, event, true],
      [{ [`${field}|exists`]: true }, event, false],
      [{ [`${field}|exists`]: false }, event, true],
      [{ [field]: '*' }, event, false],
      [{ [field]: '' }, event, false],
    ]);
  }
  for (const namespace of ['', 'x', 0, false, {}, ['x']]) {
    const event = { objectRef: { namespace } };
    table(t, [
      [{ [field]: null }, event, false],
      [{ [`${field}|exists`]: true }, event, true],
      [{ [`${field}|exists`]: false }, event, false],
    ]);
  }
  table(t, [[{ [field]: ['x', null] }, { objectRef: { namespace: 'x' } }, true]]);
});

t.test('an object has no text', async (t) => {
  const event = { requestObject: { a: 'x' } };
  table(t, [
    [{ requestObject: '*' }, event, false],
    [{ 'requestObject|contains': 'x' }, event, false],
    [{ 'requestObject|exists': true }, event, true],
    [{ 'requestObject.a': 'x' }, event, true],
  ]);
});

t.test('an array matches if one of its elements does, and a path goes through arrays', async (t) => {
  const event = {
    user: { groups: ['system:masters', 'dev'] },
    requestObject: {
      spec: {
        containers: [
          { image: 'a', securityContext: { privileged: false } },
          [[{ image: 'b' }], { image: 'c', securityContext: { privileged: true } }],
          'text',
          null,
        ],
        numbers: [[1, 2], 3, []],
        nothing: [],
      },
    },
  };
  const spec = 'requestObject.spec';
  table(t, [
    [{ 'user.groups': 'dev' }, event, true],
    [{ 'user.groups': 'system:*' }, event, true],
    [{ 'user.groups': 'ops' }, event, false],
    [{ not: { 'user.groups': 'ops' } }, event, true],
    [{ not: { 'user.groups': 'dev' } }, event, false],
    [{ 'user.groups': ['ops', 'dev'] }, event, true],
    [{ [`${spec}.containers.securityContext.privileged`]: true }, event, true],
    [{ [`${spec}.containers.image`]: 'b' }, event, true],
    [{ [`${spec}.containers.image`]: 'text' }, event, false],
    [{ not: { [`${spec}.containers.image`]: 'd' } }, event, true],
    [{ [`${spec}.containers.image|exists`]: true }, event, true],
    [{ [`${spec}.containers.name|exists`]: true }, event, false],
    [{ [`${spec}.containers.securityContext`]: null }, event, true],
    [{ [`${spec}.containers.securityContext|exists`]: false }, event, false],
    [{ [`${spec}.containers`]: 'text' }, event, true],
    [{ [`${spec}.containers`]: null }, event, true],
    [{ [`${spec}.numbers`]: 2 }, event, true],
    [{ [`${spec}.numbers|gt`]: 2 }, event, true],
    [{ [`${spec}.numbers|gt`]: 3 }, event, false],
    [{ [`${spec}.nothing.x`]: null }, event, true],
    [{ [`${spec}.nothing|exists`]: true }, event, false],
  ]);
});

t.test('with all, every value of the list must match, each maybe another element', async (t) => {
  const user = { groups: ['system:masters', 'dev', 'ops'] };
  const mounts = [{ path: '/a' }, [{ path: '/b' }, { path: null }], {}];
  const event = { verb: 'get', requestURI: '/api?a=1&b=2', user, requestObject: { mounts } };
  table(t, [
    [{ 'user.groups|all': ['dev', 'ops'] }, event, true],
    [{ 'user.groups|all': ['dev', 'none'] }, event, false],
    [{ 'user.groups|all': ['dev', 'system:*'] }, event, true],
    [{ not: { 'user.groups|all': ['dev', 'none'] } }, event, true],
    [{ 'requestURI|contains|all': ['b=2', 'a=1'] }, event, true],
    [{ 'requestURI|all|contains': ['b=2', 'a=2'] }, event, false],
    [{ 'requestURI|re|all': ['a=[0-9]', 'b=[0-9]$'] }, event, true],
    [{ 'requestURI|re|all': ['a=[0-9]', 'b=[0-9][0-9]$'] }, event, false],
    [{ 'verb|all': ['get', 'g*'] }, event, true],
    [{ 'verb|all': ['get', 'list'] }, event, false],
    [{ 'requestObject.mounts.path|all': ['/a', '/b'] }, event, true],
    [{ 'requestObject.mounts.path|all': ['/a', null] }, event, true],
    [{ 'requestObject.mounts.path|all': ['/a', '/c'] }, event, false],
    [{ 'user.groups|all': ['dev', null] }, event, false],
    [{ 'user.groups|all': ['dev', 'ops'] }, { user: { groups: [] } }, false],
  ]);
});

t.test('cased changes nothing: capitals always differ', async (t) => {
  for (const modifier of ['', '|cased']) {
    table(t, [
      [{ [`verb${modifier}`]: 'Get' }, { verb: 'Get' }, true],
      [{ [`verb${modifier}`]: 'get' }, { verb: 'Get' }, false],
      [{ [`verb|startswith${modifier}`]: 'G' }, { verb: 'Get' }, true],
      [{ [`verb|startswith${modifier}`]: 'g' }, { verb: 'Get' }, false],
      [{ [`verb|contains|all${modifier}`]: ['G', 't'] }, { verb: 'Get' }, true],
      [{ [`responseStatus.code${modifier}`]: 403 }, { responseStatus: { code: 403 } }, true],
    ]);
  }
});

t.test('decoded looks at a text with its percent-encoding decoded once', async (t) => {
  const exec = '/api/v1/namespaces/a/pods/b/exec?command=%2Fbin%2fsh&command=a%2520b+c%zz%E6%97%A5';
  const rows: [modifiers: string, value: unknown, expected: boolean][] = [
    ['|decoded|contains', '=/bin/sh&', true],
    ['|contains', '=/bin/sh&', false],
    ['|contains|decoded', '=/bin/sh&', true],
    ['|decoded|contains', '%2F', false],
    ['|decoded|contains', 'a%20b+c%zz', true],
    ['|decoded|endswith', '日', true],
    ['|decoded|re', 'zz.$', true],
    ['|decoded|startswith', '/api/', true],
    ['|decoded', '*=/bin/sh&*', true],
    ['|decoded|cased', '*=/BIN/sh&*', false],
    ['|decoded|contains|all', ['/bin/sh', '日'], true],
    ['|decoded|re|all', ['/bin/b?[az]?sh', 'c%zz'], true],
    ['|decoded|re|i', '/BIN/SH', true],
  ];
  const escaped = `{"requestURI":"${exec.replaceAll('%', '\\u0025').replaceAll('/', '\\/')}"}`;
  for (const [modifiers, value, expected] of rows) {
    table(t, [
      [{ [`requestURI${modifiers}`]: value }, { requestURI: exec }, expected],
      [{ [`requestURI${modifiers}`]: value }, escaped, expected],
    ]);
  }
  table(t, [
    [{ 'requestURI|decoded': 'plain' }, { requestURI: 'plain' }, true],
    [{ 'requestURI|decoded': '%' }, { requestURI: '%' }, true],
    [{ 'requestURI|decoded': 5 }, { requestURI: '%35' }, true],
    [{ 'requestURI|decoded|contains': 'x' }, { requestURI: null }, false],
    [{ 'user.groups|decoded': '/a' }, { user: { groups: ['x', ['%2fa']] } }, true],
    [{ 'responseStatus.code|decoded': '403' }, { responseStatus: { code: 403 } }, true],
  ]);
  t.equal(matches({ 'tag|decoded': 'a/b' }, {}, 'a%2Fb'), true);
  const long = { requestURI: `${'%41'.repeat(100_000)}/exec` };
  t.equal(
    matches({ 'requestURI|decoded|endswith': 'AA/exec' }, long),
    true,
    'longer than the scratch buffer',
  );
});

t.test('a value that was decoded is as it was for the next condition', async (t) => {
  const event = { requestURI: '%41\\%41', userAgent: '%42' };
  const decoded = { 'requestURI|decoded': 'A\\A', 'userAgent|decoded': 'B' };
  t.equal(matches({ all: [decoded, { requestURI: '%41\\%41', userAgent: '%42' }, decoded] }, event), true);
});

t.test('addresses are looked for in networks', async (t) => {
  const from = (...sourceIPs: unknown[]): object => ({ sourceIPs });
  table(t, [
    [{ 'sourceIPs|cidr': '10.0.0.0/8' }, from('10.1.2.3'), true],
    [{ 'sourceIPs|cidr': '10.0.0.0/8' }, from('192.168.0.1', '10.1.2.3'), true],
    [{ 'sourceIPs|cidr': '10.0.0.0/8' }, from('11.1.2.3'), false],
    [{ not: { 'sourceIPs|cidr': '10.0.0.0/8' } }, from('11.1.2.3', '10.0.0.1'), false],
    [{ 'sourceIPs|cidr': ['127.0.0.0/8', '::1', 'fd00::/8'] }, from('::1'), true],
    [{ 'sourceIPs|cidr': ['127.0.0.0/8', '::1', 'fd00::/8'] }, from('fd12::3'), true],
    [{ 'sourceIPs|cidr|all': ['10.0.0.0/8', '172.16.0.0/12'] }, from('10.0.0.1', '172.31.0.1'), true],
    [{ 'sourceIPs|cidr|all': ['10.0.0.0/8', '172.16.0.0/12'] }, from('10.0.0.1', '172.32.0.1'), false],
    [{ 'sourceIPs|cidr': '10.0.0.0/8' }, '{"sourceIPs":["10.\\u0031.2.3"]}', true],
    [{ 'sourceIPs|cidr': '0.0.0.0/0' }, from('', 'x', 10, null, { a: '10.0.0.1' }, '1'.repeat(100)), false],
    [{ 'sourceIPs|cidr': '0.0.0.0/0' }, {}, false],
    [{ 'userAgent|cidr': '10.0.0.0/8' }, { userAgent: '10.0.0.1' }, true],
  ]);
});

t.test('expressions are looked for in texts, numbers and booleans', async (t) => {
  const event = {
    verb: 'get',
    requestURI: '/api/v1/namespaces/a/pods/b/exec',
    user: { groups: ['dev', 'Ops'] },
    responseStatus: { code: 403 },
    requestObject: { on: true, text: 'one\ntwo "日本" é', spec: { a: [{ b: 'x1' }, { b: ['y2'] }] } },
  };
  table(t, [
    [{ 'requestURI|re': 'pods/[^/]+/exec$' }, event, true],
    [{ 'requestURI|re': '^pods' }, event, false],
    [{ 'requestURI|re': ['^pods', '^/api'] }, event, true],
    [{ not: { 'requestURI|re': ['^pods', 'a{2}'] } }, event, true],
    [{ 'user.groups|re': '^ops$' }, event, false],
    [{ 'user.groups|re|i': '^ops$' }, event, true],
    [{ 'responseStatus.code|re': '^4[0-9]{2}$' }, event, true],
    [{ 'responseStatus.code|re': 40 }, event, true],
    [{ 'requestObject.on|re': '^true$' }, event, true],
    [{ 'requestObject.text|re': '"日.?"' }, event, true],
    [{ 'requestObject.text|re': '"日..?"' }, event, true],
    [{ 'requestObject.text|re': '"日..."' }, event, false],
    [{ 'requestObject.text|re|i': 'É$' }, event, true],
    [{ 'requestObject.text|re': 'one.two' }, event, false],
    [{ 'requestObject.text|re|s': 'one.two' }, event, true],
    [{ 'requestObject.text|re': '^two' }, event, false],
    [{ 'requestObject.text|re|m': '^two' }, event, true],
    [{ 'requestObject.text|re|i|m|s': '^TWO.*é' }, event, true],
    [{ 'requestObject.spec.a.b|re': '^y[0-9]$' }, event, true],
    [{ 'requestObject|re': '.*' }, event, false],
    [{ 'userAgent|re': '.*' }, event, false],
    [{ 'verb|re': '' }, event, true],
    [{ 'latency_ms|re': '.*' }, event, false],
    [{ 'time|re': '^2[0-9]{3}-' }, { stageTimestamp: '2026-11-21T09:31:12.500000Z' }, true],
    [{ 'tag|re': '^pipe' }, event, true],
  ]);
});

t.test('arrays as deep as an event can be are gone through', async (t) => {
  const depth = 100_000;
  const event = `{"requestObject":${'['.repeat(depth)}{"a":"x"}${']'.repeat(depth)}}`;
  t.equal(matches({ 'requestObject.a': 'x' }, event), true);
  t.equal(matches({ 'requestObject.a': 'y' }, event), false);
});

t.test('of two equal keys the first wins inside arrays too', async (t) => {
  const event = '{"requestObject":[{"a":1,"\\u0061":2,"b":{"a":3}}]}';
  t.equal(matches({ 'requestObject.a': 1 }, event), true);
  t.equal(matches({ 'requestObject.a': 2 }, event), false);
  t.equal(matches({ 'requestObject.b.a': 3 }, event), true);
});

t.test('numbers are compared as numbers', async (t) => {
  const code = (raw: string): string => `{"responseStatus":{"code":${raw}}}`;
  const field = 'responseStatus.code';
  table(t, [
    [{ [`${field}|gt`]: 400 }, code('401'), true],
    [{ [`${field}|gt`]: 400 }, code('400'), false],
    [{ [`${field}|gte`]: 400 }, code('400'), true],
    [{ [`${field}|lt`]: 400 }, code('99'), true],
    [{ [`${field}|lt`]: 400 }, code('400'), false],
    [{ [`${field}|lte`]: 400 }, code('4e2'), true],
    [{ [`${field}|gt`]: 400 }, code('"401"'), true],
    [{ [`${field}|gt`]: 400 }, code('"\\u0034\\u00301"'), true],
    [{ [`${field}|gt`]: -1 }, code('-0.5'), true],
    [{ [`${field}|gt`]: 0 }, code('"0x10"'), false],
    [{ [`${field}|gte`]: 0 }, code('""'), false],
    [{ [`${field}|gte`]: 0 }, code('true'), false],
    [{ [`${field}|gte`]: 0 }, code('null'), false],
    [{ [`${field}|gte`]: 0 }, '{}', false],
  ]);
});

t.test('computed fields can be asked for', async (t) => {
  const event = {
    requestReceivedTimestamp: '2026-11-21T09:31:11.000000Z',
    stageTimestamp: '2026-11-21T09:31:12.500000Z',
  };
  table(t, [
    [{ 'latency_ms|gt': 1000 }, event, true],
    [{ 'latency_ms|gt': 1500 }, event, false],
    [{ latency_ms: 1500 }, event, true],
    [{ latency_ms: '15*' }, event, true],
    [{ latency_ms: null }, event, false],
    [{ latency_ms: null }, {}, true],
    [{ 'latency_ms|exists': true }, event, true],
    [{ 'latency_ms|exists': false }, {}, true],
    [{ 'latency_ms|lt': 1000 }, {}, false],
    [{ 'time|gte': '2026-11-21T10:31:12.5+01:00' }, event, true],
    [{ 'time|gt': '2026-11-21T10:31:12.5+01:00' }, event, false],
    [{ time: '2026-11-21T*' }, event, true],
    [{ 'time|exists': true }, {}, true],
    [{ time: null }, {}, false],
    [{ tag: 'pipeline' }, {}, true],
    [{ tag: 'pipe*' }, {}, true],
    [{ tag: null }, {}, false],
    [{ 'tag|exists': true }, {}, true],
  ]);
  t.equal(matches({ tag: 'a.\u65e5' }, {}, 'a.\xe6\x97\xa5'), true, 'tags are compared by their bytes');
  t.equal(matches({ 'tag|gt': 5 }, {}, '10'), true);
});

t.test('more tags than are remembered are still told apart', async (t) => {
  const fields = new FieldRegistry();
  const parsed = parseWhen({ tag: 'tag 1*' });
  if ('faults' in parsed) throw new Error('faults');
  const compiled = compileWhen(parsed.condition, fields);
  const batch = batchOfEvent({}, fields);
  for (let n = 0; n < 10_000; n++) {
    batch.tags[0] = `tag ${n}`;
    if (compiled(batch, 0) !== String(n).startsWith('1')) t.fail(`tag ${n}`);
  }
});

t.test('a long list of values is looked up, with the same result', async (t) => {
  const users = Array.from({ length: 100 }, (_, i) => `user-${i}`);
  const when = { 'user.username': [...users, 'admin-*', 7] };
  for (const [username, expected] of [
    ['user-0', true],
    ['user-99', true],
    ['user-100', false],
    ['admin-x', true],
    ['', false],
    [7, true],
    ['7', true],
  ] as const) {
    t.equal(matches(when, { user: { username } }), expected, String(username));
  }
  t.equal(matches(when, '{"user":{"username":"\\u0075ser-5"}}'), true, 'with an escape');
});

t.test('a value with many near matches costs no more than its length times the pattern', async (t) => {
  const event = { verb: 'a'.repeat(100_000) };
  const began = process.cpuUsage();
  t.equal(matches({ verb: '*a*a*a*a*a*a*a*a*b' }, event), false);
  t.equal(matches({ 'verb|contains': 'aaaaaaaaaab' }, event), false);
  t.ok(process.cpuUsage(began).user < 2e6);
});

t.test('faults in a condition are all told, each with its place', async (t) => {
  const rows: [when: unknown, fault: object][] = [
    ['verb', { code: 'CONFIG_WHEN', path: [] }],
    [null, { code: 'CONFIG_WHEN', path: [] }],
    [true, { code: 'CONFIG_WHEN', path: [] }],
    [{}, { code: 'CONFIG_WHEN', path: [], message: /empty/ }],
    [[], { code: 'CONFIG_WHEN', path: [], message: /empty/ }],
    [['verb'], { code: 'CONFIG_WHEN', path: [0] }],
    [[{}], { code: 'CONFIG_WHEN', path: [0], message: /empty/ }],
    [{ verb: [] }, { code: 'CONFIG_WHEN', path: ['verb'], message: /empty/ }],
    [{ verb: ['get', ['list']] }, { code: 'CONFIG_WHEN', path: ['verb', 1] }],
    [{ user: { username: 'x' } }, { code: 'CONFIG_WHEN', path: ['user'], hint: /`user.username`/ }],
    [{ any: { verb: 'get' } }, { code: 'CONFIG_WHEN', path: ['any'], message: /list/ }],
    [{ all: 'x' }, { code: 'CONFIG_WHEN', path: ['all'], message: /list/ }],
    [{ any: [] }, { code: 'CONFIG_WHEN', path: ['any'], message: /empty/ }],
    [{ any: [{ verb: 'x' }, {}] }, { code: 'CONFIG_WHEN', path: ['any', 1] }],
    [{ not: 'x' }, { code: 'CONFIG_WHEN', path: ['not'] }],
    [{ not: { not: {} } }, { code: 'CONFIG_WHEN', path: ['not', 'not'] }],
    [{ vreb: 'get' }, { code: 'CONFIG_FIELD', path: ['vreb'], atKey: true, offset: 0, hint: /`verb`/ }],
    [{ 'objectRef.nam': 'x' }, { code: 'CONFIG_FIELD', atKey: true, offset: 10 }],
    [{ 'verb get': 'x' }, { code: 'CONFIG_FIELD', atKey: true, offset: 4 }],
    [{ '': 'x' }, { code: 'CONFIG_FIELD', atKey: true, hint: /quoted as a whole/ }],
    [{ 'verb|contians': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 5, hint: /`\|contains`/ }],
    [
      { 'verb|base64offset': 'x' },
      { code: 'CONFIG_MODIFIER', atKey: true, offset: 5, hint: /\|contains \|startswith/ },
    ],
    [{ 'verb|regex': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, hint: /`\|re`/ }],
    [{ 'verb|neq': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, hint: /`not:`/ }],
    [{ 'verb|re|alll': ['x'] }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 8, hint: /`\|all`/ }],
    [{ 'verb|': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 5 }],
    [{ 'verb|contains|all|': ['x', 'y'] }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 18 }],
    [
      { 'verb|contains|endswith': 'x' },
      { code: 'CONFIG_MODIFIER', atKey: true, offset: 14, message: /combined/, hint: /`all:`/ },
    ],
    [{ 'verb|re|contains': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, message: /combined/ }],
    [{ 'verb|re|re': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 8, message: /twice/ }],
    [{ 'verb|all|all': ['x', 'y'] }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 9, message: /twice/ }],
    [{ 'verb|i': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 5, message: /without `\|re`/ }],
    [{ 'verb|contains|i': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 14, hint: /`\|re`/ }],
    [{ 'verb|startswith|s': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 16, hint: /`\|re`/ }],
    [{ 'verb|re|cased': 'x' }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 8, message: /combined/ }],
    [{ 'verb|exists|all': true }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 12 }],
    [{ 'latency_ms|all|gt': 5 }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 11 }],
    [{ 'sourceIPs|decoded|cidr': '::/0' }, { code: 'CONFIG_MODIFIER', atKey: true, offset: 10 }],
    [{ 'user.groups|all': 'x' }, { code: 'CONFIG_WHEN', path: ['user.groups|all'], message: /two values/ }],
    [{ 'user.groups|all': ['x'] }, { code: 'CONFIG_WHEN', message: /two values/ }],
    [{ 'user.groups|all': [] }, { code: 'CONFIG_WHEN', message: /two values/ }],
    [{ 'verb|re': null }, { code: 'CONFIG_WHEN', message: /`\|re` takes a text/ }],
    [{ 'verb|cased': null }, { code: 'CONFIG_WHEN', message: /`\|cased` takes a text/ }],
    [{ 'requestURI|decoded': null }, { code: 'CONFIG_WHEN', message: /`\|decoded` takes a text/ }],
    [{ 'verb|re': ['x', null] }, { code: 'CONFIG_WHEN', path: ['verb|re', 1] }],
    [{ 'verb|exists': 'true' }, { code: 'CONFIG_WHEN', path: ['verb|exists'] }],
    [{ 'verb|exists': [true] }, { code: 'CONFIG_WHEN', path: ['verb|exists'] }],
    [{ 'verb|contains': null }, { code: 'CONFIG_WHEN', path: ['verb|contains'] }],
    [{ 'latency_ms|gt': '1000' }, { code: 'CONFIG_WHEN', hint: /without quotes/ }],
    [{ 'latency_ms|gt': 'x' }, { code: 'CONFIG_WHEN', path: ['latency_ms|gt'], message: /number/ }],
    [{ 'latency_ms|gt': [1] }, { code: 'CONFIG_WHEN', message: /number/ }],
    [{ 'time|gt': 5 }, { code: 'CONFIG_WHEN', message: /timestamp/ }],
    [{ 'time|gt': 'yesterday' }, { code: 'CONFIG_WHEN', message: /timestamp/ }],
    [{ 'responseStatus.code': Infinity }, { code: 'CONFIG_WHEN' }],
    [{ 'responseStatus.code': NaN }, { code: 'CONFIG_WHEN' }],
    [{ 'responseStatus.code': 2 ** 53 }, { code: 'CONFIG_WHEN', hint: /quotes/ }],
  ];
  for (const [when, fault] of rows) {
    const result = parseWhen(when);
    t.match(result, { faults: [fault] }, JSON.stringify(when));
    t.equal('faults' in result && result.faults.length, 1);
  }
  t.match(parseWhen([{ vreb: 'x', 'verb|x': 1, any: [{}, { stage: [] }] }, 'y']), {
    faults: [
      { path: [0, 'vreb'] },
      { path: [0, 'verb|x'] },
      { path: [0, 'any', 0] },
      { path: [0, 'any', 1, 'stage'] },
      { path: [1] },
    ],
  });
});

t.test('parts that were reported as broken before are no fault again', async (t) => {
  for (const when of [
    undefined,
    { verb: undefined },
    { verb: ['get', undefined] },
    { any: undefined },
    { not: undefined },
  ]) {
    t.same(parseWhen(when), { faults: [] });
  }
});
