// A pipeline with a webhook source on a `VolatileDisk`, one life after the other, and a client that sends each batch until
// it is answered 200, as the API server does: it breaks off in the middle now and then, or sends again what was
// answered. The verdict: every event is in the output exactly once.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { components } from '../../src/components.js';
import { loadPipelines } from '../../src/config/load.js';
import type { PipelineConfig } from '../../src/config/pipeline-config.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { numberedLine } from './audit-lines.js';
import { until } from './until.js';
import { pick, seeded, VolatileDisk } from './volatile-disk.js';
import type { Random } from './volatile-disk.js';
import { startProcess } from './volatile-file-system.js';
import { listOf, post } from './webhook.js';

const BATCHES = 60;
const EVENTS = 5;
/** Long enough that the spool's segments fill up. */
const BODY_BYTES = 2_000;

export async function webhookConfig(directory: string): Promise<PipelineConfig> {
  const file = join(directory, 'p.yaml');
  writeFileSync(
    file,
    `source: { type: webhook, listen: '127.0.0.1:0', max_body_bytes: 256KiB, spool: { max_bytes: 1MiB, min_free_bytes: 1B } }
routes: [{ to: files }]
sinks: { files: { type: files, base_dir: /out, path: all.log, flush_interval: 1ms } }
`,
  );
  const { pipelines, diagnostics } = await loadPipelines([file], {}, components);
  const [config] = pipelines;
  if (!config) throw new Error(JSON.stringify(diagnostics));
  // Shorter than anyone may configure it: a life is short.
  return { ...config, commit_interval: '1ms' };
}

/** Where the life under way listens; absent while there is none. */
interface Place {
  port: number | undefined;
}

interface Client {
  place: Place;
  random: Random;
  /** What was answered 200. */
  answered: string[];
}

/** Sends all batches, each until it is answered. */
async function sendAll({ place, random, answered }: Client): Promise<void> {
  const batches = Array.from({ length: BATCHES }, (_, n) =>
    Array.from({ length: EVENTS }, (_, i) => numberedLine(n * EVENTS + i, Date.now(), BODY_BYTES).line),
  );
  const send = async (lines: string[]): Promise<void> => {
    const body = listOf(lines);
    await until('a batch is answered 200', async () => {
      const { port } = place;
      if (port === undefined) return false;
      // Its answer is not waited for: it may be stored or not.
      if (random() < 0.1) void post(port, body).catch(() => undefined);
      return (await post(port, body).catch(() => undefined))?.status === 200;
    });
    answered.push(...lines);
    if (random() < 0.1 && place.port !== undefined) await post(place.port, body).catch(() => undefined);
  };
  // Some at a time, as an API server has some under way.
  const workers = [0, 1, 2].map(async (worker) => {
    for (let i = worker; i < batches.length; i += 3) await send(batches[i] ?? []);
  });
  await Promise.all(workers);
}

export interface LivesOutcome {
  faults: string[];
  fates: string[];
  /** Changes to the disk in the first life. */
  changes: number;
}

/** Dies at one change to the disk, and once more in half of the cases; then goes on to the end. */
export async function liveAndDie(config: PipelineConfig, dieAt: number, seed: number): Promise<LivesOutcome> {
  const random = seeded(seed);
  const disk = new VolatileDisk();
  for (const path of ['/state', '/out']) disk.place(path);
  const place: Place = { port: undefined };
  const client: Client = { place, random: seeded(seed + 1), answered: [] };
  const faults: string[] = [];
  const fates: string[] = [];
  let isSent = false;
  const sending = sendAll(client).then(() => {
    isSent = true;
  });
  sending.catch(() => undefined);
  // The last but one takes what is left; the last delivers what the spool holds, and ends.
  const deaths = [dieAt, ...(random() < 0.5 ? [1 + Math.floor(random() * 60)] : []), Infinity, Infinity];
  let changes = 0;
  for (const [life, at] of deaths.entries()) {
    const process = startProcess(disk, at);
    const log = pino(
      {},
      {
        write: (line) => {
          const { level, msg, code, port } = JSON.parse(line) as {
            level: number;
            msg: string;
            code?: string;
            port?: number;
          };
          if (code === 'WEBHOOK_LISTENING') place.port = port;
          if (level > 30 && !process.signal.aborted) faults.push(`life ${life}: ${msg}`);
        },
      },
    );
    const runtime = {
      stateDirectory: '/state',
      fs: process.fs,
      log,
      once: life === deaths.length - 1,
      deadlineMs: 20_000,
    };
    const pipeline = new Pipeline(config, { ...runtime, clock: { now: () => Date.now() } });
    const drain = new AbortController();
    const running = pipeline.run(drain.signal, process.signal).catch((error: unknown) => {
      if (!process.signal.aborted) faults.push(`life ${life}: ${String(error)}`);
    });
    if (!runtime.once) await Promise.race([running, sending]);
    if (isSent && !runtime.once) drain.abort();
    await running;
    place.port = undefined;
    if (life === 0) changes = process.changes();
    fates.push(
      `life ${life} ${process.signal.aborted ? 'died' : 'ended'} after ${process.changes()} changes`,
    );
    if (process.signal.aborted && pick(random, ['power', 'kill']) === 'power')
      fates.push(...disk.cutPower(random).map((fate) => `  ${fate}`));
  }
  await sending;
  const found = [...disk.files('/out').values()].flatMap((data) => data.toString().split('\n').slice(0, -1));
  const counts = new Map<string, number>();
  for (const line of found) counts.set(line, (counts.get(line) ?? 0) + 1);
  const lost = client.answered.filter((line) => !counts.has(line)).length;
  const doubled = [...counts.values()].filter((count) => count > 1).length;
  const strange = found.length - client.answered.length;
  if (lost + doubled > 0 || strange !== 0)
    faults.push(`${lost} lost, ${doubled} doubled, ${strange} more lines than were answered`);
  return { faults, fates, changes };
}
