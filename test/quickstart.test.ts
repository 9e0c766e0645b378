// The quick start: the committed example log is what its generator makes, holds what makes audit logs hard, and
// comes out whole.
import { spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { Random, auditEvents, eventLine, exampleFiles } from '../examples/quickstart/generate.mjs';
import { plainEnv } from './helpers/headgate.js';
import { temporaryDirectory } from './helpers/temporary.js';

const quickstart = resolve(import.meta.dirname, '../examples/quickstart');

t.test('the committed example log is what the generator makes', (t) => {
  const files = exampleFiles();
  t.strictSame(readdirSync(join(quickstart, 'log')), files.map(({ name }) => name).sort());
  for (const { name, content, isCompressed } of files) {
    // Compared after decompression: zlib promises the content, not the bytes in between.
    const committed = readFileSync(join(quickstart, 'log', name));
    t.ok((isCompressed ? gunzipSync(committed) : committed).equals(content), name);
  }
  t.end();
});

t.test('the example log holds what makes audit logs hard', (t) => {
  const lines = Buffer.concat(exampleFiles().map(({ content }) => content))
    .toString()
    .split('\n')
    .slice(0, -1);
  const hard: Record<string, RegExp> = {
    'a failed login without a user': /"stage":"ResponseStarted".*"user":\{\}.*"code":401/,
    'an event about no object': /"sourceIPs":\S+"userAgent":"[^"]*","requestReceived/,
    'a namespace in the body of a cluster-scoped event': /"objectRef":\{[^}]*reviews","apiG.*"namespace":/,
    'an integer that JSON.parse would round': /"serial":900719925\d{6}[13579],/,
    'an escaped ampersand': /"requestURI":"[^"]*\\u0026/,
    'a user name that is a path': /"username":"\.\.\/\.\.\//,
    'a user name that looks like a second event': /"username":"eve\\n\{\\"kind\\":\\"Event\\"/,
    'a namespace in another script': /"namespace":"日本"/,
    'a namespace longer than a file name': /"namespace":"x{300}"/,
    'an impersonated user': /"impersonatedUser":\{/,
  };
  for (const [name, pattern] of Object.entries(hard)) {
    t.ok(
      lines.some((line) => pattern.test(line)),
      name,
    );
  }
  const lengths = lines.map((line) => Buffer.byteLength(line)).sort((a, b) => a - b);
  const median = lengths[lengths.length >> 1] ?? 0;
  t.ok(lengths.length >= 3000 && median > 750 && median < 950, `${lengths.length} lines of ${median} bytes`);
  t.end();
});

t.test('generated events are lines of JSON with the fields in the order of the Go struct', (t) => {
  const order =
    'kind apiVersion level auditID stage requestURI verb user impersonatedUser sourceIPs userAgent objectRef ' +
    'responseStatus requestObject responseObject requestReceivedTimestamp stageTimestamp annotations';
  const random = new Random(7);
  for (let i = 0; i < 500; i++) {
    const event = JSON.parse(eventLine(random)) as Record<string, unknown>;
    const keys = order.split(' ').filter((key) => key in event);
    if (Object.keys(event).join() !== keys.join()) t.strictSame(Object.keys(event), keys);
  }
  t.match(JSON.parse(eventLine(random, { namespace: 'team-a' })), { objectRef: { namespace: 'team-a' } });
  t.end();
});

t.test('generated events come in order of their stageTimestamp', (t) => {
  let last = '';
  let count = 0;
  for (const { line } of auditEvents(new Random(8))) {
    const { stageTimestamp } = JSON.parse(line) as { stageTimestamp: string };
    if (stageTimestamp < last) t.fail(`${stageTimestamp} after ${last}`);
    last = stageTimestamp;
    if (++count === 1000) break;
  }
  t.equal(count, 1000);
  t.end();
});

t.test('npm start delivers every line of the example log exactly once', (t) => {
  const directory = temporaryDirectory(t);
  const run = spawnSync(process.execPath, [join(quickstart, 'start.mjs')], {
    encoding: 'utf8',
    env: plainEnv({ TMPDIR: directory }),
  });
  t.equal(run.status, 0, run.stderr);
  t.match(run.stdout, /every line is there exactly once, byte for byte\n$/);
  t.match(run.stdout, /^audit\.payments +\d+ +\d+ {2}audit\.payments\.2026112109\.log/m);
  t.end();
});
