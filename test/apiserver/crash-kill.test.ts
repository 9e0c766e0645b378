// The whole program, SIGKILLed at random instants while kube-apiserver's own log backend writes, rotates and
// compresses underneath it: each line is in the outputs exactly once, in order, every `.gz` is whole.
import t from 'tap';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { buildApiserver, startApiserver, witnessed } from '../helpers/apiserver.js';
import { crashPipeline, faultsOf, killAtRandom, KILLS, MODES } from '../helpers/crash-run.js';
import { complaints, headgate } from '../helpers/headgate.js';
import { Lumberjack } from '../helpers/lumberjack.js';
import { temporaryDirectory } from '../helpers/temporary.js';

const built = await buildApiserver(t);

if ('missing' in built) {
  t.skip(built.missing, async () => undefined);
} else {
  for (const mode of MODES) {
    t.test(`${mode}: exactly once through ${KILLS} random kills under the apiserver's writer`, async (t) => {
      const root = temporaryDirectory(t);
      mkdirSync(join(root, 'state'));
      const log = join(root, 'log/audit.log');
      const witness = join(root, 'witness');
      // Every backup is kept: one that is pruned before Headgate lives again is lost by right.
      const writer = startApiserver(t, built.command, [
        ...['--until-eof', '--rate', '1500', '--body-bytes', '3000', '--witness', witness],
        ...['--audit-log-path', log, '--audit-log-maxbackup', '0', '--audit-log-compress'],
        ...['--audit-log-maxsize', '1', '--megabyte', '200000'],
      ]);
      const args = crashPipeline(root, mode, '60KiB');
      await killAtRandom(t, args);
      const { events, counters } = await writer.stop();
      t.equal(counters.apiserver_audit_error_total, undefined);
      const last = await headgate([...args, '--once', '--deadline', '120s']);
      t.equal(last.exitCode, 0, complaints(last));

      const lines = witnessed(witness);
      t.equal(lines.length, events, 'the log backend wrote every event');
      t.ok(new Lumberjack(log).backups().length > KILLS / 4, 'it rotated all the while');
      t.same(faultsOf(root, lines), [], `${lines.length} lines`);
    });
  }
}
