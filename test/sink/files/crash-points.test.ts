// The files sink, stopped at every single change that it makes to the disk: the k-th change does half of its work if
// it is a write, and nothing happens after it. Then a new process recovers (stopped again at one of its own changes,
// in every second case), goes on from the stored position, and delivers the rest. At the end every line is in the
// union of the outputs exactly once, in order, and every `.gz` is whole.
import t from 'tap';
import { Value } from '@sinclair/typebox/value';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { filesSink } from '../../../src/sink/files/index.js';
import type { FileSystem } from '../../../src/file-system.js';
import type { SourcePosition } from '../../../src/position/position.js';
import { batchOf } from '../../helpers/batch.js';
import { sinkContext } from '../../helpers/context.js';
import { isChange } from '../../helpers/disk-changes.mjs';
import { wrapFileSystem } from '../../helpers/file-system.js';
import { inWriteOrder, linesOf, readOutputs } from '../../helpers/outputs.js';

/** A process that dies at its k-th change; `changes` counts them. */
function mortal(dieAt: number): { fs: FileSystem; signal: AbortSignal; changes: () => number } {
  const death = new AbortController();
  let changes = 0;
  const fs = wrapFileSystem(async (name, args, run) => {
    death.signal.throwIfAborted();
    if (!isChange(name, args) || ++changes < dieAt) return run(args);
    if (name === 'write') args[3] = Math.floor(Number(args[3]) / 2);
    await run(args).catch(() => undefined); // Nobody is there any more to see a result.
    death.abort(new Error('the process died'));
    return death.signal.throwIfAborted();
  });
  return { fs, signal: death.signal, changes: () => changes };
}

interface Mode {
  name: string;
  options: Record<string, unknown>;
}
/** How many points of each mode are tried; `npm run test:crash` tries every one. */
const POINTS = Number(process.env['HEADGATE_CRASH_POINTS'] ?? 12);
const LINES = 60;
const TAGS = ['a', 'b', 'c'];
const lines = Array.from({ length: LINES }, (_, i) => ({
  tag: TAGS[(i % 7) % 3] ?? 'a',
  line: `${i} ${'x'.repeat((i * 37) % 90)}`,
}));

function positionOf(next: number): SourcePosition {
  const none = { length: 0, hash: '' };
  const current = { name: 'a', dev: 0, ino: 0, offset: next, head: none, before: none };
  return { paths: [{ path: '/a', current, finishedThrough: null, finished: [], gaps: [], gapCount: 0 }] };
}

/** One process: recovers, delivers from its position to the end, finishes. */
async function live(directory: string, mode: Mode, dieAt: number): Promise<number> {
  const { fs, signal, changes } = mortal(dieAt);
  const opening = sinkContext({ directory: join(directory, 'state'), fs, signal, now: () => 0 });
  const context = await opening.catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
  if (!context) return changes();
  const { store } = context;
  const sink = filesSink.create(
    Value.Default(filesSink.options, { base_dir: join(directory, 'out'), ...mode.options }) as Record<
      string,
      unknown
    >,
    context,
  );
  try {
    await sink.open({ segments: store.segments, isReread: true, isClean: store.isClean });
    await store.markRunning();
    let committing = Promise.resolve();
    let next = store.position?.paths[0]?.current?.offset ?? 0;
    for (let id = 1; next < LINES; id++) {
      // Batches of different sizes, a marker after every third.
      const size = 1 + (next % 5);
      await sink.write(batchOf(lines.slice(next, next + size)));
      next = Math.min(LINES, next + size);
      if (id % 3 !== 0) continue;
      // As in a pipeline: the stream goes on while a marker settles.
      await committing;
      committing = commit(next);
      committing.catch(() => undefined);
    }
    await committing;
    sink.endOfInput();
    await commit(next);
    await sink.close(true);
    await store.markClean();
  } catch (error) {
    if (!signal.aborted) throw error;
    await sink.close(false).catch(() => undefined);
  }
  return changes();

  async function commit(next: number): Promise<void> {
    const receipts = await sink.settle({ kind: 'marker', id: 1, position: undefined, isCaughtUp: true });
    await store.commit(positionOf(next), receipts);
    sink.committed(receipts);
  }
}

function check(directory: string, isPlainLast: boolean): string | undefined {
  const outputs = readOutputs(join(directory, 'out'));
  for (const tag of TAGS) {
    const paths = [...outputs.keys()].filter((path) => path.startsWith(`${tag}`));
    const found = inWriteOrder(paths, isPlainLast).flatMap((path) =>
      linesOf(outputs.get(path) ?? Buffer.alloc(0)),
    );
    const expected = lines.filter((each) => each.tag === tag).map(({ line }) => line);
    if (JSON.stringify(found) !== JSON.stringify(expected))
      return `${tag}: ${found.map((line) => line.split(' ')[0]).join(' ')}`;
  }
  const leftovers = [...outputs.keys()].filter((path) => path.endsWith('~gz'));
  return leftovers.length > 0 ? `left over: ${leftovers.join(' ')}` : undefined;
}

const modes: Mode[] = [
  { name: 'raw', options: { path: '{{ tag }}.log', rotate: { max_bytes: '200B' }, compress: 'none' } },
  {
    name: 'on_rotate',
    options: { path: '{{ tag }}.log', rotate: { max_bytes: '200B' }, compress: 'on_rotate' },
  },
  {
    name: 'on_rotate, sliced, few descriptors',
    options: {
      path: '{{ tag }}/%Y.log',
      rotate: { max_bytes: '300B' },
      compress: 'on_rotate',
      max_open_files: 1,
    },
  },
  { name: 'stream', options: { path: '{{ tag }}.log', rotate: { max_bytes: '200B' }, compress: 'stream' } },
  {
    name: 'stream, sliced, few descriptors, members between markers',
    options: {
      path: '{{ tag }}/%Y.log',
      rotate: { max_bytes: '300B' },
      compress: 'stream',
      max_open_files: 1,
      flush_interval: '1ms',
    },
  },
];

for (const mode of modes) {
  t.test(`${mode.name}: exactly once, whichever change to the disk is the last one`, async (t) => {
    const root = t.testdir();
    const fresh = (): string => {
      const directory = join(root, 'run');
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(join(directory, 'state'), { recursive: true });
      return directory;
    };
    const isPlainLast = !mode.name.includes('sliced');
    const whole = fresh();
    const total = await live(whole, mode, Infinity);
    t.equal(check(whole, isPlainLast), undefined, 'a run without a crash');
    t.ok(total > 100, `${total} changes to the disk`);
    const bad: string[] = [];
    // Spread evenly; the long run takes every point.
    const step = Math.max(1, Math.floor(total / POINTS));
    for (let k = 1; k <= total; k += step) {
      const directory = fresh();
      await live(directory, mode, k);
      if (k % 2 === 0) await live(directory, mode, 1 + (k % 17)); // Again, while recovering.
      await live(directory, mode, Infinity);
      const fault = check(directory, isPlainLast);
      if (fault !== undefined) bad.push(`at change ${k}: ${fault}`);
    }
    t.same(bad.slice(0, 5), [], `${bad.length} of ${total} points`);
  });
}
