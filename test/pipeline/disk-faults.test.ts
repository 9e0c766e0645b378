// Every operation on the disk that a run of a pipeline makes, at each place where it makes it, fails with each error for
// a while: delivery waits and goes on by itself, nothing is lost or doubled, and it is told once.
import t from 'tap';
import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { FaultyDisk, operations } from '../helpers/faulty-disk.js';
import type { FaultPlan, Operation } from '../helpers/faulty-disk.js';
import type { FileSystem } from '../../src/file-system.js';
import { FaultPipeline } from '../helpers/fault-pipeline.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const CODES = ['ENOSPC', 'EDQUOT', 'EROFS', 'EIO', 'EMFILE', 'ENFILE', 'EACCES'];
/**
 * With `HEADGATE_DISK_FAULTS=all` each place is a run of its own, with every error. Otherwise the places of an operation
 * share a run and take some of the errors in turn; a failed sync costs a restart of the pipeline, and that a second.
 */
const isFull = process.env['HEADGATE_DISK_FAULTS'] === 'all';
const [CODES_A_RUN, SYNC_CODES_A_RUN] = isFull ? [7, 7] : [4, 1];
/** Cases that run at the same time: they mostly wait. */
const PARALLEL = 8;
const LINES_BEFORE = 60;
/** Made by the source alone, for `retain_unread` and links: `test/source/file/*.test.ts`. */
const OF_THE_SOURCE = ['readlink', 'reflink', 'statfs'];
const REMIND_EVERY_MS = 30_000;

/** Undefined for what belongs to the source: its faults are told, and tested, as its own. */
function placeOf(root: string, path: string): string | undefined {
  if (!path.startsWith(root)) return undefined; // The source looks at /proc, too.
  if (path.includes('.position.json')) return 'the position';
  if (path.includes('.closed.jsonl')) return 'the catalog';
  if (path.includes('quarantine')) return 'the quarantine';
  if (path.includes('~retained')) return undefined;
  if (path.startsWith(join(root, 'state'))) return 'the state directory';
  if (path.startsWith(join(root, 'log'))) return undefined;
  if (path.endsWith('gz')) return path.endsWith('/gz') ? 'a directory of outputs' : 'a compressed output';
  return path.endsWith('.log') ? 'an output' : 'a directory of outputs';
}

/**
 * A pipeline that was killed with something behind its receipts goes on over this disk, while its log grows. Resolves
 * to what is wrong in the end.
 */
async function run(t: { teardown(run: () => void): unknown }, plan: (root: string) => FaultPlan | undefined) {
  const root = temporaryDirectory(t);
  const pipeline = new FaultPipeline(root);
  await pipeline.start();
  pipeline.append(LINES_BEFORE);
  await pipeline.delivered();
  const before = pipeline.eventCount;
  await pipeline.end('kill').catch(() => undefined);
  for (const name of readdirSync(join(root, 'plain')))
    appendFileSync(join(root, 'plain', name, 'x.log'), 'a tail');

  pipeline.addSink();
  pipeline.logs.length = 0;
  let mostWaiting = 0;
  const seen = new Map<keyof FileSystem, Map<string, number>>();
  const disk = new FaultyDisk(plan(root), (operation, path) => {
    mostWaiting = Math.max(mostWaiting, pipeline.pipeline.metrics.componentsWaiting);
    const place = placeOf(root, path);
    if (place === undefined) return;
    const times = seen.get(operation) ?? new Map<string, number>();
    seen.set(operation, times.set(place, (times.get(place) ?? 0) + 1));
  });
  await pipeline.start(disk.fs);
  let isOver = false;
  pipeline.ended().then(
    () => (isOver = true),
    () => (isOver = true),
  );
  for (let i = 0; i < 60 && !(i > 2 && disk.missing().length === 0) && !isOver; i++) {
    pipeline.append(30);
    await pipeline.delivered(before);
  }
  await until('nothing waits', () => isOver || pipeline.pipeline.metrics.componentsWaiting === 0);
  const faults = pipeline.counterFaults(LINES_BEFORE);
  await pipeline.end().catch((error: unknown) => faults.push(`the pipeline halted: ${String(error)}`));
  if (pipeline.listenerCount > 3) faults.push(`${pipeline.listenerCount} listeners of lives that are over`);
  const { logs } = pipeline;
  const { retries, componentsWaiting } = pipeline.pipeline.metrics;
  if (componentsWaiting !== 0) faults.push('waits at its end');
  // What was still to be compressed when it stopped.
  await pipeline.start(undefined, true);
  await pipeline.ended();
  faults.push(...pipeline.faults());
  return { faults, logs, disk, seen, retries, mostWaiting };
}

/** An operation that fails, and how often a healthy run makes it at each of its places. */
interface Case {
  operation: Operation;
  times: ReadonlyMap<string, number>;
}

