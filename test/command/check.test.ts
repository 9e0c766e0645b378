import { PassThrough } from 'node:stream';
import t from 'tap';
import { checkCommand } from '../../src/command/check.js';
import { components } from '../../src/components.js';
import { loadPipelines } from '../../src/config/load.js';
import { definitions } from '../helpers/definitions.js';

async function check(paths: string[], env: Record<string, string> = {}, known = definitions) {
  const stdout = new PassThrough();
  const stderr = new PassThrough();
  const code = await checkCommand(paths, { stdout, stderr, env }, {}, known);
  const read = (stream: PassThrough) => String((stream.read() as Buffer | null) ?? '');
  return { code, stdout: read(stdout), stderr: read(stderr) };
}

const GOOD = `source: { type: file, paths: [/var/log/audit.log] }
routes: [{ to: out }]
sinks: { out: { type: stdout } }
`;

t.test('good files: one line each on stdout, exit code 0', async (t) => {
  const directory = t.testdir({ 'a.yaml': GOOD, 'b.yaml': `pipeline: by-user\n${GOOD}` });
  t.same(await check([directory]), {
    code: 0,
    stdout: `ok  a  (${directory}/a.yaml)\nok  by-user  (${directory}/b.yaml)\n`,
    stderr: '',
  });
});

t.test(
  'a sink that compresses as it writes sets the default of commit_interval, which is told',
  async (t) => {
    const sinks = (compress: string) => `sinks:
  plain: { type: files, base_dir: /out, path: a.log }
  out: { type: files, base_dir: /out, path: '{{ tag }}.log', compress: ${compress} }
`;
    const source = 'source: { type: file, paths: [/var/log/audit.log] }\nroutes: [{ to: [plain, out] }]\n';
    const directory = t.testdir({
      'a.yaml': source + sinks('stream'),
      'b.yaml': `commit_interval: 2s\n${source}${sinks('stream').replaceAll('/out', '/b')}`,
      'c.yaml': source + sinks('on_rotate').replaceAll('/out', '/c'),
    });
    const { code, stdout } = await check([directory], {}, components);
    t.equal(code, 0);
    t.equal(
      stdout,
      `ok  a  (${directory}/a.yaml)
    commit_interval: 10s  (the default for sinks.out)
ok  b  (${directory}/b.yaml)
ok  c  (${directory}/c.yaml)
`,
    );
    const { pipelines } = await loadPipelines([directory], {}, components);
    t.same(
      pipelines.map((pipeline) => pipeline.commit_interval),
      ['10s', '2s', '1s'],
    );
  },
);

t.test('a limit of tags without a value in the path is a fault', async (t) => {
  const yaml = `source: { type: file, paths: [/var/log/audit.log] }
routes: [{ to: out }]
sinks: { out: { type: files, base_dir: /out, path: audit.%Y.log, max_tags: 5 } }
`;
  const { code, stderr } = await check([t.testdir({ 'a.yaml': yaml })], {}, components);
  t.equal(code, 2);
  t.match(stderr, /a\.yaml:3:\d+: CONFIG_VALUE `max_tags` limits nothing/);
});

t.test('a directory without pipelines is a fault', async (t) => {
  const directory = t.testdir({});
  t.same(await check([directory]), {
    code: 2,
    stdout: '',
    stderr: `${directory}:1:1: CONFIG_NONE_FOUND the directory holds no pipeline: no \`*.yaml\` and no \`*.yml\`
  hint: directories in it and hidden files are not looked at
1 fault in 1 file
`,
  });
});

