// Every pipeline that is shipped is valid and does what it says, on the example log, as told by a reader that shares
// no code with Headgate.
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { exampleFiles, writeExample } from '../examples/quickstart/generate.mjs';
import { ContainerLog, cri, KLOG_LINE } from './helpers/container-log.js';
import { FakeElasticsearch } from './helpers/fake-elasticsearch.js';
import { finished, headgate, reconcile, startHeadgate } from './helpers/headgate.js';
import type { Finished } from './helpers/headgate.js';
import { linesOf, readOutputs } from './helpers/outputs.js';
import { temporaryDirectory } from './helpers/temporary.js';
import { until } from './helpers/until.js';

const root = resolve(import.meta.dirname, '..');
/** It has a test of its own below. */
const TO_ELASTICSEARCH = 'webhook-to-elasticsearch.yaml';
const pipelines = readdirSync(join(root, 'pipelines')).filter((name) => name !== TO_ELASTICSEARCH);

interface AuditEvent {
  stage?: string;
  verb?: string;
  requestURI?: string;
  user: { username?: string };
  objectRef?: { namespace?: string; resource?: string };
  stageTimestamp: string;
}

/** What decides which file an event is in, and the file of one group whose name holds nothing special. */
interface Split {
  group(event: AuditEvent): string;
  example: [group: string, file: string];
  /** Writes the example log; the API server's own files where absent. */
  write?(directory: string): void;
  /** Events come to it by its webhook. */
  isPosted?: boolean;
}
const SPLITS: Record<string, Split> = {
  'by-namespace.yaml': {
    group: (event) => `${event.objectRef?.namespace ?? 'none'} at ${event.stageTimestamp.slice(0, 13)}`,
    example: ['payments at 2026-11-21T09', 'audit-by-namespace/audit.payments.2026112109.log.gz'],
  },
  'from-pods.yaml': {
    group: (event) => `${event.objectRef?.namespace ?? 'none'} at ${event.stageTimestamp.slice(0, 13)}`,
    example: ['payments at 2026-11-21T09', 'audit-from-pods/audit.payments.2026112109.log.gz'],
    write: writePod,
  },
  'by-user.yaml': {
    group: (event) => event.user.username ?? 'none',
    example: ['alice@example.com', 'audit-by-user/kube-audit-alice@example.com/audit'],
  },
  'webhook-by-user.yaml': {
    group: (event) => event.user.username ?? 'none',
    example: ['alice@example.com', 'audit-from-webhook/kube-audit-alice@example.com/audit'],
    isPosted: true,
  },
};

/** Those that make documents: which events, and which index. */
const DOCUMENTS: Record<
  string,
  { index: string; isDocument(event: AuditEvent): boolean; hasFiles?: boolean }
> = {
  'to-elasticsearch.yaml': {
    index: 'logs-kubernetes.audit-default',
    isDocument: ({ stage }) => stage !== 'RequestReceived',
  },
  'files-and-elasticsearch.yaml': {
    index: 'logs-kubernetes.audit-recent',
    isDocument: ({ stage, objectRef, verb = '', requestURI = '' }) =>
      stage !== 'RequestReceived' &&
      !(objectRef?.resource === 'leases' && ['get', 'update', 'patch'].includes(verb)) &&
      !/^\/(?:health|live|ready)z/.test(requestURI),
    hasFiles: true,
  },
};

/** The same lines in the log of a container, rotated, with lines of the server's own log between. */
function writePod(directory: string): void {
  const log = new ContainerLog(
    join(directory, 'pods/kube-system_kube-apiserver-node_0123/kube-apiserver/0.log'),
    2 ** 20,
  );
  for (const line of exampleFiles().flatMap(({ content }) => linesOf(content))) {
    for (const part of cri(Buffer.from(line, 'latin1'), 700)) log.write([part]);
    log.write(cri(KLOG_LINE, undefined, 'stderr'));
  }
  log.close();
}

/** What a shipped pipeline is, with its logs, certificates, outputs and port below a directory. */
function moved(name: string, directory: string): string {
  return readFileSync(join(root, 'pipelines', name), 'utf8')
    .replace(/\/var\/log\/(kube-audit|(?=pods\/))/, join(directory, 'log/'))
    .replace(/\/var\/log(?=\/audit-(by|from)-)/, join(directory, 'out'))
    .replaceAll('/etc/headgate/webhook', join(directory, 'webhook'))
    .replace(/listen: 127\.0\.0\.1:\d+/, 'listen: 127.0.0.1:0');
}

/** Runs a pipeline with what `headgate webhook kubeconfig` made, and has `headgate webhook send` post the log. */
async function runPosted(t: Test, directory: string, args: string[]): Promise<Finished> {
  const out = join(directory, 'webhook');
  const made = await headgate(['webhook', 'kubeconfig', '--out', out]);
  t.equal(made.exitCode, 0, made.stderr);
  const running = startHeadgate(args);
  t.teardown(() => running.child.kill('SIGKILL'));
  const listening = () => running.logs().find(({ code }) => code === 'WEBHOOK_LISTENING');
  await until('it listens', () => listening() !== undefined);
  const kubeconfig = join(out, 'apiserver/kubeconfig.yaml');
  const text = readFileSync(kubeconfig, 'utf8');
  writeFileSync(kubeconfig, text.replace(':9443/', `:${String(listening()?.['port'])}/`));
  for (const { name } of exampleFiles()) {
    const sent = await headgate([
      'webhook',
      'send',
      join(directory, 'log', name),
      '--kubeconfig',
      kubeconfig,
    ]);
    t.equal(sent.exitCode, 0, sent.stderr);
  }
  running.child.kill('SIGTERM');
  const { exitCode, stderr } = await finished(running);
  t.equal(exitCode, 0, stderr);
  // What was taken and not yet delivered.
  return headgate([...args, '--once']);
}

