import t from 'tap';
import { dropProcessor } from '../../src/processor/drop.js';
import { process } from '../helpers/processor.js';

const EVENTS = [{ stage: 'RequestReceived' }, { stage: 'ResponseComplete' }, {}];

t.test('events that match are left out, the others stay', async (t) => {
  const batch = process([[dropProcessor, { when: { stage: 'RequestReceived' } }]], EVENTS);
  t.same([...batch.dropped.subarray(0, batch.size)], [1, 0, 0]);
  t.equal(batch.droppedCount, 1);
});

t.test('an event that two processors drop is counted once', async (t) => {
  const batch = process(
    [
      [dropProcessor, { when: { stage: 'RequestReceived' } }],
      [dropProcessor, { when: { 'stage|startswith': 'Re' } }],
    ],
    EVENTS,
  );
  t.same([...batch.dropped.subarray(0, batch.size)], [1, 1, 0]);
  t.equal(batch.droppedCount, 2);
});