let codesTaken = 0;
function nextCode(): string {
  return CODES[codesTaken++ % CODES.length] ?? 'EIO';
}

async function tryFault(
  t: { teardown(run: () => void): unknown },
  { operation, times }: Case,
): Promise<string[]> {
  const isRestart = operation === 'fdatasync' || operation === 'fsync' || operation === 'close';
  const count = isRestart ? SYNC_CODES_A_RUN : CODES_A_RUN;
  const codes = operation === 'short write' ? ['short'] : Array.from({ length: count }, () => nextCode());
  const startedMs = performance.now();
  const { faults, logs, disk, retries, mostWaiting } = await run(t, (root) => ({
    operation,
    places: [...times.keys()],
    placeOf: (path) => placeOf(root, path),
    codes,
    inARow: isRestart ? 1 : 2,
    // What happens seldom fails each time; what is frequent at several points of the run.
    between: (place) => (isRestart || (times.get(place) ?? 0) < 60 ? 0 : 3),
  }));
  const missing = disk.missing();
  if (missing.length > 0) faults.push(`never made: ${missing.join(', ')}`);
  if (operation !== 'short write') {
    if (retries === 0) faults.push('no retry was counted');
    if (mostWaiting === 0) faults.push('no component was waiting');
    const told = logs.filter(({ code, level }) => code === 'SINK_WAITING' && level === 50);
    const components = new Set(told.map(({ component }) => component));
    if (told.length === 0) faults.push('it was not told');
    const reminders = Math.floor((performance.now() - startedMs) / REMIND_EVERY_MS);
    if (told.length > components.size * (1 + reminders))
      faults.push(`told ${told.length} times of ${components.size} components`);
    const isOver = logs.filter(({ code, level }) => code === 'SINK_WAITING' && level === 30);
    if (isOver.length === 0) faults.push('its end was not told');
    const others = logs.filter(({ code, level }) => code !== 'SINK_WAITING' && level >= 40);
    faults.push(...others.slice(0, 2).map((line) => JSON.stringify(line).slice(0, 300)));
  }
  return faults.map((fault) => `${nameOf({ operation, times })}: ${fault}`);
}

const nameOf = ({ operation, times }: Case): string => `${operation} at ${[...times.keys()].join(', ')}`;

t.test('whatever fails for a while, everything is delivered once, without a restart', async (t) => {
  t.intercept(Math, 'random', { value: () => 0 }); // Retries at once.
  const { seen, faults } = await run(t, () => undefined);
  t.same(faults, [], 'a run without faults');
  t.same(
    operations.filter((operation) => !seen.has(operation) && !OF_THE_SOURCE.includes(operation)),
    [],
    'the run makes every operation that there is',
  );
  const cases: Case[] = [...seen].map(([operation, times]) => ({ operation, times }));
  cases.push({ operation: 'short write', times: seen.get('write') ?? new Map() });
  const queue = isFull
    ? cases.flatMap(({ operation, times }) =>
        [...times].map((each) => ({ operation, times: new Map([each]) })),
      )
    : [...cases];
  const bad: string[] = [];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      const each = next;
      bad.push(...(await tryFault(t, each).catch((error: unknown) => [`${nameOf(each)}: ${String(error)}`])));
    }
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
  t.same(bad, [], `${cases.length} operations`);
});

t.test('memory stays bounded while a sink cannot write', async (t) => {
  t.intercept(Math, 'random', { value: () => 0.1 });
  const root = temporaryDirectory(t);
  const pipeline = new FaultPipeline(root);
  const count = 80_000;
  pipeline.append(count);
  const disk = new FaultyDisk({
    operation: 'write',
    places: ['an output'],
    placeOf: (path) => placeOf(root, path),
    codes: ['ENOSPC'],
    inARow: Infinity,
    between: () => 0,
  });
  await pipeline.start(disk.fs);
  let last = -1;
  let stableMs = performance.now();
  await until(
    'nothing more is read',
    () => {
      const { bytesRead } = pipeline.pipeline.metrics;
      if (bytesRead !== last || bytesRead === 0) stableMs = performance.now();
      last = bytesRead;
      return performance.now() - stableMs > 500;
    },
    60_000,
  );
  t.ok(last < 18 * 1024 * 1024, `${last} bytes were read`);
  await t.rejects(pipeline.end('kill'));
});

t.test('a pipeline that was ended while it had nothing to read leaves nothing running', async (t) => {
  const pipeline = new FaultPipeline(temporaryDirectory(t));
  pipeline.append(10);
  await pipeline.start();
  await pipeline.delivered();
  await t.rejects(pipeline.end('kill'));
  const before = process.cpuUsage();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const { user, system } = process.cpuUsage(before);
  t.ok(user + system < 250_000, `${user + system} microseconds of processor time in half a second`);
});
