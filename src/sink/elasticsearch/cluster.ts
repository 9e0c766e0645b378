// The edge to the servers: one request, one answer, whatever its status. Requests go through the transport of
// Elastic's client (nodes in turn, dead ones last, TLS), which is loaded when a pipeline first needs it: it costs
// 0.3 s and 37 MB. What goes wrong on the way is a fault, and then nobody knows what became of the request.
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { Client } from '@elastic/elasticsearch';
import { millisecondsOf } from '../../config/units.js';
import { HaltError } from '../../errors.js';
import { retryAfterMs } from '../../retry-after.js';
import { compileAuthorization } from './credentials.js';
import type { ElasticsearchOptions } from './options.js';
import { allCreated } from './verdict.js';

/** Answers are read up to this size: 10,000 events that are all rejected, in the server's words, are a tenth of it. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** Of level 6 it has half the cost and 1.2 times the bytes, measured on requests of events at level Metadata. */
const GZIP_LEVEL = 3;
const compress = promisify(gzip);

type ClientOptions = ConstructorParameters<typeof Client>[0];

export interface ClusterRequest {
  method: 'GET' | 'POST' | 'PUT';
  /** With its query. */
  path: string;
  /** JSON, or lines of it. */
  body?: Buffer | object;
}

export interface Answer {
  status: number;
  /** Parsed where the server says that it is JSON, else text. */
  body: unknown;
  /** What the server says in `Retry-After`. */
  retryAfterMs: number;
}

/** A request without an answer, or one that has to wait. Carries no credentials and nothing of an event. */
export class ClusterFault extends Error {
  /** Not to be tried again before. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs = 0) {
    super(message);
    this.name = 'ClusterFault';
    this.retryAfterMs = retryAfterMs;
  }
}

export class Cluster {
  readonly #options: ElasticsearchOptions;
  readonly #authorization: () => Promise<string | undefined>;
  readonly #signal: AbortSignal;
  readonly #timeoutMs: number;
  #client: Promise<{ client: Client; certificates: string }> | undefined;

  /** Requests end when `signal` aborts. Does no I/O. */
  constructor(options: ElasticsearchOptions, component: string, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#timeoutMs = millisecondsOf(options.request_timeout);
    this.#authorization = compileAuthorization(options.auth, process.env, component);
  }

