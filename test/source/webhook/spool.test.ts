import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { SourcePosition } from '../../../src/position/position.js';
import { NotStoredError } from '../../../src/source/webhook/spool.js';
import { FaultyDisk } from '../../helpers/faulty-disk.js';
import { gatedFileSystem, systemError } from '../../helpers/file-system.js';
import { openSpool } from '../../helpers/spool.js';
import { temporaryDirectory } from '../../helpers/temporary.js';
import { until } from '../../helpers/until.js';

const batchOf = (n: number): string => createHash('sha256').update(String(n)).digest('base64url');
const linesOf = (n: number, bytes = 5): Buffer =>
  Buffer.from(`{"n":${n},"x":"${'x'.repeat(bytes)}"}\n`.repeat(3));

/** The lines of a spool that are events, segment by segment. */
function eventsIn(directory: string): string {
  const names = readdirSync(directory)
    .filter((name) => name.endsWith('.jsonl'))
    .sort();
  // `spool-<time>` sorts before `spool.jsonl`.
  return names
    .map((name) => readFileSync(join(directory, name), 'utf8'))
    .join('')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(' '))
    .map((line) => `${line}\n`)
    .join('');
}

/** The position of a reader that has read these segments to their end. */
function positionBehind(path: string, stems: readonly string[]): SourcePosition {
  const finished = stems.map((stem) => ({ stem, ino: 0, head: { length: 0, hash: '' } }));
  return { paths: [{ path, current: null, finishedThrough: null, finished, gaps: [], gapCount: 0 }] };
}

t.test('a batch that comes again is not stored twice, nor after a restart', async (t) => {
  const directory = join(temporaryDirectory(t), 's');
  let { spool } = await openSpool(directory);
  t.equal(await spool.append(batchOf(1), linesOf(1)), 'stored');
  t.equal(await spool.append(batchOf(1), linesOf(1)), 'duplicate');
  const both = await Promise.all([
    spool.append(batchOf(2), linesOf(2)),
    spool.append(batchOf(2), linesOf(2)),
  ]);
  t.same(both, ['stored', 'duplicate'], 'also while the first is on its way');
  await spool.close();
  ({ spool } = await openSpool(directory));
  t.equal(await spool.append(batchOf(2), linesOf(2)), 'duplicate');
  await spool.close();
  t.equal(eventsIn(directory), `${String(linesOf(1))}${String(linesOf(2))}`);
});

t.test('cut off at any byte, a batch is there with its hash or not at all', async (t) => {
  const root = temporaryDirectory(t);
  const directory = join(root, 's');
  const { spool } = await openSpool(directory);
  await spool.append(batchOf(1), linesOf(1));
  const { size: first } = { size: readFileSync(spool.path).length };
  await spool.append(batchOf(2), linesOf(2));
  await spool.close();
  const whole = readFileSync(spool.path).length;
  for (let cut = 0; cut <= whole; cut += cut < first - 2 ? 37 : 1) {
    const copy = join(root, `c${cut}`);
    mkdirSync(copy);
    copyFileSync(spool.path, join(copy, 'spool.jsonl'));
    truncateSync(join(copy, 'spool.jsonl'), cut);
    const { spool: again } = await openSpool(copy);
    const [hasFirst, hasSecond] = [again.isKnown(batchOf(1)), again.isKnown(batchOf(2))];
    const expected = [cut >= first, cut === whole];
    const events = eventsIn(copy);
    const lines = `${hasFirst ? String(linesOf(1)) : ''}${hasSecond ? String(linesOf(2)) : ''}`;
    if (hasFirst !== expected[0] || hasSecond !== expected[1] || events !== lines)
      t.fail(`cut at ${cut}: ${hasFirst} ${hasSecond} ${events}`);
    await again.append(batchOf(2), linesOf(2));
    await again.append(batchOf(1), linesOf(1));
    await again.close();
    const sorted = eventsIn(copy).split('\n').sort().join('\n');
    if (sorted !== `${String(linesOf(1))}${String(linesOf(2))}`.split('\n').sort().join('\n'))
      t.fail(`cut at ${cut}, sent again`);
  }
  t.pass(`${whole} bytes`);
});

t.test('what was durable is never cut, whatever became of it', async (t) => {
  const directory = join(temporaryDirectory(t), 's');
  const { spool } = await openSpool(directory);
  for (const n of [1, 2, 3]) await spool.append(batchOf(n), linesOf(n));
  await spool.close();
  for (const [what, at] of [
    ['in the lines', 200],
    ['in the header', 5],
  ] as const) {
    const data = readFileSync(spool.path);
    data.fill(0x21, at, at + 10);
    writeFileSync(spool.path, data);
    const { spool: again, logs } = await openSpool(directory);
    t.equal(readFileSync(spool.path).length, data.length, `damage ${what} of the first batch`);
    t.ok(again.isKnown(batchOf(2)) && again.isKnown(batchOf(3)));
    t.match(logs, [{ code: 'SOURCE_READ' }]);
    await again.close();
  }
});

