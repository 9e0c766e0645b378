// Disks that fill up, turn read-only or vanish under a running headgate, and processes without file descriptors: it
// waits, says so once, and goes on by itself; each line is delivered exactly once.
import t from 'tap';
import type { Test } from 'tap';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { reconcile } from '../helpers/headgate.js';
import type { Running } from '../helpers/headgate.js';
import { mountTmpfs, remount, unprivileged } from '../helpers/mounted.js';
import { NumberedRun, summaryOf, waiting, waits } from '../helpers/numbered-run.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const NO_MOUNT = 'this user may not mount a file system';

/** Takes all the space that is left; returns how to give it back. */
function fill(directory: string): () => void {
  const path = join(directory, 'filler');
  const { bavail, bsize } = statfsSync(directory);
  writeFileSync(path, Buffer.alloc(bavail * bsize, 'x'));
  return () => {
    rmSync(path);
  };
}

async function stop(t: Test, running: Running): Promise<void> {
  running.child.kill('SIGTERM');
  t.equal(await running.exit, 0, running.stderr().slice(-1000));
  const counters = summaryOf(running.logs());
  t.equal(reconcile(counters), undefined);
  t.equal(counters['headgate_events_in_flight'], 0);
  t.equal(counters['headgate_components_waiting'], 0);
}

/** After a fault that was waited out: told once, counted, and over. */
async function stopAfterWait(t: Test, running: Running): Promise<void> {
  await stop(t, running);
  const logs = running.logs();
  const told = waits(logs).map(({ component }) => component);
  t.equal(told.length, new Set(told).size, 'it is told once of each component');
  t.ok(
    logs.some(({ code, level }) => code === 'SINK_WAITING' && level === 'info'),
    'and that it goes on',
  );
  const counters = summaryOf(logs);
  t.ok((counters['headgate_retries_total'] ?? 0) > 0, 'retries are counted');
  t.ok((counters['headgate_waiting_seconds_total'] ?? 0) > 0, 'and how long it waited');
}

t.test('a full disk below base_dir is waited out', async (t) => {
  const root = temporaryDirectory(t);
  const baseDir = join(root, 'mount');
  if (!mountTmpfs(t, baseDir, '2m')) return void t.pass('', { skip: NO_MOUNT });
  const run = new NumberedRun(root, {
    baseDir,
    sink: ', rotate: { max_bytes: 100KiB }, compress: on_rotate',
  });
  run.append(200);
  const running = run.start(t);
  await run.delivered();
  const free = fill(baseDir);
  run.append(1000);
  t.equal(await waiting(running), 'ENOSPC');
  free();
  await until('it goes on', () => running.logs().some(({ msg }) => msg.includes('goes on')));
  await stopAfterWait(t, running);
  t.equal(await run.start(t, ['--once']).exit, 0, 'compresses what is left');
  t.same(run.faults(), []);
});

t.test('a full state directory is waited out', async (t) => {
  const root = temporaryDirectory(t);
  const run = new NumberedRun(root);
  if (!mountTmpfs(t, run.state, '1m')) return void t.pass('', { skip: NO_MOUNT });
  run.append(200);
  const running = run.start(t);
  await run.delivered();
  const free = fill(run.state);
  run.append(200);
  t.equal(await waiting(running), 'ENOSPC');
  t.equal(waits(running.logs())[0]?.['component'], 'state');
  free();
  await run.delivered();
  await stopAfterWait(t, running);
  t.same(run.faults(), []);
});

t.test('a base_dir that becomes read-only is waited out', async (t) => {
  const root = temporaryDirectory(t);
  const baseDir = join(root, 'mount');
  if (!mountTmpfs(t, baseDir, '4m')) return void t.pass('', { skip: NO_MOUNT });
  // Files that are open for writing keep a file system from becoming read-only, so they are closed soon.
  const run = new NumberedRun(root, { baseDir, sink: ', rotate: { max_age: 100ms }' });
  run.append(100);
  const running = run.start(t);
  await run.delivered();
  await until('it is read-only', () => remount(baseDir, 'ro'));
  run.append(100);
  t.equal(await waiting(running), 'EROFS');
  remount(baseDir, 'rw');
  await run.delivered();
  await stopAfterWait(t, running);
  t.same(run.faults(), []);
});

