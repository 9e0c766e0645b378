import t from 'tap';
import { components } from '../../src/components.js';
import { dropProcessor } from '../../src/processor/drop.js';
import { redactProcessor } from '../../src/processor/redact/index.js';
import { removeProcessor } from '../../src/processor/remove.js';
import { setProcessor } from '../../src/processor/set.js';
import { tagProcessor } from '../../src/processor/tag.js';
import { truncateProcessor } from '../../src/processor/truncate.js';
import { expectFaults } from '../helpers/faults.js';
import { process, textsOf } from '../helpers/processor.js';

t.test('fields are added at the end, with what is missing above them', async (t) => {
  const batch = process(
    [
      [
        setProcessor,
        {
          fields: {
            'orchestrator.cluster.name': 'prod',
            'orchestrator.type': 'kubernetes',
            'annotations["a.b/c"]': 'x',
            number: 7,
            flag: false,
          },
        },
      ],
    ],
    ['{"verb":"get" }', '{}', '{"annotations":{"z":1.0},"orchestrator":{"cluster":{"id":1}}}'],
  );
  const cluster = '"orchestrator":{"cluster":{"name":"prod"},"type":"kubernetes"}';
  t.same(textsOf(batch), [
    `{"verb":"get" ,${cluster},"annotations":{"a.b/c":"x"},"number":7,"flag":false}`,
    `{${cluster},"annotations":{"a.b/c":"x"},"number":7,"flag":false}`,
    '{"annotations":{"z":1.0,"a.b/c":"x"},"orchestrator":{"cluster":{"id":1,"name":"prod"},"type":"kubernetes"},"number":7,"flag":false}',
  ]);
});

t.test('a field that is there gets the new value in its place, and only one of it stays', async (t) => {
  const batch = process(
    [[setProcessor, { fields: { team: '{{ objectRef.namespace ?? "none" }}', 'a.b': 'c' } }]],
    ['{"team":null,"objectRef":{"namespace":"q\\"\\\\\\n\\u00e9"},"a":[1],"team":"old"}'],
  );
  t.same(textsOf(batch), [
    '{"team":"q\\"\\\\\\u000aé","objectRef":{"namespace":"q\\"\\\\\\n\\u00e9"},"a":{"b":"c"}}',
  ]);
  t.doesNotThrow(() => JSON.parse(textsOf(batch)[0] ?? '') as unknown);
});

t.test('only events that match are changed', async (t) => {
  const batch = process(
    [[setProcessor, { fields: { x: 'y' }, when: { verb: 'get' } }]],
    ['{"verb":"get"}', '{"verb":"list"}'],
  );
  t.same(textsOf(batch), ['{"verb":"get","x":"y"}', '{"verb":"list"}']);
});

t.test('the processors after it see what was set', async (t) => {
  const long = 'x'.repeat(400);
  const batch = process(
    [
      [
        setProcessor,
        { fields: { 'a.team': '{{ verb ?? "none" }}', 'a.b': 'secret', 'a.c': long, 'a.d': 1 } },
      ],
      [setProcessor, { fields: { 'a.e': '{{ a.team ?? "none" }}/{{ a.d ?? "none" }}' } }],
      [tagProcessor, { tag: '{{ a.e ?? "none" }}' }],
      [dropProcessor, { when: { 'a.team': 'list' } }],
      [redactProcessor, { fields: ['a.b'] }],
      [truncateProcessor, { max_bytes: '256B', fields: ['a.c'] }],
      [removeProcessor, { fields: ['a.d'], when: { 'a.d|gte': 1 } }],
    ],
    ['{"verb":"get"}', '{"verb":"list"}'],
  );
  t.equal(batch.tags[0], 'get/1');
  t.same(Array.from(batch.dropped.subarray(0, batch.size)), [0, 1]);
  const [event = ''] = textsOf(batch);
  const { a } = JSON.parse(event) as { a: Record<string, string> };
  t.match(a, { team: 'get', c: /^x{100,256}…$/, e: 'get/1' });
  t.same(Object.keys(a), ['team', 'c', 'e']);
});

t.test('what can not be set is told with its place', async (t) => {
  await expectFaults(
    t,
    `source: { type: file, paths: [/a.log] }
processors:
  - type: set
    fields:
      ‸tag: x
      cluster: y
      ‸cluster.name: z
      a: '{{ ‸verb }}'
      a.‸.b: 1
      annotations.headgate.‸io/node: x
routes: [{ to: out }]
sinks: { out: { type: stdout } }
`,
    [
      ['CONFIG_FIELD', '`tag` is computed', 'use a `tag` processor'],
      ['CONFIG_VALUE', 'can not both be set'],
      ['CONFIG_TEMPLATE_ABSENT', 'an event can lack `verb`'],
      ['CONFIG_FIELD', 'this can not stand in the name of a field'],
      ['CONFIG_FIELD', '`annotations.headgate` has no fields', 'annotations["headgate.io/node…"]'],
    ],
    {},
    components,
  );
});
