// What becomes of requests, over plain HTTP.
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import t from 'tap';
import { numberedLine } from '../../helpers/audit-lines.js';
import { systemError, wrapFileSystem } from '../../helpers/file-system.js';
import { startWebhook } from '../../helpers/running-webhook.js';
import { temporaryDirectory } from '../../helpers/temporary.js';
import { until } from '../../helpers/until.js';
import { listOf, post } from '../../helpers/webhook.js';

const linesFrom = (first: number, count = 5, bytes = 600): string[] =>
  Array.from({ length: count }, (_, i) => numberedLine(first + i, Date.UTC(2026, 1, 1), bytes).line);

/** A connection that sends this and never anything else. */
function dribble(port: number, text: string): Socket {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume(); // Its end is seen only when all before is read.
  socket.write(text);
  return socket;
}

const isClosed = (socket: Socket): Promise<unknown> =>
  socket.closed ? Promise.resolve() : once(socket, 'close');

t.test('batches, and a single event, become the lines of the log backend, each once', async (t) => {
  const webhook = await startWebhook(t);
  const [first, second] = [linesFrom(0), linesFrom(10)];
  t.equal((await post(webhook.port, listOf(first))).status, 200);
  t.equal((await post(webhook.port, listOf(first))).status, 200, 'sent again');
  t.equal(
    (await post(webhook.port, gzipSync(listOf(second)), { headers: { 'content-encoding': 'gzip' } })).status,
    200,
  );
  t.equal((await post(webhook.port, listOf(second))).status, 200, 'sent again, not compressed');
  const single = numberedLine(99, Date.UTC(2026, 1, 1)).line;
  t.equal((await post(webhook.port, single)).status, 200);
  await webhook.delivered(11);
  await webhook.stop();
  t.same(webhook.events(), [...first, ...second, single]);
  t.match(webhook.webhook, { duplicates: 2 });
  t.equal(webhook.webhook.requests.get(200), 5);
  t.equal(webhook.metrics.linesRead, webhook.metrics.events + webhook.metrics.linesBlank);
});

t.test('a bad item is quarantined, the rest is delivered, and the answer is 200', async (t) => {
  const webhook = await startWebhook(t);
  const [good = '', other = ''] = linesFrom(0, 2);
  const body = String(listOf([good, '7', other, '[{}]']));
  t.equal((await post(webhook.port, body)).status, 200);
  t.equal((await post(webhook.port, 'no JSON\nat all')).status, 200, 'nor does anything else get lost');
  await webhook.delivered(2);
  await until('three lines are quarantined', () => webhook.metrics.linesQuarantined === 3);
  await webhook.stop();
  t.same(webhook.events(), [good, other]);
  const quarantine = readFileSync(join(webhook.root, 'state/p.quarantine.jsonl'), 'utf8').trim().split('\n');
  t.match(
    quarantine.map((line) => JSON.parse(line) as object),
    [
      { reason: 'not_an_object', raw: '7' },
      { reason: 'not_an_object', raw: '[{}]' },
      { reason: 'malformed', raw: 'no JSON at all' },
    ],
  );
  t.ok(webhook.logs.some(({ code }) => code === 'WEBHOOK_BODY'));
});

t.test('what is no batch is refused, with nothing but its status', async (t) => {
  const source = 'path: /audit, max_body_bytes: 64KiB, max_items: 10';
  const webhook = await startWebhook(t, { source });
  const secret = `{"secret":"${'s'.repeat(70_000)}"}`;
  const path = '/audit?timeout=30s';
  for (const [status, body, options] of [
    [404, listOf([]), { path: '/other' }],
    [404, listOf([]), { path: '/audit/' }],
    [405, '', { path, method: 'GET' }],
    [405, listOf([]), { path, method: 'PUT' }],
    [415, listOf([]), { path, headers: { 'content-type': 'text/plain' } }],
    [415, listOf([]), { path, headers: { 'content-encoding': 'br' } }],
    [400, '', { path }],
    [400, '{}', { path, headers: { 'content-encoding': 'gzip' } }],
    [413, secret, { path }],
    [413, secret, { path, headers: { 'transfer-encoding': 'chunked' } }],
    [413, gzipSync(secret), { path, headers: { 'content-encoding': 'gzip' } }],
    [413, listOf(Array.from({ length: 11 }, () => '{}')), { path }],
    [200, listOf([]), { path }],
  ] as const) {
    const { status: found, text } = await post(webhook.port, body, options);
    t.equal(found, status, `${status} ${JSON.stringify(options).slice(0, 60)}`);
    t.notOk(/secret|ssss/.test(text));
  }
  await webhook.stop();
  t.equal(webhook.metrics.linesRead, 0, 'nothing of it was stored');
});

t.test('who sends too slowly is cut off, and others are served meanwhile', async (t) => {
  const webhook = await startWebhook(t, { source: 'request_timeout: 300ms' });
  const slow = [
    dribble(webhook.port, ''),
    dribble(webhook.port, 'POST / HTTP/1.1\r\nHost: x\r\nX-'),
    dribble(
      webhook.port,
      'POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"kind"',
    ),
  ];
  t.equal((await post(webhook.port, listOf(linesFrom(0)))).status, 200);
  await Promise.all(slow.map(isClosed));
  t.equal(webhook.webhook.requests.get(408), 1);
});

