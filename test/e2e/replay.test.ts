// `headgate replay`: what the quarantine holds goes through the pipeline again, exactly once, whenever it is broken off.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { complaints, headgate, reconcile } from '../helpers/headgate.js';
import type { Finished } from '../helpers/headgate.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';

// Each takes up to four runs.
const POINTS = Math.ceil(Number(process.env['HEADGATE_CRASH_POINTS'] ?? 12) / 3);
const preload = fileURLToPath(new URL('../helpers/die-at-change.mjs', import.meta.url));
const LEGACY = Array.from(
  { length: 30 },
  (_, i) =>
    `2026-11-21T10:00:${String(i).padStart(2, '0')}.000000000Z AUDIT: id="id-${i}" stage="ResponseComplete" ip="::1" method="get" user="u${i % 3}" groups="\\"g\\"" as="<self>" asgroups="<lookup>" user-agent="x" namespace="<none>" uri="/healthz/${i}" response="200"`,
);
const JSON_LINES = Array.from({ length: 5 }, (_, i) => `{"auditID":"json-${i}","user":{"username":"u"}}`);

function pipeline(root: string, format: 'json' | 'auto', more = ''): string {
  const file = join(root, 'p.yaml');
  writeFileSync(
    file,
    `source: { type: file, paths: ['${root}/log/audit.log'], format: ${format} }
routes: [{ to: [a, b] }]
sinks:
  a: { type: files, base_dir: '${root}/a', path: '{{ user.username ?? "none" }}.log' }
  b: { type: files, base_dir: '${root}/b', path: all.log }
${more}`,
  );
  return file;
}

/** A pipeline that has quarantined all legacy lines and one of rubbish, and would take the legacy ones now. */
async function quarantined(root: string): Promise<string> {
  for (const name of ['log', 'state']) mkdirSync(join(root, name), { recursive: true });
  const lines = [...LEGACY.slice(0, 20), ...JSON_LINES, 'rubbish', ...LEGACY.slice(20)];
  writeFileSync(join(root, 'log/audit.log'), `${lines.join('\n')}\n`);
  const run = await headgate(['run', '--once', '--state-dir', join(root, 'state'), pipeline(root, 'json')]);
  if (run.exitCode !== 0) throw new Error(complaints(run));
  return pipeline(root, 'auto');
}

function replay(root: string, file: string, dieAt?: number): Promise<Finished> {
  const args = ['replay', '--deadline', '120s', '--state-dir', join(root, 'state'), file];
  const env = {
    HEADGATE_TEST_CHANGES: join(root, 'changes'),
    ...(dieAt === undefined ? {} : { HEADGATE_TEST_DIE_AT: String(dieAt) }),
  };
  return headgate(args, { nodeArgs: ['--import', preload], env });
}

function idsIn(directory: string): string[] {
  const lines = [...readOutputs(directory).values()].flatMap(linesOf);
  return lines.map((line) => String((JSON.parse(line) as { auditID: string }).auditID)).sort();
}

function entriesIn(root: string): string[] {
  const state = join(root, 'state');
  const names = readdirSync(state).filter((name) => name.includes('.quarantine'));
  return names
    .flatMap((name) => linesOf(readFileSync(join(state, name))))
    .map((line) => (JSON.parse(line) as { raw: string }).raw);
}

const IDS = [...LEGACY.map((_, i) => `id-${i}`), ...JSON_LINES.map((_, i) => `json-${i}`)].sort();

t.test('what can be delivered now is, and the rest is in the quarantine again', async (t) => {
  const root = temporaryDirectory(t);
  const file = await quarantined(root);
  t.equal(entriesIn(root).length, 31);
  t.same(
    idsIn(join(root, 'b')),
    IDS.filter((id) => id.startsWith('json')),
  );
  const run = await replay(root, file);
  t.equal(run.exitCode, 0, complaints(run));
  t.same(idsIn(join(root, 'a')), IDS);
  t.same(idsIn(join(root, 'b')), IDS);
  t.same(entriesIn(root), ['rubbish']);
  const counters = run.counters['p'] ?? {};
  t.equal(reconcile(counters), undefined);
  t.match(counters, { headgate_events_delivered_total: 30, headgate_lines_quarantined_total: 1 });
  t.equal((await replay(root, file)).exitCode, 0, 'again: the rubbish goes round');
  t.same(entriesIn(root), ['rubbish']);
  t.same(idsIn(join(root, 'b')), IDS);
});

