// Fields that a `set` processor made, through the whole program: later processors, routes, and the names of files and of
// indices see them, whether an event is a line as read or was made of legacy lines.
import t from 'tap';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareLines, numberedLine } from '../helpers/audit-lines.js';
import type { NumberedLine } from '../helpers/audit-lines.js';
import { FakeElasticsearch } from '../helpers/fake-elasticsearch.js';
import { complaints, headgate, reconcile } from '../helpers/headgate.js';
import { NumberedPairs } from '../helpers/legacy.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';

const LINES = 300;
/** Namespaces whose events are said to be from the cluster `test`. */
const OF_TEST = ['team-b', 'team-1'];

const clusterOf = ({ namespace }: NumberedLine): string => (OF_TEST.includes(namespace) ? 'test' : 'prod');

/** The event as it leaves: only the cluster is added. */
function leaving(event: NumberedLine): string {
  return `${event.line.slice(0, -1)},"orchestrator":{"cluster":{"name":"${clusterOf(event)}"}}}`;
}

function jsonLog(): { lines: string[]; events: NumberedLine[] } {
  const events = Array.from({ length: LINES }, (_, i) => numberedLine(i, 1_795_253_471_000));
  return { lines: events.map(({ line }) => line), events };
}

function legacyLog(): { lines: string[]; events: NumberedLine[] } {
  const pairs = new NumberedPairs();
  const lines = Array.from({ length: LINES }, () => pairs.next()).flat();
  pairs.end();
  return { lines, events: pairs.events };
}

for (const [format, log] of Object.entries({ json: jsonLog, legacy: legacyLog })) {
  t.test(`events of a ${format} log are routed and split by fields that \`set\` made`, async (t) => {
    const fake = await FakeElasticsearch.start(t);
    const root = temporaryDirectory(t);
    mkdirSync(join(root, 'log'));
    const { lines, events } = log();
    writeFileSync(join(root, 'log/audit.log'), lines.map((line) => `${line}\n`).join(''));
    writeFileSync(
      join(root, 'p.yaml'),
      `source: { type: file, paths: ['${root}/log/audit.log'], format: ${format} }
processors:
  - type: set
    fields: { orchestrator.cluster.name: prod, team: '{{ objectRef.namespace ?? "none" }}' }
  - { type: set, fields: { orchestrator.cluster.name: test }, when: { team: [${OF_TEST.join(', ')}] } }
  - { type: tag, tag: '{{ orchestrator.cluster.name ?? "none" }}.{{ team ?? "none" }}' }
  - { type: remove, fields: [team] }
routes:
  - { when: { orchestrator.cluster.name: test, team: null }, to: [files, index] }
  - { to: files }
sinks:
  files:
    type: files
    base_dir: ${root}/out
    path: '{{ orchestrator.cluster.name ?? "none" }}/{{ tag }}.{{ team ?? "without" }}.log'
  index:
    type: elasticsearch
    nodes: ['${fake.url}']
    index: 'audit-{{ orchestrator.cluster.name ?? "none" }}'
`,
    );
    const run = await headgate(['run', '--once', '--state-dir', join(root, 'state'), join(root, 'p.yaml')]);
    t.equal(run.exitCode, 0, complaints(run));
    t.equal(reconcile(run.counters['p'] ?? {}), undefined);

    const expected = new Map<string, string[]>();
    for (const event of events) {
      const path = `${clusterOf(event)}/${clusterOf(event)}.${event.namespace}.without.log`;
      expected.set(path, [...(expected.get(path) ?? []), leaving(event)]);
    }
    t.equal(expected.size, 4);
    const outputs = readOutputs(join(root, 'out'));
    t.same([...outputs.keys()], [...expected.keys()].sort());
    for (const [path, leave] of expected)
      t.equal(compareLines(path, linesOf(outputs.get(path) ?? Buffer.alloc(0)), leave), undefined);
    t.same(fake.names, ['audit-test']);
    const indexed = fake.documents('audit-test').map(({ source }) => source);
    t.equal(indexed.length, events.filter((event) => clusterOf(event) === 'test').length);
    for (const source of indexed) if (!source.includes('{"cluster":{"name":"test"}}')) t.fail(source);
  });
}
