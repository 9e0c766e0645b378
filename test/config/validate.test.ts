import t from 'tap';
import type { Test } from 'tap';
import { expectFaults, load } from '../helpers/faults.js';
import type { Expected } from '../helpers/faults.js';

const SOURCE = 'source: { type: file, paths: [/var/log/audit.log] }\n';
const ROUTES = 'routes: [{ to: out }]\n';
const SINKS = 'sinks: { out: { type: stdout } }\n';

/** Each row: what is wrong, the file, what is said of it. */
function table(t: Test, rows: [name: string, yaml: string, ...expected: Expected[]][]): void {
  for (const [name, yaml, ...expected] of rows) {
    t.test(name, (t) => expectFaults(t, yaml, expected).then(() => undefined));
  }
}

t.test('a good file becomes a pipeline with every default filled in', async (t) => {
  const { pipelines, diagnostics } = await load(t, {
    'good.yml': `
pipeline: by-namespace
source:
  type: file
  paths: [/var/log/kube-audit/audit.log]
processors:
  - { type: drop, when: { stage: RequestReceived } }
routes:
  - { when: { tag: audit.kube-system }, to: [files, out] }
  - { to: out }
sinks:
  files: { type: files, base_dir: /var/log/audit, path: '{{ tag }}.log', rotate: { keep: 3 } }
  out: { type: stdout }
quarantine: { max_bytes: 10MiB }
`,
  });
  t.same(diagnostics, []);
  t.equal(pipelines.length, 1);
  const [pipeline] = pipelines;
  if (!pipeline) return;
  const { file, sinks, ...rest } = pipeline;
  t.match(file, /good\.yml$/);
  t.same(rest, {
    name: 'by-namespace',
    source: {
      type: 'file',
      options: {
        paths: ['/var/log/kube-audit/audit.log'],
        max_line_bytes: '64MiB',
        read_from: 'beginning',
      },
    },
    processors: [{ type: 'drop', options: { when: { stage: 'RequestReceived' } } }],
    routes: [{ when: { tag: 'audit.kube-system' }, to: ['files', 'out'] }, { to: ['out'] }],
    commit_interval: '1s',
    quarantine: { max_bytes: '10MiB' },
    tests: [],
  });
  t.same(
    [...sinks],
    [
      [
        'files',
        {
          type: 'files',
          options: {
            base_dir: '/var/log/audit',
            path: '{{ tag }}.log',
            rotate: { keep: 3, max_bytes: '100MiB' },
            mode: '0640',
          },
        },
      ],
      ['out', { type: 'stdout', options: {} }],
    ],
  );
});

t.test('`otherwise: drop` stands for a last route', async (t) => {
  const yaml = `${SOURCE}routes: [{ when: { verb: get }, to: out }]\n${SINKS}otherwise: drop\n`;
  const { pipelines, diagnostics } = await load(t, { 'a.yaml': yaml });
  t.same(diagnostics, []);
  t.equal(pipelines[0]?.otherwise, 'drop');
  t.equal(pipelines[0]?.name, 'a', 'the name is that of the file');
});

