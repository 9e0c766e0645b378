import t from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Directories } from '../../../src/sink/files/directories.js';
import { createOutput } from '../../../src/sink/files/segment.js';
import { outputName } from '../../../src/sink/files/segment-name.js';
import { SegmentWriter } from '../../../src/sink/files/writer.js';
import { nodeFileSystem } from '../../../src/file-system.js';
import { sinkContext } from '../../helpers/context.js';
import { systemError, wrapFileSystem } from '../../helpers/file-system.js';
import { until } from '../../helpers/until.js';

async function writerIn(directory: string, maxBytes = 1e9) {
  const held: (() => void)[] = [];
  let isHolding = false;
  const fail = { next: '' };
  const fs = wrapFileSystem(async (name, args, run) => {
    const isLine = name === 'write' && String(args[1]).includes('line');
    if (isLine && isHolding) await new Promise<void>((resolve) => held.push(resolve));
    if (isLine && fail.next !== '') {
      const code = fail.next;
      fail.next = '';
      throw systemError(code);
    }
    return run(args);
  });
  const context = await sinkContext({ directory, fs });
  const writer = new SegmentWriter({
    ...context,
    sink: 'out',
    directories: new Directories(fs, join(directory, 'out')),
    now: () => 0,
    mode: 0o640,
    maxBytes,
    maxOpenFiles: 10,
    flushIntervalMs: 1,
    isFsync: true,
  });
  const output = createOutput(outputName('x.log', '.log'), 'x.log', Infinity);
  return {
    writer,
    output,
    context,
    fail,
    content: () => readFileSync(join(directory, 'out/x.log'), 'utf8'),
    hold: () => (isHolding = true),
    heldCount: () => held.length,
    release: () => {
      isHolding = false;
      for (const go of held.splice(0)) go();
    },
    line: (text: string) => {
      writer.appendLine(output, Buffer.from(`line ${text}\n`));
    },
  };
}

t.test('a flush that waits in front of a marker takes nothing from behind it', async (t) => {
  const { writer, line, hold, release, heldCount, content } = await writerIn(t.testdir());
  line('0');
  hold();
  await writer.room();
  await until('the first write hangs', () => heldCount() === 1);
  line('1');
  await writer.room();
  // Long enough for the timer to put a flush behind the cycle that hangs.
  await new Promise((resolve) => setTimeout(resolve, 20));
  const settled = writer.settle();
  line('2');
  await writer.room();
  release();
  const receipts = await settled;
  t.match(receipts, [{ length: 'line 0\nline 1\n'.length }]);
  await writer.settle();
  t.equal(content(), 'line 0\nline 1\nline 2\n');
  await writer.close();
});

t.test('a file is done with when the marker that closed it is saved, not with one before', async (t) => {
  const { writer, output, context, line } = await writerIn(t.testdir());
  const position = { paths: [] };
  line('0');
  const opened = await writer.settle();
  line('1');
  writer.closeActive(output);
  // Settled before the one in front of it is saved.
  const closed = await writer.settle();
  await context.store.commit(position, opened);
  t.same(writer.takeClosed(opened), []);
  await context.store.commit(position, closed);
  t.match(writer.takeClosed(closed), [{ length: 'line 0\nline 1\n'.length }]);
  t.same(writer.takeClosed(closed), [], 'once');
  await writer.close();
});

t.test('what is flushed can be read before any marker', async (t) => {
  const { writer, line, content } = await writerIn(t.testdir());
  line('0');
  await writer.room();
  await until('it is in the file', () => {
    try {
      return content() === 'line 0\n';
    } catch {
      return false;
    }
  });
  await writer.close();
  t.pass('it was');
});

for (const code of ['ENOSPC', 'EIO', 'EDQUOT', 'EROFS']) {
  t.test(`a write that fails with ${code} is done again at the same place`, async (t) => {
    const { writer, line, fail, content } = await writerIn(t.testdir());
    line('0');
    await writer.settle();
    fail.next = code;
    line('1');
    t.match(await writer.settle(), [{ length: 14 }]);
    t.equal(content(), 'line 0\nline 1\n');
    await writer.close();
  });
}

t.test(
  'a file that someone removed while it was written to is noticed, not written into the void',
  async (t) => {
    const directory = t.testdir();
    const { writer, line } = await writerIn(directory);
    line('0');
    await writer.settle();
    await nodeFileSystem.unlink(join(directory, 'out/x.log'));
    line('1');
    await t.rejects(writer.settle(), { code: 'OUTPUT_TOUCHED' });
    await t.rejects(writer.room(), { code: 'OUTPUT_TOUCHED' }, 'and nothing is accepted any more');
    await writer.close();
  },
);

t.test('mode is what the option says, whatever the umask', async (t) => {
  const directory = t.testdir();
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  const { writer, line } = await writerIn(directory);
  line('0');
  await writer.settle();
  t.equal((await nodeFileSystem.stat(join(directory, 'out/x.log'))).mode, 0o640);
  t.equal((await nodeFileSystem.stat(join(directory, 'out'))).mode, 0o700, 'base_dir: 0750 under this umask');
  await writer.close();
});

t.test(
  'when one of the files that are written at once fails, none is written to after the writer is closed',
  async (t) => {
    const directory = t.testdir();
    const { writer, context, hold, release, heldCount } = await writerIn(directory);
    const [a, b] = ['a.log', 'b.log'].map((key) => createOutput(outputName(key, '.log'), key, Infinity));
    if (!a || !b) throw new Error('two were made');
    for (const output of [a, b]) writer.appendLine(output, Buffer.from('line\n'));
    await writer.settle();
    hold();
    for (const output of [a, b]) writer.appendLine(output, Buffer.from('line\n'));
    const settled = writer.settle();
    await until('both writes hang', () => heldCount() === 2);
    await nodeFileSystem.unlink(join(directory, 'out/a.log'));
    let isClosed = false;
    const closing = writer.close().then(() => (isClosed = true));
    await new Promise((resolve) => setImmediate(resolve));
    t.notOk(isClosed, 'a write is under way');
    release();
    await t.rejects(settled);
    await closing;
    await t.rejects(writer.room(), 'and nothing begins any more');
    t.equal(context.metrics.componentsWaiting, 0);
  },
);
