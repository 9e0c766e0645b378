// A pipeline with a webhook source, in process, on a disk that loses at a power cut whatever was not made durable: dead
// at chosen changes to the disk, of a kill or of a power cut, and again while it recovers. A client sends each batch until
// it is answered, and some twice. Each event is in the output exactly once.
import t from 'tap';
import { liveAndDie, webhookConfig } from '../../helpers/webhook-lives.js';

/** How many points are tried; `npm run test:crash` tries every one. */
const POINTS = Number(process.env['HEADGATE_CRASH_POINTS'] ?? 8);
const SEED = Number(process.env['HEADGATE_CRASH_SEED'] ?? Math.floor(Math.random() * 1e6));

t.test('exactly once, whichever change to the disk is the last one', async (t) => {
  const config = await webhookConfig(t.testdir());
  const whole = await liveAndDie(config, Infinity, SEED);
  t.same(whole.faults, [], `without a crash, seed ${SEED}`);
  t.ok(whole.changes > 100, `${whole.changes} changes to the disk`);
  const step = Math.max(1, Math.floor(whole.changes / POINTS));
  let bad = 0;
  for (let dieAt = 1; dieAt <= whole.changes; dieAt += step) {
    const { faults, fates } = await liveAndDie(config, dieAt, SEED + dieAt);
    if (faults.length === 0 || ++bad > 3) continue;
    t.fail(`at change ${dieAt}, HEADGATE_CRASH_SEED=${SEED}`, { faults, fates });
  }
  t.equal(bad, 0, `bad points, HEADGATE_CRASH_SEED=${SEED}`);
});
