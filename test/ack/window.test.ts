import t from 'tap';
import fc from 'fast-check';
import { Window } from '../../src/ack/window.js';

t.test('a marker is not taken before the ones in front of it are settled', async (t) => {
  const window = new Window<string, number>();
  const a = window.add('a');
  const b = window.add('b');
  window.settle(b, [2]);
  t.same(window.takeSettled(), []);
  t.equal(window.size, 2);
  window.settle(a, [1]);
  t.same(window.takeSettled(), [
    { marker: 'a', receipts: [1] },
    { marker: 'b', receipts: [2] },
  ]);
  t.equal(window.size, 0);
});

t.test('settling twice is a bug', async (t) => {
  const window = new Window<string, number>();
  const a = window.add('a');
  window.settle(a, []);
  t.throws(() => {
    window.settle(a, []);
  }, /impossible/);
});

t.test(
  'in any order of settling, markers are taken in stream order, each once, never past an unsettled one',
  async (t) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 12 }), (order) => {
        const window = new Window<number, number>();
        const entries = Array.from(order, (_, i) => window.add(i));
        const settled = new Set<number>();
        const taken: number[] = [];
        const shuffled = Array.from(order, (key, i) => ({ key, i })).sort((a, b) => a.key - b.key);
        for (const { i } of shuffled) {
          const entry = entries[i];
          if (entry) window.settle(entry, [i]);
          settled.add(i);
          taken.push(...window.takeSettled().map(({ marker }) => marker));
          const expected = [];
          for (let k = 0; settled.has(k); k++) expected.push(k);
          if (JSON.stringify(taken) !== JSON.stringify(expected)) return false;
        }
        return taken.length === order.length;
      }),
    );
    t.pass('held for all runs');
  },
);
