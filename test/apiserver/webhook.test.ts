// kube-apiserver's own webhook client posts to Headgate by mTLS, with the kubeconfig that `headgate webhook kubeconfig` made,
// while its log backend writes the same events: per user the outputs are what the log holds, byte for byte, each line
// once, and the client counts no error. HEADGATE_WEBHOOK_KILLS and HEADGATE_WEBHOOK_REQUESTS make it longer.
import t from 'tap';
import type { Test } from 'tap';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { answerCutter } from '../helpers/answer-cutter.js';
import type { AnswerCutter } from '../helpers/answer-cutter.js';
import { buildApiserver, startApiserver } from '../helpers/apiserver.js';
import type { Summary, Writing } from '../helpers/apiserver.js';
import { compareLines } from '../helpers/audit-lines.js';
import { complaints, finished, headgate, reconcile, startHeadgate } from '../helpers/headgate.js';
import type { Running } from '../helpers/headgate.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';
import { webhook } from '../helpers/webhook-command.js';

const KILLS = Number(process.env['HEADGATE_WEBHOOK_KILLS'] ?? 2);
const REQUESTS = process.env['HEADGATE_WEBHOOK_REQUESTS'] ?? '600';
const CUTS = 3;
/** Between two faults so much is delivered. */
const SOME_BYTES = 50_000;

// Four tries again, 16 s together: longer than Headgate needs to be there again on a slow machine.
const PATIENCE = ['--audit-webhook-initial-backoff', '2s'];
const BATCH = ['--audit-webhook-batch-max-wait', '100ms', '--audit-webhook-batch-throttle-qps', '100'];
/** Of each mode: its flags, and whether its events come in the order of the log. */
const MODES: Record<string, { flags: string[]; isOrdered: boolean }> = {
  // Batches are sent at the same time, and those that are tried again come later.
  batch: { flags: [...BATCH, '--audit-webhook-batch-max-size', '50'], isOrdered: false },
  blocking: { flags: [], isOrdered: true },
  'blocking-strict': { flags: [], isOrdered: true },
};

interface Setting {
  root: string;
  proxy: AnswerCutter;
  /** Starts Headgate; resolves when it takes events. */
  start: () => Promise<Running>;
  /** Starts the API server's part. */
  write: (args: string[]) => Writing;
  /** Resolves when so many more bytes are in the outputs. */
  delivered: (bytes: number) => Promise<void>;
}

