// Rotation at every single moment: whatever the source does with the file system, something happens to the files just
// before that operation, one run for each operation.
import fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import type { SourcePosition } from '../../../src/position/position.js';
import { Reading } from '../../helpers/file-source.js';
import { gatedFileSystem } from '../../helpers/file-system.js';
import { Lumberjack } from '../../helpers/lumberjack.js';

interface World {
  writer: Lumberjack;
  directory: string;
  write: () => void;
}

const actions: Record<string, (world: World) => void> = {
  rotation({ writer, write }) {
    write();
    writer.rotate();
    write();
  },
  'rotation without a new file yet'({ writer, write }) {
    write();
    writer.rename();
  },
  'two rotations'({ writer, write }) {
    write();
    writer.rotate();
    write();
    writer.rotate();
  },
  'rotation with compression'({ writer, write }) {
    write();
    writer.compress(writer.rotate());
    write();
  },
  'two rotations with compression'({ writer, write }) {
    const first = writer.rotate();
    write();
    writer.compress(first);
    writer.compress(writer.rotate());
    write();
  },
  'compression of everything'({ writer }) {
    for (const name of writer.backups()) if (!name.endsWith('.gz')) writer.compress(name);
  },
};

/** Runs with `action` before the k-th operation; returns false when there was no such operation. */
async function runWith(
  t: Test,
  k: number,
  action: (world: World) => void,
  stored: 'first start' | 'restart' | 'running',
): Promise<boolean> {
  const directory = t.testdir({});
  const path = join(directory, 'audit.log');
  const writer = new Lumberjack(path);
  let text = '';
  const write = (): void => {
    const line = `{"auditID":"${String(text.length).padStart(8, '0')}"}`;
    writer.write(line);
    text += `${line}\n`;
  };
  write();
  writer.rotate();
  write();
  let position: SourcePosition | undefined;
  let read = '';
  if (stored === 'restart') {
    const before = await Reading.start(path);
    await before.drain();
    read = before.text;
    position = await before.stop();
    write();
    writer.rotate();
    write();
  }
  let operations = stored === 'running' ? -Infinity : 0;
  const gated = gatedFileSystem((operation) => {
    if (operation !== 'close' && operations++ === k) action({ writer, directory, write });
  });
  const reading = await Reading.start(path, { position, fs: gated, pollIntervalMs: 1 });
  await reading.drain();
  if (stored === 'running') {
    operations = 0;
    write();
    writer.rotate();
    write();
  }
  for (let i = 0; i < 3; i++) await reading.drain();
  const hasHappened = operations > k;
  operations = Infinity;
  // A file that is renamed without a new one is followed on.
  write();
  const rest = text.slice(read.length);
  await reading.readWhile('all was read', () => reading.text.length < rest.length);
  await reading.drain();
  if (reading.text !== rest) t.equal(reading.text, rest, `before operation ${k}`);
  if (reading.metrics.gaps > 0) t.same(reading.path().gaps, [], `before operation ${k}`);
  const after = await Reading.start(path, { position: await reading.stop() });
  await after.drain();
  if (after.text !== '') t.equal(after.text, '', `nothing is read again, before operation ${k}`);
  await after.stop();
  fs.rmSync(directory, { recursive: true });
  return hasHappened;
}

for (const stored of ['first start', 'restart', 'running'] as const) {
  for (const [name, action] of Object.entries(actions)) {
    t.test(`${name} at any moment of a ${stored} loses and doubles nothing`, async (t) => {
      let k = 0;
      while (await runWith(t, k, action, stored)) k++;
      t.ok(k > 8, `${k} moments`);
    });
  }
}

t.test('backups keep their order while they are compressed and no two listings agree', async (t) => {
  const directory = t.testdir({});
  const writer = new Lumberjack(join(directory, 'audit.log'));
  let text = '';
  const write = (): void => {
    const line = `{"auditID":"${String(text.length).padStart(8, '0')}"}`;
    writer.write(line);
    text += `${line}\n`;
  };
  write();
  let left = 0;
  // Two rotations before each listing; and of the plain backups that were listed all but the newest are compressed
  // before they are looked at.
  const gated = gatedFileSystem((operation, name) => {
    if (left <= 0) return;
    if (operation === 'readdir') {
      left--;
      for (let i = 0; i < 2; i++) {
        write();
        writer.rotate();
      }
      write();
    } else if (operation === 'stat') {
      const older = writer.backups().slice(0, -1);
      const listed = older.find((backup) => name === join(directory, backup) && !backup.endsWith('.gz'));
      if (listed !== undefined) writer.compress(listed);
    }
  });
  const reading = await Reading.start(writer.path, { fs: gated, pollIntervalMs: 1 });
  await reading.drain();
  for (let round = 0; round < 3; round++) {
    left = 10;
    writer.rotate();
    write();
    await reading.readWhile('all was read', () => reading.text.length < text.length);
  }
  t.equal(reading.text, text);
  t.same(reading.path().gaps, []);
  await reading.stop();
});
