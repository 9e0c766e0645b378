// With a real OpenSearch: its `_bulk`, its answers and its data streams are taken as Elasticsearch's are.
import t from 'tap';
import { numberedLine } from '../helpers/audit-lines.js';
import { allDocuments, call, putTemplate, startOpenSearch } from '../helpers/elasticsearch.js';
import { TestSink } from '../helpers/elasticsearch-sink.js';
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
