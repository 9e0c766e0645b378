// Which fields each part of a pipeline file may name, with the components that are shipped.
import t from 'tap';
import type { Test } from 'tap';
import { components } from '../../src/components.js';
import { expectFaults, load } from '../helpers/faults.js';
import type { Expected } from '../helpers/faults.js';

const SOURCE = 'source: { type: file, paths: [/var/log/audit.log] }\n';
const REST = 'routes: [{ to: out }]\nsinks: { out: { type: stdout } }\n';
const SET = '- { type: set, fields: { orchestrator.cluster.name: prod, team: x, \'labels["a.b/c"]\': y } }';

/** A file with these processors, one a line. */
function withProcessors(...processors: string[]): string {
  return `${SOURCE}processors:\n${processors.map((line) => `  ${line}\n`).join('')}${REST}`;
}

async function expectGood(t: Test, yaml: string): Promise<void> {
  const { diagnostics, pipelines } = await load(t, { 'a.yaml': yaml }, {}, components);
  t.same(diagnostics, []);
  t.equal(pipelines.length, 1);
}

async function expectFaulty(t: Test, yaml: string, ...expected: Expected[]): Promise<void> {
  await expectFaults(t, yaml, expected, {}, components);
}

t.test('what `set` makes is known to all that comes behind it', async (t) => {
  await expectGood(
    t,
    `${SOURCE}processors:
  ${SET}
  - { type: set, fields: { cluster: '{{ orchestrator.cluster.name ?? "none" }}' }, when: { team: x } }
  - { type: tag, tag: 'audit.{{ cluster ?? team ?? "none" }}', when: { 'labels["a.b/c"]|startswith': y } }
  - { type: drop, when: { not: { any: [{ orchestrator.cluster.name|exists: true }, { team: null }] } } }
  - { type: keep, when: [{ team: x }, { cluster: prod }] }
  - { type: sample, keep_one_in: 2, when: { team: z } }
  - { type: redact, fields: [team], when: { team: z } }
  - { type: truncate, fields: [orchestrator.cluster.name, orchestrator], when: { team: z } }
  - { type: remove, fields: ['labels["a.b/c"]', team], when: { team: z } }
routes:
  - { when: { cluster: prod, team: [payments, x] }, to: [out, index] }
  - { to: out }
sinks:
  out: { type: files, base_dir: /var/log/out, path: '{{ orchestrator.cluster.name ?? "none" }}/{{ team ?? "none" }}.log' }
  index:
    type: elasticsearch
    nodes: ['http://127.0.0.1:9200']
    index: 'audit-{{ cluster ?? "none" }}'
`,
  );
});

t.test('what `set` did not make is a fault everywhere, with what was meant', async (t) => {
  const near = 'did you mean `orchestrator.cluster.name`?';
  const wrong = '`orchestrator.cluster` has no field `nmae`';
  await expectFaulty(
    t,
    `${SOURCE}processors:
  ${SET}
  - { type: set, fields: { a: '{{ orchestrator.cluster.‸nmae ?? "none" }}' } }
  - { type: set, fields: { b: c }, when: { 'labels‸["a.b/d"]': x } }
  - { type: tag, tag: 'audit.{{ ‸taem ?? "none" }}' }
  - { type: remove, fields: [team, team.‸name] }
  - { type: redact, fields: [orchestrator.cluster.‸nmae] }
  - { type: truncate, fields: [orchestrator.cluster.‸nmae] }
routes:
  - { when: { orchestrator.cluster.‸nmae|contains: x }, to: [out, index] }
  - { to: out }
sinks:
  out: { type: files, base_dir: /var/log/out, path: '{{ orchestrator.cluster.‸nmae ?? "none" }}.log' }
  index:
    type: elasticsearch
    nodes: ['http://127.0.0.1:9200']
    index: 'audit-{{ orchestrator.cluster.‸nmae ?? "none" }}'
`,
    ['CONFIG_FIELD', wrong, near],
    ['CONFIG_FIELD', '`labels` has no field `a.b/d`', 'did you mean `labels["a.b/c"]`?'],
    ['CONFIG_FIELD', 'an audit event has no field `taem`', 'did you mean `team`?'],
    ['CONFIG_FIELD', '`team` has no fields', 'write `team`'],
    ['CONFIG_FIELD', wrong, near],
    ['CONFIG_FIELD', wrong, near],
    ['CONFIG_FIELD', wrong, near],
    ['CONFIG_FIELD', wrong, near],
    ['CONFIG_FIELD', wrong, near],
  );
});

