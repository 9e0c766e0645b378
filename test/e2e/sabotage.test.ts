// The crash tests have teeth: whatever one of the mechanisms that promise 2 rests on is taken out of the program, at
// least one of a few points is bad; with all of them in place none of the same points is.
import t from 'tap';
import type { Test } from 'tap';
import { JsonLinesDecoder } from '../../src/codec/json-lines.js';
import type { PipelineConfig } from '../../src/config/pipeline-config.js';
import type { FileSystem } from '../../src/file-system.js';
import type { OpenEntry, Receipt, SourcePosition } from '../../src/position/position.js';
import { PositionStore } from '../../src/position/store.js';
import { filesSink } from '../../src/sink/files/index.js';
import { SegmentWriter } from '../../src/sink/files/writer.js';
import { FollowedFile } from '../../src/source/file/followed-file.js';
import { wrapFileSystem } from '../helpers/file-system.js';
import { configsOf, OUT, tryPoint } from '../helpers/mortal-pipeline.js';
import type { Death, Mode, Wrap } from '../helpers/mortal-pipeline.js';

/** In the last ones the first life ends by itself. */
const POINTS = Array.from({ length: 16 }, (_, i) => (i < 12 ? 15 + i * 25 : Infinity));
const modeOf = (death: Death, form?: Mode['form']): Mode => ({
  name: death,
  sink: "path: '{{ tag }}.log'",
  deaths: [death],
  ...(form && { form }),
});

let configs: PipelineConfig[] = [];
t.before(async () => {
  configs = await configsOf(t.testdir(), modeOf('process'));
});

/** The points that are bad, up to the first `limit` of them. */
async function badPoints(death: Death, limit: number, wrap?: Wrap, form?: Mode['form']): Promise<string[]> {
  const bad: string[] = [];
  for (const [seed, dieAt] of POINTS.entries()) {
    const { faults } = await tryPoint({ configs, mode: modeOf(death, form), dieAt, seed, wrap });
    if (faults[0] !== undefined) bad.push(`at change ${dieAt}: ${faults[0]}`);
    if (bad.length === limit) break;
  }
  return bad;
}

async function expectBad(t: Test, death: Death, wrap?: Wrap, form?: Mode['form']): Promise<void> {
  const bad = await badPoints(death, 1, wrap, form);
  t.equal(bad.length, 1, 'a point is reported bad');
  t.comment(bad[0]);
}

for (const death of ['process', 'power'] as const) {
  t.test(`nothing taken out: no point is bad where the ${death} dies`, async (t) => {
    t.same(await badPoints(death, Infinity), []);
  });
}

/** Operations that do nothing, by their name and the path that they are about. */
function without(isLeftOut: (name: keyof FileSystem, path: string) => boolean): Wrap {
  return (inner) => {
    const paths = new Map<unknown, string>();
    return wrapFileSystem(async (name, args, run) => {
      const path = typeof args[0] === 'string' ? args[0] : (paths.get(args[0]) ?? '');
      if (isLeftOut(name, path)) return undefined;
      const result = await run(args);
      if (name === 'open') paths.set(result, path);
      return result;
    }, inner);
  };
}

t.test('outputs that are not cut back on start are reported', async (t) => {
  await expectBad(
    t,
    'process',
    without((name) => name === 'ftruncate'),
  );
});

t.test('files that were never committed and are not removed on start are reported', async (t) => {
  await expectBad(
    t,
    'process',
    without((name, path) => name === 'unlink' && path.startsWith(OUT)),
  );
});

type Method = (...args: unknown[]) => unknown;

/** Replaces a method for one test; `make` gets the object and the method as it was. */
function replace<T extends object, K extends keyof T>(
  t: Test,
  target: T,
  name: K,
  make: (self: T, original: T[K]) => T[K],
): void {
  const original = target[name] as Method;
  t.intercept(target, name, {
    value(this: T, ...args: unknown[]) {
      return (make(this, original.bind(this) as T[K]) as Method)(...args);
    },
  });
}

t.test('files that the record names only when they are committed are reported', async (t) => {
  const held = new WeakMap<PositionStore, () => Promise<unknown>>();
  replace(t, PositionStore.prototype, 'begin', (store, begin) => async (entries) => {
    const before = held.get(store);
    held.set(store, () => Promise.all([before?.(), begin(entries)]));
  });
  replace(t, PositionStore.prototype, 'commit', (store, commit) => async (position, receipts) => {
    const begin = held.get(store);
    held.delete(store);
    // Both go into the same save.
    await Promise.all([begin?.(), commit(position, receipts)]);
  });
  await expectBad(t, 'process');
});

t.test('a position that is saved before its data are written is reported', async (t) => {
  replace(t, filesSink, 'create', (_, create) => (options, context) => {
    const sink = create(options, context);
    replace(t, sink, 'settle', (_, settle) => async (marker) => {
      await (context.store as PositionStore).commit(marker.position as SourcePosition, []);
      return settle(marker);
    });
    return sink;
  });
  await expectBad(t, 'process');
});

t.test('a marker that is settled before its data are written is reported', async (t) => {
  const late = new WeakMap<SegmentWriter, Receipt[]>();
  replace(t, SegmentWriter.prototype, 'settle', (writer, settle) => async () => {
    const before = late.get(writer) ?? [];
    const settled: Receipt[] = [];
    late.set(writer, settled);
    settle().then(
      (receipts) => settled.push(...receipts),
      () => undefined,
    );
    return before;
  });
  await expectBad(t, 'process');
});

t.test('a followed file that is recognised without its content is reported', async (t) => {
  replace(t, FollowedFile.prototype, 'compareWith', (file) => async (stored) => {
    return (await file.begin(stored.offset)) ? 'same' : 'short';
  });
  await expectBad(t, 'process');
});

t.test('outputs whose data are not synced are reported', async (t) => {
  await expectBad(
    t,
    'power',
    without((name, path) => name === 'fdatasync' && path.startsWith(OUT)),
  );
});

t.test('outputs whose names are not synced are reported', async (t) => {
  await expectBad(
    t,
    'power',
    without((name, path) => name === 'fsync' && path.startsWith(OUT)),
  );
});

t.test('a position file that is not synced is reported', async (t) => {
  await expectBad(
    t,
    'power',
    without((name, path) => name === 'fdatasync' && path.startsWith('/state')),
  );
});

for (const form of ['parts', 'pairs'] as const) {
  t.test(`${form} of entries that are open at a commit and not in its position are reported`, async (t) => {
    t.same(await badPoints('process', Infinity, undefined, form), [], 'with it no point is bad');
    replace(t, JsonLinesDecoder.prototype, 'openEntries', () => () => []);
    await expectBad(t, 'process', undefined, form);
  });

  t.test(`${form} of entries that stay in the position when they are delivered are reported`, async (t) => {
    const last = new WeakMap<JsonLinesDecoder, OpenEntry[]>();
    replace(t, JsonLinesDecoder.prototype, 'openEntries', (decoder, openEntries) => () => {
      const now = openEntries();
      const before = last.get(decoder) ?? [];
      last.set(decoder, now);
      // One commit too long.
      return [...now, ...before.filter((entry) => !now.includes(entry))];
    });
    await expectBad(t, 'process', undefined, form);
  });
}