t.test('strangers can not keep a known client out by their number', async (t) => {
  const webhook = await startWebhook(t, { source: 'max_connections: 4' });
  const known = dribble(webhook.port, '');
  const body = listOf(linesFrom(0));
  const ask = (): string =>
    `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${String(body)}`;
  let text = '';
  known.setEncoding('latin1').on('data', (part: string) => (text += part));
  known.write(ask());
  await until('it is answered', () => text.includes('200 OK'));
  const strangers = Array.from({ length: 12 }, () => dribble(webhook.port, 'P'));
  await Promise.all(strangers.slice(0, 9).map(isClosed));
  t.notOk(known.closed);
  text = '';
  known.write(ask());
  await until('it is answered again', () => text.includes('200 OK'));
  t.ok(webhook.webhook.connections <= 4);
  for (const socket of [known, ...strangers]) socket.destroy();
});

t.test('answers go on while outputs are stalled; a full spool says 429 until there is room', async (t) => {
  const root = temporaryDirectory(t);
  let isStalled = true;
  const fs = wrapFileSystem(async (name, args, run) => {
    if (isStalled && name === 'mkdir' && String(args[0]).endsWith('/out')) throw systemError('EROFS');
    return run(args);
  });
  const source = 'max_body_bytes: 256KiB, spool: { max_bytes: 1MiB, min_free_bytes: 1B }';
  const webhook = await startWebhook(t, { source, fs, root, isWaiting: true });
  await until('it listens', () => webhook.port > 0);
  const sent: string[] = [];
  let refused;
  for (let n = 0; refused === undefined && n < 100; n++) {
    const lines = linesFrom(n * 20, 20, 3_000);
    const answer = await post(webhook.port, listOf(lines));
    if (answer.status === 200) sent.push(...lines);
    else refused = answer;
  }
  t.ok(sent.length > 300, `${sent.length} events taken`);
  t.match(refused, { status: 429, headers: { 'retry-after': '5' } });
  t.ok(webhook.webhook.noRoom > 0);
  t.ok(webhook.logs.some(({ code }) => code === 'WEBHOOK_SPOOL_FULL'));
  isStalled = false;
  const late = linesFrom(100_000);
  await until('there is room', async () => (await post(webhook.port, listOf(late))).status === 200, 30_000);
  await webhook.delivered(sent.length + late.length);
  await webhook.stop();
  t.same(webhook.events(), [...sent, ...late]);
});

t.test('answers go on while the pipeline starts again from its last commit', async (t) => {
  let failures = 0;
  const outputs = new Set<number>();
  const fs = wrapFileSystem(async (name, args, run) => {
    if (name === 'fdatasync' && outputs.has(args[0] as number) && failures++ < 2) throw systemError('EIO');
    const result = await run(args);
    if (name === 'open' && String(args[0]).endsWith('all.log')) outputs.add(result as number);
    if (name === 'open' && !String(args[0]).endsWith('all.log')) outputs.delete(result as number);
    return result;
  });
  const webhook = await startWebhook(t, { fs });
  const sent: string[] = [];
  await until(
    'it has started again twice',
    async () => {
      const lines = linesFrom(sent.length);
      const { status } = await post(webhook.port, listOf(lines));
      t.equal(status, 200);
      sent.push(...lines);
      return failures > 2;
    },
    30_000,
  );
  await webhook.delivered(sent.length);
  await webhook.stop();
  t.same(webhook.events(), sent, 'each once');
});

t.test('a port that is in use is waited for', async (t) => {
  const other = createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  const { port } = other.address() as AddressInfo;
  const webhook = await startWebhook(t, { source: `listen: '127.0.0.1:${port}'`, isWaiting: true });
  await until('it says so', () => webhook.logs.some(({ code }) => code === 'SOURCE_WAITING'));
  t.equal(webhook.metrics.componentsWaiting, 1);
  other.close();
  await until('it listens', () => webhook.port === port, 30_000);
  t.equal((await post(port, listOf(linesFrom(0)))).status, 200);
  await until('it waits no more', () => webhook.metrics.componentsWaiting === 0);
});

t.test(
  'what was under way when it stops is answered, and delivered at the next start at the latest',
  async (t) => {
    const root = temporaryDirectory(t);
    const webhook = await startWebhook(t, { root });
    const lines = linesFrom(0, 50);
    const answers = Array.from({ length: 20 }, (_, n) => post(webhook.port, listOf(linesFrom(n * 50, 50))));
    await until('the first is answered', () => (webhook.webhook.requests.get(200) ?? 0) > 0);
    const stopping = webhook.stop();
    const statuses = await Promise.allSettled(answers);
    await stopping;
    await t.rejects(post(webhook.port, listOf(lines)), 'nobody listens any more');
    const next = await startWebhook(t, { root });
    const taken = statuses.flatMap((result, n) =>
      result.status === 'fulfilled' && result.value.status === 200 ? linesFrom(n * 50, 50) : [],
    );
    await until('what was answered is there', () => next.events().length >= taken.length, 30_000);
    await next.stop();
    const found = next.events();
    t.equal(new Set(found).size, found.length, 'nothing twice');
    t.same(
      taken.filter((line) => !found.includes(line)),
      [],
      `${taken.length} events were answered`,
    );
  },
);