  /** Throws `ClusterFault` where there was no answer, and `HaltError` where there never will be one. */
  async request({ method, path, body: given }: ClusterRequest): Promise<Answer> {
    const isCompressed = this.#options.compression === 'gzip';
    const body =
      isCompressed && Buffer.isBuffer(given) ? await compress(given, { level: GZIP_LEVEL }) : given;
    this.#signal.throwIfAborted();
    const abort = new AbortController();
    const stop = (): void => {
      abort.abort();
    };
    const timer = setTimeout(stop, this.#timeoutMs);
    this.#signal.addEventListener('abort', stop);
    try {
      const { client } = await (this.#client ??= this.#connect(abort.signal));
      const authorization = await this.#authorization();
      const headers = {
        // Not the client's own type, which names a version that servers before 9 refuse.
        'content-type': Buffer.isBuffer(body) ? 'application/x-ndjson' : 'application/json',
        accept: 'application/json',
        ...(isCompressed && { 'accept-encoding': 'gzip' }),
        ...(body !== given && { 'content-encoding': 'gzip' }),
        ...(authorization !== undefined && { authorization }),
      };
      const content = body === undefined ? {} : Buffer.isBuffer(body) ? { bulkBody: body } : { body };
      // The client's own time limits end at the first byte of an answer.
      const settings = { meta: true, headers, signal: abort.signal } as const;
      const answer = await client.transport.request({ method, path, ...content }, settings);
      return answerOf(answer.statusCode ?? 0, answer.headers ?? {}, answer.body);
    } catch (error) {
      this.#signal.throwIfAborted();
      if (error instanceof HaltError) throw error;
      const response = responseOf(error);
      if (response) return answerOf(response.statusCode, response.headers ?? {}, response.body);
      await this.#renew();
      throw new ClusterFault(describe(error, abort.signal.aborted ? this.#timeoutMs : undefined));
    } finally {
      clearTimeout(timer);
      this.#signal.removeEventListener('abort', stop);
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    const connected = await this.#client?.catch(() => undefined);
    this.#client = undefined;
    disconnect(connected?.client);
  }

  async #connect(signal: AbortSignal): Promise<{ client: Client; certificates: string }> {
    const { nodes, flavor } = this.#options;
    const [caInFile, cert, key] = await this.#certificates();
    const ca = caInFile ?? (await this.#authority(signal));
    const { Client, Serializer, SniffingTransport } = await import('@elastic/elasticsearch');
    class AnswerReader extends Serializer {
      override deserialize<T>(json: string): T {
        return (allCreated(json) as T | undefined) ?? super.deserialize(json);
      }
    }
    // Whoever says `opensearch` knows that it is not Elasticsearch.
    class AnyTransport extends SniffingTransport {
      constructor(options: ConstructorParameters<typeof SniffingTransport>[0]) {
        const unchecked = { ...options };
        delete unchecked.productCheck;
        super(unchecked);
      }
    }
    const isTls = ca !== undefined || cert !== undefined;
    const options: ClientOptions = {
      nodes,
      maxRetries: 0,
      maxResponseSize: MAX_ANSWER_BYTES,
      maxCompressedResponseSize: MAX_ANSWER_BYTES,
      enableMetaHeader: false,
      // It would copy a request that failed as an object of one property a byte (@elastic/transport `redactObject`), which
      // takes a second and 400 MB. Of the errors that carry secrets only the message goes further than this file.
      redaction: { type: 'off' },
      Serializer: AnswerReader,
      ...(isTls && {
        tls: { ...(ca && { ca }), ...(cert && { cert, key }) },
      }),
      ...(flavor === 'opensearch' && { Transport: AnyTransport }),
    };
    return { client: new Client(options), certificates: [caInFile, cert, key].join('\n') };
  }

  /** What `ca_fingerprint` stands for, as the first node says that can be reached. */
  async #authority(signal: AbortSignal): Promise<string | undefined> {
    const { nodes, tls } = this.#options;
    if (tls.ca_fingerprint === undefined) return undefined;
    const { authorityOf } = await import('./authority.js');
    const faults: unknown[] = [];
    for (const node of nodes) {
      try {
        return await authorityOf(node, tls.ca_fingerprint, signal);
      } catch (error) {
        faults.push(error);
      }
    }
    throw faults[0] as Error;
  }

  async #certificates(): Promise<(string | undefined)[]> {
    const { ca_file, cert_file, key_file } = this.#options.tls;
    const read = async (path: string | undefined) =>
      path === undefined ? undefined : readFile(path, 'utf8');
    return Promise.all([ca_file, cert_file, key_file].map(read));
  }

  /** After a fault: certificates that were renewed meanwhile are used from now on. */
  async #renew(): Promise<void> {
    const before = this.#client;
    const connected = await before?.catch(() => undefined);
    const certificates = await this.#certificates().catch(() => undefined);
    if (connected && (!certificates || certificates.join('\n') === connected.certificates)) return;
    if (this.#client === before) this.#client = undefined;
    // Without waiting: other requests may still be under way through it.
    disconnect(connected?.client);
  }
}

/**
 * Nobody waits for it: it has no more use, closed or not, and one that was closed just when the name in the server's
 * certificate turned out to be another never says that it is (undici 6, `client.js`).
 */
function disconnect(client: Client | undefined): void {
  client?.close().catch(() => undefined);
}

interface Response {
  statusCode: number;
  headers?: Readonly<Record<string, string | string[] | undefined>>;
  body?: unknown;
}

/** The answer that the client has made an error of. */
function responseOf(error: unknown): Response | undefined {
  if (!(error instanceof Error) || error.name !== 'ResponseError') return undefined;
  return (error as Error & { meta?: Response }).meta;
}

function answerOf(status: number, headers: NonNullable<Response['headers']>, body: unknown): Answer {
  return { status, body, retryAfterMs: retryAfterMs(headers['retry-after']) };
}

function describe(error: unknown, timeoutMs: number | undefined): string {
  if (timeoutMs !== undefined) return `no answer within ${timeoutMs / 1000} s`;
  const name = error instanceof Error ? error.name : '';
  if (name === 'ProductNotSupportedError')
    return 'the answer is not from Elasticsearch: is the address right, or is it `flavor: opensearch`?';
  if (name === 'DeserializationError') return 'the answer is not whole: it is no JSON';
  return error instanceof Error ? error.message : String(error);
}
