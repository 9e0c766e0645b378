// A spool in a test, with what it told.
import { pino } from 'pino';
import type { FileSystem } from '../../src/file-system.js';
import { nodeFileSystem } from '../../src/file-system.js';
import { createMetrics, createWebhookMetrics } from '../../src/metrics.js';
import type { SourcePosition } from '../../src/position/position.js';
import { Spool } from '../../src/source/webhook/spool.js';

export interface SpoolOptions {
  fs?: FileSystem;
  maxBytes?: number;
  minFreeBytes?: number;
  position?: SourcePosition;
  now?: () => number;
}

export async function openSpool(directory: string, options: SpoolOptions = {}) {
  const logs: { code?: string; msg: string }[] = [];
  const log = pino({}, { write: (line) => logs.push(JSON.parse(line) as { msg: string }) });
  const metrics = Object.assign(createMetrics(), { webhook: createWebhookMetrics() });
  const { fs = nodeFileSystem, maxBytes = 2 ** 30, minFreeBytes = 0, now = Date.now } = options;
  const spool = new Spool(
    { directory, maxBytes, minFreeBytes },
    { component: 'source', fs, log, metrics, now },
  );
  await spool.open(options.position, new AbortController().signal);
  return { spool, metrics, logs };
}
