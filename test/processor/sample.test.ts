import t from 'tap';
import { sampleProcessor } from '../../src/processor/sample.js';
import { process, textsOf } from '../helpers/processor.js';

const EVENTS = Array.from({ length: 4000 }, (_, i) => ({
  auditID: String(i),
  verb: i % 2 ? 'watch' : 'create',
}));
const OPTIONS = { keep_one_in: 10, when: { verb: 'watch' } };

t.test('about one of n of what matches is kept, and everything else', async (t) => {
  const kept = textsOf(process([[sampleProcessor, OPTIONS]], EVENTS));
  const watches = kept.filter((text) => text.includes('watch')).length;
  t.equal(kept.length - watches, 2000);
  t.ok(watches > 140 && watches < 260, `${watches} of 2000`);
});

t.test('the same line has the same fate, wherever it stands', async (t) => {
  const forward = textsOf(process([[sampleProcessor, OPTIONS]], EVENTS));
  const backward = textsOf(process([[sampleProcessor, OPTIONS]], EVENTS.toReversed()));
  t.same(backward.toReversed(), forward);
});
