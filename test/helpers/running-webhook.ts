// A pipeline with a webhook source in this process, over real sockets and a real directory.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { components } from '../../src/components.js';
import { loadPipelines } from '../../src/config/load.js';
import { nodeFileSystem } from '../../src/file-system.js';
import type { FileSystem } from '../../src/file-system.js';
import { createMetrics } from '../../src/metrics.js';
import type { PipelineMetrics, WebhookMetrics } from '../../src/metrics.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { linesOf, readOutputs } from './outputs.js';
import { temporaryDirectory } from './temporary.js';
import { until } from './until.js';

interface LogLine {
  level: number;
  code?: string;
  msg: string;
  port?: number;
}

export interface RunningWebhook {
  root: string;
  port: number;
  metrics: PipelineMetrics;
  webhook: WebhookMetrics;
  logs: LogLine[];
  /** Every event in the output. */
  events: () => string[];
  /** Resolves when so many events are delivered. */
  delivered: (count: number) => Promise<void>;
  stop: () => Promise<void>;
}

export interface WebhookOptions {
  /** More of the source, as YAML in braces. */
  source?: string;
  fs?: FileSystem;
  root?: string;
  /** Do not wait until it listens. */
  isWaiting?: boolean;
}

/** Starts one, which ends with the test at the latest. */
export async function startWebhook(
  t: { teardown(run: () => unknown): unknown },
  { source = '', fs = nodeFileSystem, root = temporaryDirectory(t), isWaiting = false }: WebhookOptions = {},
): Promise<RunningWebhook> {
  const file = join(root, 'p.yaml');
  mkdirSync(join(root, 'state'), { recursive: true });
  const listen = source.includes('listen:') ? '' : "listen: '127.0.0.1:0', ";
  writeFileSync(
    file,
    `source: { type: webhook, ${listen}${source} }
routes: [{ to: out }]
commit_interval: 50ms
sinks: { out: { type: files, base_dir: '${root}/out', path: all.log, flush_interval: 5ms } }
`,
  );
  const { pipelines, diagnostics } = await loadPipelines([file], {}, components);
  const [config] = pipelines;
  if (!config) throw new Error(JSON.stringify(diagnostics));
  const logs: LogLine[] = [];
  const log = pino({}, { write: (line) => logs.push(JSON.parse(line) as LogLine) });
  const runtime = { stateDirectory: join(root, 'state'), fs, log, once: false, deadlineMs: 60_000 };
  const pipeline = new Pipeline(config, { ...runtime, clock: { now: () => Date.now() } });
  const { metrics } = pipeline;
  const drain = new AbortController();
  const running = pipeline.run(drain.signal, new AbortController().signal);
  running.catch(() => undefined); // `stop` tells.
  const stop = async (): Promise<void> => {
    drain.abort();
    await running;
  };
  t.teardown(stop);
  const portOf = (): number | undefined => logs.find(({ code }) => code === 'WEBHOOK_LISTENING')?.port;
  if (!isWaiting) await until('it listens', () => portOf() !== undefined, 30_000);
  return {
    root,
    get port() {
      return portOf() ?? 0;
    },
    metrics,
    get webhook() {
      return metrics.webhook ?? (createMetrics() as never);
    },
    logs,
    events: () =>
      existsSync(join(root, 'out'))
        ? [...readOutputs(join(root, 'out')).values()].flatMap((data) => linesOf(data))
        : [],
    delivered: (count) =>
      until(`${count} events are delivered`, () => metrics.eventsDelivered >= count, 30_000),
    stop,
  };
}