t.test('the log goes on where it was, with new lines', async (t) => {
  const root = temporaryDirectory(t);
  const file = await quarantined(root);
  await replay(root, file);
  writeFileSync(join(root, 'log/audit.log'), '{"auditID":"later"}\n', { flag: 'a' });
  const run = await headgate(['run', '--once', '--state-dir', join(root, 'state'), file]);
  t.equal(run.exitCode, 0, complaints(run));
  t.same(idsIn(join(root, 'b')), [...IDS, 'later'].sort());
});

t.test(
  'exactly once, whichever change to the disk is the last one, and also when the log is followed in between',
  async (t) => {
    const root = temporaryDirectory(t);
    const whole = join(root, 'run');
    const file = await quarantined(whole);
    t.equal((await replay(whole, file)).exitCode, 0);
    const total = Number(readFileSync(join(whole, 'changes'), 'utf8'));
    t.ok(total > 30, `${total} changes to the disk`);
    const faults: string[] = [];
    let died = 0;
    for (let k = 1; k <= total; k += Math.max(1, Math.floor(total / POINTS))) {
      rmSync(whole, { recursive: true });
      await quarantined(whole);
      if ((await replay(whole, file, k)).exitCode === 'SIGKILL') died++;
      if (died % 2 === 0) await headgate(['run', '--once', '--state-dir', join(whole, 'state'), file]);
      const last = await replay(whole, file);
      if (last.exitCode !== 0) faults.push(`at change ${k}: ${complaints(last)}`);
      for (const sink of ['a', 'b'])
        if (idsIn(join(whole, sink)).join() !== IDS.join()) faults.push(`at change ${k}: ${sink} differs`);
      if (entriesIn(whole).join() !== 'rubbish') faults.push(`at change ${k}: ${entriesIn(whole).join()}`);
    }
    t.ok(died >= Math.min(POINTS, total) * 0.5, `${died} runs died where they should`);
    t.same(faults, []);
  },
);

t.test(
  'what one sink had rejected goes to that sink alone, and what is not known in full stays',
  async (t) => {
    const root = temporaryDirectory(t);
    const file = await quarantined(root);
    await replay(root, file);
    const entry = (id: string, more: object): string => {
      const raw = `{"auditID":"${id}"}`;
      return `${JSON.stringify({ reason: 'rejected', path: '/x', offset: 0, length: raw.length, detail: 'd', raw, ...more })}\n`;
    };
    writeFileSync(
      join(root, 'state/p.quarantine~000077.jsonl'),
      entry('for-a', { sink: 'a' }) +
        entry('gone', { sink: 'c' }) +
        entry('cut', { length: 999 }) +
        'no entry\n',
    );
    const run = await replay(root, file);
    t.equal(run.exitCode, 0, complaints(run));
    t.same(idsIn(join(root, 'a')), [...IDS, 'for-a'].sort());
    t.same(idsIn(join(root, 'b')), IDS);
    t.same(entriesIn(root).sort(), ['no entry', 'rubbish', '{"auditID":"cut"}', '{"auditID":"gone"}']);
  },
);

t.test('a pipeline that never ran begins where its source says, after a replay too', async (t) => {
  const root = temporaryDirectory(t);
  mkdirSync(join(root, 'log'));
  writeFileSync(join(root, 'log/audit.log'), '{"auditID":"before"}\n');
  const file = pipeline(root, 'auto');
  writeFileSync(file, readFileSync(file, 'utf8').replace('format: auto', 'read_from: end'));
  t.equal((await replay(root, file)).exitCode, 0);
  t.equal((await headgate(['run', '--once', '--state-dir', join(root, 'state'), file])).exitCode, 0);
  t.same(readdirSync(root).includes('b') ? idsIn(join(root, 'b')) : [], []);
});
