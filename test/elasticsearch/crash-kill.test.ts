// SIGKILL of Headgate and of Elasticsearch at random instants, with rollovers in between: in the end each line of the log
// is one document, in an index and in a data stream. One log goes to both.
import t from 'tap';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { numberedLine } from '../helpers/audit-lines.js';
import { allDocuments, call, putTemplate, startElasticsearch } from '../helpers/elasticsearch.js';
import { complaints, finished, startHeadgate } from '../helpers/headgate.js';
import type { Running } from '../helpers/headgate.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

/** How many kills of Headgate, and then of Elasticsearch; the environment enlarges it. */
const KILLS = Number(process.env['HEADGATE_CRASH_KILLS'] ?? 3);
const SERVER_KILLS = Number(process.env['HEADGATE_SERVER_KILLS'] ?? Math.ceil(KILLS / 3));
const LONGEST_LIFE_MS = 1_500;
const LINES_AT_ONCE = 10;
const WRITE_EVERY_MS = 100;
/** No more lines are written while so many are not delivered: what many kills leave behind is still to be delivered. */
const MOST_BEHIND = 1_000;
const DEADLINE_MS = 180_000;

const NAMES = ['audit', 'stream'];

t.test('after kills of Headgate and of Elasticsearch each line is one document', async (t) => {
  const node = await startElasticsearch(t);
  if ('missing' in node) {
    t.skip(node.missing, async () => undefined);
    return;
  }
  await putTemplate(t, node.url, 'audit', false);
  await putTemplate(t, node.url, 'stream', true);

  const root = temporaryDirectory(t);
  mkdirSync(join(root, 'log'));
  const log = join(root, 'log/audit.log');
  const sinks = NAMES.map(
    (name) =>
      `  ${name}: { type: elasticsearch, nodes: ['${node.url}'], index: ${name}, batch: { max_bytes: 32KiB, max_age: 50ms } }`,
  );
  writeFileSync(
    join(root, 'p.yaml'),
    `source: { type: file, paths: ['${log}'] }
routes: [{ to: [${NAMES.join(', ')}] }]
commit_interval: 300ms
sinks:
${sinks.join('\n')}
`,
  );
  const args = ['run', '--state-dir', join(root, 'state'), join(root, 'p.yaml')];
  let lineCount = 0;
  const writeLines = (): void => {
    const lines = Array.from(
      { length: LINES_AT_ONCE },
      () => numberedLine(lineCount++, 1_795_253_471_000).line,
    );
    appendFileSync(log, lines.map((line) => `${line}\n`).join(''));
  };
  writeLines();
  let deliveredCount = 0;
  const writing = setInterval(() => {
    if (lineCount - deliveredCount < MOST_BEHIND) writeLines();
  }, WRITE_EVERY_MS);
  let running: Running | undefined;
  t.teardown(() => {
    clearInterval(writing);
    running?.child.kill('SIGKILL');
  });
  const countOf = async (name: string): Promise<number> => {
    type Found = { hits: { total: { value: number } } };
    const query = { size: 0, track_total_hits: true };
    const found = await call<Found>(node.url, 'POST', `/${name}/_search`, query).catch(() => undefined);
    const count = found?.hits.total.value ?? 0;
    deliveredCount = Math.max(deliveredCount, count);
    return count;
  };

  for (let kill = 0; kill < KILLS; kill++) {
    const before = await countOf('stream');
    running = startHeadgate(args);
    await until('it delivers', async () => (await countOf('stream')) > before, DEADLINE_MS);
    // The instant is the point of the test; nothing is waited for.
    await sleep(Math.random() * LONGEST_LIFE_MS);
    running.child.kill('SIGKILL');
    t.equal(await running.exit, 'SIGKILL');
    t.notMatch(running.stderr(), /Warning/);
    await call(node.url, 'POST', '/stream/_rollover');
  }
  running = startHeadgate(args);
  for (let kill = 0; kill < SERVER_KILLS; kill++) {
    await sleep(Math.random() * LONGEST_LIFE_MS);
    await node.kill();
    await node.start();
    await countOf('stream');
    await call(node.url, 'POST', '/stream/_rollover');
  }
  clearInterval(writing);
  for (const name of NAMES)
    await until(`${name} holds every line`, async () => (await countOf(name)) >= lineCount, DEADLINE_MS);
  const numbers = Array.from({ length: lineCount }, (_, i) => i);
  running.child.kill('SIGTERM');
  const run = await finished(running);
  t.equal(run.exitCode, 0, complaints(run));
  for (const name of NAMES) {
    const documents = await allDocuments(node.url, name);
    const found = documents.map(({ _source }) => Number(_source['auditID'])).sort((a, b) => a - b);
    t.strictSame(found, numbers, `${new Set(documents.map(({ _index }) => _index)).size} indices`);
  }
});
