// That the tool tells the truth: what kube-apiserver's backends write and send with it is what its ledger, its witness
// and its counters say, and a genuine log that is replayed comes out as it was.
import t from 'tap';
import type { Test } from 'tap';
import { createServer } from 'node:http';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { buildApiserver, kubeconfig, startApiserver } from '../helpers/apiserver.js';
import { linesOf } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';

interface AuditEvent {
  auditID: string;
  stage: string;
}

const key = ({ auditID, stage }: AuditEvent): string => `${auditID} ${stage}`;

const parsed = <T>(path: string): T[] =>
  linesOf(readFileSync(path)).map((line) => JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as T);

/** A webhook that answers with `status` and keeps the lists it was sent; `config` is the kubeconfig that leads to it. */
async function webhook(t: Test, status: number): Promise<{ lists: AuditEvent[][]; config: string }> {
  const lists: AuditEvent[][] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      lists.push((JSON.parse(Buffer.concat(chunks).toString('utf8')) as { items: AuditEvent[] }).items);
      response.writeHead(status).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const config = join(temporaryDirectory(t), 'kubeconfig');
  writeFileSync(config, kubeconfig(`http://127.0.0.1:${(server.address() as AddressInfo).port}/audit`));
  return { lists, config };
}

function tests(command: string): void {
  for (const [mode, more] of [
    ['batch', ['--audit-webhook-batch-max-wait', '200ms', '--audit-webhook-batch-throttle-qps', '100']],
    ['blocking', ['--workers', '4']],
    ['blocking-strict', []],
  ] as const) {
    t.test(`both backends, webhook mode ${mode}: each has every event, as the ledger says`, async (t) => {
      const { lists, config } = await webhook(t, 200);
      const root = temporaryDirectory(t);
      const log = join(root, 'audit.log');
      const ledger = join(root, 'ledger');
      const { events, counters } = await startApiserver(t, command, [
        ...[
          '--count',
          '500',
          '--audit-log-path',
          log,
          '--ledger',
          ledger,
          '--witness',
          join(root, 'witness'),
        ],
        ...['--audit-webhook-config-file', config, '--audit-webhook-mode', mode, ...more],
      ]).finished;
      t.ok(events > 1000, `${events} events`);
      t.same(counters, {
        apiserver_audit_event_total: events,
        apiserver_audit_requests_rejected_total: 0,
      });
      t.ok(readFileSync(log).equals(readFileSync(join(root, 'witness'))), 'the witness is the log');
      const logged = parsed<AuditEvent>(log).map(key).sort();
      t.equal(new Set(logged).size, events);
      t.same(lists.flat().map(key).sort(), logged);
      const largest = Math.max(...lists.map(({ length }) => length));
      t.ok(mode === 'batch' ? largest > 1 && largest <= 400 : largest === 1, `a list of ${largest}`);
      const accepted = parsed<AuditEvent & { backend: string }>(ledger);
      for (const name of ['log', 'webhook']) {
        const its = accepted.filter(({ backend }) => backend === name);
        t.same(its.map(key).sort(), logged, `the ledger of ${name}`);
      }
    });
  }

  t.test('a webhook that fails: the apiserver counts errors and rejected requests', async (t) => {
    const { lists, config } = await webhook(t, 500);
    const ledger = join(temporaryDirectory(t), 'ledger');
    const { events, counters } = await startApiserver(t, command, [
      ...['--count', '5', '--audit-webhook-config-file', config, '--audit-webhook-mode', 'blocking-strict'],
      ...['--audit-webhook-initial-backoff', '1ms', '--ledger', ledger],
    ]).finished;
    t.ok(events > 10, 'offered');
    t.same(counters, {
      apiserver_audit_event_total: 5,
      apiserver_audit_requests_rejected_total: 5,
      apiserver_audit_error_total: { webhook: 5 },
    });
    t.equal(lists.length, 25, 'each was tried five times');
    t.equal(readFileSync(ledger, 'utf8'), '');
  });

  t.test('the legacy format: each event is one line of the known fields', async (t) => {
    const log = join(temporaryDirectory(t), 'audit.log');
    const { events } = await startApiserver(t, command, [
      ...['--count', '300', '--audit-log-path', log, '--audit-log-format', 'legacy'],
    ]).finished;
    const names = ['id', 'stage', 'ip', 'method', 'user', 'groups', 'as', 'asgroups', 'user-agent'];
    const fields = [...names, 'namespace', 'uri', 'response'].map((name) => `${name}="(?:[^"\\\\]|\\\\.)*"`);
    const line = new RegExp(
      `^\\d{4}-\\d\\d-\\d\\dT[0-9:.]+(?:Z|[+-]\\d\\d:\\d\\d) AUDIT: ${fields.join(' ')}$`,
    );
    const lines = linesOf(readFileSync(log));
    t.equal(lines.length, events);
    t.same(
      lines.filter((each) => !line.test(each)),
      [],
    );
  });

  const genuine = join(process.env['HEADGATE_TEST_DATA'] ?? '', 'kubernetes/metadata.log.gz');
  if (!existsSync(genuine)) {
    t.skip('HEADGATE_TEST_DATA is not set: genuine audit logs are not here', async () => undefined);
  } else {
    t.test('a genuine log that is replayed comes out byte for byte', async (t) => {
      const log = join(temporaryDirectory(t), 'audit.log');
      await startApiserver(t, command, ['--events', genuine, '--audit-log-path', log]).finished;
      t.ok(readFileSync(log).equals(gunzipSync(readFileSync(genuine))));
    });
  }
}

const built = await buildApiserver(t);
if ('missing' in built) t.skip(built.missing, async () => undefined);
else tests(built.command);
