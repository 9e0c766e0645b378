// The two-line legacy log through the whole program: a request and its response are one event in the outputs, exactly
// once, wherever a SIGKILL falls between the two.
import t from 'tap';
import type { Test } from 'tap';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { crashPipeline, faultsOf } from '../helpers/crash-run.js';
import { complaints, headgate, reconcile, startHeadgate } from '../helpers/headgate.js';
import { NumberedPairs, requestLine, responseLine } from '../helpers/legacy.js';
import { Lumberjack } from '../helpers/lumberjack.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

/** Not more: a tenth of the requests stays open, and when there are too many of those the oldest are given up early. */
const KILLS = Math.min(50, Number(process.env['HEADGATE_CRASH_KILLS'] ?? 12));
const LONGEST_LIFE_MS = 900;
const ROTATED_FILES = 50;

function rootOf(t: Test): string {
  const root = temporaryDirectory(t);
  for (const name of ['log', 'state']) mkdirSync(join(root, name));
  return root;
}

async function killAtRandom(t: Test, args: string[], kills: number): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    const running = startHeadgate(args);
    // The instant is the point of the test; nothing is waited for.
    await sleep(Math.random() * LONGEST_LIFE_MS);
    running.child.kill('SIGKILL');
    t.equal(await running.exit, 'SIGKILL', running.stderr().slice(-500));
  }
}

t.test(`pairs are joined exactly once through ${KILLS} random kills and rotations`, async (t) => {
  const root = rootOf(t);
  const writer = new Lumberjack(join(root, 'log/audit.log'), { maxBytes: 100_000, compress: true });
  const pairs = new NumberedPairs();
  const write = (): void => {
    for (let i = 0; i < 25; i++) for (const line of pairs.next()) writer.write(line);
  };
  write();
  const writing = setInterval(write, 8);
  t.teardown(() => {
    clearInterval(writing);
  });
  const args = crashPipeline(root, 'raw', '60KiB');
  await killAtRandom(t, args, KILLS);
  clearInterval(writing);
  writer.close();
  pairs.end();
  const last = await headgate([...args, '--once', '--deadline', '120s']);
  t.equal(last.exitCode, 0, complaints(last));
  t.equal(reconcile(last.counters['p'] ?? {}), undefined);
  t.same(faultsOf(root, pairs.events), [], `${pairs.events.length} events`);
});

t.test(`a log in ${ROTATED_FILES} rotated files with kills between gives what one pass gives`, async (t) => {
  const root = rootOf(t);
  const pairs = new NumberedPairs();
  for (let file = 0; file <= ROTATED_FILES; file++) {
    const lines = Array.from({ length: 60 }, () => pairs.next()).flat();
    const name =
      file === ROTATED_FILES ? 'audit' : `audit-2026-11-21T10-${String(file).padStart(2, '0')}-00.000`;
    writeFileSync(join(root, `log/${name}.log`), `${lines.join('\n')}\n`);
  }
  const args = crashPipeline(root, 'raw', '60KiB');
  await killAtRandom(t, args, Math.min(KILLS, 4));
  pairs.end();
  const last = await headgate([...args, '--once', '--deadline', '120s']);
  t.equal(last.exitCode, 0, complaints(last));
  t.same(faultsOf(root, pairs.events), []);
});

t.test('a request stays open over a stop, and is given up in time when the log stands still', async (t) => {
  const root = rootOf(t);
  const log = join(root, 'log/audit.log');
  const config = join(root, 'p.yaml');
  writeFileSync(
    config,
    `source: { type: file, paths: ['${log}'], format: legacy, legacy: { max_open_age: 2s } }
routes: [{ to: files }]
commit_interval: 30ms
sinks: { files: { type: files, base_dir: '${root}/out', path: all.log, compress: none } }
`,
  );
  const args = ['run', '--state-dir', join(root, 'state'), config];
  const position = () => readFileSync(join(root, 'state/p.position.json'), 'utf8');
  writeFileSync(log, `${requestLine('first')}\n`);
  const running = startHeadgate(args);
  await until('the request is committed as open', () => {
    try {
      return position().includes('first');
    } catch {
      return false;
    }
  });
  running.child.kill('SIGTERM');
  t.equal(await running.exit, 0);
  t.match(position(), 'first');

  writeFileSync(log, `${responseLine('first')}\n${requestLine('second')}\n`, { flag: 'a' });
  const again = startHeadgate(args);
  const outputs = () => {
    try {
      return readFileSync(join(root, 'out/all.log'), 'utf8');
    } catch {
      return '';
    }
  };
  await until('the second request is given up', () => outputs().includes('request-only'));
  again.child.kill('SIGTERM');
  t.equal(await again.exit, 0);
  const events = outputs().trim().split('\n');
  t.equal(events.length, 2);
  t.match(events[0], /"first".*"code":200/);
  t.match(events[1], /"second".*request-only/);
  t.notMatch(position(), '"open"');
});
