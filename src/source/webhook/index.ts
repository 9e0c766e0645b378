// The webhook source: the API server posts its events, they are made durable in a spool and then answered, and the spool
// is read like any audit log. What is taken in is the business of `receiver.ts`; here the spool is followed, by the same
// code as a log, and told how far it is delivered.
import type { LineFormat } from '../../codec/decoder.js';
import { ANY_FORMAT } from '../../codec/json-lines.js';
import { RestartError } from '../../errors.js';
import type { Chunk } from '../../event/batch.js';
import { createWebhookMetrics } from '../../metrics.js';
import { defineSource } from '../../pipeline/component.js';
import type { Source, SourceContext } from '../../pipeline/component.js';
import type { PathPosition, SourcePosition } from '../../position/position.js';
import { Follower } from '../file/follower.js';
import { durableView } from './durable-view.js';
import { settingsOf, validateWebhookOptions, webhookOptions } from './options.js';
import type { WebhookSettings } from './options.js';
import type { Receiver, ReceiverContext } from './receiver.js';
import { isSpoolPath, livePath } from './segments.js';

// What it waits for is told by the spool; this is for what is not.
const POLL_MS = 250;
/** No line of the spool is longer: a body may have 1 GiB, and an item gets a few bytes more. */
const MAX_LINE_BYTES = 2 ** 30 + 1024;

/** The `webhook` source of a pipeline file. */
export const webhookSource = defineSource({
  name: 'webhook',
  summary:
    'Takes the events that API servers post to an audit webhook. A request is answered once its events are safe on the disk, whatever the outputs do, and events that are sent twice are delivered once.',
  options: webhookOptions,
  examples: [
    'type: webhook\n',
    'type: webhook\nlisten: 127.0.0.1:9443\ntls: { cert_file: /etc/headgate/webhook/tls.crt, key_file: /etc/headgate/webhook/tls.key }\ntoken_file: /etc/headgate/webhook/tokens\n',
    "type: webhook\nlisten: '0.0.0.0:9443'\npath: /audit\ntls:\n  cert_file: /etc/headgate/webhook/tls.crt\n  key_file: /etc/headgate/webhook/tls.key\n  client_ca_file: /etc/headgate/webhook/client-ca.crt\n  client_names: [kube-apiserver]\nspool: { max_bytes: 20GiB }\n",
  ],
  validate: validateWebhookOptions,
  create: (options, context) => new WebhookSource(settingsOf(options, context), context),
});

/** See `Source`. */
export class WebhookSource implements Source {
  readonly lineFormat: LineFormat = { ...ANY_FORMAT, format: 'json' };
  readonly #settings: WebhookSettings;
  readonly #context: ReceiverContext;
  #receiver: Receiver | undefined;
  #follower: Follower | undefined;
  /** Of the spool, when it was last asked for more. */
  #version = 0;
  /** Positions of what was followed before: kept, since it may be configured again. */
  #dormant: PathPosition[] = [];

  constructor(settings: WebhookSettings, context: SourceContext) {
    this.#settings = settings;
    const { metrics } = context;
    this.#context = {
      ...context,
      metrics: Object.assign(metrics, { webhook: metrics.webhook ?? createWebhookMetrics() }),
    };
  }

  async open(position: SourcePosition | undefined, once: boolean): Promise<boolean> {
    const { signal, drain, fs } = this.#context;
    const renamed = position && {
      ...position,
      paths: position.paths.map((path) => this.#ofThisPipeline(path)),
    };
    // Here, so that who has no such source does without servers for HTTP/1 and 2: some megabytes.
    const { Receiver } = await import('./receiver.js');
    const receiver = (this.#receiver = await Receiver.of(this.#settings, this.#context, renamed));
    const { spool } = receiver;
    const stored = renamed?.paths.find(({ path }) => path === spool.path);
    this.#dormant = renamed?.paths.filter((path) => path !== stored) ?? [];
    const view = durableView(fs, (ino) => spool.durableBytesOf(ino));
    const follower = (this.#follower = new Follower(
      {
        path: spool.path,
        maxLineBytes: MAX_LINE_BYTES,
        pollIntervalMs: POLL_MS,
        readFrom: position?.readFrom ?? 'beginning',
        isOnce: once,
        retainDirectory: `${this.#settings.spool.directory}/none`,
        isKeeping: false,
      },
      stored,
      { ...this.#context, fs: view },
    ));
    let isComplete = await follower.open();
    // It is there, so it can only be that it can't be read for now.
    while (!follower.hasBegun && !drain.aborted) {
      signal.throwIfAborted();
      await spool.wait(spool.version, POLL_MS, signal);
      isComplete = await follower.open();
    }
    if (!once && !drain.aborted) {
      receiver.serve();
      drain.addEventListener('abort', () => void receiver.stop(), { signal });
    }
    return isComplete;
  }

  next(): Promise<Chunk | undefined> {
    this.#version = this.#receiver?.spool.version ?? 0;
    return this.#follower?.next() ?? Promise.resolve(undefined);
  }

  position(): SourcePosition {
    const followed = this.#follower?.position();
    return { paths: [...(followed ? [followed] : []), ...this.#dormant] };
  }

  committed(position: SourcePosition): void {
    for (const path of position.paths)
      if (path.path === this.#follower?.path) this.#follower.kept.committed(path);
    this.#receiver?.spool.committed(position);
  }

  async wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    await this.#receiver?.spool.wait(this.#version, Math.min(timeoutMs, POLL_MS), signal);
  }

  isFinished(): boolean {
    return this.#follower?.isFinished() ?? false;
  }

  remainingBytes(): number {
    return this.#follower?.remainingBytes() ?? 0;
  }

  async close(): Promise<void> {
    const { drain, signal } = this.#context;
    const isRestart = signal.reason instanceof RestartError && !drain.aborted;
    try {
      await this.#follower?.close();
    } finally {
      await this.#receiver?.leave(!isRestart);
    }
  }

  /** The position of a pipeline that was renamed, with its spool, or whose state directory was moved. */
  #ofThisPipeline(position: PathPosition): PathPosition {
    if (!isSpoolPath(position.path)) return position;
    return { ...position, path: livePath(this.#settings.spool.directory) };
  }
}
