import t from 'tap';
import { explain } from '../../src/command/explain.js';
import { components } from '../../src/components.js';
import { load } from '../helpers/faults.js';

async function explained(t: Parameters<typeof load>[0], text: string): Promise<string> {
  const { pipelines, diagnostics } = await load(t, { 'p.yaml': text }, {}, components);
  t.same(diagnostics, []);
  return pipelines.map(explain).join('');
}

t.test('tells which fields are looked at for whom, how far is read, and where routes lead', async (t) => {
  const text = await explained(
    t,
    `source: { type: file, paths: [/a.log] }
processors:
  - { type: drop, when: { stage: RequestReceived } }
  - { type: tag, tag: '{{ objectRef.namespace ?? stage ?? "none" }}' }
routes:
  - { when: { tag: a }, to: [out, files] }
  - { when: { verb: get }, to: out }
otherwise: drop
sinks:
  out: { type: stdout }
  files: { type: files, base_dir: /var/log/x, path: '{{ tag }}.log' }
`,
  );
  t.equal(
    text,
    `  fields      stage                for processors[0], processors[1]
              objectRef.namespace  for processors[1]
              verb                 for routes[1]
  reading     an event that lacks \`objectRef.namespace\` is read to its end; nothing is parsed into objects
  processors  1  drop
              2  tag
  routes      1  {"tag":"a"} → out (stdout), files (/var/log/x/{{ tag }}.log)
              2  {"verb":"get"} → out (stdout)
                 every other event is dropped
`,
  );
});

t.test('tells what has to be read past', async (t) => {
  const pipeline = (condition: string): string => `source: { type: file, paths: [/a.log] }
processors: [{ type: keep, when: ${condition} }]
routes: [{ to: out }]
sinks: { out: { type: stdout } }
`;
  t.match(await explained(t, pipeline('{ verb: get, level: None }')), 'read up to `verb`;');
  t.match(
    await explained(t, pipeline('{ verb: get, stageTimestamp: x }')),
    'read up to `stageTimestamp`, past the bodies;',
  );
  t.match(await explained(t, pipeline('{ tag: x }')), 'no field is looked at');
});
