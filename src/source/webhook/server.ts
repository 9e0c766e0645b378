// Speaks HTTP with the API server: HTTP/1.1, and with TLS HTTP/2 beside it, as Go's client prefers. Lets in who may come,
// takes bodies in within their bounds, and answers with what becomes of them. No answer holds anything of an event.
//
// Every request is answered, counted by its code, and ends; a client that sends nothing, or too slowly, is cut off.
import { createServer, STATUS_CODES } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { constants, createSecureServer } from 'node:http2';
import type {
  Http2SecureServer,
  Http2ServerRequest,
  Http2ServerResponse,
  ServerHttp2Session,
} from 'node:http2';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { systemCode } from '../../errors.js';
import type { Logger } from '../../log.js';
import type { WebhookMetrics } from '../../metrics.js';
import { RareLog } from '../file/rare-log.js';
import type { ListenAddress } from './address.js';
import { hasName } from './client-name.js';
import { Connections, IDLE_MS, keyOf } from './connections.js';
import type { WebhookSettings } from './options.js';
import { inflateBody, Memory, receiveBody, Share } from './receive-body.js';
import type { Secrets } from './secrets.js';
import { judgeRequest } from './verdict.js';

/** Streams of one HTTP/2 session at once; Go's client uses a few. */
const MAX_STREAMS = 64;
const STREAM_WINDOW_BYTES = 1024 * 1024;
const SESSION_WINDOW_BYTES = 4 * 1024 * 1024;
const MAX_HEADER_BYTES = 16 * 1024;
/** Bodies under way and not answered, beyond one of full length. */
const MORE_MEMORY_BYTES = 32 * 1024 * 1024;
/** How long a client may go on sending after it was answered. */
const LINGER_MS = 500;
/** How long requests under way may take when the server stops. */
const STOP_MS = 700;
const RETRY_SOON_S = 1;

/** What a request is answered with. */
export interface Answer {
  code: number;
  /** When it should be sent again. */
  retryAfterS?: number;
}

export interface ServerContext {
  component: string;
  log: Logger;
  metrics: WebhookMetrics;
  /** Whether a body of this length could be stored now; what to answer where not. */
  admit: (bytes: number) => Answer | undefined;
  /** Takes a body, which it may change. */
  take: (body: Buffer, share: Share) => Promise<Answer>;
}

type AnyRequest = IncomingMessage | Http2ServerRequest;
type AnyResponse = ServerResponse | Http2ServerResponse;

export class EventServer {
  readonly #settings: WebhookSettings;
  readonly #context: ServerContext;
  readonly #log: RareLog;
  readonly #connections: Connections;
  readonly #memory: Memory;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #server: Server | Http2SecureServer;
  #secrets: Secrets;
  #active = 0;
  #isStopping = false;
  #wake: () => void = () => undefined;

