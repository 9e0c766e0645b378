import t from 'tap';
import { isBackupName, isWrittenAfterRename, parseBackupName } from '../../../src/source/file/backup-name.js';

t.test('a backup is named after its live file, with or without extension', async (t) => {
  const rows: [live: string, name: string, stem: string | undefined, isGzip: boolean][] = [
    ['audit.log', 'audit-2026-11-21T09-36-03.287.log', 'audit-2026-11-21T09-36-03.287.log', false],
    ['audit.log', 'audit-2026-11-21T09-36-03.287.log.gz', 'audit-2026-11-21T09-36-03.287.log', true],
    ['kube-audit', 'kube-audit-2026-11-21T09-36-03.287', 'kube-audit-2026-11-21T09-36-03.287', false],
    ['kube-audit', 'kube-audit-2026-11-21T09-36-03.287.gz', 'kube-audit-2026-11-21T09-36-03.287', true],
    ['a.b.log', 'a.b-2026-11-21T09-36-03.287.log', 'a.b-2026-11-21T09-36-03.287.log', false],
    ['.audit', '-2026-11-21T09-36-03.287.audit', '-2026-11-21T09-36-03.287.audit', false],
    ['audit.log', 'audit.log', undefined, false],
    ['audit.log', 'audit-2026-11-21T09-36-03.log', undefined, false],
    ['audit.log', 'audit-2026-11-21T09-36-03.287.log.gz.tmp', undefined, false],
    ['audit.log', 'audit-2026-11-21T09-36-03.287.txt', undefined, false],
    ['audit.log', 'kube-audit-2026-11-21T09-36-03.287.log', undefined, false],
    ['kube.log', 'kube-audit-2026-11-21T09-36-03.287.log', undefined, false],
    ['0.log', '0.log.20261121-093603', '0.log.20261121-093603', false],
    ['0.log', '0.log.20261121-093603.gz', '0.log.20261121-093603', true],
    ['0.log', '0.log.20261121-093603.tmp', undefined, false],
    ['0.log', '0.log.20261121-093603.gz.tmp', undefined, false],
    ['0.log', '10.log.20261121-093603', undefined, false],
    ['0.log', '0.log.1', undefined, false],
  ];
  for (const [live, name, stem, isGzip] of rows)
    t.same(
      parseBackupName(live, name),
      stem === undefined ? undefined : { name, stem, isGzip },
      `${live}: ${name}`,
    );
});

t.test('a backup of any file is told from a live file', async (t) => {
  t.ok(isBackupName('audit-2026-11-21T09-36-03.287.log'));
  t.ok(isBackupName('audit-2026-11-21T09-36-03.287.log.gz'));
  t.ok(isBackupName('kube-audit-2026-11-21T09-36-03.287'));
  t.ok(isBackupName('kube-audit-2026-11-21T09-36-03.287.gz'));
  t.ok(isBackupName('0.log.20261121-093603'));
  t.ok(isBackupName('0.log.20261121-093603.gz'));
  t.notOk(isBackupName('0.log'));
  t.notOk(isBackupName('audit.log'));
  t.notOk(isBackupName('audit-2026-11-21.log'));
});

t.test('only the kubelet renames a file that is still written to', async (t) => {
  t.ok(isWrittenAfterRename('0.log.20261121-093603'));
  t.notOk(isWrittenAfterRename('audit-2026-11-21T09-36-03.287.log'));
});
