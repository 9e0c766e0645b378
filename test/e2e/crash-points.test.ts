// The whole program, killed at chosen changes to the disk (half a write, then SIGKILL), in every second case once more
// while it recovers, then run to the end: each line is in the outputs exactly once, in order, every `.gz` is whole.
import t from 'tap';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { numberedLine } from '../helpers/audit-lines.js';
import { crashPipeline, faultsOf, MODES } from '../helpers/crash-run.js';
import { complaints, headgate } from '../helpers/headgate.js';
import { Lumberjack } from '../helpers/lumberjack.js';
import { temporaryDirectory } from '../helpers/temporary.js';

const POINTS = Number(process.env['HEADGATE_CRASH_POINTS'] ?? 12);
const preload = fileURLToPath(new URL('../helpers/die-at-change.mjs', import.meta.url));

const start = Date.UTC(2026, 10, 21, 10);
const lines = Array.from({ length: 400 }, (_, i) => numberedLine(i, start + i * 1000));

for (const mode of MODES) {
  t.test(`${mode}: exactly once, whichever change to the disk is the last one`, async (t) => {
    const root = temporaryDirectory(t);
    const fresh = (): string => {
      const directory = join(root, 'run');
      rmSync(directory, { recursive: true, force: true });
      for (const name of ['log', 'state']) mkdirSync(join(directory, name), { recursive: true });
      const writer = new Lumberjack(join(directory, 'log/audit.log'), { maxBytes: 60_000, compress: true });
      for (const { line } of lines) writer.write(line);
      writer.close();
      return directory;
    };
    const run = async (directory: string, dieAt?: number) => {
      const args = crashPipeline(directory, mode, '20KiB');
      const env = {
        HEADGATE_TEST_CHANGES: join(directory, 'changes'),
        ...(dieAt === undefined ? {} : { HEADGATE_TEST_DIE_AT: String(dieAt) }),
      };
      return headgate([...args, '--once', '--deadline', '120s'], {
        nodeArgs: ['--import', preload],
        env,
      });
    };

    const whole = fresh();
    t.equal((await run(whole)).exitCode, 0);
    t.same(faultsOf(whole, lines), [], 'a run without a crash');
    const total = Number(readFileSync(join(whole, 'changes'), 'utf8'));
    t.ok(total > 50, `${total} changes to the disk`);

    const faults: string[] = [];
    let died = 0;
    const step = Math.max(1, Math.floor(total / POINTS));
    for (let k = 1; k <= total; k += step) {
      const directory = fresh();
      if ((await run(directory, k)).exitCode === 'SIGKILL') died++;
      if (died % 2 === 0) await run(directory, 1 + (k % 13));
      const last = await run(directory);
      if (last.exitCode !== 0) faults.push(`at change ${k}: exit code ${last.exitCode}: ${complaints(last)}`);
      faults.push(...faultsOf(directory, lines).map((fault) => `at change ${k}: ${fault}`));
    }
    // A busy machine makes fewer, larger changes: some points lie behind the last one.
    t.ok(died >= Math.min(POINTS, total) * 0.5, `${died} runs died where they should`);
    t.same(faults, []);
  });
}
