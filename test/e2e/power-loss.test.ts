// Whole pipelines, in process, on a disk that loses at a power cut whatever was not made durable: dead at chosen changes
// to the disk, of a kill or of a power cut, in half of the cases again while they recover, then run to the end. Each
// line is in the outputs exactly once, in order, and stays there through one more power cut; each broken line is in the
// quarantine exactly once; the position file is whole. With `durability: write` that holds for kills.
import t from 'tap';
import { configsOf, MODES, tryPoint } from '../helpers/mortal-pipeline.js';

/** How many points of each mode are tried; `npm run test:crash` tries every one. */
const POINTS = Number(process.env['HEADGATE_CRASH_POINTS'] ?? 6);
/** What chance decides is the same for the same seed, as far as the order of operations is. */
const SEED = Number(process.env['HEADGATE_CRASH_SEED'] ?? Math.floor(Math.random() * 1e6));

for (const mode of MODES) {
  t.test(`${mode.name}: exactly once, whichever change to the disk is the last one`, async (t) => {
    const configs = await configsOf(t.testdir(), mode);
    const whole = await tryPoint({ configs, mode, dieAt: Infinity, seed: SEED });
    t.same(whole.faults, [], `without a crash in the first life, seed ${SEED}\n${whole.fates.join('\n')}`);
    t.ok(whole.changes > 100, `${whole.changes} changes to the disk`);
    const step = Math.max(1, Math.floor(whole.changes / POINTS));
    let bad = 0;
    for (let dieAt = 1; dieAt <= whole.changes; dieAt += step) {
      const { faults, fates } = await tryPoint({ configs, mode, dieAt, seed: SEED + dieAt });
      if (faults.length === 0 || ++bad > 3) continue;
      t.fail(`at change ${dieAt}, HEADGATE_CRASH_SEED=${SEED}`, { faults, fates });
    }
    t.equal(bad, 0, `bad points, HEADGATE_CRASH_SEED=${SEED}`);
  });
}
