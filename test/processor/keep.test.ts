import t from 'tap';
import { dropProcessor } from '../../src/processor/drop.js';
import { keepProcessor } from '../../src/processor/keep.js';
import { process } from '../helpers/processor.js';

const EVENTS = [{ stage: 'RequestReceived' }, { stage: 'ResponseComplete' }, {}];

t.test('only events that match stay', async (t) => {
  const batch = process([[keepProcessor, { when: { stage: 'RequestReceived' } }]], EVENTS);
  t.same([...batch.dropped.subarray(0, batch.size)], [0, 1, 1]);
  t.equal(batch.droppedCount, 2);
});

t.test('what was dropped before does not come back', async (t) => {
  const batch = process(
    [
      [dropProcessor, { when: { stage: 'RequestReceived' } }],
      [keepProcessor, { when: { 'stage|exists': true } }],
    ],
    EVENTS,
  );
  t.same([...batch.dropped.subarray(0, batch.size)], [1, 0, 1]);
  t.equal(batch.droppedCount, 2);
});
