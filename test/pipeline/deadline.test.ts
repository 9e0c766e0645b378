import t from 'tap';
import { createMetrics } from '../../src/metrics.js';
import { watchProgress } from '../../src/pipeline/deadline.js';
import { until } from '../helpers/until.js';

t.test('what does not move for the deadline is ended, but not while nothing could move', async (t) => {
  let [isIdle, looks] = [true, 0];
  const deadline = watchProgress(createMetrics(), 10, () => {
    looks++;
    return isIdle;
  });
  t.teardown(() => {
    deadline.stop();
  });
  // Each look is a deadline after the one before.
  await until('it has looked for longer than the deadline', () => looks > 5);
  t.equal(deadline.signal.aborted, false);
  isIdle = false;
  await until('the deadline passes', () => deadline.signal.aborted);
  t.match(deadline.signal.reason, { code: 'DEADLINE' });
});
