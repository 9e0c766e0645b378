// The whole program with a scripted Elasticsearch: counters that reconcile, and a quarantine that holds what was rejected
// exactly once, whenever the process was killed.
import t from 'tap';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { numberedLine } from '../helpers/audit-lines.js';
import { FakeElasticsearch } from '../helpers/fake-elasticsearch.js';
import type { Exchange } from '../helpers/fake-elasticsearch.js';
import { complaints, headgate, reconcile, startHeadgate } from '../helpers/headgate.js';
import { linesOf } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';

const LINES = 2_000;
const KILLS = Number(process.env['HEADGATE_CRASH_KILLS'] ?? 6);
const LONGEST_LIFE_MS = 1_200;

interface Root {
  root: string;
  args: string[];
  url: string;
}

/** A log of numbered events, some of them for two sinks. */
function writePipeline(t: { teardown(run: () => void): unknown }, url: string): Root {
  const root = temporaryDirectory(t);
  mkdirSync(join(root, 'log'));
  const lines = Array.from({ length: LINES }, (_, i) => numberedLine(i, 1_795_253_471_000).line);
  writeFileSync(join(root, 'log/audit.log'), lines.map((line) => `${line}\n`).join(''));
  const sink = `type: elasticsearch, nodes: ['${url}'], max_in_flight: 16, batch: { max_events: 20, max_age: 20ms }`;
  writeFileSync(
    join(root, 'p.yaml'),
    `source: { type: file, paths: ['${root}/log/audit.log'] }
routes:
  - { when: { objectRef.namespace: team-a }, to: [one, two] }
  - { to: one }
commit_interval: 100ms
sinks:
  one: { ${sink}, index: one }
  two: { ${sink}, index: two }
`,
  );
  return { root, url, args: ['run', '--state-dir', join(root, 'state'), join(root, 'p.yaml')] };
}

const numberOf = (source: string): number => Number(/"auditID":"(\d+)"/.exec(source)?.[1]);

/** Rejects every tenth event; each sink rejects it that gets it. */
function rejectTenth({ items, create, answer }: Exchange): true {
  const error = { type: 'document_parsing_exception', reason: 'no' };
  const answers = items.map((item) =>
    numberOf(item.source) % 10 === 0 ? { create: { status: 400, error } } : create([item])[0],
  );
  answer(200, { items: answers });
  return true;
}

/** What is in the quarantine, as `<sink> <number>`. */
function quarantined(root: string): string[] {
  const names = readdirSync(join(root, 'state')).filter((name) => name.startsWith('p.quarantine'));
  return names.flatMap((name) =>
    linesOf(readFileSync(join(root, 'state', name))).map((line) => {
      const { sink, raw, reason } = JSON.parse(line) as { sink: string; raw: string; reason: string };
      return `${reason} ${sink} ${numberOf(raw)}`;
    }),
  );
}

function expectedQuarantine(): string[] {
  return Array.from({ length: LINES / 10 }, (_, k) => numberedLine(k * 10, 0)).flatMap(
    ({ number, namespace }) =>
      namespace === 'team-a'
        ? [`rejected one ${number}`, `rejected two ${number}`]
        : [`rejected one ${number}`],
  );
}

t.test('an event that two sinks reject counts once, and the counters reconcile', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  fake.guard = (_, exchange) => exchange !== undefined && rejectTenth(exchange);
  const { root, args } = writePipeline(t, fake.url);
  const run = await headgate([...args, '--once']);
  t.equal(run.exitCode, 0, complaints(run));
  const counters = run.counters['p'] ?? {};
  t.equal(reconcile(counters), undefined);
  t.match(counters, {
    headgate_events_delivered_total: LINES * 0.9,
    headgate_events_quarantined_total: LINES * 0.1,
    headgate_events_in_flight: 0,
  });
  t.strictSame(quarantined(root).sort(), expectedQuarantine().sort());
  t.equal(fake.documents('one').length, LINES * 0.9);
  t.notMatch(run.stderr, /Warning/, 'nothing but log lines');
  t.equal(run.logs.filter(({ code }) => code === 'SINK_REJECTED').length, 2, 'one line a sink and kind');
});

t.test('after kills at random instants each event is there once, or once in the quarantine', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  fake.guard = (_, exchange) => exchange !== undefined && rejectTenth(exchange);
  const { root, args } = writePipeline(t, fake.url);
  for (let kill = 0; kill < KILLS; kill++) {
    const running = startHeadgate(args);
    // The instant is the point of the test; nothing is waited for.
    await sleep(300 + Math.random() * LONGEST_LIFE_MS);
    running.child.kill('SIGKILL');
    t.equal(await running.exit, 'SIGKILL', running.stderr().slice(-300));
    for (const name of fake.names) fake.rollover(name);
  }
  const run = await headgate([...args, '--once']);
  t.equal(run.exitCode, 0, complaints(run));
  t.strictSame(quarantined(root).sort(), expectedQuarantine().sort());
  const numbers = fake.documents('one').map(({ source }) => numberOf(source));
  t.strictSame(
    numbers.sort((a, b) => a - b),
    Array.from({ length: LINES }, (_, i) => i).filter((i) => i % 10 !== 0),
  );
});
