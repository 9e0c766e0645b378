// With a real OpenSearch: its `_bulk`, its answers and its data streams are taken as Elasticsearch's are.
import t from 'tap';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { numberedLine } from '../helpers/audit-lines.js';
import { allDocuments, call, eachDocument, putTemplate, startOpenSearch } from '../helpers/elasticsearch.js';
import type { FoundDocument } from '../helpers/elasticsearch.js';
import { TestSink } from '../helpers/elasticsearch-sink.js';
import { complaints, headgate, reconcile } from '../helpers/headgate.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

t.test('with flavor: opensearch', async (t) => {
  const node = await startOpenSearch(t);
  if ('missing' in node) {
    t.skip(node.missing, async () => undefined);
    return;
  }
  const { url } = node;
  const lines = Array.from({ length: 50 }, (_, i) => numberedLine(i, 1_795_253_471_000).line);
  const numbers = lines.map((_, i) => i);
  const found = async (name: string): Promise<number[]> =>
    (await allDocuments(url, name)).map(({ _source }) => Number(_source['auditID'])).sort((a, b) => a - b);

  for (const isDataStream of [false, true]) {
    const index = isDataStream ? 'stream' : 'audit';
    t.test(`each event is one document in the ${index}, also when it is sent again`, async (t) => {
      await putTemplate(t, url, index, isDataStream);
      for (const isGzip of [false, true]) {
        const compression = isGzip ? 'gzip' : 'none';
        const test = await TestSink.open(t, url, { flavor: 'opensearch', index, compression });
        // The first half comes once more, from a run that does not know what became of it.
        await test.write(isGzip ? lines : lines.slice(0, 25));
        await test.settle();
        t.equal(test.context.rejections.length, 0);
        if (isDataStream) await call(url, 'POST', `/${index}/_rollover`);
      }
      t.strictSame(await found(index), numbers);
    });
  }

  t.test('an event that it rejects is rejected with its line', async (t) => {
    const test = await TestSink.open(t, url, { flavor: 'opensearch' });
    const bad = numberedLine(99, 1_795_253_471_000).line.replace(
      '"verb":"get"',
      '"verb":"get","verb":"list"',
    );
    await test.write([bad]);
    await test.settle();
    t.strictSame(
      test.context.rejections.map(({ entry }) => entry.raw.toString()),
      [bad],
    );
  });

  for (const format of ['native', 'ecs'])
    t.test(
      `what setup installs takes the events in the form ${format}, and repeated it changes nothing`,
      async (t) => {
        const root = temporaryDirectory(t);
        mkdirSync(join(root, 'log'));
        writeFileSync(join(root, 'log/audit.log'), lines.map((line) => `${line}\n`).join(''));
        const name = `logs-headgate.${format}-test`;
        const file = join(root, 'p.yaml');
        writeFileSync(
          file,
          `source: { type: file, paths: ['${root}/log/audit.log'] }
routes: [{ to: out }]
sinks: { out: { type: elasticsearch, flavor: opensearch, nodes: ['${url}'], index: ${name}, format: ${format} } }
`,
        );
        const setup = await headgate(['elasticsearch', 'setup', file]);
        t.equal(setup.exitCode, 0, setup.stdout + setup.stderr);
        t.match(setup.stdout, `created    index template headgate-${name}`);
        t.match(setup.stdout, 'skipped    lifecycle: OpenSearch has Index State Management instead');
        const run = await headgate(['run', '--once', '--state-dir', join(root, 'state'), file]);
        t.equal(run.exitCode, 0, complaints(run));
        t.equal(reconcile(run.counters['p'] ?? {}), undefined);
        t.equal(run.counters['p']?.['headgate_events_delivered_total'], lines.length);
        const documents: FoundDocument[] = [];
        await eachDocument(url, name, (each) => documents.push(each));
        t.equal(documents.length, lines.length);
        t.ok(
          documents.every(({ _index }) => _index.startsWith('.ds-')),
          'in the data stream',
        );
        const again = await headgate(['elasticsearch', 'setup', file]);
        t.equal(again.exitCode, 0);
        t.notMatch(again.stdout, /^ +(created|changed|note|would|refused)/m);
      },
    );

  t.test('without it a server that is not Elasticsearch is told, and nothing is sent', async (t) => {
    const test = await TestSink.open(t, url, { index: 'other' });
    await test.write(lines);
    const settled = t.rejects(test.settle(), /the test ends|aborted/);
    await until('it says so', () => test.logs.some(({ cause }) => /flavor: opensearch/.test(String(cause))));
    await test.kill();
    await settled;
    t.strictSame(await found('other').catch(() => 'none'), 'none');
  });
});
