// `compress: stream`: files that are whole gzip members at every receipt, and what follows from that.
import t from 'tap';
import type { Test } from 'tap';
import { Value } from '@sinclair/typebox/value';
import fc from 'fast-check';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { nodeFileSystem } from '../../../src/file-system.js';
import { withFile } from '../../../src/position/durable-file.js';
import type { SourcePosition } from '../../../src/position/position.js';
import { Directories } from '../../../src/sink/files/directories.js';
import { filesSink } from '../../../src/sink/files/index.js';
import { endOfLastMember } from '../../../src/sink/files/members.js';
import { restoreSegments } from '../../../src/sink/files/restore.js';
import { createOutput } from '../../../src/sink/files/segment.js';
import { outputName } from '../../../src/sink/files/segment-name.js';
import { SegmentWriter } from '../../../src/sink/files/writer.js';
import { batchOf } from '../../helpers/batch.js';
import { sinkContext } from '../../helpers/context.js';
import { inWriteOrder, linesOf, readOutputs } from '../../helpers/outputs.js';
import { until } from '../../helpers/until.js';

/** Text that gzip makes only about half as long. */
const noise = (seed: string, bytes: number): string => {
  let text = '';
  for (let i = 0; text.length < bytes; i++) text += createHash('sha256').update(`${seed} ${i}`).digest('hex');
  return text.slice(0, bytes);
};

async function writerIn(directory: string, maxBytes = 1e9, flushIntervalMs = 1e6) {
  const context = await sinkContext({ directory });
  const writer = new SegmentWriter({
    ...context,
    sink: 'out',
    directories: new Directories(nodeFileSystem, join(directory, 'out')),
    now: () => 0,
    mode: 0o640,
    maxBytes,
    maxOpenFiles: 10,
    flushIntervalMs,
    isFsync: false,
    isGzip: true,
  });
  const outputs = new Map(
    ['a', 'b'].map((tag) => [tag, createOutput(outputName(`${tag}.log`, '.log'), tag, Infinity)]),
  );
  const output = (tag: string) => outputs.get(tag) ?? createOutput(outputName(tag, ''), tag, Infinity);
  return {
    writer,
    output,
    context,
    path: (name: string) => join(directory, 'out', name),
    line: (text: string, tag = 'a') => {
      writer.appendLine(output(tag), Buffer.from(`${text}\n`));
    },
  };
}

/** The lines of an output's files as they were written. */
function written(directory: string, tag: string): string[] {
  const outputs = readOutputs(join(directory, 'out'));
  const paths = [...outputs.keys()].filter((path) => /^[^.~]+/.exec(path)?.[0] === tag);
  return inWriteOrder(paths, true).flatMap((path) => linesOf(outputs.get(path) ?? Buffer.alloc(0)));
}

t.test('each receipt is the end of a gzip member', async (t) => {
  const { writer, line, path } = await writerIn(t.testdir());
  let expected = '';
  for (const text of ['0', 'x'.repeat(3_000_000), '2']) {
    line(text);
    await writer.room();
    expected += `${text}\n`;
    const [receipt] = await writer.settle();
    const committed = readFileSync(path('a.log.gz')).subarray(0, receipt?.length);
    t.ok(gunzipSync(committed).toString() === expected, `${committed.length} bytes`);
  }
  await writer.close();
});

t.test('what is accepted can be read after flush_interval, also while no marker comes', async (t) => {
  const { writer, line, path } = await writerIn(t.testdir(), 1e9, 1);
  line('0');
  await writer.room();
  await until('it is in the file', () => existsSync(path('a.log.gz')) && statSync(path('a.log.gz')).size > 0);
  t.equal(gunzipSync(readFileSync(path('a.log.gz'))).toString(), '0\n');
  await writer.close();
});

t.test('too much for memory ends the longest members early and leaves short ones to grow', async (t) => {
  const { writer, line, path } = await writerIn(t.testdir());
  const text = 'x'.repeat(1_000_000);
  line('short', 'b');
  for (let i = 0; i < 40; i++) {
    line(text);
    await writer.room();
  }
  t.ok(statSync(path('a.log.gz')).size > 0, 'without any marker');
  t.notOk(existsSync(path('b.log.gz')));
  await writer.settle();
  t.equal(gunzipSync(readFileSync(path('a.log.gz'))).length, 40 * 1_000_001);
  t.equal(gunzipSync(readFileSync(path('b.log.gz'))).toString(), 'short\n');
  await writer.close();
});

