import t from 'tap';
import { Router } from '../../src/pipeline/router.js';
import { batchOf } from '../helpers/batch.js';

const lines = ['a', 'b', 'a', 'c'].map((tag, i) => ({ tag, line: `${i}` }));
const hasTag = (tag: string) => (batch: { tags: string[] }, i: number) => batch.tags[i] === tag;

function divide(routes: ConstructorParameters<typeof Router>[0], drop: number[] = []) {
  const { batch } = batchOf(lines);
  for (const i of drop) batch.drop(i);
  const { perSink, routed, dropped } = new Router(routes, 3).divide(batch);
  return { perSink: perSink.map((events) => events && [...events.indexes]), routed, dropped };
}

t.test('the first route that matches has the event, the others do not', async (t) => {
  const result = divide([
    { when: hasTag('a'), to: [0] },
    { when: hasTag('a'), to: [1] },
    { when: undefined, to: [2] },
  ]);
  t.same(result, { perSink: [[0, 2], undefined, [1, 3]], routed: 4, dropped: 0 });
});

t.test('a route to several sinks copies; the event counts once', async (t) => {
  const result = divide([{ when: undefined, to: [0, 2] }]);
  t.same(result, { perSink: [[0, 1, 2, 3], undefined, [0, 1, 2, 3]], routed: 4, dropped: 0 });
});

t.test('what no route matches is counted as dropped', async (t) => {
  t.same(divide([{ when: hasTag('c'), to: [1] }]), {
    perSink: [undefined, [3], undefined],
    routed: 1,
    dropped: 3,
  });
});

t.test('what a processor dropped reaches no sink and is counted', async (t) => {
  const result = divide([{ when: undefined, to: [0] }], [1, 1, 3]);
  t.same(result, { perSink: [[0, 2], undefined, undefined], routed: 2, dropped: 2 });
});
