import t from 'tap';
import { dropProcessor } from '../../src/processor/drop.js';
import { tagProcessor } from '../../src/processor/tag.js';
import { process } from '../helpers/processor.js';

const EVENTS = [
  { objectRef: { namespace: 'a' }, verb: 'get' },
  { verb: 'list' },
  { objectRef: { namespace: 'b' } },
];

t.test('every event gets the rendered tag', async (t) => {
  const batch = process([[tagProcessor, { tag: 'audit.{{ objectRef.namespace ?? "none" }}' }]], EVENTS);
  t.same(batch.tags, ['audit.a', 'audit.none', 'audit.b']);
});

t.test('with a condition only the events that match are tagged anew', async (t) => {
  const batch = process([[tagProcessor, { tag: 'new', when: { verb: '*' } }]], EVENTS);
  t.same(batch.tags, ['new', 'new', 'pipeline']);
});

t.test('later processors see the tag', async (t) => {
  const batch = process(
    [
      [tagProcessor, { tag: '{{ verb ?? "none" }}' }],
      [tagProcessor, { tag: '{{ tag }}.2', when: { tag: 'l*' } }],
      [dropProcessor, { when: { tag: 'none' } }],
    ],
    EVENTS,
  );
  t.same(batch.tags, ['get', 'list.2', 'none']);
  t.same([...batch.dropped.subarray(0, batch.size)], [0, 0, 1]);
});

t.test('events that were dropped before are not tagged', async (t) => {
  const batch = process(
    [
      [dropProcessor, { when: { verb: 'get' } }],
      [tagProcessor, { tag: 'new' }],
    ],
    EVENTS,
  );
  t.same(batch.tags, ['pipeline', 'new', 'new']);
});

t.test('options that validation would have refused are a bug', async (t) => {
  t.throws(() => process([[tagProcessor, { tag: '{{' }]], []), /impossible/);
  t.throws(() => process([[tagProcessor, { tag: 'x', when: {} }]], []), /impossible/);
});
