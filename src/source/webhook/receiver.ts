// Takes batches in for as long as the process runs: the server, the spool, and what lies between. A pipeline that starts
// again from its last commit finds it as it was: its answers do not depend on any output.
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeadgateError } from '../../errors.js';
import type { PipelineMetrics, WebhookMetrics } from '../../metrics.js';
import type { SourceContext } from '../../pipeline/component.js';
import type { SourcePosition } from '../../position/position.js';
import { RareLog } from '../file/rare-log.js';
import { addressText } from './address.js';
import { readBody } from './body.js';
import type { WebhookSettings } from './options.js';
import type { Share } from './receive-body.js';
import { makeSecrets, readSecretFiles } from './secrets.js';
import type { Secrets } from './secrets.js';
import { EventServer } from './server.js';
import type { Answer } from './server.js';
import { NotStoredError, Spool } from './spool.js';

const LISTEN_AGAIN_MS = 1_000;
const LOOK_AT_SECRETS_MS = 2_000;
/** How long it outlives a pipeline that was to start again and does not. */
const OUTLIVE_MS = 5_000;
/** The API server's client tries again by itself after so long, before it counts a failure. */
const RETRY_AFTER_S = 5;

/** By the counters of its pipeline, which all lives of it share. */
const receivers = new WeakMap<PipelineMetrics, Receiver>();

export type ReceiverContext = SourceContext & { metrics: PipelineMetrics & { webhook: WebhookMetrics } };

export class Receiver {
  readonly spool: Spool;
  readonly #settings: WebhookSettings;
  readonly #context: ReceiverContext;
  readonly #log: RareLog;
  /** Aborted when it is to end. */
  readonly #end = new AbortController();
  #serving: Promise<void> | undefined;
  #closing: Promise<void> | undefined;
  #outliving: NodeJS.Timeout | undefined;

  private constructor(settings: WebhookSettings, context: ReceiverContext) {
    this.#settings = settings;
    this.#context = context;
    this.#log = new RareLog(context.log);
    const { component, fs, log, metrics, clock } = context;
    this.spool = new Spool(settings.spool, { component, fs, log, metrics, now: () => clock.now() });
  }

