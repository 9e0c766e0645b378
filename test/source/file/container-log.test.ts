// Logs of containers as the kubelet keeps them: its rotation, restarts of a container, and the links to them.
import fs from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ContainerLog } from '../../helpers/container-log.js';
import { Reading } from '../../helpers/file-source.js';

const POD = 'pods/kube-system_kube-apiserver-node_0123/kube-apiserver';

function line(n: number): string {
  return `2026-11-21T09:31:11.000000000Z stdout F {"n":${n}}`;
}
function linesOf(from: number, to: number): string[] {
  return Array.from({ length: to - from }, (_, i) => line(from + i));
}
function textOf(from: number, to: number): string {
  return linesOf(from, to)
    .map((each) => `${each}\n`)
    .join('');
}

t.test("the kubelet's rotations are followed, and its backups read, plain and compressed", async (t) => {
  const root = t.testdir();
  const log = new ContainerLog(join(root, POD, '0.log'));
  for (let i = 0; i < 3; i++) {
    log.write(linesOf(i * 10, i * 10 + 10));
    log.rotate();
  }
  log.write(linesOf(30, 40));
  t.equal(log.backups().filter((name) => name.endsWith('.gz')).length, 2);
  const reading = await Reading.start(join(root, 'pods/kube-system_kube-apiserver-*/kube-apiserver/*'));
  await reading.readUntil(t, textOf(0, 40));
  log.rotate();
  log.write(linesOf(40, 50));
  log.rotate();
  await reading.readUntil(t, textOf(0, 50));
  t.equal(reading.metrics.gaps, 0);
  log.close();
  await reading.stop();
});

t.test(
  'what a runtime writes to a file that was renamed already is read, also without a newline at first',
  async (t) => {
    const root = t.testdir();
    const log = new ContainerLog(join(root, POD, '0.log'));
    log.write(linesOf(0, 5));
    const reading = await Reading.start(log.path);
    await reading.readUntil(t, textOf(0, 5));
    const backup = log.rotate();
    await reading.readWhile('the rotation was seen', () => reading.metrics.rotations === 0);
    // The end of the old file was reached, and a new one is there.
    await reading.drain();
    fs.appendFileSync(backup, line(5));
    await reading.drain();
    fs.appendFileSync(backup, '\n');
    log.write(linesOf(6, 8));
    await reading.readUntil(t, textOf(0, 8));
    t.equal(reading.metrics.gaps, 0);
    log.close();
    await reading.stop();
  },
);

t.test('a container that is started again has a log of its own, which a glob finds', async (t) => {
  const root = t.testdir();
  const first = new ContainerLog(join(root, POD, '0.log'));
  first.write(linesOf(0, 3));
  const reading = await Reading.start(join(root, 'pods/kube-system_kube-apiserver-*/kube-apiserver/*.log'));
  await reading.readUntil(t, textOf(0, 3));
  const second = new ContainerLog(join(root, POD, '1.log'));
  second.write(linesOf(3, 6));
  await reading.readUntil(t, textOf(0, 6));
  t.equal(reading.source.position().paths.length, 2);
  first.close();
  second.close();
  await reading.stop();
});

for (const name of ['literal', 'glob']) {
  t.test(
    `a link is followed to its file, whose backups are beside it, over restarts (${name})`,
    async (t) => {
      const root = t.testdir({ containers: {} });
      const log = new ContainerLog(join(root, POD, '0.log'));
      const link = join(root, 'containers/kube-apiserver-node_kube-system_kube-apiserver-0123.log');
      // As Docker has it: a link to a link.
      fs.symlinkSync(log.path, join(root, 'other.log'));
      fs.symlinkSync('../other.log', link);
      log.write(linesOf(0, 3));
      log.rotate();
      log.write(linesOf(3, 6));
      const path = name === 'glob' ? join(root, 'containers/*.log') : link;
      const reading = await Reading.start(path);
      await reading.readUntil(t, textOf(0, 6));
      t.equal(reading.path().path, link);
      log.rotate();
      log.write(linesOf(6, 9));
      await reading.readUntil(t, textOf(0, 9));
      const position = await reading.stop();
      log.write(linesOf(9, 10));
      log.rotate();
      log.rotate();
      // Between the two steps of a rotation the link leads nowhere.
      fs.renameSync(log.path, `${log.path}.20261121-235959`);
      const again = await Reading.start(path, { position });
      await again.readUntil(t, textOf(9, 10));
      t.equal(again.metrics.gaps, 0);
      log.close();
      await again.stop();
    },
  );
}

t.test('a link that leads elsewhere from now on is followed there, when the old file is read', async (t) => {
  const root = t.testdir();
  const link = join(root, 'current.log');
  const [one, two] = ['a', 'b'].map((name) => new ContainerLog(join(root, name, '0.log')));
  if (!one || !two) throw new Error('impossible: two were made');
  one.write(linesOf(0, 3));
  fs.symlinkSync(one.path, link);
  const reading = await Reading.start(link);
  await reading.readUntil(t, textOf(0, 3));
  one.write(linesOf(3, 4));
  two.write(linesOf(4, 6));
  fs.symlinkSync(two.path, `${link}.new`);
  fs.renameSync(`${link}.new`, link);
  await reading.readUntil(t, textOf(0, 6));
  one.close();
  two.close();
  await reading.stop();
});
