import t from 'tap';
import { createMetrics } from '../../src/metrics.js';
import { CommittedCounts } from '../../src/pipeline/committed-counts.js';

t.test('what was read since the last commit is taken back, each counter as of its own stage', async (t) => {
  const metrics = createMetrics();
  const counts = new CommittedCounts(metrics);
  const read = (): void => {
    for (const counter of ['bytesRead', 'gaps'] as const) metrics[counter]++;
  };
  const decode = (): void => {
    metrics.linesRead += 5;
    for (const counter of [
      'linesBlank',
      'linesJoined',
      'linesNotAudit',
      'linesQuarantined',
      'events',
    ] as const)
      metrics[counter]++;
  };
  read();
  counts.pass('source', 1);
  read(); // Is ahead of the marker.
  decode();
  counts.pass('decoder', 1);
  metrics.eventsDropped++;
  counts.pass('router', 1);
  decode();
  metrics.eventsDropped++;
  counts.commit(1);
  counts.rollBack();
  t.same(metrics, {
    ...createMetrics(),
    bytesRead: 1,
    gaps: 1,
    linesRead: 5,
    linesBlank: 1,
    linesJoined: 1,
    linesNotAudit: 1,
    linesQuarantined: 1,
    events: 1,
    eventsDropped: 1,
  });
});