t.test('keys and values', (t) => {
  table(t, [
    [
      'an unknown key at the top',
      `${SOURCE}${ROUTES}${SINKS}‸procesors: []\n`,
      ['CONFIG_UNKNOWN_KEY', 'unknown key `procesors` in the pipeline', 'did you mean `processors`?'],
    ],
    [
      'an unknown key of a component, and no complaint that the key that was meant is missing',
      `source:\n  type: file\n  ‸pathz: [/var/log/audit.log]\n${ROUTES}${SINKS}`,
      ['CONFIG_UNKNOWN_KEY', 'unknown key `pathz` in the `file` source', 'did you mean `paths`?'],
    ],
    [
      'an unknown key in an option',
      `${SOURCE}${ROUTES}sinks:\n  out: { type: files, base_dir: /a, path: b, rotate: { ‸keeep: 5 } }\n`,
      ['CONFIG_UNKNOWN_KEY', 'unknown key `keeep` in `rotate`', 'did you mean `keep`?'],
    ],
    [
      'an unknown key like no other tells the known ones',
      `${SOURCE}${ROUTES}sinks:\n  out: { type: files, base_dir: /a, path: b, ‸zzzzzz: 5 }\n`,
      ['CONFIG_UNKNOWN_KEY', '`zzzzzz`', 'known keys: base_dir, path, rotate, mode'],
    ],
    [
      'keys that objects inherit are unknown, too',
      `${SOURCE}${ROUTES}${SINKS}‸__proto__: 1\n‸constructor: 2\n`,
      ['CONFIG_UNKNOWN_KEY', '`__proto__`'],
      ['CONFIG_UNKNOWN_KEY', '`constructor`'],
    ],
    [
      'a wrong type',
      `source: { type: file, paths: ‸/var/log/audit.log }\n${ROUTES}${SINKS}`,
      [
        'CONFIG_TYPE',
        '`paths` must be a list of at least 1, found `/var/log/audit.log`',
        'for example `paths: [ /var/log/kube-audit/audit.log ]`',
      ],
    ],
    [
      'a wrong type in a list',
      `source: { type: file, paths: [/a/b, ‸7] }\n${ROUTES}${SINKS}`,
      ['CONFIG_TYPE', '`paths[1]` must be an absolute path or glob such as'],
    ],
    [
      'a word where a whole number is wanted',
      `${SOURCE}${ROUTES}sinks:\n  out: { type: files, base_dir: /a, path: b, rotate: { keep: ‸many } }\n`,
      ['CONFIG_TYPE', '`keep` must be a whole number from 0 to 1000, found `many`', 'for example `keep: 48`'],
    ],
    [
      'a number where text is wanted: as YAML 1.2 reads an unquoted mode',
      `${SOURCE}${ROUTES}sinks:\n  out: { type: files, base_dir: /a, path: b, mode: ‸0640 }\n`,
      ['CONFIG_TYPE', '`mode` must be text that matches', "for example `mode: '0640'`"],
    ],
    [
      'nothing where something is wanted points at the key',
      `${SOURCE}${ROUTES}sinks:\n  out:\n    type: files\n    ‸base_dir:\n    path: b\n`,
      ['CONFIG_TYPE', '`base_dir` must be an absolute directory such as `/var/log/audit`, found nothing'],
    ],
    [
      'a number out of range',
      `${SOURCE}${ROUTES}sinks:\n  out: { type: files, base_dir: /a, path: b, rotate: { keep: ‸-1 } }\n`,
      ['CONFIG_VALUE', '`keep` must be a whole number from 0 to 1000, found `-1`'],
    ],
    [
      'an empty list',
      `source: { type: file, paths: ‸[] }\n${ROUTES}${SINKS}`,
      ['CONFIG_VALUE', '`paths` must be a list of at least 1, found an empty list'],
    ],
    [
      'a word that is none of the known ones',
      `source: { type: file, paths: [/a/b], read_from: ‸begining }\n${ROUTES}${SINKS}`,
      ['CONFIG_VALUE', '`read_from` must be `beginning` or `end`', 'did you mean `beginning`?'],
    ],
    [
      'a missing option points at the component',
      `${SOURCE}${ROUTES}sinks:\n  ‸out:\n    type: files\n    path: audit.log\n`,
      ['CONFIG_MISSING', 'the `files` sink lacks `base_dir`', 'add `base_dir: /var/log/audit`'],
    ],
    [
      'a missing option of a component in a list points at its item',
      `${SOURCE}processors:\n  - ‸{ type: tag }\n${ROUTES}${SINKS}`,
      ['CONFIG_MISSING', 'the `tag` processor lacks `tag`'],
    ],
    [
      'every missing part of a file',
      `‸‸‸commit_interval: 2s\n`,
      ['CONFIG_MISSING', 'the pipeline lacks `source`'],
      ['CONFIG_MISSING', 'the pipeline lacks `routes`', 'add `routes: [ { to: files } ]`'],
      ['CONFIG_MISSING', 'the pipeline lacks `sinks`'],
    ],
    [
      'a file that is no mapping',
      `‸- a\n- b\n`,
      ['CONFIG_TYPE', 'a pipeline file is a mapping with `source:`, `routes:` and `sinks:`'],
    ],
    [
      'a component that is no mapping',
      `source: ‸file\n${ROUTES}sinks:\n  ‸out:\n`,
      ['CONFIG_TYPE', 'a source is a mapping with a `type`, found `file`'],
      ['CONFIG_TYPE', 'a sink is a mapping with a `type`, found nothing'],
    ],
    [
      "a component's own check",
      `${SOURCE}${ROUTES}sinks:\n  out: { type: files, base_dir: /, path: "au‸dit.log" }\n`,
      ['CONFIG_PATH', '`/audit.log` is taken'],
    ],
  ]);
  t.end();
});

