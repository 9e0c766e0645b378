// A restart while backups are unread and pruned: under the rights of the shipped unit, where they can only be copied,
// and as root, where they are linked.
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { AS_SERVICE, NOBODY, whyNotAsService } from '../helpers/as-service.js';
import { numberedLine } from '../helpers/audit-lines.js';
import { complaints, headgate, startHeadgate } from '../helpers/headgate.js';
import { Lumberjack } from '../helpers/lumberjack.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

const modes = [
  { name: 'by a link, as the owner of the log', under: [], skip: false as const },
  { name: 'by a copy, with the rights of the service', under: AS_SERVICE, skip: whyNotAsService() },
];

for (const { name, under, skip } of modes) {
  t.test(`pruned backups survive a kill and a restart ${name}`, { skip, timeout: 120_000 }, async (t) => {
    const root = temporaryDirectory(t);
    const [log, out, state] = ['log', 'out', 'state'].map((each) => join(root, each)) as [
      string,
      string,
      string,
    ];
    mkdirSync(log, { mode: 0o700 });
    mkdirSync(state, { mode: 0o700 });
    const pipeline = join(root, 'p.yaml');
    writeFileSync(
      pipeline,
      `source: { type: file, paths: ['${log}/audit.log'], retain_unread: {} }
routes: [{ to: files }]
sinks:
  files: { type: files, base_dir: '${out}/files', path: audit.log }
`,
    );
    const lines: string[] = [];
    const writer = new Lumberjack(join(log, 'audit.log'));
    for (let backup = 0; backup < 2; backup++) {
      for (let i = 0; i < 1_000; i++) {
        const { line } = numberedLine(lines.length, Date.now());
        lines.push(line);
        writer.write(line);
      }
      writer.rotate();
    }
    const sources = readdirSync(log).map((each) => statSync(join(log, each)).ino);
    chmodSync(root, 0o755);
    if (under.length > 0) chownSync(state, NOBODY, NOBODY);
    // The sink can't be opened, so nothing is read.
    writeFileSync(out, 'a file where the directory should be');

    const args = ['run', '--state-dir', state, pipeline];
    const stalled = startHeadgate(args, { under });
    const retained = join(state, 'p~retained');
    const kept = (): string[] =>
      readdirSync(state).includes('p~retained')
        ? readdirSync(retained, { recursive: true, encoding: 'utf8' }).filter((each) => /~\d+$/.test(each))
        : [];
    await until('both backups are kept', () => kept().length === 2, 60_000);
    const isLinked = kept().map((each) => sources.includes(statSync(join(retained, each)).ino));
    t.same(isLinked, under.length > 0 ? [false, false] : [true, true]);
    stalled.child.kill('SIGKILL');
    await stalled.exit;
    for (const each of writer.backups()) rmSync(join(log, each));

    renameSync(out, join(root, 'elsewhere'));
    mkdirSync(out);
    if (under.length > 0) chownSync(out, NOBODY, NOBODY);
    const run = await headgate([...args, '--once'], { under });
    t.equal(run.exitCode, 0, complaints(run));
    t.same([...readOutputs(out).values()].flatMap(linesOf), lines);
    t.equal(run.counters['p']?.['headgate_gaps_total'], 0);
    t.same(kept(), [], 'what was delivered is deleted');
  });
}
