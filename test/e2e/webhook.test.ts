// The whole program behind a webhook: killed at random instants under clients that send until they are answered, as the
// API server does; and under requests that mean it harm.
import t from 'tap';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { numberedLine } from '../helpers/audit-lines.js';
import { complaints, finished, headgate, reconcile, startHeadgate } from '../helpers/headgate.js';
import type { Running } from '../helpers/headgate.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';
import { listOf, post } from '../helpers/webhook.js';

const KILLS = Number(process.env['HEADGATE_CRASH_KILLS'] ?? 6);
const HOSTILE_REQUESTS = Number(process.env['HEADGATE_HOSTILE_REQUESTS'] ?? 300);
const MAX_RESIDENT_BYTES = 300e6;

function pipelineIn(root: string, source = ''): string[] {
  const file = join(root, 'p.yaml');
  mkdirSync(join(root, 'state'), { recursive: true });
  writeFileSync(
    file,
    `source: { type: webhook, listen: '127.0.0.1:0', ${source} }
routes: [{ to: out }]
commit_interval: 30ms
sinks: { out: { type: files, base_dir: '${root}/out', path: all.log, rotate: { max_bytes: 200KiB } } }
`,
  );
  return ['run', '--state-dir', join(root, 'state'), file];
}

const portOf = (running: Running): number | undefined =>
  running.logs().find(({ code }) => code === 'WEBHOOK_LISTENING')?.['port'] as number | undefined;

const eventsIn = (root: string): string[] =>
  [...readOutputs(join(root, 'out')).values()].flatMap((data) => linesOf(data));

t.test(`exactly once through ${KILLS} random kills, under clients that send again`, async (t) => {
  const root = temporaryDirectory(t);
  const args = pipelineIn(root, 'max_body_bytes: 256KiB, spool: { max_bytes: 16MiB, min_free_bytes: 1B }');
  let port: number | undefined;
  let isOver = false;
  let number = 0;
  const answered: string[] = [];
  const client = async (): Promise<void> => {
    while (!isOver) {
      const lines = Array.from({ length: 20 }, () => numberedLine(number++, Date.UTC(2026, 1, 1)).line);
      const body = listOf(lines);
      for (;;) {
        const answer = port === undefined ? undefined : await post(port, body).catch(() => undefined);
        if (answer?.status === 200) break;
        await sleep(5); // The API server waits longer.
      }
      answered.push(...lines);
    }
  };
  const clients = [client(), client(), client()];
  for (let kill = 0; kill < KILLS; kill++) {
    const running = startHeadgate(args);
    await until('it listens', () => (port = portOf(running)) !== undefined, 30_000);
    // The instant is the point of the test; nothing is waited for.
    await sleep(Math.random() * 600);
    running.child.kill('SIGKILL');
    t.equal(await running.exit, 'SIGKILL', running.stderr().slice(-500));
  }
  const last = startHeadgate(args);
  await until('it listens', () => (port = portOf(last)) !== undefined, 30_000);
  isOver = true;
  await Promise.all(clients);
  last.child.kill('SIGTERM');
  const stopped = await finished(last);
  t.equal(stopped.exitCode, 0, complaints(stopped));
  // What the spool still holds is delivered without listening.
  const rest = await headgate([...args, '--once', '--deadline', '120s']);
  t.equal(rest.exitCode, 0, complaints(rest));
  t.notOk(rest.logs.some(({ code }) => code === 'WEBHOOK_LISTENING'));
  t.equal(reconcile(rest.counters['p'] ?? {}), undefined);
  const found = eventsIn(root);
  t.ok(answered.length > 100, `${answered.length} events answered`);
  t.equal(found.length, new Set(found).size, 'none twice');
  t.same(found.sort(), answered.sort());
});

/** Sends bytes that are no proper request, and goes away. */
function sendRaw(port: number, text: string | Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const timer = setTimeout(() => socket.destroy(), 300);
    socket
      .on('error', () => undefined)
      .on('close', () => {
        clearTimeout(timer);
        resolve();
      });
    socket.resume();
    socket.write(text);
  });
}