t.test('what is printed of a fault', async (t) => {
  const directory = t.testdir({
    'a.yaml': `source:
  type: file
  pathz: [/var/log/audit.log]
  max_line_bytes: 64
routes:
  - { when: { verb: get }, to: [out, elsewhere] }
sinks:
  out:
    type: files
    path: "audit.log"\t# a tab
    base_dir: \${AUDIT_DIR}
    rotate: { keep: many }
`,
    'b.yaml': 'sinks:\n\tout: { type: stdout }\n',
    'good.yaml': GOOD,
  });
  const { code, stdout, stderr } = await check([directory]);
  t.equal(code, 2);
  t.equal(stdout, '', 'of the good file nothing is said');
  t.equal(
    stderr.replaceAll(`${directory}/`, ''),
    `a.yaml:3:3: CONFIG_UNKNOWN_KEY unknown key \`pathz\` in the \`file\` source
  3 |   pathz: [/var/log/audit.log]
    |   ^
  hint: did you mean \`paths\`?
a.yaml:4:19: CONFIG_UNIT \`max_line_bytes\`: the unit is missing, found \`64\`
  4 |   max_line_bytes: 64
    |                   ^
  hint: write for example \`64MiB\`; units are B, kB, MB, GB, KiB, MiB, GiB
a.yaml:6:5: CONFIG_OTHERWISE the last route is conditional: what becomes of events that no route matches?
  6 |   - { when: { verb: get }, to: [out, elsewhere] }
    |     ^
  hint: add a last route \`- to: out\`, or \`otherwise: drop\` beside \`routes\`
a.yaml:6:38: CONFIG_ROUTE there is no sink \`elsewhere\`
  6 |   - { when: { verb: get }, to: [out, elsewhere] }
    |                                      ^
  hint: sinks: out
a.yaml:11:15: CONFIG_ENV the environment variable \`AUDIT_DIR\` is not set
  11 |     base_dir: \${AUDIT_DIR}
     |               ^
  hint: set \`AUDIT_DIR\`, or write \`$\${AUDIT_DIR}\` if the text itself is meant
a.yaml:12:21: CONFIG_TYPE \`keep\` must be a whole number from 0 to 1000, found \`many\`
  12 |     rotate: { keep: many }
     |                     ^
  hint: for example \`keep: 48\`
b.yaml:2:1: CONFIG_SYNTAX a tab in the indentation
  2 |     out: { type: stdout }
    | ^
  hint: indent with spaces
7 faults in 2 files
`,
  );
});

t.test('every fault of every file is found in one run', async (t) => {
  const directory = t.testdir({
    'a.yaml': `pipeline: by-namespace
source:
  type: file
  pathz: ['/var/log/[audit.log']
  paths: ['/var/log/[audit.log']
  max_line_bytes: 64
processors:
  - { type: tga, tag: x }
  - { type: drop, when: { stage|begins: Request } }
  - { type: tag, tag: 'audit.{{ objectRef.namespace }}' }
  - { type: tag, tag: 'audit.{{ verb' }
routes:
  - { to: [system, elsewhere] }
  - { when: { tag: audit.kube-system }, to: [system] }
sinks:
  system:
    type: files
    path: ../audit.log
    rotate: { keep: many }
    rotate: { keep: 5 }
  other: { type: files, base_dir: '\${AUDIT_DIR}', path: /audit.log }
`,
    'b.yaml': `pipeline: by-namespace
${GOOD.replace('to: out', 'when: { verb: get }, to: out')}`,
    'c.yaml': 'sinks:\n\tout: { type: stdout }\n',
    'd.yaml': '',
    'e.yaml': Buffer.of(0, 1, 2),
  });
  const { stderr } = await check([directory]);
  t.same(stderr.replaceAll(`${directory}/`, '').match(/^\w\.yaml:\d+:\d+: CONFIG_\w+/gm), [
    'a.yaml:4:3: CONFIG_UNKNOWN_KEY',
    'a.yaml:5:11: CONFIG_GLOB',
    'a.yaml:6:19: CONFIG_UNIT',
    'a.yaml:8:13: CONFIG_UNKNOWN_COMPONENT',
    'a.yaml:9:33: CONFIG_MODIFIER',
    'a.yaml:10:33: CONFIG_TEMPLATE_ABSENT',
    'a.yaml:11:30: CONFIG_TEMPLATE',
    'a.yaml:13:20: CONFIG_ROUTE',
    'a.yaml:14:5: CONFIG_UNREACHABLE',
    'a.yaml:16:3: CONFIG_MISSING',
    'a.yaml:18:11: CONFIG_PATH',
    'a.yaml:19:21: CONFIG_TYPE',
    'a.yaml:20:5: CONFIG_DUPLICATE_KEY',
    'a.yaml:21:36: CONFIG_ENV',
    'a.yaml:21:57: CONFIG_PATH',
    'b.yaml:1:11: CONFIG_DUPLICATE_PIPELINE',
    'b.yaml:3:10: CONFIG_OTHERWISE',
    'c.yaml:2:1: CONFIG_SYNTAX',
    'd.yaml:1:1: CONFIG_EMPTY',
    'e.yaml:1:1: CONFIG_UNREADABLE',
  ]);
  t.match(stderr, /^20 faults in 5 files$/m);
});