t.test('sizes and durations', (t) => {
  const sink = (rotate: string) =>
    `${SOURCE}${ROUTES}sinks:\n  out: { type: files, base_dir: /a, path: b, rotate: { ${rotate} } }\n`;
  table(t, [
    [
      'a size without unit',
      sink('max_bytes: ‸64'),
      ['CONFIG_UNIT', '`max_bytes`: the unit is missing, found `64`', 'write for example `64MiB`'],
    ],
    ['a duration without unit', sink('max_age: ‸"30"'), ['CONFIG_UNIT', 'the unit is missing', '`30s`']],
    ['another way to write a unit', sink('max_bytes: ‸64mb'), ['CONFIG_UNIT', 'no such unit', '`64MB`']],
    ['no unit at all', sink('max_bytes: ‸64potatoes'), ['CONFIG_UNIT', 'no such unit', 'B, kB, MB']],
    ['a fraction', sink('max_bytes: ‸1.5GiB'), ['CONFIG_UNIT', 'the number must be a whole one']],
    ['a space', sink('max_age: ‸1 h'), ['CONFIG_UNIT', 'no space']],
    ['a huge number', sink('max_bytes: ‸999999999999GiB'), ['CONFIG_UNIT', 'too large']],
    ['a word', sink('max_age: ‸hourly'), ['CONFIG_UNIT', 'must be a duration such as `30s`']],
    [
      'something else',
      sink('max_age: ‸[1h]'),
      ['CONFIG_TYPE', 'must be a duration such as `30s`, found a list'],
    ],
    [
      'less than the least',
      `${SOURCE}${ROUTES}${SINKS}commit_interval: ‸9ms\nquarantine: { max_bytes: ‸0B }\n`,
      ['CONFIG_VALUE', '`commit_interval` must be at least `10ms`, found `9ms`'],
      ['CONFIG_VALUE', '`max_bytes` must be at least `1B`, found `0B`'],
    ],
  ]);
  t.end();
});

t.test('components', (t) => {
  table(t, [
    [
      'an unknown processor; its options are not looked at, those of others are',
      `${SOURCE}processors:\n  - { type: ‸tga, what: 5 }\n  - { type: tag, tag: x, ‸what: 5 }\n${ROUTES}${SINKS}`,
      ['CONFIG_UNKNOWN_COMPONENT', 'there is no processor `tga`', 'did you mean `tag`?'],
      ['CONFIG_UNKNOWN_KEY', '`what`'],
    ],
    [
      'a component of another kind',
      `${SOURCE}${ROUTES}sinks:\n  out: { type: ‸drop }\n`,
      ['CONFIG_UNKNOWN_COMPONENT', 'there is no sink `drop`', 'types of sinks: files, stdout'],
    ],
    [
      'a component without type',
      `‸source: { paths: [/a/b] }\n${ROUTES}${SINKS}`,
      ['CONFIG_MISSING', 'a source needs a `type`, such as `type: file`'],
    ],
    [
      'a type that is no word',
      `source: { type: ‸[file] }\n${ROUTES}${SINKS}`,
      ['CONFIG_TYPE', '`type` must be the name of a source, found a list'],
    ],
    [
      'names that can be no part of a file name',
      `pipeline: ‸../x\n${SOURCE}routes: [{ to: [a b, quarantine] }]\nsinks:\n  ‸a b: { type: stdout }\n  ‸quarantine: { type: stdout }\n`,
      ['CONFIG_VALUE', 'a name is 1 to 64 letters'],
      ['CONFIG_VALUE', 'a name is 1 to 64 letters'],
      ['CONFIG_VALUE', 'no sink can have the name `quarantine`'],
    ],
  ]);
  t.end();
});

t.test('values with a grammar of their own', (t) => {
  const processor = (text: string) => `${SOURCE}processors:\n  - ${text}\n${ROUTES}${SINKS}`;
  const sink = (dir: string, path: string) =>
    `${SOURCE}${ROUTES}sinks:\n  out: { type: files, base_dir: ${dir}, path: ${path} }\n`;
  const source = (path: string) => `source: { type: file, paths: [${path}] }\n${ROUTES}${SINKS}`;
  table(t, [
    [
      'an unknown modifier',
      processor(`{ type: drop, when: { 'user.username|‸begins': x } }`),
      ['CONFIG_MODIFIER', '|begins'],
    ],
    [
      'modifiers that contradict each other',
      processor(`{ type: drop, when: { 'user.username|contains|‸cidr': 10.0.0.0/8 } }`),
      ['CONFIG_MODIFIER', '`|contains` and `|cidr` can not be combined', '`all:`'],
    ],
    [
      'a regular expression that could not run in linear time',
      processor(`{ type: drop, when: { verb|re: [get, 'a‸(?=b)'] } }`),
      ['CONFIG_WHEN', '`(?=` is not supported', '`not:`'],
    ],
    [
      'a broken regular expression',
      processor(`{ type: drop, when: { verb|re|i: 'get‸[' } }`),
      ['CONFIG_WHEN', 'missing closing ]', 'RE2'],
    ],
    [
      'a network that is none',
      processor(`{ type: drop, when: { sourceIPs|cidr: [10.0.0.0/8, ‸10.0.0.0/33] } }`),
      ['CONFIG_WHEN', '`|cidr` takes an IP network', '`10.0.0.0/8`'],
    ],
    [
      'a condition that is none',
      processor(`{ type: drop, when: ‸5 }`),
      ['CONFIG_WHEN', 'a condition is a mapping'],
    ],
    [
      'a broken template',
      processor(`{ type: tag, tag: 'audit.‸{{ verb ?? "none"' }`),
      ['CONFIG_TEMPLATE', '`{{` is never closed'],
    ],
    [
      'a template that can be absent',
      processor(`{ type: tag, tag: 'audit.{{ ‸objectRef.namespace }}' }`),
      ['CONFIG_TEMPLATE_ABSENT', 'an event can lack `objectRef.namespace`', '?? "none"'],
    ],
    [
      'a template that is not quoted',
      processor(`{ type: tag, tag: ‸{{ verb }} }`),
      ['CONFIG_SYNTAX', 'a value that begins with `{{` must be quoted'],
    ],
    ['a broken glob', source(`‸"/var/log/[audit.log"`), ['CONFIG_GLOB', 'broken glob: no closing `]`']],
    ['a glob whose range runs backwards', source(`‸"/var/log/[z-a]"`), ['CONFIG_GLOB', 'runs backwards']],
    ['a relative glob', source(`‸audit.log`), ['CONFIG_GLOB', 'must be an absolute path']],
    ['a directory for a glob', source(`‸/var/log/`), ['CONFIG_GLOB', 'names a directory']],
    ['a relative directory', sink('‸logs', 'a'), ['CONFIG_PATH', 'must be an absolute path']],
    ['`..` in a directory', sink('/var/log/‸../etc', 'a'), ['CONFIG_PATH', '`..` is not allowed']],
    ['`..` in a path', sink('/a', `'‸../{{ tag }}.log'`), ['CONFIG_PATH', '`..` is not allowed']],
    ['an absolute path', sink('/a', '‸/audit.log'), ['CONFIG_PATH', 'the path is absolute']],
  ]);
  t.end();
});