t.test(
  'a file is closed before its compressed length would exceed max_bytes, and not much before',
  async (t) => {
    const directory = t.testdir();
    const { writer, line, context, path } = await writerIn(directory, 100_000);
    for (let i = 0; i < 40; i++) {
      line(`${i} ${noise(String(i), 20_000)}`);
      await writer.settle();
    }
    await writer.close();
    const closed = [...readOutputs(join(directory, 'out')).keys()].filter((name) => name.includes('~'));
    t.ok(closed.length >= 3, `${closed.length} files`);
    for (const name of closed) {
      const { size } = statSync(path(name));
      t.ok(size <= 100_000 && size > 80_000, `${name} ${size}`);
    }
    t.equal(written(directory, 'a').length, 40);
    t.equal(context.store.nextSegmentId(), closed.length + 2);
  },
);

t.test('a member that is longer than max_bytes has a file of its own', async (t) => {
  const directory = t.testdir();
  const { writer, line } = await writerIn(directory, 1_000);
  const lines = ['short', noise('long', 20_000), 'short again'];
  for (const text of lines) {
    line(text);
    await writer.settle();
  }
  await writer.close();
  t.same(written(directory, 'a'), lines);
  t.equal(readOutputs(join(directory, 'out')).size, 3);
});

t.test('a short member that its file ends with goes before a long one of the next file', async (t) => {
  const directory = t.testdir();
  const { writer } = await writerIn(directory);
  const sliced = createOutput(outputName('s.log', '.log'), 's', 1);
  writer.appendLine(sliced, Buffer.from('first\n'));
  writer.closeActive(sliced);
  for (let i = 0; i < 30; i++) {
    writer.appendLine(sliced, Buffer.from(`${'x'.repeat(1_000_000)}\n`));
    await writer.room();
  }
  await writer.settle();
  await writer.close();
  t.same(linesOf(readOutputs(join(directory, 'out')).get('s.log.gz') ?? Buffer.alloc(0)), ['first']);
});

t.test('what is accepted while its file becomes full goes to the next one', async (t) => {
  const directory = t.testdir();
  const { writer, line } = await writerIn(directory, 1_000);
  const lines = ['a', 'b', 'c', 'd'].map((name) => noise(name, 1_200));
  for (const text of lines) {
    line(text);
    const settled = writer.settle();
    line(`behind ${text}`); // While the one before it is being compressed.
    await settled;
  }
  await writer.settle();
  await writer.close();
  t.same(
    written(directory, 'a'),
    lines.flatMap((text) => [text, `behind ${text}`]),
  );
  t.ok(readOutputs(join(directory, 'out')).size > 3);
});

t.test('lines stay in order whatever fills up, closes and settles at the same time', async (t) => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant('line'), bytes: fc.integer({ min: 1, max: 400 }) }),
    },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('settle') }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('close') }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn') }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 40, size: 'max' }), async (steps) => {
      const directory = t.testdir({});
      const { writer, line, output } = await writerIn(directory, 300, 0);
      const expected: string[] = [];
      const settled: Promise<unknown>[] = [];
      for (const each of steps) {
        if ('bytes' in each) {
          expected.push(`${expected.length} ${noise(String(expected.length), each.bytes)}`);
          line(expected.at(-1) ?? '');
          await writer.room();
        } else if (each.kind === 'settle') settled.push(writer.settle());
        else if (each.kind === 'close') writer.closeActive(output('a'));
        else await new Promise((resolve) => setTimeout(resolve, 1));
      }
      await Promise.all([...settled, writer.settle()]);
      await writer.close();
      if (expected.length > 0) t.strictSame(written(directory, 'a'), expected);
    }),
    { numRuns: 40 },
  );
});

const members = ['a\n', `${noise('b', 600_000)}\n`, 'c\n'].map((text) => gzipSync(text));
const ends = members.map((_, i) => Buffer.concat(members.slice(0, i + 1)).length);

async function lastEnd(t: Test, data: Buffer, start = 0): Promise<number> {
  const path = join(t.testdir({ x: data }), 'x');
  return withFile(nodeFileSystem, path, 0, (fd) => endOfLastMember(nodeFileSystem, fd, start, data.length));
}

