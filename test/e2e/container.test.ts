// The log of a kube-apiserver's container through the whole program: events that the runtime wrote in parts are in the
// outputs exactly once, wherever a SIGKILL or a rotation falls between the parts.
import t from 'tap';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { numberedLine } from '../helpers/audit-lines.js';
import type { NumberedLine } from '../helpers/audit-lines.js';
import { ContainerLog, cri, KLOG_LINE } from '../helpers/container-log.js';
import { crashPipeline, faultsOf, KILLS, killAtRandom } from '../helpers/crash-run.js';
import { complaints, headgate, reconcile } from '../helpers/headgate.js';
import { temporaryDirectory } from '../helpers/temporary.js';

t.test(`parts are joined exactly once through ${KILLS} random kills and rotations`, async (t) => {
  const root = temporaryDirectory(t);
  mkdirSync(join(root, 'state'));
  const log = new ContainerLog(join(root, 'log/audit.log'), 60_000);
  const events: NumberedLine[] = [];
  let ownLines = 0;
  const write = (): void => {
    for (let i = 0; i < 15; i++) {
      const event = numberedLine(events.length, Date.now());
      events.push(event);
      for (const part of cri(event.line, 200)) {
        log.write([part]);
        if (events.length % 5 > 0) continue;
        log.write(cri(KLOG_LINE, undefined, 'stderr'));
        ownLines++;
      }
    }
  };
  write();
  const writing = setInterval(write, 10);
  t.teardown(() => {
    clearInterval(writing);
  });
  const args = crashPipeline(root, 'raw', '60KiB');
  await killAtRandom(t, args);
  clearInterval(writing);
  log.close();
  const last = await headgate([...args, '--once', '--deadline', '120s']);
  t.equal(last.exitCode, 0, complaints(last));
  const counters = last.counters['p'] ?? {};
  t.equal(reconcile(counters), undefined);
  t.ok((counters['headgate_lines_not_audit_total'] ?? 0) <= ownLines);
  t.equal(counters['headgate_lines_quarantined_total'], 0);
  t.same(faultsOf(root, events), [], `${events.length} events in ${log.backups().length + 1} files`);
});