t.test('a base_dir that may not be made is waited for', async (t) => {
  const user = unprivileged();
  if (!user) return void t.pass('', { skip: 'no other user may run the program here' });
  const root = temporaryDirectory(t);
  chmodSync(root, 0o755);
  const locked = join(root, 'locked');
  mkdirSync(locked, { mode: 0o500 });
  if (process.getuid?.() === 0) chownSync(locked, user.uid, user.gid);
  const run = new NumberedRun(root, { baseDir: join(locked, 'not/yet') });
  run.append(100);
  if (process.getuid?.() === 0) run.giveTo(user);
  const running = run.start(t, [], process.getuid?.() === 0 ? { user } : {});
  t.equal(await waiting(running), 'EACCES');
  chmodSync(locked, 0o700);
  await run.delivered();
  await stopAfterWait(t, running);
  t.same(run.faults(), []);
});

t.test('a base_dir that is removed costs what was committed there, and nothing else', async (t) => {
  const root = temporaryDirectory(t);
  // So that what follows the first run is written and not committed when its files go.
  const run = new NumberedRun(root, { commitInterval: '5s' });
  run.append(100);
  const first = run.start(t, ['--once']);
  t.equal(await first.exit, 0, first.stderr().slice(-1000));
  run.append(100);
  const running = run.start(t);
  await run.delivered();
  rmSync(join(root, 'out'), { recursive: true });
  await until('the pipeline starts again', () =>
    running.stderr().includes('starts again from its last commit'),
  );
  run.append(100);
  await run.delivered(100);
  await stop(t, running);
  t.same(run.faults(100), [], 'what was not committed is written again, once');
  t.match(running.stderr(), /OUTPUT_TOUCHED.*team-a\.log/);
});

t.test(
  'a base_dir that is removed while nothing is written to it is made again for what comes',
  async (t) => {
    const root = temporaryDirectory(t);
    const run = new NumberedRun(root, { sink: ', rotate: { max_age: 100ms }' });
    run.append(100);
    const running = run.start(t);
    await run.delivered();
    const isClosed = (): boolean => readdirSync(join(root, 'out')).every((name) => name.includes('~'));
    await until('all files are closed', isClosed);
    const record = (): string => readFileSync(join(run.state, 'p.position.json'), 'utf8');
    await until('and committed', () => record().split('"closed": true').length > 4);
    rmSync(join(root, 'out'), { recursive: true });
    run.append(100);
    await run.delivered(100);
    await stop(t, running);
    t.same(run.faults(100), []);
  },
);

t.test('a process that may open few files lives within that, with many outputs', async (t) => {
  const root = temporaryDirectory(t);
  const path = '{{ tag }}/{{ auditID ?? "none" }}.log'; // 600 outputs, far more than there are descriptors.
  const run = new NumberedRun(root, { path });
  run.append(600);
  const running = run.start(t, ['--once'], {
    under: ['sh', '-c', 'ulimit -n 200; exec "$0" "$@"'],
  });
  t.equal(await running.exit, 0, running.stderr().slice(-1000));
  const outputs = readdirSync(join(root, 'out'), { recursive: true }).filter((name) =>
    String(name).endsWith('.log'),
  );
  t.equal(outputs.length, 600);
  const found = outputs.map((name) => readFileSync(join(root, 'out', String(name)), 'utf8')).sort();
  t.ok(
    found.join('') ===
      run.lines
        .map(({ line }) => `${line}\n`)
        .sort()
        .join(''),
    'each line once',
  );
  const logs = running.logs();
  t.match(waits(logs)[0], { cause: 'EMFILE' });
  const told = waits(logs).map(({ component }) => component);
  t.equal(told.length, new Set(told).size, 'told once of each component');
});