t.test('a group whose first batch is torn is cut off as a whole', async (t) => {
  const directory = join(temporaryDirectory(t), 's');
  const { spool } = await openSpool(directory);
  await spool.append(batchOf(1), linesOf(1));
  const durable = readFileSync(spool.path).length;
  // The second and the third go together: none of them says that the other was durable.
  await Promise.all([spool.append(batchOf(2), linesOf(2)), spool.append(batchOf(3), linesOf(3))]);
  await spool.close();
  const data = readFileSync(spool.path);
  data.fill(0, durable + 185, durable + 195);
  writeFileSync(spool.path, data);
  const { spool: again, logs } = await openSpool(directory);
  t.equal(readFileSync(spool.path).length, durable);
  t.notOk(again.isKnown(batchOf(3)));
  t.match(logs, [{ msg: /cut off what was not answered/ }]);
  await again.close();
});

for (const operation of ['write', 'fdatasync', 'ftruncate', 'open'] as const) {
  t.test(
    `when ${operation} fails nothing of a batch stays, and it goes on when that works again`,
    async (t) => {
      const directory = join(temporaryDirectory(t), 's');
      const codes = ['EIO', 'ENOSPC'];
      let isFaulty = false;
      const disk = new FaultyDisk({
        // Taking back is what follows a failed sync.
        operation: operation === 'write' ? 'write' : 'fdatasync',
        places: ['spool'],
        placeOf: (path) => (isFaulty && path.endsWith('spool.jsonl') ? 'spool' : undefined),
        codes,
        inARow: 1,
        between: () => 1,
      });
      let failures = 0;
      const fs = { ...disk.fs };
      if (operation === 'ftruncate' || operation === 'open')
        fs[operation] = ((...args: never[]) => {
          if (isFaulty && String(args[0]).match(/jsonl$|^\d+$/) && failures++ < 2)
            return Promise.reject(systemError('EIO'));
          return (disk.fs[operation] as unknown as (...given: never[]) => Promise<never>)(...args);
        }) as never;
      const { spool, metrics } = await openSpool(directory, { fs });
      await spool.append(batchOf(0), linesOf(0));
      isFaulty = true;
      const refused: unknown[] = [];
      let expected = linesOf(0).toString();
      for (let n = 1; n <= 12; n++) {
        try {
          await spool.append(batchOf(n), linesOf(n));
          expected += linesOf(n).toString();
          t.equal(metrics.componentsWaiting, 0);
        } catch (error) {
          refused.push(error);
          t.notOk(spool.isKnown(batchOf(n)), 'it is taken when it comes again');
          t.equal(metrics.componentsWaiting, 1);
        }
      }
      t.ok(refused.length >= 2, `${refused.length} refused`);
      t.ok(refused.every((error) => error instanceof NotStoredError));
      t.equal(eventsIn(directory).slice(0, expected.length), expected);
      await spool.close();
      const { spool: again } = await openSpool(directory);
      t.equal(eventsIn(directory), expected, 'exactly what was taken is there');
      await again.close();
    },
  );
}

t.test('what a reader sees of a segment never shrinks while another takes its place', async (t) => {
  const directory = join(temporaryDirectory(t), 's');
  const seen = new Map<number, number>();
  let shrunk = 0;
  const look = (): void => {
    for (const [ino, length] of seen) if ((spool.durableBytesOf(ino) ?? Infinity) < length) shrunk++;
    const { ino } = statSync(spool.path, { throwIfNoEntry: false }) ?? {};
    if (ino !== undefined) seen.set(ino, spool.durableBytesOf(ino) ?? 0);
  };
  let isOpen = false;
  const fs = gatedFileSystem(() => {
    if (isOpen) look();
  });
  const { spool } = await openSpool(directory, { fs, maxBytes: 2 ** 22 });
  isOpen = true;
  for (let n = 0; n < 8; n++) await spool.append(batchOf(n), linesOf(n, 30_000));
  t.ok(seen.size > 1, `${seen.size} segments`);
  t.equal(shrunk, 0);
  isOpen = false;
  await spool.close();
});

for (const operation of ['rename', 'open', 'fsync'] as const) {
  t.test(`when ${operation} fails while a segment takes the place of another, nothing is lost`, async (t) => {
    const directory = join(temporaryDirectory(t), 's');
    let failures = 0;
    const fs = gatedFileSystem((name, path) => {
      const isFlagged = name === operation && (operation !== 'open' || String(path).endsWith('spool.jsonl'));
      if (failures > 0 && isFlagged && failures-- > 0) throw systemError('EIO');
    });
    const { spool } = await openSpool(directory, { fs, maxBytes: 2 ** 22 });
    let expected = '';
    let refused = 0;
    for (let n = 0; n < 12; n++) {
      if (n % 3 === 2) failures = n % 2 === 0 ? 1 : 2;
      await until('the batch is taken', async () => {
        const stored = await spool.append(batchOf(n), linesOf(n, 30_000)).catch(() => undefined);
        if (stored === undefined) refused++;
        return stored !== undefined;
      });
      expected += linesOf(n, 30_000).toString();
    }
    t.ok(refused > 0, `${refused} refused`);
    await spool.close();
    t.equal(eventsIn(directory), expected);
  });
}