t.test('the last whole member is found wherever the file was cut', async (t) => {
  const whole = Buffer.concat(members);
  const [first = 0, second = 0, third = 0] = ends;
  const cuts = [
    0,
    1,
    9,
    10,
    12,
    first - 1,
    first,
    first + 5,
    second - 9,
    second - 1,
    second,
    third - 1,
    third,
  ];
  for (const cut of cuts) {
    const expected = [0, ...ends].findLast((end) => end <= cut);
    t.equal(await lastEnd(t, whole.subarray(0, cut)), expected, `cut at ${cut}`);
  }
  t.equal(await lastEnd(t, whole, second), third, 'from a receipt on');
});

t.test('a member with a wrong checksum, or bytes that are none, end the search', async (t) => {
  const [first = 0, second = 0] = ends;
  for (const at of [first + 3_000, second - 6, first]) {
    const broken = Buffer.concat(members);
    broken[at] = (broken[at] ?? 0) ^ 0xff;
    t.equal(await lastEnd(t, broken), first, `a wrong byte at ${at}`);
  }
});

t.test('after a gap a file keeps every whole member and loses the torn one', async (t) => {
  const directory = t.testdir();
  const context = await sinkContext({ directory });
  const [first = 0, second = 0] = ends;
  const path = join(directory, 'x.log.gz');
  writeFileSync(path, Buffer.concat(members).subarray(0, -3));
  const { ino } = statSync(path);
  const record = { id: 1, sink: 'out', path, key: 'x.log', length: first, ino, openedAtMs: 0 };
  const recovery = { segments: [{ ...record, gzip: true as const }], isReread: false, isClean: false };
  t.match(await restoreSegments(context, recovery), [{ length: second, closed: true }]);
  t.equal(statSync(path).size, second);
});

t.test('where an event would be put is the name of the compressed file', async (t) => {
  const directory = t.testdir();
  const options = { base_dir: '/out', path: '{{ tag }}.log', compress: 'stream' };
  const sink = filesSink.create(
    Value.Default(filesSink.options, options) as typeof options,
    await sinkContext({ directory }),
  );
  t.equal(sink.destination(batchOf([{ tag: 'x', line: '' }]).batch, 0), '/out/x.log.gz');
});

function positionOf(): SourcePosition {
  return { paths: [], readFrom: 'beginning' };
}

const CHANGES = ['none', 'stream', 'on_rotate', 'stream', 'none', 'on_rotate', 'none', 'stream'];
for (const path of ['{{ tag }}.log', '{{ tag }}.%Y.log']) {
  t.test(
    `${path}: changing \`compress\` while files are open loses, doubles and mixes nothing`,
    async (t) => {
      const directory = t.testdir();
      mkdirSync(join(directory, 'state'));
      for (const [i, compress] of CHANGES.entries()) {
        const context = await sinkContext({ directory: join(directory, 'state'), now: () => 0 });
        const { store } = context;
        const options = { base_dir: join(directory, 'out'), path, compress };
        const sink = filesSink.create(Value.Default(filesSink.options, options) as typeof options, context);
        await sink.open({ segments: store.segments, isReread: true, isClean: store.isClean });
        await store.markRunning();
        for (const half of ['a', 'b']) {
          await sink.write(batchOf([{ tag: 'x', line: `${i}${half}` }]));
          const receipts = await sink.settle({
            kind: 'marker',
            id: 1,
            position: undefined,
            isCaughtUp: true,
          });
          await store.commit(positionOf(), receipts);
          sink.committed(receipts);
        }
        await sink.close(true);
        await store.markClean();
        t.equal(context.metrics.outputsTouched, 0);
        t.equal(store.segments.filter(({ closed }) => !closed).length, 1, 'one file is open');
      }
      const outputs = readOutputs(join(directory, 'out'));
      const found = [...outputs.values()].flatMap((content) => linesOf(content));
      t.same(
        found.sort(),
        CHANGES.flatMap((_, i) => [`${i}a`, `${i}b`]),
        [...outputs.keys()].join(' '),
      );
      t.notOk(
        [...outputs.keys()].some((name) => name.includes('.gz.gz')),
        'no file is compressed twice',
      );
    },
  );
}
