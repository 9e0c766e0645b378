// `headgate webhook send`: posts a file of events to a webhook as kube-apiserver would. A try-out of a set-up, and a way
// for events that are only in a file. Lines that are no events are told and left out: nothing keeps them, so the exit
// code says so.
import { stat } from 'node:fs/promises';
import { JsonLinesDecoder } from '../../codec/json-lines.js';
import type { EventBatch, QuarantineEntry } from '../../event/batch.js';
import { FieldRegistry } from '../../event/fields.js';
import { createMetrics } from '../../metrics.js';
import type { PipelineMetrics } from '../../metrics.js';
import { showProgress } from '../../progress.js';
import { readChunks } from '../read-chunks.js';
import { WebhookClient } from './client.js';
import { EventLists } from './event-lists.js';
import type { EventList, ListLimits } from './event-lists.js';
import type { WebhookTarget } from './kubeconfig-file.js';

/** The others are only counted. */
const TOLD_LINES = 10;

export interface SendOptions {
  file: string;
  target: WebhookTarget;
  limits: ListLimits;
  deadlineMs: number;
  stderr: NodeJS.WriteStream;
}

/** Resolves to the exit code: 0, or 1 where some lines are no events. Rejects where the webhook does not take them. */
export async function sendCommand({
  file,
  target,
  limits,
  deadlineMs,
  stderr,
}: SendOptions): Promise<number> {
  const metrics = createMetrics();
  const tell = (text: string): void => {
    // Over the line of the progress.
    stderr.write(`${stderr.isTTY ? '\r\x1b[K' : ''}${text}\n`);
  };
  let lastFault = '';
  const client = new WebhookClient(target, {
    deadlineMs,
    onRetry: (fault) => {
      if (fault !== lastFault) tell(`${fault}, trying again`);
      lastFault = fault;
    },
  });
  const totalBytes = await sizeOf(file);
  const hideProgress = showProgress(
    [
      {
        metrics,
        get remainingBytes() {
          return totalBytes === undefined ? undefined : Math.max(0, totalBytes - metrics.bytesRead);
        },
      },
    ],
    stderr,
  );
  const sent = { events: 0, requests: 0 };
  try {
    for await (const list of listsOf(file, limits, metrics, tell)) {
      await client.post(list.body);
      lastFault = '';
      sent.events += list.events;
      sent.requests++;
    }
  } finally {
    hideProgress();
    client.close();
    stderr.write(summary(sent, client.retries, metrics, target.url));
  }
  return metrics.linesQuarantined === 0 ? 0 : 1;
}

/** The events of a file as lists; what is none is told. */
async function* listsOf(
  file: string,
  limits: ListLimits,
  metrics: PipelineMetrics,
  tell: (text: string) => void,
): AsyncGenerator<EventList> {
  // No field is asked for, so that every line is looked at to its end: one that is broken behind would spoil a whole list.
  const decoder = new JsonLinesDecoder(new FieldRegistry(), 'send', metrics);
  const lists = new EventLists(limits);
  let told = 0;
  function* take(batch: EventBatch): Generator<EventList> {
    for (const entry of batch.quarantined) if (told++ < TOLD_LINES) tell(describe(file, entry));
    for (let i = 0; i < batch.size; i++) {
      const full = lists.add(batch.bytes(i));
      if (full) yield full;
    }
    batch.release();
  }
  for await (const chunk of readChunks(file)) {
    metrics.bytesRead += chunk.data.length;
    yield* take(decoder.decode(chunk));
  }
  for (const batch of decoder.flush(Date.now(), true)) yield* take(batch);
  const rest = lists.take();
  if (rest) yield rest;
}

function describe(file: string, { offset, reason, detail }: QuarantineEntry): string {
  return `${file}, byte ${offset}: ${reason}: ${detail}`;
}

/** Undefined where nobody can know how much comes out of it. */
async function sizeOf(file: string): Promise<number | undefined> {
  if (file === '-' || file.endsWith('.gz')) return undefined;
  // Whoever reads it tells the fault.
  return stat(file).then(
    ({ size }) => size,
    () => undefined,
  );
}

function summary(
  sent: { events: number; requests: number },
  retries: number,
  { linesQuarantined, linesNotAudit }: PipelineMetrics,
  url: URL,
): string {
  const parts = [
    `sent ${counted(sent.events, 'event')} in ${counted(sent.requests, 'request')} to ${url.href}`,
  ];
  if (retries > 0) parts.push(`tried again ${counted(retries, 'time')}`);
  if (linesNotAudit > 0) parts.push(`left out ${counted(linesNotAudit, 'line')} of the server's own log`);
  if (linesQuarantined > 0)
    parts.push(`${counted(linesQuarantined, 'line')} ${linesQuarantined === 1 ? 'is' : 'are'} no events`);
  return `${parts.join(', ')}\n`;
}

function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