t.test('what a later processor sets, or the same one, can not be named yet', async (t) => {
  const hint = '`team` is not set yet: a processor knows what the processors before it set';
  const message = 'an audit event has no field `team`';
  await expectFaulty(
    t,
    withProcessors(
      `- { type: tag, tag: '{{ ‸team ?? "none" }}' }`,
      `- { type: drop, when: { ‸team: x } }`,
      `- { type: set, fields: { team: x, squad: '{{ ‸team ?? "none" }}' } }`,
      `- { type: tag, tag: '{{ team ?? "none" }}' }`,
    ),
    ['CONFIG_FIELD', message, hint],
    ['CONFIG_FIELD', message, hint],
    ['CONFIG_FIELD', message, hint],
  );
  await expectFaulty(t, withProcessors(`- { type: set, fields: { team: x }, when: { ‸team: y } }`), [
    'CONFIG_FIELD',
    message,
    hint,
  ]);
});

t.test('a field that was set can be set again from what it was', (t) =>
  expectGood(
    t,
    withProcessors(
      SET,
      `- { type: set, fields: { team: '{{ team ?? "none" }}.{{ user.username ?? "none" }}' } }`,
    ),
  ),
);

t.test('that a field was set does not mean that each event has it', (t) =>
  expectFaulty(t, withProcessors(SET, `- { type: tag, tag: '{{ ‸team }}' }`), [
    'CONFIG_TEMPLATE_ABSENT',
    'an event can lack `team`',
    '{{ team ?? "none" }}',
  ]),
);

t.test('known fields stay known where one above them, or they themselves, are set', (t) =>
  expectGood(
    t,
    withProcessors(
      `- { type: set, fields: { user: x, objectRef.namespace: y, 'annotations["a.b/c"]': z } }`,
      `- { type: drop, when: { user.username: x, objectRef.namespace: y, 'annotations["other"]': z } }`,
    ),
  ),
);

t.test('a file has no faults that follow from that of a `set`', async (t) => {
  const route = `- { type: drop, when: { team: x, objectRef.namespace: y } }`;
  await expectFaulty(t, withProcessors(`- { type: ‸sett, fields: { team: x } }`, route), [
    'CONFIG_UNKNOWN_COMPONENT',
    'there is no processor `sett`',
  ]);
  await expectFaulty(t, withProcessors(`- { type: set, fields: ‸[team] }`, route), [
    'CONFIG_TYPE',
    '`fields`',
  ]);
  await expectFaulty(t, withProcessors(`- ‸set`, route), ['CONFIG_TYPE', 'a processor is a mapping']);
  await expectFaulty(
    t,
    withProcessors(`- { type: set, fields: { team: '{{ ‸vreb ?? "none" }}' }, when: { verb: get } }`, route),
    ['CONFIG_FIELD', 'no field `vreb`'],
  );
  await expectFaulty(t, withProcessors(`- { type: set, fields: { team: ‸[x], a‸..b: x } }`, route), [
    'CONFIG_TYPE',
    '`team`',
  ]);
});

t.test('behind a fault that tells nothing of fields, misspelt ones are told all the same', (t) =>
  expectFaulty(
    t,
    withProcessors(
      `- { type: ‸tga, tag: x }`,
      `- { type: set, fields: { team: x }, when: { ‸vreb: get } }`,
      `- { type: drop, when: { ‸taem: x } }`,
    ),
    ['CONFIG_UNKNOWN_COMPONENT', '`tga`', 'did you mean `tag`?'],
    ['CONFIG_FIELD', 'no field `vreb`', 'did you mean `verb`?'],
    ['CONFIG_FIELD', 'no field `taem`', 'did you mean `team`?'],
  ),
);
