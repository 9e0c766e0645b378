// With a real server: events arrive complete, and its own 413 and 429 lose and double none.
import t from 'tap';
import type { Test } from 'tap';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { exampleFiles } from '../../examples/quickstart/generate.mjs';
import { numberedLine } from '../helpers/audit-lines.js';
import {
  allDocuments,
  findElasticsearch,
  putTemplate,
  startElasticsearch,
} from '../helpers/elasticsearch.js';
import { complaints, headgate, reconcile } from '../helpers/headgate.js';
import { linesOf } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';

/** Delivers a log to `name` and ends; what is wrong with the counters fails the test. */
async function deliver(
  t: Test,
  url: string,
  name: string,
  log: string,
  more = '',
): Promise<Record<string, number>> {
  const root = temporaryDirectory(t);
  mkdirSync(join(root, 'log'));
  writeFileSync(join(root, 'log/audit.log'), log, 'latin1');
  writeFileSync(
    join(root, 'p.yaml'),
    `source: { type: file, paths: ['${root}/log/audit.log'] }
routes: [{ to: elastic }]
commit_interval: 200ms
sinks: { elastic: { type: elasticsearch, nodes: ['${url}'], index: '${name}'${more} } }
`,
  );
  const run = await headgate(['run', '--once', '--state-dir', join(root, 'state'), join(root, 'p.yaml')]);
  t.equal(run.exitCode, 0, complaints(run));
  const counters = run.counters['p'] ?? {};
  t.equal(reconcile(counters), undefined);
  return counters;
}

/** What an event is in a document: without what Headgate adds, and without managedFields. */
function eventOf(value: unknown): unknown {
  return JSON.stringify(sorted(value, ['@timestamp', 'event', 'host', 'log', 'headgate']));
}
function sorted(value: unknown, left: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((each) => sorted(each, ['managedFields']));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([key]) => !left.includes(key));
  return Object.fromEntries(
    members.sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, each]) => [key, sorted(each, ['managedFields'])]),
  );
}

function genuineLog(): string {
  const data = process.env['HEADGATE_TEST_DATA'];
  const directory = data === undefined ? '' : join(data, 'openshift');
  if (!existsSync(directory)) return '';
  const names = readdirSync(directory).filter((name) => name.endsWith('.log'));
  return names.map((name) => readFileSync(join(directory, name), 'latin1')).join('');
}

t.test('with an ordinary server', async (t) => {
  const server = await findElasticsearch(t);
  if ('missing' in server) {
    t.skip(server.missing, async () => undefined);
    return;
  }
  const { url } = server;
  const unique = `headgate-${Date.now()}`;

  for (const kind of ['index', 'data stream']) {
    t.test(`each event is one document in the ${kind}, and all of it is there`, async (t) => {
      const name = `${unique}-${kind === 'index' ? 'index' : 'stream'}`;
      await putTemplate(t, url, name, kind !== 'index');
      const log = exampleFiles()
        .map(({ content }) => content.toString('latin1'))
        .concat(genuineLog())
        .join('');
      const counters = await deliver(t, url, name, log);
      const documents = await allDocuments(url, name);
      const lines = [...new Set(linesOf(Buffer.from(log, 'latin1')))].map((line) =>
        Buffer.from(line, 'latin1').toString(),
      );
      const events = lines.filter((line) => line.startsWith('{') && line.trimEnd().endsWith('}'));
      t.equal(counters['headgate_events_quarantined_total'], 0);
      t.strictSame(
        documents.map(({ _source }) => eventOf(_source)).sort(),
        events.map((line) => eventOf(JSON.parse(line))).sort(),
      );
      const [first] = documents;
      t.match(first?._source, {
        host: { name: String },
        headgate: { pipeline: 'p', tag: 'p' },
        log: { file: { path: /audit\.log$/ }, offset: Number },
        event: { ingested: /Z$/ },
      });
      t.equal(first?._source['@timestamp'], first?._source['stageTimestamp']);
    });
  }

  t.test(
    'an event that the server rejects is in the quarantine, those around it are documents',
    async (t) => {
      const line = (i: number): string => numberedLine(i, 1_795_253_471_000 + i).line;
      const twice = line(1).replace('"verb":"get"', '"verb":"get","verb":"list"');
      const name = `${unique}-rejected`;
      await putTemplate(t, url, name, false);
      const counters = await deliver(t, url, name, [line(0), twice, line(2), ''].join('\n'));
      t.match(counters, { headgate_events_delivered_total: 2, headgate_events_quarantined_total: 1 });
      t.equal((await allDocuments(url, name)).length, 2);
    },
  );
});

t.test('with a server that has room for next to nothing', async (t) => {
  const node = await startElasticsearch(t, [
    'http.max_content_length=200kb',
    'indexing_pressure.memory.limit=20kb',
  ]);
  if ('missing' in node) {
    t.skip(node.missing, async () => undefined);
    return;
  }
  await putTemplate(t, node.url, 'audit', false);

  t.test('its 413 and 429 lose and double nothing', async (t) => {
    const numbers = Array.from({ length: 1_000 }, (_, i) => i);
    const log = numbers.map((i) => `${numberedLine(i, 1_795_253_471_000).line}\n`).join('');
    const counters = await deliver(t, node.url, 'audit', log);
    t.equal(counters['headgate_events_delivered_total'], numbers.length);
    t.ok((counters['headgate_retries_total'] ?? 0) > 0, 'it was told to wait');
    const found = (await allDocuments(node.url, 'audit')).map(({ _source }) => Number(_source['auditID']));
    t.strictSame(
      found.sort((a, b) => a - b),
      numbers,
    );
  });

  t.test(
    'an event that it never has room for is sent without its bodies, and those behind it go on',
    async (t) => {
      const [first, large, last] = [0, 1, 2].map((i) => numberedLine(i, 1_795_253_471_000).line);
      const log = [first, large?.replace('{"data":"', `{"data":"${'x'.repeat(15_000)}`), last, ''].join('\n');
      await putTemplate(t, node.url, 'large', false);
      const counters = await deliver(t, node.url, 'large', log);
      t.match(counters, { headgate_events_delivered_total: 2, headgate_events_quarantined_total: 1 });
      const found = (await allDocuments(node.url, 'large')).map(({ _source }) => _source);
      t.strictSame(found.map(({ auditID }) => auditID).sort(), ['0', '1', '2']);
      t.match(
        found.find(({ auditID }) => auditID === '1'),
        { requestObject: { 'headgate.io/truncated': Object } },
      );
    },
  );
});
