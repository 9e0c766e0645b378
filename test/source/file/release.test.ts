import t from 'tap';
import { planRelease } from '../../../src/source/file/release.js';
import type { Excess, KeptFacts } from '../../../src/source/file/release.js';

const LOG = 1;
const OTHER = 2;
/** A pruned backup. */
function pruned(bytes: number, facts: Partial<KeptFacts> = {}): KeptFacts {
  return { costs: [{ dev: LOG, bytes }], hasOriginal: false, isDue: true, ...facts };
}
const copy = (bytes: number): KeptFacts => ({
  costs: [{ dev: OTHER, bytes }],
  hasOriginal: true,
  isDue: false,
});
const free: KeptFacts = { costs: [], hasOriginal: true, isDue: false };

const rows: [name: string, files: KeptFacts[], excess: Partial<Excess>, chosen: number[]][] = [
  ['nothing is too much', [pruned(5), copy(5)], { bytes: 0, lacking: new Map([[LOG, -1]]) }, []],
  ['the oldest go, as many as are needed', [free, pruned(5), pruned(5), pruned(5)], { bytes: 6 }, [1, 2]],
  ['what costs nothing stays', [free, pruned(0)], { bytes: 6 }, []],
  ['what may still be read in time stays', [pruned(5, { isDue: false }), pruned(5)], { bytes: 1 }, [1]],
  ['copies of what exists go first, the newest of them', [pruned(5), copy(5), copy(5)], { bytes: 6 }, [2, 1]],
  [
    'only what is on the device that lacks room goes',
    [pruned(5), copy(5), pruned(5)],
    { lacking: new Map([[LOG, 1]]) },
    [0],
  ],
  ['a copy on another device does not help', [copy(5), pruned(5)], { lacking: new Map([[LOG, 9]]) }, [1]],
];

for (const [name, files, excess, chosen] of rows) {
  t.test(name, async (t) => {
    t.same(planRelease(files, { bytes: 0, lacking: new Map(), ...excess }), chosen);
  });
}
