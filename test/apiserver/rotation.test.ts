// Headgate follows while kube-apiserver's own log backend rotates, compresses and prunes: every line that it wrote is
// in the outputs exactly once, in order.
import t from 'tap';
import type { Test } from 'tap';
import { mkdirSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildApiserver, startApiserver, witnessed } from '../helpers/apiserver.js';
import { crashPipeline, faultsOf } from '../helpers/crash-run.js';
import { complaints, finished, reconcile, startHeadgate } from '../helpers/headgate.js';
import type { Running } from '../helpers/headgate.js';
import { Lumberjack } from '../helpers/lumberjack.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

/** Waits until everything is delivered, stops Headgate, and holds the outputs against what the log backend wrote. */
async function expectExact(t: Test, root: string, running: Running): Promise<void> {
  const size = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  const expected = size(join(root, 'witness'));
  const delivered = (): number =>
    readdirSync(join(root, 'out')).reduce((sum, name) => sum + size(join(root, 'out', name)), 0);
  await until('all is delivered', () => delivered() >= expected, 60_000).catch((error: unknown) => {
    t.fail(`${String(error)}: ${delivered()} of ${expected} bytes`);
  });
  running.child.kill('SIGTERM');
  const run = await finished(running);
  t.equal(run.exitCode, 0, complaints(run));
  t.equal(complaints(run), '');
  t.equal(reconcile(run.counters['p'] ?? {}), undefined);
  const lines = witnessed(join(root, 'witness'));
  t.same(faultsOf(root, lines), [], `${lines.length} lines`);
}

function tests(command: string): void {
  const start = (t: Test): { root: string; log: Lumberjack; follow: () => Promise<Running> } => {
    const root = temporaryDirectory(t);
    for (const name of ['log', 'out', 'state']) mkdirSync(join(root, name));
    const args = crashPipeline(root, 'raw', '1MiB');
    // As the apiserver leaves it at its start.
    writeFileSync(join(root, 'log/audit.log'), '');
    const follow = async (): Promise<Running> => {
      const running = startHeadgate(args);
      t.teardown(() => running.child.kill('SIGKILL'));
      await until('Headgate has started', () => running.stderr().includes('started'));
      return running;
    };
    return { root, log: new Lumberjack(join(root, 'log/audit.log')), follow };
  };
  const write = (t: Test, root: string, args: string[]) =>
    startApiserver(t, command, [
      ...['--witness', join(root, 'witness'), '--audit-log-path', join(root, 'log/audit.log')],
      ...['--audit-log-maxsize', '1', ...args],
    ]).finished;

  for (const compression of [[], ['--audit-log-compress']]) {
    const name = compression.length > 0 ? 'with compression' : 'plain backups';
    t.test(`a rotation every few milliseconds, ${name}: exact`, async (t) => {
      const { root, log, follow } = start(t);
      const running = await follow();
      // At least 10 events, of which a request has 3 at most, and 1 ms a request: no two rotations in a millisecond.
      const pace = ['--rate', '1000', '--count', '1500', '--megabyte', '10000'];
      await write(t, root, [...pace, '--audit-log-maxbackup', '0', ...compression]);
      t.ok(log.backups().length > 150, `${log.backups().length} backups`);
      await expectExact(t, root, running);
    });
  }

  t.test('all but eight backups pruned while Headgate keeps up: exact', async (t) => {
    const { root, log, follow } = start(t);
    const running = await follow();
    // A rotation every 400 ms or so, so that a backup exists for three seconds: a slow machine has to see it in time.
    const pace = ['--rate', '100', '--count', '900', '--megabyte', '60000'];
    await write(t, root, [...pace, '--audit-log-maxbackup', '8', '--audit-log-compress']);
    await until('the rest is pruned', () => log.backups().length <= 9);
    t.ok(statSync(join(root, 'witness')).size > 15 * 60_000, 'there were many more');
    await expectExact(t, root, running);
  });

  t.test('backups pruned while Headgate holds them unread: exact', async (t) => {
    const { root, log, follow } = start(t);
    const bodies = ['--body-bytes', '100000', '--audit-log-maxbackup'];
    await write(t, root, ['--count', '2500', ...bodies, '0']);
    const backlog = log.backups().length;
    t.ok(backlog >= 30 && backlog < 200, `${backlog} backups`);
    const running = await follow();
    const held = (): string[] => {
      const directory = `/proc/${running.child.pid}/fd`;
      return readdirSync(directory).flatMap((fd) => {
        try {
          const target = readlinkSync(join(directory, fd));
          return target.startsWith(join(root, 'log/audit-')) ? [target] : [];
        } catch {
          return []; // closed meanwhile
        }
      });
    };
    await until('Headgate holds the backlog', () => held().length >= backlog - 1);
    running.child.kill('SIGSTOP');
    // A second life of the apiserver: it begins with pruning, and what it writes itself fits into what it keeps.
    await write(t, root, ['--count', '200', '--seed', '2', ...bodies, '5']);
    await until('the backlog is pruned', () => log.backups().length <= 6);
    const pruned = held().filter((target) => target.endsWith(' (deleted)')).length;
    t.ok(pruned > 10, `${pruned} pruned backups are held`);
    running.child.kill('SIGCONT');
    await expectExact(t, root, running);
  });
}

const built = await buildApiserver(t);
if ('missing' in built) t.skip(built.missing, async () => undefined);
else tests(built.command);
