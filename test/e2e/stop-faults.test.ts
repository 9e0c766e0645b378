// Ends of a run whose sink or source does not work: `--once` gives up after its deadline, a signal ends a waiting
// process, and what was not delivered is at the next start; and how fast a healthy one stops.
import t from 'tap';
import type { Test } from 'tap';
import { chmodSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { complaints, headgate, reconcile } from '../helpers/headgate.js';
import type { Running } from '../helpers/headgate.js';
import { unprivileged } from '../helpers/mounted.js';
import { NumberedRun, summaryOf, waiting, waits } from '../helpers/numbered-run.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

/** How large the log is that a hung sink is measured with. */
const LOG_BYTES = Number(process.env['HEADGATE_HUNG_LOG_BYTES'] ?? 40e6);
const TICKS_PER_SECOND = 100;

/** The processor time of a running process, in seconds. */
function cpuSeconds({ child }: Running): number {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

/** The most memory that a running process had resident. */
function peakBytes({ child }: Running): number {
  const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1];
  return Number(kib) * 1024;
}

/** A sink that cannot write: a file is where its directory should be. */
function block(root: string): () => void {
  writeFileSync(join(root, 'out'), '');
  return () => {
    renameSync(join(root, 'out'), join(root, 'was-in-the-way'));
  };
}

/** Delivers the rest in a healthy run, and holds the outputs against the log. */
async function finish(t: Test, run: NumberedRun): Promise<void> {
  const next = await headgate([...run.args, '--once']);
  t.equal(next.exitCode, 0, complaints(next));
  t.same(run.faults(), [], 'each line once after the next start');
}

t.test(
  'SIGTERM ends a process whose sink waits, after ten seconds and with 1, and nothing is lost',
  async (t) => {
    const root = temporaryDirectory(t);
    const run = new NumberedRun(root);
    run.append(1000);
    const unblock = block(root);
    const running = run.start(t);
    await waiting(running);
    running.child.kill('SIGTERM');
    t.equal(await running.exit, 1);
    t.match(running.stderr(), /DRAIN_TIMEOUT/);
    t.equal(reconcile(summaryOf(running.logs())), undefined);
    t.equal(waits(running.logs()).length, 1, 'it was told once that it waits');
    t.notMatch(running.stderr(), /goes on/, 'and it never went on');
    unblock();
    await finish(t, run);
  },
);

t.test('a second signal ends a process whose sink waits at once', async (t) => {
  const root = temporaryDirectory(t);
  const run = new NumberedRun(root);
  run.append(1000);
  const unblock = block(root);
  const running = run.start(t);
  await waiting(running);
  running.child.kill('SIGTERM');
  await until('it drains', () => running.stderr().includes('draining'));
  running.child.kill('SIGTERM');
  t.equal(await running.exit, 1);
  t.match(running.stderr(), /second SIGTERM.*RUN_SUMMARY/s);
  unblock();
  await finish(t, run);
});

for (const how of ['a second signal', '--deadline'] as const) {
  t.test(`${how} ends a process although a write hangs in the kernel`, async (t) => {
    const root = temporaryDirectory(t);
    const run = new NumberedRun(root);
    run.append(1000);
    const hang = join(root, 'hang.mjs');
    writeFileSync(
      hang,
      `import fs from 'node:fs';
       const { write } = fs;
       fs.write = (fd, data, ...rest) =>
         data.includes('"auditID"') ? void setInterval(() => {}, 1e6) : write(fd, data, ...rest);`,
    );
    const options = { nodeArgs: ['--import', hang] };
    if (how === '--deadline') {
      const ended = await headgate([...run.args, '--once', '--deadline', '1s'], options);
      t.equal(ended.exitCode, 1);
      t.match(complaints(ended), /DEADLINE/);
      t.match(ended.stderr, /RUN_SUMMARY/);
    } else {
      const running = run.start(t, [], options);
      await until('the sink has begun', () => readdirSync(root).includes('out'));
      running.child.kill('SIGTERM');
      await until('it drains', () => running.stderr().includes('draining'));
      running.child.kill('SIGTERM');
      t.equal(await running.exit, 1);
      t.match(running.stderr(), /RUN_SUMMARY/);
    }
    await finish(t, run);
  });
}

t.test(
  '--once gives up on a log that it may not read after the deadline, and is idle meanwhile',
  async (t) => {
    const user = unprivileged();
    if (!user) return void t.pass('', { skip: 'no other user may run the program here' });
    const root = temporaryDirectory(t);
    chmodSync(root, 0o755);
    const run = new NumberedRun(root);
    run.append(10);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) run.giveTo(user);
    chmodSync(run.log, 0);
    const running = run.start(t, ['--once', '--deadline', '8s'], isRoot ? { user } : {});
    await until('it is told', () => running.logs().some(({ code }) => code === 'SOURCE_READ'));
    const [fromMs, fromCpu] = [performance.now(), cpuSeconds(running)];
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    const share = (cpuSeconds(running) - fromCpu) / ((performance.now() - fromMs) / 1000);
    t.ok(share < 0.5, `${Math.round(share * 100)} % of a core`);
    t.equal(await running.exit, 1);
    t.match(running.stderr(), /DEADLINE.*RUN_SUMMARY/s);
    t.equal(running.logs().filter(({ code }) => code === 'SOURCE_READ').length, 1);
  },
);

t.test('memory stays below 200 MB while a sink hangs over a large log', async (t) => {
  const root = temporaryDirectory(t);
  const run = new NumberedRun(root);
  while (run.lines.length * 5_300 < LOG_BYTES) run.append(2_000, 10_000);
  block(root);
  const running = run.start(t);
  await waiting(running);
  let last = -1;
  let stableMs = performance.now();
  await until('it is idle', () => {
    const now = cpuSeconds(running);
    if (now - last > 0.05) [last, stableMs] = [now, performance.now()];
    return performance.now() - stableMs > 1_000;
  });
  const peak = Math.round(peakBytes(running) / 1e6);
  t.comment(`${peak} MB with ${Math.round(LOG_BYTES / 1e6)} MB unread`);
  t.ok(peak < 200, `${peak} MB resident`);
  running.child.kill('SIGKILL');
  await running.exit;
});

t.test('SIGTERM with 1,000 files open stops at once', async (t) => {
  const root = temporaryDirectory(t);
  const path = '{{ auditID ?? "none" }}.log';
  const run = new NumberedRun(root, { path, sink: ', max_open_files: 1000' });
  run.append(1000);
  const running = run.start(t);
  const open = (): number => readdirSync(`/proc/${running.child.pid}/fd`).length;
  await until('1,000 files are open', () => open() > 1000, 60_000);
  const stoppedMs = performance.now();
  running.child.kill('SIGTERM');
  t.equal(await running.exit, 0);
  const tookMs = Math.round(performance.now() - stoppedMs);
  t.comment(`stopped after ${tookMs} ms`);
  // The contract is a second; machines that run tests are slow.
  t.ok(tookMs < 20_000, `stopped after ${tookMs} ms`);
  t.equal(summaryOf(running.logs())['headgate_events_in_flight'], 0);
  rmSync(join(root, 'out'), { recursive: true });
});
