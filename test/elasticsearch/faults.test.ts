// What goes wrong on the way to a real server, and in it: every time each event is one document in the end. The server
// rolls over at the worst moment: when it has done what was asked, and Headgate does not know.
import t from 'tap';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { numberedLine } from '../helpers/audit-lines.js';
import { allDocuments, call, putTemplate, startElasticsearch } from '../helpers/elasticsearch.js';
import { TestSink } from '../helpers/elasticsearch-sink.js';
import { complaints, finished, startHeadgate } from '../helpers/headgate.js';
import { TcpProxy } from '../helpers/tcp-proxy.js';
import type { Forward } from '../helpers/tcp-proxy.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const COUNT = 300;
const DEADLINE_MS = 120_000;

const linesFrom = (from: number): string[] =>
  Array.from({ length: COUNT }, (_, i) => numberedLine(from + i, 1_795_253_471_000).line);
const numbersFrom = (from: number): number[] => Array.from({ length: COUNT }, (_, i) => from + i);

t.test('with a real server', async (t) => {
  const node = await startElasticsearch(t);
  if ('missing' in node) {
    t.skip(node.missing, async () => undefined);
    return;
  }
  const { url } = node;
  await putTemplate(t, url, 'audit', false);
  await putTemplate(t, url, 'stream', true);

  /** The numbers of all documents from `from` on; none while there is no index. */
  const found = async (name: string, from: number): Promise<number[]> => {
    const documents = await allDocuments(url, name).catch(() => []);
    const numbers = documents.map(({ _source }) => Number(_source['auditID']));
    return numbers.filter((n) => n >= from && n < from + COUNT).sort((a, b) => a - b);
  };
  const isAllFound = (name: string, from: number) => async () => (await found(name, from)).length >= COUNT;

  /** Nothing of the answer comes. */
  const nothing: Forward = () => undefined;
  /** The connection breaks in the middle of the answer. */
  const half: Forward = (data, to) => {
    to.end(data.subarray(0, data.length >> 1), () => to.destroy());
  };
  const reset: Forward = (_, to) => {
    to.resetAndDestroy();
  };
  const faults = { 'that never comes': nothing, 'of which half comes': half, 'that is a reset': reset };
  let next = 0;

  for (const [name, answer] of Object.entries(faults)) {
    t.test(`a rollover behind an answer ${name} doubles nothing`, async (t) => {
      const from = (next += COUNT);
      const proxy = await TcpProxy.start(t, url);
      const test = await TestSink.open(t, proxy.url, { index: 'stream', request_timeout: '3s' });
      await test.settle(); // What follows was never sent before.
      proxy.answer = answer;
      await test.write(linesFrom(from));
      const settled = test.settle();
      await until('the server has done it', isAllFound('stream', from), DEADLINE_MS);
      await call(url, 'POST', '/stream/_rollover');
      proxy.heal();
      await settled;
      t.strictSame(await found('stream', from), numbersFrom(from));
      t.match(test.logs[0], { code: 'SINK_WAITING' });
    });
  }

  t.test('a rollover behind an answer that never came before SIGKILL doubles nothing', async (t) => {
    const from = (next += COUNT);
    const proxy = await TcpProxy.start(t, url);
    const root = temporaryDirectory(t);
    mkdirSync(join(root, 'log'));
    writeFileSync(
      join(root, 'log/audit.log'),
      linesFrom(from)
        .map((line) => `${line}\n`)
        .join(''),
    );
    writeFileSync(
      join(root, 'p.yaml'),
      `source: { type: file, paths: ['${root}/log/audit.log'] }
routes: [{ to: elastic }]
sinks: { elastic: { type: elasticsearch, nodes: ['${proxy.url}'], index: stream } }
`,
    );
    const args = ['run', '--once', '--state-dir', join(root, 'state'), join(root, 'p.yaml')];
    // Answers to the look-up come through, those to `_bulk` do not.
    proxy.request = (data, to) => {
      if (data.subarray(0, 100).includes('/_bulk')) proxy.answer = nothing;
      to.write(data);
    };
    const first = startHeadgate(args);
    t.teardown(() => first.child.kill('SIGKILL'));
    await until('the server has done it', isAllFound('stream', from), DEADLINE_MS);
    first.child.kill('SIGKILL');
    await first.exit;
    await call(url, 'POST', '/stream/_rollover');
    proxy.heal();
    const run = await finished(startHeadgate(args));
    t.equal(run.exitCode, 0, complaints(run));
    t.strictSame(await found('stream', from), numbersFrom(from));
  });

  t.test(
    'a connection that breaks in the middle of a request, and one that is slow, lose nothing',
    async (t) => {
      const from = (next += COUNT);
      const proxy = await TcpProxy.start(t, url);
      const test = await TestSink.open(t, proxy.url);
      let breaks = 3;
      proxy.request = (data, to) => {
        // The head of a request comes by itself or with the beginning of its body.
        if (breaks-- > 0) to.write(data.subarray(0, 1000), () => to.destroy());
        else to.write(data);
      };
      proxy.answer = (data, to) => {
        for (const byte of data) to.write(Buffer.of(byte));
      };
      await test.write(linesFrom(from));
      await test.settle();
      t.ok(breaks < 0);
      t.strictSame(await found('audit', from), numbersFrom(from));
    },
  );

  t.test('events wait while an index is read-only, and go on when it is not', async (t) => {
    const from = (next += COUNT);
    const test = await TestSink.open(t, url);
    // What the server itself does when the disk is almost full.
    const block = 'index.blocks.read_only_allow_delete';
    await call(url, 'PUT', '/audit/_settings', { [block]: true });
    await test.write(linesFrom(from));
    const settled = test.settle();
    await until('it waits', () => test.logs.some(({ code }) => code === 'SINK_WAITING'));
    t.match(test.logs[0]?.['cause'], /cluster_block_exception/);
    t.equal((await found('audit', from)).length, 0);
    await call(url, 'PUT', '/audit/_settings', { [block]: null });
    await settled;
    t.strictSame(await found('audit', from), numbersFrom(from));
    t.equal(test.context.rejections.length, 0);
  });

  t.test('an index that is deleted under way is made anew, and takes what comes then', async (t) => {
    const before = (next += COUNT);
    const from = (next += COUNT);
    const test = await TestSink.open(t, url);
    await test.write(linesFrom(before));
    await until('some are there', async () => (await found('audit', before)).length > 0, DEADLINE_MS);
    await Promise.all([test.settle(), call(url, 'DELETE', '/audit')]);
    await test.write(linesFrom(from));
    await test.settle();
    t.strictSame(await found('audit', from), numbersFrom(from));
    t.equal(test.context.rejections.length, 0);
  });
});
