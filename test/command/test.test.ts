import { PassThrough } from 'node:stream';
import t from 'tap';
import type { Test } from 'tap';
import { testCommand } from '../../src/command/test.js';

const PIPELINE = `source: { type: file, paths: [/var/log/audit.log] }
processors:
  - { type: drop, when: { stage: RequestReceived } }
  - { type: tag, tag: '{{ objectRef.namespace ?? "none" }}' }
  - { type: remove, fields: [userAgent] }
routes: [{ when: { tag: a }, to: [out, files] }, { to: files }]
sinks:
  out: { type: stdout }
  files: { type: files, base_dir: /var/log/x, path: '{{ tag }}.log' }
tests:
`;

async function run(t: Test, files: Record<string, string>) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()];
  const code = await testCommand([t.testdir(files)], { stdout, stderr, env: {} });
  const read = (stream: PassThrough) => String((stream.read() as Buffer | null) ?? '');
  return { code, stdout: read(stdout), stderr: read(stderr) };
}

t.test('tests that hold', async (t) => {
  const { code, stdout } = await run(t, {
    'p.yaml': `${PIPELINE}  - name: dropped
    input: { stage: RequestReceived }
    expect: { dropped: true }
  - input: { objectRef: { namespace: a }, userAgent: x }
    expect: { tag: a, to: [out, files], event: { objectRef: { namespace: a } } }
  - input: '{"objectRef":{"namespace":"b"}}'
    expect: { to: files, path: /var/log/x/b.log }
  - input: |
      {"verb":"get"}
      {"verb":"list"}
    expect: { events: 2, tag: none }
  - { input: '{', expect: { quarantined: malformed } }
  - { input: [1, '{'], expect: { quarantined: true, events: 2 } }
  - { input: '', expect: { events: 0 } }
`,
  });
  t.equal(
    stdout,
    `ok  p: dropped
ok  p: test 2
ok  p: test 3
ok  p: test 4
ok  p: test 5
ok  p: test 6
ok  p: test 7
7 passed, 0 failed
`,
  );
  t.equal(code, 0);
});

t.test('text is read as the source reads it, a mapping is an event whatever the format', async (t) => {
  const line = (stream: string, content: string) => `2026-11-21T09:31:11.2Z ${stream} ${content}`;
  const request =
    '2017-03-21T03:57:09Z AUDIT: id="a" ip="127.0.0.1" method="GET" user="u" as="<self>" namespace="b" uri="/api/v1/namespaces/b/pods"';
  const testsOf = (format: string, tests: string) =>
    PIPELINE.replace('paths:', `format: ${format}, paths:`).replaceAll('/var/log/x', `/var/log/${format}`) +
    tests;
  const { code, stdout } = await run(t, {
    'cri.yaml': testsOf(
      'cri',
      `  - input: ${JSON.stringify(line('stdout', 'F {"objectRef":{"namespace":"a"}}'))}
    expect: { tag: a }
  - input: |
      ${line('stdout', 'P {"objectRef":{"name')}
      ${line('stderr', 'F I1121 09:31:11.200000       1 server.go:1] serving')}
      ${line('stdout', 'F space":"b"}}')}
    expect: { tag: b }
  - { input: { objectRef: { namespace: b } }, expect: { tag: b } }
  - { input: '{"verb":"get"}', expect: { quarantined: malformed } }
`,
    ),
    'legacy.yaml': testsOf(
      'legacy',
      `  - input: |
      ${request}
      2017-03-21T03:57:09.2Z AUDIT: id="a" response="404"
    expect: { tag: b }
  - input: ['${request}', { objectRef: { namespace: b } }, '2017-03-21T03:57:09.2Z AUDIT: id="a" response="404"']
    expect: { events: 2, tag: b }
  - { input: '{"verb":"get"}', expect: { quarantined: malformed } }
`,
    ),
  });
  t.match(stdout, /\n7 passed, 0 failed\n$/);
  t.equal(code, 0);
});

t.test('a test that does not hold tells what was found instead', async (t) => {
  const { code, stdout } = await run(t, {
    'p.yaml': `${PIPELINE}  - input: { objectRef: { namespace: a } }
    expect: { tag: b, to: files, event: {} }
  - { input: { stage: RequestReceived }, expect: { tag: none } }
  - { input: 'x', expect: { to: files } }
  - { input: [{}, {}], expect: { tag: none } }
  - { input: { verb: get }, expect: { dropped: true } }
`,
    'q.yaml': PIPELINE.replace('tests:\n', '').replaceAll('/x', '/y'),
  });
  t.equal(
    stdout,
    `not ok  p: test 1
      tag: expected "b", found "a"
      to: expected "files", found ["out","files"]
      event: expected {}, found {"objectRef":{"namespace":"a"}}
not ok  p: test 2
      dropped: expected false, found true
      tag: expected "none", found "p"
not ok  p: test 3
      quarantined: expected false, found "malformed" (an object was expected at byte 0 of the line)
      to: expected "files", found nothing (an object was expected at byte 0 of the line)
not ok  p: test 4
      expected 1 events, found 2
not ok  p: test 5
      dropped: expected true, found false
q: no tests
0 passed, 5 failed
`,
  );
  t.equal(code, 1);
});

t.test('faults in a file, and no tests at all, are no success', async (t) => {
  const { code, stderr } = await run(t, { 'p.yaml': `${PIPELINE}  - { input: {}, expect: { tags: x } }\n` });
  t.equal(code, 2);
  t.match(stderr, 'did you mean `tag`?');
  await t.rejects(run(t, { 'p.yaml': PIPELINE.replace('tests:\n', '') }), { code: 'USAGE' });
});
