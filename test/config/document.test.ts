import t from 'tap';
import { ConfigDocument } from '../../src/config/document.js';
import { expectFaults, load } from '../helpers/faults.js';

const SOURCE = 'source: { type: file, paths: [/var/log/audit.log] }\n';
const ROUTES = 'routes: [{ to: out }]\n';
const SINKS = 'sinks: { out: { type: stdout } }\n';
const GOOD = SOURCE + ROUTES + SINKS;

t.test('a key set twice names the line of the first; the rest of the file is still looked at', (t) =>
  expectFaults(t, `${GOOD}‸routes: []\ncommit_interval: ‸5\n`, [
    ['CONFIG_DUPLICATE_KEY', '`routes` is already set on line 2', 'take one of the two away'],
    ['CONFIG_UNIT', 'the unit is missing'],
  ]),
);

t.test('each line that is indented with a tab', (t) =>
  expectFaults(t, `${SOURCE}${ROUTES}sinks:\n‸\tout:\n‸\t\ttype: stdout\n`, [
    ['CONFIG_SYNTAX', 'a tab in the indentation', 'indent with spaces'],
    ['CONFIG_SYNTAX', 'a tab in the indentation'],
  ]),
);

/** The faults of a file by themselves: what is wrong with it before anything is validated. */
function faultsOf(text: string, env: Record<string, string> = {}): string[] {
  const { diagnostics } = new ConfigDocument('a.yaml', text, env);
  return diagnostics.map(({ line, column, code, message }) => `${line}:${column} ${code} ${message}`);
}

t.test('aliases are followed; a faulty part that two of them lead to is told once', async (t) => {
  const sinks = `sinks:
  one: &a { type: files, base_dir: /a, path: a, rotate: { keep: ‸x } }
  ‸two: *a
`;
  await expectFaults(t, `${SOURCE}routes: [{ to: [one, two] }]\n${sinks}`, [
    ['CONFIG_TYPE', '`keep`'],
    ['CONFIG_SHARED_PATH', 'the sink `two` writes to the same files as the sink `one`'],
  ]);
});