function parse(line: string): AuditEvent {
  return JSON.parse(Buffer.from(line, 'latin1').toString()) as AuditEvent;
}

/** The lines of each file below a directory, by its path. */
function outputs(directory: string): Map<string, string[]> {
  return new Map([...readOutputs(directory)].map(([path, content]) => [path, linesOf(content)]));
}

t.strictSame(
  Object.keys({ ...SPLITS, ...DOCUMENTS }).sort(),
  pipelines.sort(),
  'it is known what each pipeline is to do',
);

for (const name of [...pipelines, TO_ELASTICSEARCH]) {
  t.test(`pipelines/${name} is valid`, async (t) => {
    const { exitCode, stderr } = await headgate(['check', join(root, 'pipelines', name)]);
    t.equal(exitCode, 0, stderr);
  });
}

for (const name of pipelines) {
  const documents = DOCUMENTS[name];
  if (documents) {
    t.test(`pipelines/${name} makes each event that people search one document`, async (t) => {
      const server = await FakeElasticsearch.start(t);
      const directory = temporaryDirectory(t);
      writeExample(join(directory, 'log'));
      writeFileSync(join(directory, 'key'), 'a2V5');
      const yaml = readFileSync(join(root, 'pipelines', name), 'utf8')
        .replace('/var/log/kube-audit', join(directory, 'log'))
        .replace('/var/log/audit-archive', join(directory, 'out'))
        .replace('/etc/headgate/elasticsearch.key', join(directory, 'key'))
        .replace('https://elasticsearch.example.com:9200', server.url);
      writeFileSync(join(directory, name), yaml);
      const args = ['run', '--once', '--state-dir', join(directory, 'state'), join(directory, name)];
      const { exitCode, stderr, counters } = await headgate(args);
      t.equal(exitCode, 0, stderr);
      t.equal(reconcile(counters[name.replace('.yaml', '')] ?? {}), undefined);

      const lines = exampleFiles().flatMap(({ content }) => linesOf(content));
      const expected = lines.filter((line) => documents.isDocument(parse(line)));
      t.ok(expected.length > 0 && expected.length < lines.length);
      const found = server.documents(documents.index);
      t.equal(found.length, new Set(expected).size);
      t.strictSame(server.names, [documents.index]);
      if (!documents.hasFiles) return;
      const kept = [...outputs(join(directory, 'out')).values()].flat();
      t.strictSame(kept.sort(), lines.sort(), 'all of them are in files');
    });
    continue;
  }

  t.test(`pipelines/${name} writes each event once, to the file of its group, in order`, async (t) => {
    const split = SPLITS[name];
    if (!split) throw new Error(`impossible: ${name} is not listed`);
    const directory = temporaryDirectory(t);
    const out = join(directory, 'out');
    mkdirSync(out);
    (split.write ?? writeExample)(join(directory, 'log'));
    writeFileSync(join(directory, name), moved(name, directory));

    const args = ['run', '--state-dir', join(directory, 'state'), join(directory, name)];
    const { exitCode, stderr, counters } = split.isPosted
      ? await runPosted(t, directory, args)
      : await headgate([...args, '--once']);
    t.equal(exitCode, 0, stderr);
    t.equal(reconcile(counters[name.replace('.yaml', '')] ?? {}), undefined);

    const expected = new Map<string, string[]>();
    for (const line of exampleFiles().flatMap(({ content }) => linesOf(content))) {
      const group = split.group(parse(line));
      expected.set(group, [...(expected.get(group) ?? []), line]);
    }
    const actual = new Map<string, string[]>();
    for (const [path, lines] of outputs(out)) {
      const groups = new Set(lines.map((line) => split.group(parse(line))));
      t.equal(groups.size, 1, `one group in ${path}`);
      for (const group of groups) {
        t.notOk(actual.has(group), `one file for ${group.slice(0, 40)}`);
        actual.set(group, lines);
      }
    }
    t.strictSame([...actual.keys()].sort(), [...expected.keys()].sort());
    for (const [group, lines] of expected)
      t.ok(actual.get(group)?.join('\n') === lines.join('\n'), group.slice(0, 40));

    const [group, file] = split.example;
    t.strictSame(outputs(out).get(file), expected.get(group));
  });
}

t.test(`pipelines/${TO_ELASTICSEARCH} makes each event one document`, async (t) => {
  const fake = await FakeElasticsearch.start(t);
  const directory = temporaryDirectory(t);
  writeExample(join(directory, 'log'));
  const yaml = moved(TO_ELASTICSEARCH, directory)
    .replace('https://elasticsearch.example.com:9200', fake.url)
    .replace(/^ {4}auth: .*\n/m, '');
  writeFileSync(join(directory, 'p.yaml'), yaml);
  const args = ['run', '--state-dir', join(directory, 'state'), join(directory, 'p.yaml')];
  const { exitCode, stderr } = await runPosted(t, directory, args);
  t.equal(exitCode, 0, stderr);
  const lines = exampleFiles().flatMap(({ content }) => linesOf(content));
  const documents = fake.documents('logs-kubernetes.audit-default');
  t.equal(documents.length, new Set(lines).size);
  const idsOf = (texts: string[]): string[] =>
    texts.map((text) => /"auditID":"([^"]*)"/.exec(text)?.[1] ?? '').sort();
  t.strictSame(idsOf(documents.map(({ source }) => source)), idsOf([...new Set(lines)]));
});
