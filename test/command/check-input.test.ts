import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { CLI, plainEnv } from '../helpers/headgate.js';
import { checkCommand } from '../../src/command/check.js';
import { requestLine, responseLine } from '../helpers/legacy.js';

const PIPELINE = `source: { type: file, paths: [/var/log/audit.log] }
processors:
  - { type: drop, when: { stage: RequestReceived } }
  - { type: tag, tag: '{{ objectRef.namespace ?? "none" }}' }
  - { type: remove, fields: [userAgent] }
routes:
  - { when: { tag: kube-system }, to: [system, out] }
  - { when: { tag: 'team-*' }, to: system }
otherwise: drop
sinks:
  out: { type: stdout }
  system: { type: files, base_dir: /var/log/out, path: '{{ user.username ?? "none" }}.%Y.log' }
`;
const TIME = '"stageTimestamp":"2026-11-21T09:31:11.943895Z"';
const LINES = [
  '{"stage":"RequestReceived"}',
  `{"objectRef":{"namespace":"kube-system"},"user":{"username":"../x\\u001b[2J"},${TIME}}`,
  '',
  'nonsense',
  `{"objectRef":{"namespace":"team-a"},${TIME}}`,
  `{"objectRef":{"namespace":"other"},${TIME}}`,
  `{"objectRef":{"namespace":"team-\\u001bc"},${TIME},"user":{]}`,
];

async function checkInput(file: string, pipelines: string[], isForPeople = false) {
  const stdout = new PassThrough({ highWaterMark: 2 ** 20 });
  const stderr = new PassThrough();
  const io = { stdout, stderr, env: {}, isForPeople };
  const code = await checkCommand(pipelines, io, { input: file });
  return { code, stdout: String((stdout.read() as Buffer | null) ?? '') };
}

t.test('tells of each event what would become of it, and writes nothing', async (t) => {
  const directory = t.testdir({ 'p.yaml': PIPELINE, 'audit.log': `${LINES.join('\n')}\n` });
  const { code, stdout } = await checkInput(join(directory, 'audit.log'), [join(directory, 'p.yaml')]);
  t.equal(code, 0);
  const told = stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  t.match(told, [
    { line: 1, offset: 0, outcome: 'dropped', by: 'processors[0]' },
    {
      line: 2,
      outcome: 'routed',
      tag: 'kube-system',
      route: 1,
      to: [
        { sink: 'system', at: '/var/log/out/%2E.%2Fx%1B%5B2J.2026.log' },
        { sink: 'out', at: 'standard output' },
      ],
    },
    { line: 4, outcome: 'quarantined', reason: 'malformed' },
    { line: 5, outcome: 'routed', route: 2, to: [{ sink: 'system', at: '/var/log/out/none.2026.log' }] },
    { line: 6, outcome: 'dropped', by: 'otherwise', tag: 'other' },
    { line: 7, outcome: 'quarantined', reason: 'malformed' },
  ]);
  t.equal(told.length, 6);
});

t.test('a legacy event is told under its first line, and what stays open too', async (t) => {
  const lines = [requestLine('a'), requestLine('b'), responseLine('b'), responseLine('a')];
  const directory = t.testdir({
    'p.yaml':
      'source: { type: file, paths: [/a] }\nroutes: [{ to: out }]\nsinks: { out: { type: stdout } }\n',
    'audit.log': `${[...lines, requestLine('c')].join('\n')}\n`,
  });
  const { code, stdout } = await checkInput(join(directory, 'audit.log'), [directory]);
  t.equal(code, 0);
  const told = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { line: number });
  t.same(
    told.map(({ line }) => line),
    [1, 2, 5],
  );
});

t.test('people get text in which no value moves the cursor', async (t) => {
  const directory = t.testdir({ 'p.yaml': PIPELINE });
  const file = join(directory, 'audit.log.gz');
  writeFileSync(file, gzipSync(`{"objectRef":{"namespace":"team-\\u001bc"}}\n${LINES.join('\n')}\n`));
  const { stdout } = await checkInput(file, [join(directory, 'p.yaml')], true);
  t.match(stdout, 'line 1  team-\\u001bc  route 2  system: /var/log/out/none.');
  t.match(stdout, 'line 2  p  dropped by processors[0]');
  t.match(stdout, '3 delivered, 2 dropped, 2 quarantined');
  // eslint-disable-next-line no-control-regex -- that is what must not be there
  t.notMatch(stdout, /[\x00-\x09\x0b-\x1f]/);
});

t.test('a file that can not be read is an error in words', async (t) => {
  const directory = t.testdir({ 'p.yaml': PIPELINE, 'broken.gz': 'nothing of the kind' });
  const pipeline = [join(directory, 'p.yaml')];
  await t.rejects(checkInput(join(directory, 'missing.log'), pipeline), { code: 'USAGE', message: /ENOENT/ });
  await t.rejects(checkInput(directory, pipeline), { code: 'USAGE', message: /no ordinary file/ });
  await t.rejects(checkInput(join(directory, 'broken.gz'), pipeline), { code: 'USAGE', message: /inflated/ });
  const two = { 'p.yaml': PIPELINE, 'q.yaml': PIPELINE.replaceAll('/out', '/other') };
  await t.rejects(checkInput('-', [t.testdir(two)]), { code: 'USAGE', message: /once only/ });
});

t.test('a reader that goes away early is no failure', async (t) => {
  const many = `${LINES.join('\n')}\n`.repeat(2000);
  const directory = t.testdir({ 'p.yaml': PIPELINE, 'audit.log': many });
  const command = `"$0" "$1" check --input "$2" "$3" | head -n 1`;
  const args = [process.execPath, CLI, join(directory, 'audit.log'), join(directory, 'p.yaml')];
  const run = spawnSync('bash', ['-c', `set -o pipefail; ${command}`, ...args], { env: plainEnv() });
  t.equal(String(run.stderr), '');
  t.equal(run.status, 0);
});