t.test('batches that come together share a sync', async (t) => {
  const directory = join(temporaryDirectory(t), 's');
  let syncs = 0;
  const fs = gatedFileSystem((operation) => {
    if (operation === 'fdatasync') syncs++;
  });
  const { spool } = await openSpool(directory, { fs });
  syncs = 0;
  await Promise.all(Array.from({ length: 50 }, (_, n) => spool.append(batchOf(n), linesOf(n))));
  t.ok(syncs <= 2, `${syncs} syncs for 50 batches`);
  await spool.close();
});

t.test(
  'a full spool takes nothing until what was delivered is deleted, and knows that for good',
  async (t) => {
    const directory = join(temporaryDirectory(t), 's');
    const { spool, metrics } = await openSpool(directory, { maxBytes: 2 ** 20 });
    const lines = linesOf(0, 30_000);
    let n = 0;
    for (; spool.hasRoomFor(lines.length); n++) await spool.append(batchOf(n), lines);
    t.match(await spool.append(batchOf(n), lines).catch((error: unknown) => error), { reason: 'full' });
    t.ok(metrics.webhook.spoolBytes <= 2 ** 20 && metrics.webhook.spoolBytes > 900_000);
    t.match(await spool.append(batchOf(-1), Buffer.alloc(2 ** 19)).catch((error: unknown) => error), {
      reason: 'large',
    });

    const stems = readdirSync(directory)
      .filter((name) => /^spool-.*jsonl$/.test(name))
      .sort();
    t.ok(stems.length >= 2, `${stems.length} full segments`);
    spool.committed(positionBehind(spool.path, stems.slice(0, 1)));
    await until('the segment is deleted', () => !existsSync(join(directory, stems[0] ?? '')));
    await until('there is room', () => spool.hasRoomFor(lines.length));
    t.equal(await spool.append(batchOf(n), lines), 'stored');
    t.equal(await spool.append(batchOf(0), lines), 'duplicate', 'known although it is deleted');
    await spool.close();
    const { spool: again } = await openSpool(directory, { maxBytes: 2 ** 20 });
    t.equal(await again.append(batchOf(0), lines), 'duplicate', 'also after a restart');
    await again.close();
  },
);

t.test(
  'a file system that is short of room takes nothing, and everything when it has room again',
  async (t) => {
    const directory = join(temporaryDirectory(t), 's');
    let freeBytes = 10;
    const fs = gatedFileSystem(() => undefined);
    const small = { ...fs, statfs: () => Promise.resolve({ freeBytes, totalBytes: 1000 }) };
    const { spool } = await openSpool(directory, { fs: small, minFreeBytes: 100 });
    t.match(await spool.append(batchOf(1), linesOf(1)).catch((error: unknown) => error), { reason: 'full' });
    t.match(await spool.append(batchOf(1), linesOf(1)).catch((error: unknown) => error), { reason: 'full' });
    freeBytes = 500;
    await until(
      'it takes it',
      async () => (await spool.append(batchOf(1), linesOf(1)).catch(() => '')) !== '',
    );
    t.equal(eventsIn(directory), linesOf(1).toString());
    await spool.close();
  },
);

t.test('segments have rising names, whatever the clock does', async (t) => {
  const directory = join(temporaryDirectory(t), 's');
  const fill = async (now: number, first: number, position?: SourcePosition): Promise<void> => {
    const { spool } = await openSpool(directory, {
      maxBytes: 2 ** 22,
      now: () => now,
      ...(position && { position }),
    });
    for (let n = first; n < first + 6; n++) await spool.append(batchOf(n), linesOf(n, 50_000));
    await spool.close();
  };
  await fill(Date.UTC(2030, 1, 1), 0);
  const before = readdirSync(directory)
    .filter((name) => name.startsWith('spool-'))
    .sort();
  await fill(
    Date.UTC(2020, 1, 1),
    10,
    positionBehind(join(directory, 'spool.jsonl'), ['spool-2031-01-01T00-00-00.000.jsonl']),
  );
  const after = readdirSync(directory)
    .filter((name) => name.startsWith('spool-'))
    .sort();
  t.ok(after.length > before.length);
  t.same(after.slice(0, before.length), before);
  t.ok(
    after.slice(before.length).every((name) => name > 'spool-2031-01-01T00-00-00.000.jsonl'),
    String(after),
  );
});
