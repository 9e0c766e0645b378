// Mounts as containers and control-plane nodes have them. They need root and the right to mount.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { LAG_MS } from '../../../src/source/file/retention.js';
import { Reading } from '../../helpers/file-source.js';
import { Lumberjack } from '../../helpers/lumberjack.js';

/** Mounts something while `run` runs. */
async function whileMounted(args: string[], run: () => Promise<void>): Promise<void> {
  execFileSync('mount', args, { stdio: 'pipe' });
  try {
    await run();
  } finally {
    execFileSync('umount', ['-l', args.at(-1) ?? ''], { stdio: 'pipe' });
  }
}

function whyNot(): string | false {
  if (process.getuid?.() !== 0) return 'only root may mount';
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'none', '/mnt'], { stdio: 'pipe' });
    return false;
  } catch {
    return 'mounting is not allowed here';
  }
}
const skip = whyNot();

t.test('a file that is mounted by itself is told, and so is that it was pruned', { skip }, async (t) => {
  const root = t.testdir({ host: {}, 'a container': { 'audit.log': '' } });
  const host = new Lumberjack(join(root, 'host', 'audit.log'));
  host.write('a');
  const path = join(root, 'a container', 'audit.log');
  await whileMounted(['--bind', host.path, path], async () => {
    const reading = await Reading.start(path);
    await reading.readUntil(t, 'a\n');
    t.match(
      reading.logs.filter(({ code }) => code === 'SOURCE_MOUNT'),
      [{ level: 40, path, msg: /mount its directory/ }],
    );
    host.append('b\n');
    const name = host.rotate();
    host.write('not seen from here');
    await reading.readUntil(t, 'a\nb\n');
    t.notOk(reading.codes().includes('SOURCE_PATH_MISSING'));
    fs.unlinkSync(join(root, 'host', name));
    await reading.readWhile('it is told', () => !reading.codes().includes('SOURCE_PATH_MISSING'));
    await reading.readNothingWhile('it is counted', () => reading.metrics.pathsMissing === 0);
    await reading.stop();
  });

  const direct = await Reading.start(host.path);
  await direct.drain();
  t.notOk(direct.codes().includes('SOURCE_MOUNT'));
  await direct.stop();
});

t.test('backups are retained by a copy on another file system', { skip }, async (t) => {
  const root = t.testdir({ log: {}, other: {} });
  await whileMounted(['-t', 'tmpfs', '-o', 'size=8m', 'none', join(root, 'other')], async () => {
    const now = performance.now.bind(performance);
    let passedMs = 0;
    t.intercept(performance, 'now', { value: () => now() + passedMs });
    const directory = join(root, 'other', 'retained');
    const writer = new Lumberjack(join(root, 'log', 'audit.log'));
    writer.write('x'.repeat(3_000_000));
    const name = writer.rotate();
    writer.write('last');
    const first = await Reading.start(writer.path, { retain: { directory } });
    passedMs += LAG_MS;
    const copies = (): string[] =>
      fs.existsSync(directory) ? fs.readdirSync(directory, { recursive: true, encoding: 'utf8' }) : [];
    await first.readNothingWhile('it is copied', () => !copies().some((each) => /~\d+$/.test(each)));
    fs.unlinkSync(join(root, 'log', name));
    const second = await Reading.start(writer.path, {
      position: await first.stop(),
      retain: { directory },
    });
    await second.readUntil(t, `${'x'.repeat(3_000_000)}\nlast\n`);
    t.equal(second.metrics.gaps, 0);
    await second.stop();
  });
});
