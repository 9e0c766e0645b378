import t from 'tap';
import { eventOf, eventText, pairs, requestLine, responseLine, TIME } from '../helpers/legacy.js';

t.test('a request and its response are the event that the JSON log would have', async (t) => {
  t.equal(
    eventText(
      requestLine('5c3b8227', { uri: '/api/v1/namespaces/default/pods?limit=2&x=<' }),
      responseLine('5c3b8227'),
    ),
    '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"5c3b8227","stage":"ResponseComplete",' +
      '"requestURI":"/api/v1/namespaces/default/pods?limit=2\\u0026x=\\u003c","verb":"list",' +
      '"user":{"username":"admin","groups":["system:masters","system:authenticated"]},"sourceIPs":["127.0.0.1"],' +
      '"objectRef":{"resource":"pods","namespace":"default","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},' +
      '"requestReceivedTimestamp":"2017-03-21T07:57:09.106841Z","stageTimestamp":"2017-03-21T07:57:09.108403Z"}',
  );
});

t.test('a half is marked as one, and says nothing that it does not know', async (t) => {
  const request = eventOf(requestLine('a'));
  t.same(request['annotations'], { 'headgate.io/legacy': 'request-only' });
  t.equal(request['responseStatus'], undefined);
  t.equal(request['stageTimestamp'], undefined);
  t.same(eventOf(responseLine('a', 404)), {
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: 'Metadata',
    auditID: 'a',
    stage: 'ResponseComplete',
    requestURI: '',
    verb: '',
    user: {},
    responseStatus: { metadata: {}, code: 404 },
    stageTimestamp: '2017-03-21T07:57:09.108403Z',
    annotations: { 'headgate.io/legacy': 'response-only' },
  });
});

/** A line of 1.7 and later. */
function stageLine(values: Record<string, string> = {}): string {
  return requestLine('a', { stage: 'ResponseComplete', method: 'list', response: '200', ...values });
}

t.test(
  'a line of one stage keeps its verb and stage; its time is when the request was received',
  async (t) => {
    const complete = eventOf(
      stageLine({ method: 'post', stage: 'Panic', response: '500', 'user-agent': 'curl/8 (x)' }),
    );
    t.match(complete, {
      verb: 'post',
      stage: 'Panic',
      responseStatus: { code: 500 },
      userAgent: 'curl/8 (x)',
    });
    t.equal(complete['requestReceivedTimestamp'], '2017-03-21T07:57:09.106841Z');
    t.equal(complete['stageTimestamp'], undefined);
    t.equal(complete['annotations'], undefined);
    const received = eventOf(stageLine({ stage: 'RequestReceived', response: '<deferred>' }));
    t.equal(received['responseStatus'], undefined);
    t.equal(received['stageTimestamp'], '2017-03-21T07:57:09.106841Z');
  },
);

t.test('a line with a response and no stage is of the first versions of 1.7', async (t) => {
  const line = `${TIME} AUDIT: ${pairs({ id: 'a', method: 'list', uri: '/api', response: '<deferred>' })}`;
  t.match(eventOf(line), { stage: 'RequestReceived', verb: 'list' });
  t.match(eventOf(line.replace('<deferred>', '201')), {
    stage: 'ResponseComplete',
    responseStatus: { code: 201 },
  });
});

t.test('what a line says is absent is absent', async (t) => {
  const event = eventOf(
    requestLine('a', {
      user: '<none>',
      groups: '<none>',
      ip: '<unknown>',
      namespace: '<none>',
      uri: '/healthz',
    }),
  );
  t.same(event['user'], {});
  for (const key of ['sourceIPs', 'objectRef', 'impersonatedUser', 'userAgent'])
    t.equal(event[key], undefined, key);
  t.equal(eventOf(requestLine('a', { ip: '<nil>' }))['sourceIPs'], undefined);
  t.same(eventOf(requestLine('a', { user: '', groups: '', asgroups: '', ip: '' }))['user'], {});
});

t.test(
  'a URI with an empty part, where a version or a resource would be, is an event like others',
  async (t) => {
    const objectOf = (uri: string) => eventOf(requestLine('a', { uri, namespace: '<none>' }))['objectRef'];
    t.same(objectOf('/api//pods/x'), { resource: 'pods', name: 'x' });
    t.same(objectOf('/apis/apps//deployments'), { resource: 'deployments', apiGroup: 'apps' });
    t.same(objectOf('/apis//v1/nodes/n/status'), {
      resource: 'nodes',
      name: 'n',
      apiVersion: 'v1',
      subresource: 'status',
    });
    t.same(objectOf('/api///x'), { name: 'x' });
    t.same(objectOf('/api//namespaces//'), { resource: 'namespaces' });
  },
);

t.test('the impersonated user is told, with groups where they are known', async (t) => {
  t.same(eventOf(requestLine('a', { as: 'jane' }))['impersonatedUser'], { username: 'jane' });
  t.same(eventOf(requestLine('a', { as: 'jane', asgroups: '"a"' }))['impersonatedUser'], {
    username: 'jane',
    groups: ['a'],
  });
});

t.test('groups are quoted twice', async (t) => {
  const groupsOf = (groups: string) =>
    (eventOf(requestLine('a', { groups }))['user'] as { groups?: unknown }).groups;
  t.same(groupsOf('"a","b"'), ['a', 'b']);
  t.same(groupsOf('"a", "b"'), ['a', 'b']);
  t.same(groupsOf('"a,b","<c>","\\"d\\"","\\\\","\\xe9","\\u65e5",""'), [
    'a,b',
    '<c>',
    '"d"',
    '\\',
    '\ufffd',
    '日',
    '',
  ]);
  for (const odd of ['plain', 'a,b', '"a"b', '"a",', '"a', '"a"",', '"\\q"', '""x'])
    t.same(groupsOf(odd), [odd], odd);
});

t.test('text beyond ASCII stays, and what is no UTF-8 becomes U+FFFD, as in the JSON log', async (t) => {
  const uriOf = (quoted: string | Buffer) => {
    const [before = '', after = ''] = requestLine('a', { uri: '@' }).split('@');
    return eventOf(Buffer.concat([Buffer.from(before), Buffer.from(quoted as string), Buffer.from(after)]))[
      'requestURI'
    ];
  };
  t.equal(uriOf('/Zoë/\\u65e5/\\U0001f600/\u2028\u2029'), '/Zoë/日/😀/\u2028\u2029');
  t.equal(uriOf('/\\xe6\\x97\\xa5'), '/日');
  t.equal(uriOf('/\\xff\\xe6\\x97'), '/\ufffd\ufffd\ufffd');
  t.equal(
    uriOf('/\\xed\\xa0\\x80/\\xc0\\x80/\\xf4\\x90\\x80\\x80'),
    `/${'\ufffd'.repeat(3)}/\ufffd\ufffd/${'\ufffd'.repeat(4)}`,
  );
  t.equal(uriOf(Buffer.from([0x2f, 0xe9, 0x2f])), '/\ufffd/');
  t.equal(uriOf('\\a\\b\\f\\n\\r\\t\\v\\x00\\x7f\\"\\\\'), '\x07\b\f\n\r\t\v\x00\x7f"\\');
  t.match(eventText(requestLine('a', { uri: '/<>&' })), '"/\\u003c\\u003e\\u0026"');
});

t.test('an event is valid JSON also where it outgrows the buffer many times', async (t) => {
  const uri = `/${'<'.repeat(100_000)}`;
  t.equal(eventOf(requestLine('a', { uri }))['requestURI'], uri);
});