async function setUp(t: Test, command: string, mode: string): Promise<Setting> {
  const root = temporaryDirectory(t);
  const proxy = await answerCutter(t);
  const made = await webhook(
    ...['kubeconfig', '--out', join(root, 'webhook'), '--mode', mode],
    ...['--server', `https://127.0.0.1:${proxy.port}/audit`],
  );
  t.equal(made.exitCode, 0, made.stderr);
  mkdirSync(join(root, 'state'));
  const source = await webhook('kubeconfig', '--out', join(root, 'webhook'), '--print', 'source');
  const pipeline = join(root, 'p.yaml');
  writeFileSync(
    pipeline,
    `${source.stdout.replace('127.0.0.1:9443', '127.0.0.1:0')}
routes: [{ to: files }]
commit_interval: 50ms
sinks:
  files:
    type: files
    base_dir: '${root}/out'
    path: '{{ user.username ?? "none" }}/audit'
    rotate: { max_bytes: 64KiB }
`,
  );
  const start = async (): Promise<Running> => {
    const running = startHeadgate(['run', '--state-dir', join(root, 'state'), pipeline]);
    t.teardown(() => running.child.kill('SIGKILL'));
    const port = () => running.logs().find(({ code }) => code === 'WEBHOOK_LISTENING')?.['port'];
    await until('Headgate takes events', () => port() !== undefined, 60_000).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${running.stderr().slice(-1000)}`);
    });
    proxy.target = port() as number;
    return running;
  };
  const write = (args: string[]): Writing =>
    startApiserver(t, command, [
      ...['--audit-log-path', join(root, 'audit.log'), '--witness', join(root, 'witness')],
      ...['--audit-webhook-config-file', join(root, 'webhook/apiserver/kubeconfig.yaml')],
      ...['--audit-webhook-mode', mode, ...PATIENCE, ...(MODES[mode]?.flags ?? []), ...args],
    ]);
  const delivered = async (bytes: number): Promise<void> => {
    const before = bytesBelow(join(root, 'out'));
    await until('events come', () => bytesBelow(join(root, 'out')) >= before + bytes, 60_000);
  };
  return { root, proxy, start, write, delivered };
}

/** Of all files; none where the directory is not there. */
function bytesBelow(directory: string): number {
  if (!existsSync(directory)) return 0;
  const names = readdirSync(directory, { recursive: true, encoding: 'utf8' });
  const stats = names.map((name) => statSync(join(directory, name), { throwIfNoEntry: false }));
  return stats.reduce((sum, stat) => sum + (stat?.isFile() === true ? stat.size : 0), 0);
}

/** The lines of each user, in their order. */
function byUser(lines: readonly string[]): Map<string, string[]> {
  const users = new Map<string, string[]>();
  for (const line of lines) {
    const { user } = JSON.parse(Buffer.from(line, 'latin1').toString()) as { user: { username?: string } };
    const of = users.get(user.username ?? 'none');
    if (of) of.push(line);
    else users.set(user.username ?? 'none', [line]);
  }
  return users;
}

/** Closed files first, in the order of their numbers, then the open one. */
function writeOrder(a: string, b: string): number {
  const number = (path: string): number => Number(/~(\d+)$/.exec(path)?.[1] ?? Infinity);
  return number(a) - number(b);
}

/** Stops Headgate, delivers what is left, and holds the outputs against the log of the same run. */
async function expectExact(
  t: Test,
  { root }: Setting,
  running: Running,
  { events, counters }: Summary,
  isOrdered: boolean,
): Promise<Record<string, number>> {
  t.equal(counters.apiserver_audit_error_total, undefined, 'the API server counts no error');
  t.equal(counters.apiserver_audit_requests_rejected_total, 0, 'and no rejected request');
  running.child.kill('SIGTERM');
  const run = await finished(running);
  t.equal(run.exitCode, 0, complaints(run));
  t.equal(reconcile(run.counters['p'] ?? {}), undefined);
  const args = ['run', '--once', '--deadline', '120s', '--state-dir', join(root, 'state')];
  const last = await headgate([...args, join(root, 'p.yaml')]);
  t.equal(last.exitCode, 0, complaints(last));

  const logged = linesOf(readFileSync(join(root, 'witness')));
  t.equal(logged.length, events, 'the log backend wrote every event');
  const outputs = readOutputs(join(root, 'out'));
  const directories = new Map<string, string[]>();
  for (const path of [...outputs.keys()].sort(writeOrder)) {
    const directory = path.split('/')[0] ?? '';
    const lines = directories.get(directory) ?? [];
    directories.set(directory, [...lines, ...linesOf(outputs.get(path) ?? Buffer.alloc(0))]);
  }
  const found = new Map<string, string[]>();
  for (const [directory, lines] of directories) {
    const users = byUser(lines);
    t.equal(users.size, 1, `one user in ${directory}`);
    for (const [user, of] of users) found.set(user, of);
  }
  const arrange = (lines: readonly string[]): readonly string[] => (isOrdered ? lines : [...lines].sort());
  const expected = byUser(logged);
  t.same([...found.keys()].sort(), [...expected.keys()].sort());
  const faults = [...expected].flatMap(
    ([user, lines]) => compareLines(user, arrange(found.get(user) ?? []), arrange(lines)) ?? [],
  );
  t.same(faults, [], `${logged.length} lines`);
  return run.counters['p'] ?? {};
}

function tests(command: string): void {
  for (const [mode, { isOrdered }] of Object.entries(MODES)) {
    const set = (t: Test): Promise<Setting> => setUp(t, command, mode);

    const name = `${mode}: exactly what the log backend wrote, while Headgate is killed ${KILLS} times`;
    t.test(name, async (t) => {
      const setting = await set(t);
      let running = await setting.start();
      const writing = setting.write(['--until-eof', '--rate', '300', '--body-bytes', '2000']);
      for (let kill = 0; kill < KILLS; kill++) {
        await setting.delivered(SOME_BYTES);
        // The instant is the point of the test; nothing is waited for.
        await sleep(Math.random() * 200);
        running.child.kill('SIGKILL');
        setting.proxy.target = undefined;
        t.equal(await running.exit, 'SIGKILL');
        running = await setting.start();
      }
      await setting.delivered(SOME_BYTES);
      await expectExact(t, setting, running, await writing.stop(), isOrdered);
    });

    t.test(`${mode}: while an output is stalled events are taken, and it gets them later`, async (t) => {
      const setting = await set(t);
      // A file is where the directory is to be.
      writeFileSync(join(setting.root, 'out'), '');
      const running = await setting.start();
      const summary = await setting.write(['--count', REQUESTS, '--body-bytes', '2000']).finished;
      const spooled = bytesBelow(join(setting.root, 'state/p~spool'));
      t.ok(spooled > statSync(join(setting.root, 'witness')).size, 'all are in the spool');
      rmSync(join(setting.root, 'out'));
      await expectExact(t, setting, running, summary, isOrdered);
    });

    t.test(`${mode}: when answers are lost, what is sent again is not written again`, async (t) => {
      const setting = await set(t);
      const running = await setting.start();
      const writing = setting.write(['--until-eof', '--rate', '200', '--body-bytes', '2000']);
      for (let cut = 0; cut < CUTS; cut++) {
        await setting.delivered(SOME_BYTES);
        setting.proxy.hold();
        // What Headgate sends now, on connections that exist, are answers to what is on its disk.
        await until('an answer is lost', () => setting.proxy.heldBytes() > 0, 60_000);
        setting.proxy.cut();
      }
      await setting.delivered(SOME_BYTES);
      const counters = await expectExact(t, setting, running, await writing.stop(), isOrdered);
      t.ok((counters['headgate_webhook_duplicates_total'] ?? 0) > 0, 'some came again');
    });
  }
}

const built = await buildApiserver(t);
if ('missing' in built) t.skip(built.missing, async () => undefined);
else tests(built.command);
