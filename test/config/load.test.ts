import { execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { components } from '../../src/components.js';
import { loadPipelines } from '../../src/config/load.js';
import { definitions } from '../helpers/definitions.js';
import { load } from '../helpers/faults.js';

const GOOD = `source: { type: file, paths: [/var/log/audit.log] }
routes: [{ to: out }]
sinks: { out: { type: stdout } }
`;
const writing = (base_dir: string, path: string) => `source: { type: file, paths: [/var/log/audit.log] }
routes: [{ to: out }]
sinks:
  out: { type: files, base_dir: ${base_dir}, path: '${path}' }
`;

t.test('a directory stands for its *.yaml and *.yml, sorted, but for nothing below it', async (t) => {
  const directory = t.testdir({
    'b.yaml': GOOD,
    'a.yml': GOOD,
    'c.yaml.bak': 'not: [yaml',
    '.hidden.yaml': 'not: [yaml',
    'README.md': 'text',
    below: { 'd.yaml': 'not: [yaml' },
    'dir.yaml': {},
  });
  symlinkSync(join(directory, 'b.yaml'), join(directory, 'link.yaml'));
  const { pipelines, diagnostics } = await loadPipelines([directory], {}, definitions);
  t.same(diagnostics, []);
  t.same(
    pipelines.map(({ name }) => name),
    ['a', 'b', 'link'],
  );
});

t.test(
  'a file named by its path may have any extension, and counts once however often it is named',
  async (t) => {
    const directory = t.testdir({ 'a.yaml': GOOD, 'pipeline.conf': GOOD });
    const paths = [
      directory,
      join(directory, 'a.yaml'),
      `${directory}/./a.yaml`,
      join(directory, 'pipeline.conf'),
    ];
    const { pipelines, diagnostics } = await loadPipelines(paths, {}, definitions);
    t.same(diagnostics, []);
    t.same(
      pipelines.map(({ name }) => name),
      ['a', 'pipeline.conf'],
    );
  },
);

t.test('files that can not be read', async (t) => {
  const directory = t.testdir({
    'binary.yaml': Buffer.from([0x7f, 0x45, 0x4c, 0x46, 0x00, 0x01]),
    'latin1.yaml': Buffer.from('pipeline: caf\xe9\n', 'latin1'),
    'large.yaml': '#'.repeat(1024 * 1024 + 1),
    'empty.yaml': '',
    'comment.yaml': '# nothing yet\n',
    'forbidden.yaml': GOOD,
  });
  symlinkSync('/nowhere', join(directory, 'dangling.yaml'));
  execFileSync('mkfifo', [join(directory, 'fifo.yaml')]);
  const { pipelines, diagnostics } = await loadPipelines(
    [directory, join(directory, 'missing.yaml')],
    {},
    definitions,
  );
  t.same(pipelines, []);
  t.same(
    diagnostics.map(({ file, line, column, code, message }) => [
      file.replace(`${directory}/`, ''),
      line,
      column,
      code,
      message,
    ]),
    [
      ['binary.yaml', 1, 1, 'CONFIG_UNREADABLE', 'this is no text: a NUL byte at offset 4'],
      ['comment.yaml', 1, 1, 'CONFIG_EMPTY', 'the file is empty'],
      ['dangling.yaml', 1, 1, 'CONFIG_UNREADABLE', 'there is no such file or directory'],
      ['empty.yaml', 1, 1, 'CONFIG_EMPTY', 'the file is empty'],
      ['fifo.yaml', 1, 1, 'CONFIG_UNREADABLE', 'this is no ordinary file'],
      ['large.yaml', 1, 1, 'CONFIG_UNREADABLE', 'this is too large for a pipeline file (1 MiB)'],
      ['latin1.yaml', 1, 1, 'CONFIG_UNREADABLE', 'this is no text: the bytes are not UTF-8'],
      ['missing.yaml', 1, 1, 'CONFIG_UNREADABLE', 'there is no such file or directory'],
    ],
  );
});

t.test(
  'a file without permission to read it',
  { skip: process.getuid?.() === 0 && 'root may read all' },
  async (t) => {
    const directory = t.testdir({ 'a.yaml': GOOD });
    chmodSync(join(directory, 'a.yaml'), 0);
    const { diagnostics } = await loadPipelines([directory], {}, definitions);
    t.match(diagnostics, [{ code: 'CONFIG_UNREADABLE', message: 'permission denied' }]);
  },
);

t.test('a byte order mark and CRLF are no part of the content', async (t) => {
  const { pipelines, diagnostics } = await load(t, {
    'a.yaml': `\uFEFFpipeline: x\r\n${GOOD.replaceAll('\n', '\r\n')}`,
  });
  t.same(diagnostics, []);
  t.equal(pipelines[0]?.name, 'x');
});

t.test('a directory without any pipeline', async (t) => {
  const directory = t.testdir({ 'pipeline.yam': GOOD });
  const { diagnostics } = await loadPipelines([directory], {}, definitions);
  t.match(diagnostics, [{ file: directory, line: 1, column: 1, code: 'CONFIG_NONE_FOUND' }]);
});

t.test('two pipelines of one name', async (t) => {
  const { pipelines, diagnostics } = await load(t, {
    'a.yaml': GOOD,
    'b.yaml': `# b\n${GOOD}pipeline: a\n`,
    'c.yaml': `pipeline: b\n${GOOD}`,
    // The name is known though the rest is faulty.
    'd.yaml': 'pipeline: b\n',
  });
  t.same(pipelines, [], 'a wrong configuration starts none of its pipelines');
  t.match(
    diagnostics.filter(({ code }) => code === 'CONFIG_DUPLICATE_PIPELINE'),
    [
      {
        file: 'b.yaml',
        line: 5,
        column: 11,
        message: 'the pipeline of b.yaml has the same name as that of a.yaml',
      },
      {
        file: 'd.yaml',
        line: 1,
        column: 11,
        message: 'the pipeline of d.yaml has the same name as that of c.yaml',
      },
    ],
  );
});

t.test('a file whose name is no name for a pipeline', async (t) => {
  const { diagnostics } = await load(t, { '-x.yaml': GOOD, 'a b.yaml': `pipeline: ab\n${GOOD}` });
  t.match(diagnostics, [
    { file: '-x.yaml', line: 1, column: 1, code: 'CONFIG_VALUE', hint: /pipeline: NAME/ },
  ]);
  t.equal(diagnostics.length, 1);
});

t.test('two sinks on one path', async (t) => {
  const { diagnostics } = await load(t, {
    'a.yaml': writing('/var/log/audit', '{{ tag }}.log'),
    'b.yaml': writing('/var/log/audit/', '{{ tag }}.log'),
    'c.yaml': writing('/var/log', 'audit/{{ tag }}.log'),
    'd.yaml': writing('/var/log/audit', '{{ verb ?? "none" }}.log'),
    'e.yaml': `source: { type: file, paths: [/var/log/audit.log] }
routes: [{ to: [one, two] }]
sinks:
  one: { type: files, base_dir: /e, path: a.log }
  two: { type: files, base_dir: /e, path: a.log }
`,
  });
  t.match(diagnostics, [
    {
      file: 'b.yaml',
      line: 4,
      column: 3,
      code: 'CONFIG_SHARED_PATH',
      message: 'the sink `out` writes to the same files as the sink `out` of a.yaml',
    },
    {
      file: 'c.yaml',
      line: 4,
      column: 3,
      message: 'the sink `out` writes to the same files as the sink `out` of a.yaml',
    },
    {
      file: 'e.yaml',
      line: 5,
      column: 3,
      message: 'the sink `two` writes to the same files as the sink `one`',
    },
  ]);
  t.equal(diagnostics.length, 3);
});

t.test('every fault of every file is found in one run, by file and position', async (t) => {
  const { diagnostics } = await load(t, {
    'b.yaml': `${GOOD}unknown: 1\n`,
    'a.yaml': `routes: []\n${GOOD.replace('/var', 'var').replace('routes: [{ to: out }]\n', '')}`,
    'c.yaml': 'a: [\n',
  });
  t.same(
    diagnostics.map(({ file, line, code }) => `${file}:${line} ${code}`),
    [
      'a.yaml:1 CONFIG_VALUE',
      'a.yaml:2 CONFIG_GLOB',
      'b.yaml:4 CONFIG_UNKNOWN_KEY',
      'c.yaml:1 CONFIG_SYNTAX',
    ],
  );
});

t.test('a directory that appears under the name of a file is not read as one', async (t) => {
  const directory = t.testdir({});
  mkdirSync(join(directory, 'real'));
  symlinkSync(join(directory, 'real'), join(directory, 'a.yaml'));
  writeFileSync(join(directory, 'b.yaml'), GOOD);
  const { diagnostics } = await loadPipelines([directory], {}, definitions);
  t.match(diagnostics, [{ code: 'CONFIG_UNREADABLE', message: 'this is no ordinary file' }]);
});

t.test('two pipelines that read standard input are a fault', async (t) => {
  const text = 'source: { type: stdin }\nroutes: [{ to: out }]\nsinks: { out: { type: stdout } }\n';
  const directory = t.testdir({ 'a.yaml': text, 'b.yaml': text });
  const { diagnostics } = await loadPipelines([directory], {}, components);
  t.match(diagnostics, [{ file: /b\.yaml$/, line: 1, code: 'CONFIG_SHARED_INPUT', message: /a\.yaml/ }]);
  t.equal(diagnostics.length, 1);
});