  /** The one of a pipeline, from an earlier life of it or a new one, with its spool open. */
  static async of(
    settings: WebhookSettings,
    context: ReceiverContext,
    position: SourcePosition | undefined,
  ): Promise<Receiver> {
    const known = receivers.get(context.metrics);
    if (known) {
      clearTimeout(known.#outliving);
      if (!known.#closing) return known;
      await known.#closing;
    }
    const receiver = new Receiver(settings, context);
    await receiver.spool.open(position, context.signal);
    receivers.set(context.metrics, receiver);
    return receiver;
  }

  /** Listens, as soon as that is possible; batches are answered from then on. */
  serve(): void {
    this.#serving ??= this.#serve().catch((error: unknown) => {
      if (!this.#end.signal.aborted) throw error;
    });
  }

  /** The pipeline's life ends; with `isLast` no other is to follow. */
  async leave(isLast: boolean): Promise<void> {
    if (isLast) {
      await this.close();
      return;
    }
    this.#outliving = setTimeout(() => {
      void this.close();
    }, OUTLIVE_MS);
    this.#outliving.unref();
  }

  /** Takes nothing new, ends what is under way, and closes the spool. May be called twice. */
  close(): Promise<void> {
    clearTimeout(this.#outliving);
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Stops listening; the spool stays open. May be called twice. */
  async stop(): Promise<void> {
    this.#end.abort();
    await this.#serving;
  }

  async #close(): Promise<void> {
    await this.stop();
    await this.spool.close();
    receivers.delete(this.#context.metrics);
  }

  /** Until it is to end; faults are waited out. */
  async #serve(): Promise<void> {
    const { fs } = this.#context;
    const { signal } = this.#end;
    let files: Map<string, Buffer> | undefined;
    const secrets = await this.#untilDone(async () => {
      files = await readSecretFiles(fs, this.#settings);
      return makeSecrets(files, this.#settings);
    });
    if (!secrets) return;
    const server = await this.#untilDone(() => this.#listen(secrets));
    if (!server) return;
    while (!signal.aborted) {
      await sleep(LOOK_AT_SECRETS_MS, undefined, { signal }).catch(() => undefined);
      if (!signal.aborted) files = await this.#renew(server, files ?? new Map<string, Buffer>());
    }
    await server.stop();
  }

  async #listen(secrets: Secrets): Promise<EventServer> {
    const { component, log, metrics } = this.#context;
    const server = new EventServer(this.#settings, secrets, {
      component,
      log,
      metrics: metrics.webhook,
      admit: (bytes) => this.#admit(bytes),
      take: (body, share) => this.#take(body, share),
    });
    try {
      const address = await server.listen(this.#settings.listen);
      const url = `${secrets.tls ? 'https' : 'http'}://${addressText(address)}${this.#settings.path ?? '/'}`;
      log.info({ code: 'WEBHOOK_LISTENING', component, port: address.port, url }, `takes events at ${url}`);
      return server;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  /** Undefined where it is to end first. */
  async #untilDone<T>(run: () => Promise<T>): Promise<T | undefined> {
    const { component, metrics } = this.#context;
    const { signal } = this.#end;
    let isWaiting = false;
    try {
      while (!signal.aborted) {
        try {
          return await run();
        } catch (error) {
          if (!isWaiting) metrics.componentsWaiting++;
          isWaiting = true;
          metrics.retries++;
          const message = error instanceof Error ? error.message : String(error);
          const code = error instanceof HeadgateError ? error.code : 'SOURCE_WAITING';
          this.#log.error(code, { code, component }, `takes no events yet, trying again: ${message}`);
          await sleep(LISTEN_AGAIN_MS, undefined, { signal }).catch(() => undefined);
        }
      }
      return undefined;
    } finally {
      if (isWaiting) metrics.componentsWaiting--;
    }
  }

  /** Takes what changed into use; resolves to the files as they are in use or were refused. */
  async #renew(server: EventServer, before: Map<string, Buffer>): Promise<Map<string, Buffer>> {
    const { component, fs, log, metrics } = this.#context;
    try {
      const files = await readSecretFiles(fs, this.#settings);
      const changed = [...files]
        .filter(([path, data]) => !before.get(path)?.equals(data))
        .map(([path]) => path);
      if (changed.length === 0) return before;
      server.use(makeSecrets(files, this.#settings));
      log.info({ component, files: changed }, `uses ${changed.join(', ')} as of now`);
      return files;
    } catch (error) {
      metrics.webhook.reloadFailures++;
      const message = error instanceof Error ? error.message : String(error);
      this.#log.error(
        'renew',
        { code: 'WEBHOOK_SECRET', component },
        `${message}; what was there before stays in use`,
      );
      return before;
    }
  }

  #admit(bytes: number): Answer | undefined {
    return this.spool.hasRoomFor(bytes) ? undefined : this.#noRoom();
  }

  async #take(body: Buffer, share: Share): Promise<Answer> {
    const { component, metrics } = this.#context;
    const { limits } = this.#settings;
    const batch = createHash('sha256').update(body).digest('base64url');
    if (this.spool.isKnown(batch)) {
      metrics.webhook.duplicates++;
      return { code: 200 };
    }
    const read = readBody(body, limits.maxItems);
    if (read === undefined) return { code: 400 };
    if (read === 'too many') return { code: 413 };
    const { lines, count, isBroken } = read;
    if (isBroken) {
      const data = { code: 'WEBHOOK_BODY', component, bytes: body.length };
      this.#log.error(
        'body',
        data,
        'a body is no JSON, or breaks off: what of it can be read is delivered, the rest quarantined',
      );
    }
    if (count === 0) return { code: 200 };
    // The body is not needed any more: what counts from now on are its lines.
    share.release();
    if (!share.grow(lines.length)) return this.#noRoom();
    try {
      if ((await this.spool.append(batch, lines)) === 'duplicate') metrics.webhook.duplicates++;
      return { code: 200 };
    } catch (error) {
      if (!(error instanceof NotStoredError)) throw error;
      if (error.reason === 'large') return { code: 413 };
      return error.reason === 'full' ? this.#noRoom() : { code: 503, retryAfterS: RETRY_AFTER_S };
    }
  }

  #noRoom(): Answer {
    const { component, metrics } = this.#context;
    metrics.webhook.noRoom++;
    const message = 'the spool has no room: requests are answered 429 until outputs have taken more of it';
    this.#log.error('full', { code: 'WEBHOOK_SPOOL_FULL', component, path: this.spool.path }, message);
    return { code: 429, retryAfterS: RETRY_AFTER_S };
  }
}
