// `max_tags` and `rotate.keep_total_bytes`: what bounds the files of a whole sink, also over restarts.
import t from 'tap';
import type { Test } from 'tap';
import { Value } from '@sinclair/typebox/value';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { pino } from 'pino';
import { filesSink } from '../../../src/sink/files/index.js';
import { batchOf } from '../../helpers/batch.js';
import { sinkContext } from '../../helpers/context.js';
import { linesOf, readOutputs } from '../../helpers/outputs.js';
import { until } from '../../helpers/until.js';

/** A sink that is started anew with each `run`, in the same directories. */
function sinkIn(t: Test, options: Record<string, unknown>) {
  const directory = t.testdir();
  mkdirSync(join(directory, 'state'));
  const out = join(directory, 'out');
  let nowMs = 0;
  const logged: Record<string, unknown>[] = [];
  const lines = new PassThrough();
  lines.on('data', (line: Buffer) => logged.push(JSON.parse(String(line)) as Record<string, unknown>));
  const log = pino(lines);
  const run = async (tags: readonly string[], isCommitted = true) => {
    const context = await sinkContext({ directory: join(directory, 'state'), now: () => nowMs, log });
    const { store, metrics } = context;
    const all = { base_dir: out, path: '{{ tag }}.log', flush_interval: '1ms', ...options };
    const sink = filesSink.create(Value.Default(filesSink.options, all) as typeof all, context);
    await sink.open({ segments: store.segments, isReread: true, isClean: store.isClean });
    await store.markRunning();
    const write = (more: readonly string[]) => sink.write(batchOf(more.map((tag) => ({ tag, line: tag }))));
    const commit = async () => {
      const receipts = await sink.settle({ kind: 'marker', id: 1, position: undefined, isCaughtUp: true });
      await store.commit({ paths: [], readFrom: 'beginning' }, receipts);
      sink.committed(receipts);
    };
    await write(tags);
    if (isCommitted) await commit();
    const end = async () => {
      await sink.close(isCommitted);
      if (isCommitted) await store.markClean();
    };
    return { write, commit, end, metrics };
  };
  return {
    out,
    logged,
    run,
    pass: (ms: number) => (nowMs += ms),
    names: () => readdirSync(out).sort(),
    lines: (name: string) => linesOf(readOutputs(out).get(name) ?? Buffer.alloc(0)),
  };
}

const OVERFLOW_FILE = '%~overflow.log';

t.test('tags beyond max_tags share the overflow file, and keep to it', async (t) => {
  const { run, names, lines } = sinkIn(t, { max_tags: 2 });
  const { write, commit, end, metrics } = await run(['a', 'b', 'c', 'a', 'd']);
  await write(['c', 'b']);
  await commit();
  await end();
  t.same(names(), [OVERFLOW_FILE, 'a.log', 'b.log']);
  t.same(lines(OVERFLOW_FILE), ['c', 'd', 'c']);
  t.same(lines('b.log'), ['b', 'b']);
  t.equal(metrics.eventsOverflowed, 3);
});

for (const compress of ['none', 'stream']) {
  t.test(
    `${compress}: which tags have files of their own survives a stop, with open files or closed ones`,
    async (t) => {
      const { run, names, pass, out } = sinkIn(t, { max_tags: 2, compress, rotate: { max_age: '1h' } });
      const first = await run(['b', 'a', 'c']);
      await first.end();
      const second = await run(['d', 'a', 'b']);
      pass(3_600_000);
      await until('all is closed', async () => {
        await second.commit();
        return names().filter((name) => name.includes('~00')).length === 3;
      });
      await second.end();
      const before = names();
      await (await run(['e', 'd', 'c'])).end();
      t.same(
        names().filter((name) => !before.includes(name)),
        [compress === 'none' ? OVERFLOW_FILE : `${OVERFLOW_FILE}.gz`],
        'no tag was forgotten, and the overflow file is none',
      );
      t.equal(readOutputs(out).size, 4);
    },
  );
}

t.test('a tag that was known only to a run that crashed before its commit holds no place', async (t) => {
  const { run, names, out } = sinkIn(t, { max_tags: 2 });
  await (await run(['a'])).end();
  const crashed = await run(['b'], false);
  await until('its file was begun', () => existsSync(join(out, 'b.log')));
  await crashed.end();
  t.same(names(), ['a.log', 'b.log']);
  await (await run(['c', 'b'])).end();
  t.same(names(), [OVERFLOW_FILE, 'a.log', 'c.log']);
});

t.test('a tag whose last file was taken away makes room at the next start', async (t) => {
  const { run, names, out, pass } = sinkIn(t, { max_tags: 1, rotate: { max_age: '1h' } });
  const first = await run(['a']);
  pass(3_600_000);
  await until('it is closed', async () => {
    await first.commit();
    return existsSync(join(out, 'a~000001.log'));
  });
  await first.end();
  await (await run(['b'])).end();
  t.same(names(), [OVERFLOW_FILE, 'a~000001.log']);
  rmSync(join(out, 'a~000001.log'));
  await (await run(['b'])).end();
  t.same(names(), [OVERFLOW_FILE, 'b.log']);
});

t.test('a tag whose last file was pruned makes room while running', async (t) => {
  const { run, names, pass, out } = sinkIn(t, { max_tags: 1, rotate: { max_age: '1h', keep: 0 } });
  const { write, commit, end } = await run(['a', 'b']);
  pass(3_600_000);
  await until('the file of a is closed and pruned', async () => {
    await commit();
    return !readdirSync(out).some((name) => name.startsWith('a'));
  });
  await until('b has a file of its own', async () => {
    pass(60_000);
    await write(['b']);
    await commit();
    return existsSync(join(out, 'b.log'));
  });
  await write(['a']);
  await commit();
  await end();
  t.same(names(), [OVERFLOW_FILE, 'b.log'], 'and a has none any more');
});

t.test('overflow is told once an hour, with the number of events', async (t) => {
  const { run, logged, pass } = sinkIn(t, { max_tags: 1 });
  const { write, end } = await run(['a', 'b', 'c']);
  await write(['d']);
  pass(3_600_000);
  await write(['b', 'b']);
  await end();
  t.match(
    logged.map(({ code, events }) => ({ code, events })),
    [
      { code: 'OUTPUT_OVERFLOW', events: 2 },
      { code: 'OUTPUT_OVERFLOW', events: 3 },
    ],
  );
});

t.test('keep_total_bytes prunes the oldest closed files, whichever output they are of', async (t) => {
  const line = (tag: string) => `${tag}${'-'.repeat(99)}`;
  const { run, names } = sinkIn(t, { rotate: { max_bytes: '150B', keep_total_bytes: '450B' } });
  const { write, commit, end } = await run([]);
  for (const tag of ['a', 'b', 'c', 'a', 'b', 'c', 'a', 'b', 'c']) {
    await write([line(tag)]);
    await commit();
  }
  await end();
  const closed = (): string[] => names().filter((name) => name.includes('~0'));
  const left = closed().map((name) => `${name.charAt(0)}${/~(\d+)/.exec(name)?.[1] ?? ''}`);
  t.same(left, ['a000002', 'b000002', 'c000001', 'c000002'], 'of six files the two oldest are gone');
  t.equal(names().length - left.length, 3, 'open files do not count and are never pruned');

  await (await run([line('a')])).end();
  t.notOk(
    closed().some((name) => name.startsWith('c') && name.includes('~000001')),
    'also after a restart',
  );
  t.equal(closed().length, 4);
});
