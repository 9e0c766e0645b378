// The command line of `headgate elasticsearch setup`; what it does on a server is in test/sink/elasticsearch/setup.test.ts
// and, with a real one, in test/elasticsearch.
import t from 'tap';
import type { Test } from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { FakeElasticsearch } from '../helpers/fake-elasticsearch.js';
import { headgate } from '../helpers/headgate.js';

function pipeline(t: Test, sinks: string, name = 'p'): string {
  const file = join(t.testdirName, `${name}.yaml`);
  writeFileSync(
    file,
    `source: { type: file, paths: [/var/log/${name}.log] }\nroutes: [{ to: elastic }]\nsinks:\n  elastic: ${sinks}\n`,
  );
  return file;
}
const setup = (...args: string[]) => headgate(['elasticsearch', 'setup', ...args]);
const sink = (more: string): string => `{ type: elasticsearch, nodes: ['http://127.0.0.1:1'], ${more} }`;

t.test('--print shows each request, and asks no server', async (t) => {
  t.testdir({});
  const { exitCode, stdout } = await setup('--print', pipeline(t, sink('index: audit')));
  t.equal(exitCode, 0);
  const requests = stdout.trimEnd().split('\n\n');
  t.match(requests, [
    /^PUT \/_ilm\/policy\/headgate-audit\n/,
    /^PUT \/_component_template\/headgate-audit%40mappings\n/,
    /^PUT \/_component_template\/headgate-audit%40settings\n/,
    /^PUT \/_index_template\/headgate-audit\n/,
  ]);
  for (const request of requests) t.type(JSON.parse(request.slice(request.indexOf('\n'))), 'object');
});

t.test('what is wrong with the usage or the files is exit code 2', async (t) => {
  t.testdir({});
  const elastic = pipeline(t, sink('index: audit'), 'a');
  const other = pipeline(t, sink('index: audit, bodies: text'), 'b');
  const faulty = pipeline(t, sink('index: audit, bodys: text'), 'c');
  const files = pipeline(t, '{ type: files, base_dir: /var/log/audit, path: a.log }', 'd');
  for (const [args, message] of [
    [[elastic, other], /a: sinks.elastic and b: sinks.elastic write to the same indices/],
    [[faulty], /unknown key `bodys`/],
    [[files], /none of the pipelines has an elasticsearch sink/],
    [['--print', '--dry-run', elastic], /either --print or --dry-run/],
    [['--nonsense', elastic], /nonsense/],
  ] as const) {
    const { exitCode, stderr } = await setup(...args);
    t.equal(exitCode, 2, stderr);
    t.match(stderr, message);
  }
  t.equal((await headgate(['elasticsearch', 'teardown'])).exitCode, 2);
});

t.test('sinks that need the same are set up together', async (t) => {
  t.testdir({});
  const files = ['a', 'b'].map((name) => pipeline(t, sink('index: audit'), name));
  const { stdout } = await setup('--print', ...files);
  t.equal(stdout.match(/^PUT \/_index_template/gm)?.length, 1);
});

t.test('no answer, or one that nothing can be done with, is exit code 1', async (t) => {
  t.testdir({});
  const server = await FakeElasticsearch.start(t);
  server.guard = (request, _, response) => {
    response.writeHead(request.method === 'GET' ? 404 : 500, { 'x-elastic-product': 'Elasticsearch' });
    response.end();
    return true;
  };
  const refusing = sink('index: audit').replace('http://127.0.0.1:1', server.url);
  for (const [given, message] of [
    [sink('index: audit, request_timeout: 5s'), /failed +.*(ECONNREFUSED|connect)/i],
    [refusing, /failed +\/_ilm\/policy\/headgate-audit was answered with 500/],
  ] as const) {
    const { exitCode, stdout, stderr } = await setup(pipeline(t, given));
    t.equal(exitCode, 1, stderr);
    t.match(stdout, message);
  }
});