const HEAD = 'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
const LIST = '{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[';
const bomb = gzipSync(Buffer.alloc(100_000_000));

/** One after the other, each of another kind. */
const HOSTILE: ((port: number, n: number) => Promise<unknown>)[] = [
  (port) => post(port, randomBytes(5_000)),
  (port) => post(port, bomb, { headers: { 'content-encoding': 'gzip' } }),
  (port, n) => post(port, `${LIST}${'['.repeat(100_000 + n)}`),
  (port, n) => post(port, `${LIST}${'{"a":'.repeat(50_000)}${n}${'}'.repeat(50_000)}]}`),
  (port) => post(port, `${LIST}${'{},'.repeat(200_000)}{}]}`),
  (port, n) =>
    post(
      port,
      `{"kind":"EventList","apiVersion":"${'v'.repeat(200_000)}","items":[${'{},'.repeat(5_000)}${n}]}`,
    ),
  (port) => sendRaw(port, `${HEAD}Content-Length: 60000000\r\n\r\n{"kind"`),
  (port) => sendRaw(port, `${HEAD}Content-Length: 5\r\n\r\n{"kind":"EventList","items":[]}`),
  (port) => sendRaw(port, `${HEAD}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
  (port) => sendRaw(port, `${HEAD}Transfer-Encoding: chunked\r\n\r\nfffffffff\r\n{`),
  (port) => sendRaw(port, `GET / HTTP/1.1\r\n${'X-A: b\r\n'.repeat(5_000)}\r\n`),
  (port) => sendRaw(port, randomBytes(2_000)),
  (port) => sendRaw(port, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
  (port) => sendRaw(port, 'POST'),
  (port, n) => post(port, `${LIST}{"n":${n}}]}`, { headers: { 'content-encoding': 'gzip' } }),
];

t.test(`${HOSTILE_REQUESTS} hostile requests leave it serving, in bounded memory`, async (t) => {
  const root = temporaryDirectory(t);
  const running = startHeadgate(pipelineIn(root, 'request_timeout: 2s'));
  let port: number | undefined;
  await until('it listens', () => (port = portOf(running)) !== undefined, 30_000);
  const to = port ?? 0;
  let next = 0;
  let known = 0;
  const genuine = (n: number): string[] => [numberedLine(n, Date.UTC(2026, 1, 1)).line];
  const attacker = async (): Promise<void> => {
    while (next < HOSTILE_REQUESTS) {
      const n = next++;
      await HOSTILE[n % HOSTILE.length]?.(to, n).catch(() => undefined);
      if (n % 50 !== 0) continue;
      const answer = await post(to, listOf(genuine(known++))).catch((error: unknown) => error);
      t.match(answer, { status: 200 }, `${n} requests later it serves`);
      const { exitCode, signalCode } = running.child;
      if (exitCode !== null || signalCode !== null)
        throw new Error(`it ended (${exitCode ?? signalCode}): ${running.stderr().slice(-2_000)}`);
    }
  };
  await Promise.all(Array.from({ length: 8 }, attacker));
  const status = readFileSync(`/proc/${String(running.child.pid)}/status`, 'utf8');
  const peakBytes = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  t.comment(`peak of resident memory: ${Math.round(peakBytes / 1e6)} MB`);
  t.ok(peakBytes < MAX_RESIDENT_BYTES, `${peakBytes} bytes`);
  running.child.kill('SIGTERM');
  const stopped = await finished(running);
  t.equal(stopped.exitCode, 0, complaints(stopped));
  t.equal(reconcile(stopped.counters['p'] ?? {}), undefined);
  const rest = await headgate([...pipelineIn(root), '--once', '--deadline', '120s']);
  t.equal(rest.exitCode, 0, complaints(rest));
  const found = eventsIn(root).filter((line) => line.includes('"auditID"'));
  t.same(
    found.sort(),
    Array.from({ length: known }, (_, n) => genuine(n))
      .flat()
      .sort(),
    'each genuine event once',
  );
});