t.test('routes', (t) => {
  table(t, [
    [
      'to a missing sink; that nothing leads to the sink that was meant goes without saying',
      `${SOURCE}routes:\n  - { to: [‸otu] }\n${SINKS}`,
      ['CONFIG_ROUTE', 'there is no sink `otu`', 'did you mean `out`?'],
    ],
    [
      'to nothing known',
      `${SOURCE}routes:\n  - to: ‸elsewhere\n${SINKS}`,
      ['CONFIG_ROUTE', 'there is no sink `elsewhere`', 'sinks: out'],
    ],
    [
      'behind an unconditional one',
      `${SOURCE}routes:\n  - to: out\n  - ‸when: { verb: get }\n    to: out\n  - ‸to: out\n${SINKS}`,
      ['CONFIG_UNREACHABLE', 'no event reaches this route: route 1 takes every event'],
      ['CONFIG_UNREACHABLE', 'route 1'],
    ],
    [
      'none unconditional and no `otherwise`',
      `${SOURCE}routes:\n  - ‸{ when: { verb: get }, to: out }\n${SINKS}`,
      ['CONFIG_OTHERWISE', 'what becomes of events that no route matches', '`- to: out`'],
    ],
    [
      'an `otherwise` that can never apply',
      `${SOURCE}${ROUTES}${SINKS}‸otherwise: drop\n`,
      ['CONFIG_OTHERWISE', '`otherwise` can never apply: route 1 takes every event'],
    ],
    [
      'an `otherwise` that is none',
      `${SOURCE}routes: [{ when: { verb: get }, to: out }]\n${SINKS}otherwise: ‸keep\n`,
      ['CONFIG_VALUE', '`otherwise` must be `drop`, found `keep`'],
    ],
    [
      'a sink that no route names',
      `${SOURCE}${ROUTES}sinks:\n  out: { type: stdout }\n  ‸spare: { type: stdout }\n`,
      ['CONFIG_ROUTE', 'no route leads to the sink `spare`'],
    ],
    [
      'a sink named twice in one route',
      `${SOURCE}routes: [{ to: [out, ‸out] }]\n${SINKS}`,
      ['CONFIG_ROUTE', '`out` is named twice'],
    ],
    [
      'that lead nowhere',
      `${SOURCE}routes:\n  - ‸when: { verb: get }\n  - to: ‸[]\n${SINKS}`,
      ['CONFIG_MISSING', '`routes[0]` lacks `to`'],
      ['CONFIG_TYPE', '`to` must be the name of a sink or a list of names, found an empty list'],
    ],
    [
      'that are no routes',
      `${SOURCE}routes: [‸out]\n${SINKS}`,
      ['CONFIG_TYPE', '`routes[0]` must be a mapping, found `out`'],
    ],
    [
      'without any sink',
      `${SOURCE}${ROUTES}sinks: ‸{}\n`,
      ['CONFIG_VALUE', '`sinks` must be a mapping of at least one sink by its name, found an empty mapping'],
    ],
  ]);
  t.end();
});