t.test('aliases that multiply', async (t) => {
  const lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]'];
  for (let i = 1; i < 30; i++)
    lines.push(
      `a${i}: &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );
  // Lists of 11, 111 and 1,111 parts; the tenth alias of the fourth line makes 11,111.
  const column = 'a3: &a3 ['.length + 9 * '*a2, '.length + 1;
  t.match(faultsOf(lines.join('\n')), [
    `4:${column} CONFIG_ALIASES with its aliases followed the file has more than 10000 parts`,
  ]);
});

t.test('a long file may have as many parts as characters', async (t) => {
  const text = `list: [${Array(20_000).fill('x').join(',')}]\n`;
  t.same(faultsOf(text), []);
});

t.test('aliases that lead nowhere, or into themselves', async (t) => {
  t.same(faultsOf('a: *x\nb: &b [1, *b]\n'), [
    '1:4 CONFIG_SYNTAX no anchor `&x` stands before this alias',
    '2:11 CONFIG_ALIASES the alias `*b` stands inside of what it stands for',
  ]);
});

t.test('an alias stands for the last part with its name', async (t) => {
  t.same(new ConfigDocument('a.yaml', 'a: &x 1\nb: *x\nc: &x 2\nd: *x\n', {}).value, {
    a: 1,
    b: 1,
    c: 2,
    d: 2,
  });
});

t.test('a second document in one file', (t) =>
  expectFaults(t, `${GOOD}‸---\n${GOOD}`, [
    ['CONFIG_SYNTAX', 'a second YAML document begins here', 'a file of its own'],
  ]),
);

t.test('syntax that pipelines lead to has a hint', async (t) => {
  const annotation = '{ when: { annotations‸["a.io/b"]: x }, to: out }';
  await expectFaults(t, `routes:\n  - ${annotation}\n`, [
    ['CONFIG_SYNTAX', 'missing , or :', `inside { } quote the whole key: 'annotations["a.io/b"]'`],
  ]);
  await expectFaults(t, `sinks:\n  out: { path: {{ tag }}‸.log }\n`, [
    ['CONFIG_SYNTAX', 'unexpected scalar', 'a value that begins with `{{` must be quoted'],
  ]);
  await expectFaults(t, `sinks:\n  out: { base_dir: $‸{DIR} }\n`, [
    ['CONFIG_SYNTAX', 'unexpected flow-map-start', "quote a value with a variable: '${NAME}'"],
  ]);
  await expectFaults(t, `pipeline: 'abc‸\n`, [['CONFIG_SYNTAX', "missing closing 'quote"]]);
});

t.test('what YAML can say and a pipeline can not', async (t) => {
  t.same(faultsOf('a: !secret x\nb: !!binary aGk=\nc: !!str 5\n'), [
    '1:12 CONFIG_SYNTAX YAML tags are not used in pipeline files',
    '2:13 CONFIG_SYNTAX YAML tags are not used in pipeline files',
  ]);
  t.same(faultsOf('? [a, b]\n: c\n'), ['1:1 CONFIG_SYNTAX a key is a word, not a list or an alias']);
  t.match(faultsOf(`a: ${'['.repeat(60)}${']'.repeat(60)}\n`), [
    /^1:54 CONFIG_SYNTAX nested more than 50 deep$/,
  ]);
  t.match(faultsOf(`a: ${'['.repeat(20_000)}${']'.repeat(20_000)}\n`), [
    /CONFIG_SYNTAX nested more than 50 deep$/,
  ]);
});

t.test('YAML 1.1 is not spoken, even when a file asks for it', async (t) => {
  t.same(new ConfigDocument('a.yaml', '%YAML 1.1\n---\na: yes\nb: 2001-01-01\n', {}).value, {
    a: 'yes',
    b: '2001-01-01',
  });
});

t.test('a column is counted in characters', (t) =>
  expectFaults(t, `${SOURCE}${ROUTES}sinks: { out: { "😀日": 1, type: ‸"😀" } }\n`, [
    ['CONFIG_UNKNOWN_COMPONENT', 'there is no sink `😀`'],
  ]),
);

t.test('where in a scalar a fault is', (t) => {
  const tag = (text: string) => `${SOURCE}processors:\n  - type: tag\n    tag: ${text}\n${ROUTES}${SINKS}`;
  const rows: Record<string, string> = {
    plain: 'x.{{ ‸verb }}',
    'single quotes': "'x.{{ ‸verb }}'",
    'double quotes': '"x.{{ ‸verb }}"',
    'double quotes with an escape behind it': '"x.{{ ‸verb }}\\t"',
    'double quotes with an escape before it': '‸"\\t{{ verb }}"',
    'a block': '‸|\n      x.{{ verb }}',
    'a folded line behind it': '"x.{{ ‸verb }}\n      y"',
    'a folded line before it': '‸"x\n      {{ verb }}"',
  };
  for (const [name, text] of Object.entries(rows)) {
    t.test(name, (t) =>
      expectFaults(t, tag(text), [['CONFIG_TEMPLATE_ABSENT', '`verb`']]).then(() => undefined),
    );
  }
  t.end();
});

t.test('variables of the environment', (t) => {
  const pipeline = (
    path: string,
    dir: string,
    keep: string,
  ) => `source: { type: file, paths: [${path}], retain: '\${YES}' }
routes: [{ to: out }]
sinks:
  out: { type: files, base_dir: ${dir}, path: a, rotate: { keep: ${keep} } }
`;

  t.test('are put into values, as numbers and booleans where these are wanted', async (t) => {
    const env = { DIR: '/var/log', KEEP: '7', NAME: 'n', EMPTY: '', YES: 'true' };
    const yaml = `${pipeline("'/a${DIR}$${DIR}'", "'${DIR}/a${EMPTY}'", "'${KEEP}'")}
pipeline: \${NAME}1
processors:
  - { type: tag, tag: '\${KEEP}' }
`;
    const { pipelines, diagnostics } = await load(t, { 'a.yaml': yaml }, env);
    t.same(diagnostics, []);
    t.equal(pipelines[0]?.name, 'n1');
    t.match(pipelines[0]?.source.options, { paths: ['/a/var/log${DIR}'], retain: true });
    t.match(pipelines[0]?.sinks.get('out')?.options, { base_dir: '/var/log/a', rotate: { keep: 7 } });
    t.match(pipelines[0]?.processors[0]?.options, { tag: '7' });
  });

  t.test('that are not set, each at its place, and nothing else is said of the value', (t) =>
    expectFaults(
      t,
      pipeline('/b', "'/a/‸${A}/‸${B}'", '"‸${C}"'),
      [
        ['CONFIG_ENV', 'the environment variable `A` is not set', 'write `$${A}`'],
        ['CONFIG_ENV', 'the environment variable `B` is not set'],
        ['CONFIG_ENV', 'the environment variable `C` is not set'],
      ],
      { YES: 'false' },
    ).then(() => undefined),
  );

  t.test('that are no names', (t) =>
    expectFaults(
      t,
      pipeline('/b', "'/a/‸${A-b}'", "'‸${'"),
      [
        ['CONFIG_ENV', '`${` does not begin the name', '`$${`'],
        ['CONFIG_ENV', '`${` does not begin the name'],
      ],
      { YES: 'true' },
    ).then(() => undefined),
  );

  t.test('are not looked for in keys and comments', (t) =>
    expectFaults(t, `# \${A}\n${GOOD}‸\${B}: 1\n`, [['CONFIG_UNKNOWN_KEY', 'unknown key `${B}`']]).then(
      () => undefined,
    ),
  );

  t.test('hold secrets: no diagnostic shows what they stand for', async (t) => {
    const SECRET = 'xyzzy17';
    const yaml = `pipeline: ‸\${LONG}
source: { type: ‸'\${SECRET}', paths: ['/a/\${SECRET}'] }
processors:
  - { type: tag, tag: ‸'{{ \${SECRET} }}' }
  - { type: drop, when: { user.username: '\${SECRET}', 'verb|‸nope': x } }
  - { type: drop, when: { responseStatus.code|gt: ‸'\${SECRET}' } }
routes: [{ to: ‸'\${SECRET}' }]
sinks:
  a:
    type: files
    base_dir: ‸'\${SECRET}'
    path: ‸'../\${SECRET}'
    rotate: { max_bytes: ‸'\${SECRET}', keep: ‸'\${SECRET}' }
  b: { type: files, base_dir: '\${ROOT}', path: ‸audit.log }
`;
    const diagnostics = await expectFaults(
      t,
      yaml,
      [
        ['CONFIG_VALUE', 'not valid once `${LONG}` is expanded'],
        ['CONFIG_UNKNOWN_COMPONENT', 'there is no source `${SECRET}`'],
        ['CONFIG_FIELD', 'not valid once `${SECRET}` is expanded'],
        ['CONFIG_MODIFIER', '|nope'],
        ['CONFIG_WHEN', 'not valid once `${SECRET}` is expanded'],
        ['CONFIG_ROUTE', 'there is no sink `${SECRET}`'],
        ['CONFIG_PATH', 'not valid once `${SECRET}` is expanded'],
        ['CONFIG_PATH', 'not valid once `${SECRET}` is expanded'],
        ['CONFIG_UNIT', 'found `${SECRET}`'],
        ['CONFIG_TYPE', 'found `${SECRET}`'],
        // The component's own message could show any of its options.
        ['CONFIG_PATH', 'not valid once `${ROOT}` is expanded'],
      ],
      { SECRET, LONG: `${SECRET}${'x'.repeat(80)}`, ROOT: '/' },
    );
    t.notMatch(JSON.stringify(diagnostics), SECRET);
  });
  t.end();
});