  constructor(settings: WebhookSettings, secrets: Secrets, context: ServerContext) {
    this.#settings = settings;
    this.#secrets = secrets;
    this.#context = context;
    this.#log = new RareLog(context.log);
    const { maxConnections, maxBodyBytes, requestTimeoutMs } = settings.limits;
    this.#memory = new Memory(maxBodyBytes + MORE_MEMORY_BYTES);
    this.#connections = new Connections(maxConnections, requestTimeoutMs, (open) => {
      context.metrics.connections = open;
    });
    const handle = (request: AnyRequest, response: AnyResponse): void => {
      void this.#handle(request, response);
    };
    this.#server = secrets.tls
      ? this.#createSecureServer(secrets.tls, handle)
      : createServer(
          { maxHeaderSize: MAX_HEADER_BYTES, keepAliveTimeout: IDLE_MS, requestTimeout: 0 },
          handle,
        );
    this.#server.on('connection', (socket: Socket) => {
      socket.on('error', () => undefined); // It goes away, and what was under way on it with it.
      this.#connections.add(socket);
    });
  }

  /** Resolves to where it listens; rejects where it can't. */
  listen({ host, port }: ListenAddress): Promise<ListenAddress> {
    const server = this.#server;
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host, port, exclusive: true }, () => {
        server.off('error', reject);
        server.on('error', (error: Error) => {
          this.#log.error('server', this.#data({ err: error }), `the server has a fault: ${error.message}`);
        });
        resolve({ host, port: (server.address() as AddressInfo).port });
      });
    });
  }

  /** New connections get what is in use from now on; those that came with another CA are asked to come again. */
  use(secrets: Secrets): void {
    const caBefore = this.#secrets.tls?.ca;
    this.#secrets = secrets;
    if (secrets.tls && 'setSecureContext' in this.#server) this.#server.setSecureContext(secrets.tls);
    if (caBefore && secrets.tls?.ca && !caBefore.equals(secrets.tls.ca)) {
      for (const session of this.#sessions) session.close();
      this.#connections.closeAll(false);
    }
  }

  /** Takes nothing new and ends what is under way, within a second. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    for (const session of this.#sessions) session.close();
    if (this.#active > 0) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        setTimeout(resolve, STOP_MS).unref();
      });
    }
    this.#connections.stop();
    this.#connections.closeAll(true);
    for (const session of this.#sessions) session.destroy();
    await closed;
  }

  #createSecureServer(
    tls: NonNullable<Secrets['tls']>,
    handle: (request: AnyRequest, response: AnyResponse) => void,
  ): Http2SecureServer {
    const { tls: files, limits } = this.#settings;
    const server = createSecureServer(
      {
        ...tls,
        allowHTTP1: true,
        requestCert: files?.clientCa !== undefined,
        rejectUnauthorized: files?.clientCa !== undefined,
        handshakeTimeout: limits.requestTimeoutMs,
        settings: { maxConcurrentStreams: MAX_STREAMS, initialWindowSize: STREAM_WINDOW_BYTES },
        maxHeaderListPairs: MAX_STREAMS,
        unknownProtocolTimeout: LINGER_MS,
      },
      handle,
    );
    Object.assign(server, { keepAliveTimeout: IDLE_MS, requestTimeout: 0 });
    server.on('session', (session) => {
      session.setLocalWindowSize(SESSION_WINDOW_BYTES);
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.on('error', () => undefined); // It goes, and its streams with it.
    });
    server.on('sessionError', () => undefined);
    server.on('tlsClientError', (error: Error) => {
      const cause = systemCode(error) ?? error.message;
      const data = this.#data({ code: 'WEBHOOK_REFUSED', cause });
      this.#log.warn(
        `handshake ${cause}`,
        data,
        'a client was refused: no TLS, or no certificate that is accepted',
      );
    });
    return server;
  }

  async #handle(request: AnyRequest, response: AnyResponse): Promise<void> {
    const key = keyOf(request.socket);
    this.#connections.begin(request.socket);
    this.#active++;
    request.on('error', () => undefined);
    response.on('error', () => undefined);
    const share = new Share(this.#memory);
    let answer: Answer = { code: 500 };
    try {
      answer = await this.#answerOf(request, share);
    } catch (error) {
      this.#log.error('bug', this.#data({ err: error }), 'a request could not be dealt with');
    } finally {
      share.release();
    }
    this.#send(request, response, key, answer);
    this.#connections.end(key, answer.code === 200);
    this.#active--;
    if (this.#active === 0) this.#wake();
  }

  /** 0: nobody is there any more. */
  async #answerOf(request: AnyRequest, share: Share): Promise<Answer> {
    const { path, clientNames, limits } = this.#settings;
    const { headers } = request;
    if (this.#isStopping) return { code: 503, retryAfterS: RETRY_SOON_S };
    if (clientNames && !hasName(request.socket as TLSSocket, clientNames)) return { code: 403 };
    const verdict = judgeRequest(
      {
        method: request.method,
        url: request.url,
        authorization: headers.authorization,
        contentType: headers['content-type'],
        contentEncoding: headers['content-encoding'],
        contentLength: headers['content-length'],
      },
      { path, tokens: this.#secrets.tokens, maxBodyBytes: limits.maxBodyBytes },
    );
    if ('refuse' in verdict) return { code: verdict.refuse };
    const { contentLength, isGzip } = verdict;
    const refused = this.#context.admit(contentLength ?? 0);
    if (refused) return refused;
    const received = await receiveBody(request, contentLength, {
      maxBytes: limits.maxBodyBytes,
      timeoutMs: limits.requestTimeoutMs,
      share,
    });
    const body =
      isGzip && typeof received !== 'number'
        ? await inflateBody(received, limits.maxBodyBytes, share)
        : received;
    if (typeof body !== 'number') return this.#context.take(body, share);
    if (body === 429) this.#context.metrics.noRoom++;
    return { code: body, ...(body === 429 && { retryAfterS: RETRY_SOON_S }) };
  }

  #send(request: AnyRequest, response: AnyResponse, key: string, { code, retryAfterS }: Answer): void {
    const { metrics } = this.#context;
    if (code !== 200) this.#tellRefused(code, request);
    if (code === 0) {
      metrics.requests.set(499, (metrics.requests.get(499) ?? 0) + 1);
      this.#cut(request, key);
      return;
    }
    metrics.requests.set(code, (metrics.requests.get(code) ?? 0) + 1);
    const text = code === 200 ? '' : `${STATUS_CODES[code] ?? String(code)}\n`;
    const isEarly = !request.complete;
    try {
      // The same call for both, but for TypeScript.
      (response as ServerResponse).writeHead(code, {
        'content-type': 'text/plain; charset=utf-8',
        'content-length': String(text.length),
        ...(retryAfterS !== undefined && { 'retry-after': String(retryAfterS) }),
        ...(code === 401 && { 'www-authenticate': 'Bearer' }),
        ...(code === 405 && { allow: 'POST' }),
      });
      (response as ServerResponse).end(text);
    } catch {
      // The stream is gone: nobody is there to read it.
    }
    if (!isEarly) return;
    // What is still being sent is read and thrown away for a moment, so that the answer arrives.
    request.resume();
    const timer = setTimeout(() => {
      if (!request.complete) this.#cut(request, key);
    }, LINGER_MS);
    timer.unref();
    request.once('end', () => {
      clearTimeout(timer);
    });
  }

  /** Ends a stream, or a connection that has no streams. */
  #cut(request: AnyRequest, key: string): void {
    if ('stream' in request) request.stream.close(constants.NGHTTP2_NO_ERROR);
    else this.#connections.destroy(key);
  }

  #tellRefused(code: number, request: AnyRequest): void {
    if (code === 0) return;
    const data = this.#data({ code: 'WEBHOOK_REFUSED', status: code, from: request.socket.remoteAddress });
    this.#log.warn(
      `answer ${String(code)}`,
      data,
      `a request was answered ${String(code)} ${STATUS_CODES[code] ?? ''}`,
    );
  }

  #data(more: object): object {
    return { component: this.#context.component, ...more };
  }
}
