// A server that takes every connection and every request, and never answers, in front of a long log: memory stays bounded
// for as long as that lasts, and when it answers, everything goes on by itself.
import t from 'tap';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { numberedLine } from '../helpers/audit-lines.js';
import { complaints, finished, reconcile, startHeadgate } from '../helpers/headgate.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

/** A log of twice as many kilobytes, far more than there is room for below the bound; the environment makes it millions. */
const EVENTS = Number(process.env['HEADGATE_HANGING_EVENTS'] ?? 60_000);
/** Each request that may be under way, and again each. */
const TRIES = 8;
/** Four requests of 5 MiB and one that is filled, a bit more for what is on its way, and Node with the client. */
const MOST_MB = 230;
const PAD = 'x'.repeat(1_500);

/** Takes what is asked for, keeps nothing, and counts. */
class HangingServer {
  isHanging = true;
  bulkRequests = 0;
  created = 0;
  readonly #server = createServer((request, response) => {
    void this.#handle(request, response);
  });

  async start(t: { teardown(run: () => void): unknown }): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    t.teardown(() => {
      this.#server.closeAllConnections();
      this.#server.close();
    });
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const isBulk = request.url?.startsWith('/_bulk') === true;
    if (isBulk) this.bulkRequests++;
    let lines = 0;
    for await (const chunk of request) {
      const data = chunk as Buffer;
      for (let at = data.indexOf(0x0a); at >= 0; at = data.indexOf(0x0a, at + 1)) lines++;
    }
    if (isBulk && this.isHanging) return;
    response.setHeader('x-elastic-product', 'Elasticsearch');
    response.setHeader('content-type', 'application/json');
    if (isBulk) this.created += lines / 2;
    const items = Array.from({ length: lines / 2 }, () => ({ create: { status: 201 } }));
    response.end(
      JSON.stringify(isBulk ? { items } : { timed_out: false, _shards: { failed: 0 }, hits: { hits: [] } }),
    );
  }
}

/** The most memory that it had resident so far. */
function peakMb(pid: number | undefined): number {
  const kib = /VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Number(kib) / 1000;
}

t.test('while a server never answers memory is bounded, and then it goes on by itself', async (t) => {
  const server = new HangingServer();
  const url = await server.start(t);
  const root = temporaryDirectory(t);
  mkdirSync(join(root, 'log'));
  const log = openSync(join(root, 'log/audit.log'), 'w');
  for (let i = 0; i < EVENTS; i += 1_000) {
    const lines = Array.from({ length: 1_000 }, (_, k) => numberedLine(i + k, 1_795_253_471_000).line);
    writeSync(log, lines.map((line) => `${line.replace('"verb"', `"pad":"${PAD}","verb"`)}\n`).join(''));
  }
  closeSync(log);
  writeFileSync(
    join(root, 'p.yaml'),
    `source: { type: file, paths: ['${root}/log/audit.log'] }
routes: [{ to: elastic }]
sinks: { elastic: { type: elasticsearch, nodes: ['${url}'], index: audit, request_timeout: 3s } }
`,
  );
  const running = startHeadgate(['run', '--once', '--state-dir', join(root, 'state'), join(root, 'p.yaml')]);
  t.teardown(() => running.child.kill('SIGKILL'));
  await until('it has tried again and again', () => server.bulkRequests >= TRIES, 120_000);
  // `env` became Headgate: the process is the same.
  const hungMb = peakMb(running.child.pid);
  t.ok(hungMb < MOST_MB, `${hungMb} MB resident while it hung`);
  server.isHanging = false;
  await until('it has sent everything', () => server.created >= EVENTS, 180_000);
  const peak = peakMb(running.child.pid);
  t.ok(peak < MOST_MB, `${peak} MB resident in all`);
  const run = await finished(running);
  t.equal(run.exitCode, 0, complaints(run));
  const counters = run.counters['p'] ?? {};
  t.equal(counters['headgate_events_delivered_total'], EVENTS);
  t.equal(reconcile(counters), undefined);
});
