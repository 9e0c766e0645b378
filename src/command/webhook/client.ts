// Posts to a webhook as kube-apiserver does, and tries again what may go well the next time: no connection, no answer within
// 30 seconds, 408, 429, and 5xx. The API server tries everything again, but has nobody to tell.
import { Agent as HttpAgent, request as httpRequest } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { HaltError, HeadgateError, systemCode } from '../../errors.js';
import { retryDelayMs } from '../../pipeline/backoff.js';
import { retryAfterMs } from '../../retry-after.js';
import { printable } from '../printable.js';
import type { WebhookTarget } from './kubeconfig-file.js';

const ANSWER_WITHIN_MS = 30_000;
const TOLD_BYTES = 500;
/** Node's codes where a certificate or a key is not as it must be: the next try would fail, too. */
const FAULTY_TLS =
  /^(CERT_|ERR_TLS_|ERR_SSL_|ERR_OSSL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_|EPROTO)/;

const HINTS: Readonly<Record<number, string>> = {
  401: 'the token is missing, or not the one that the source asks for',
  403: 'the client certificate has none of the names in `client_names`',
  404: 'the path of the URL is not that of the source',
  413: 'the batch is larger than the source takes: see --batch-bytes',
};

interface Answer {
  status: number;
  /** What the server says of it, the beginning. */
  text: string;
  retryAfterMs: number;
}

export interface ClientOptions {
  /** How long to go on while nothing is taken. */
  deadlineMs: number;
  /** Called with what failed, each time before it is tried again. */
  onRetry: (what: string) => void;
  random?: () => number;
}

export class WebhookClient {
  readonly #target: WebhookTarget;
  readonly #options: ClientOptions;
  readonly #agent: HttpAgent;
  /** How often something was tried again. */
  retries = 0;

  constructor(target: WebhookTarget, options: ClientOptions) {
    this.#target = target;
    this.#options = options;
    const { url, ca, certificate, key, serverName, isInsecure = false } = target;
    const connections = { keepAlive: true, maxSockets: 1 };
    this.#agent =
      url.protocol === 'http:'
        ? new HttpAgent(connections)
        : new HttpsAgent({
            ...connections,
            rejectUnauthorized: !isInsecure,
            ...(ca === undefined ? {} : { ca }),
            ...(certificate === undefined ? {} : { cert: certificate }),
            ...(key === undefined ? {} : { key }),
            ...(serverName === undefined ? {} : { servername: serverName }),
          });
  }

  /** Resolves when the body was taken. Rejects where it never will be, or was not before the deadline. */
  async post(body: Buffer): Promise<void> {
    const { deadlineMs, onRetry, random = Math.random } = this.#options;
    const sinceMs = performance.now();
    for (let attempt = 1; ; attempt++) {
      const { fault, waitMs } = await this.#try(body);
      if (fault === undefined) return;
      const delayMs = Math.max(waitMs, retryDelayMs(attempt, random));
      if (performance.now() + delayMs - sinceMs > deadlineMs)
        throw new HaltError('DEADLINE', `nothing was taken for ${deadlineMs / 1000} seconds: ${fault}`);
      this.retries++;
      onRetry(fault);
      await sleep(delayMs);
    }
  }

  close(): void {
    this.#agent.destroy();
  }

  /** What went wrong where it is to be tried again, and how long the server wants to be left alone. */
  async #try(body: Buffer): Promise<{ fault: string | undefined; waitMs: number }> {
    let answer: Answer;
    try {
      answer = await this.#request(body);
    } catch (error) {
      const code = systemCode(error) ?? '';
      const what = `${this.#target.url.origin}: ${describe(error, code, this.#target.url.protocol)}`;
      if (FAULTY_TLS.test(code)) throw new HeadgateError('SEND_REFUSED', what, { cause: error });
      return { fault: what, waitMs: 0 };
    }
    const { status, text, retryAfterMs } = answer;
    if (status >= 200 && status < 300) return { fault: undefined, waitMs: 0 };
    const said = printable(text.trim());
    const what = `${this.#target.url.href} answered ${status}${said === '' ? '' : `: ${said}`}`;
    if (status >= 500 || status === 429 || status === 408) return { fault: what, waitMs: retryAfterMs };
    const hint = HINTS[status];
    throw new HeadgateError('SEND_REFUSED', hint === undefined ? what : `${what} (${hint})`);
  }

  async #request(body: Buffer): Promise<Answer> {
    const { url, token } = this.#target;
    const address = new URL(url);
    address.searchParams.set('timeout', `${ANSWER_WITHIN_MS / 1000}s`);
    const signal = AbortSignal.timeout(ANSWER_WITHIN_MS);
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const send = url.protocol === 'http:' ? httpRequest : httpsRequest;
      const request = send(address, {
        method: 'POST',
        agent: this.#agent,
        signal,
        headers: {
          Accept: 'application/json, */*',
          'Content-Type': 'application/json',
          'Content-Length': body.length,
          ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        },
      });
      // A server may answer, and close, before it has read everything.
      request.on('response', resolve).on('error', reject).end(body);
    });
    let text = '';
    for await (const chunk of response.setEncoding('utf8') as AsyncIterable<string>)
      if (text.length < TOLD_BYTES) text = (text + chunk).slice(0, TOLD_BYTES);
    return {
      status: response.statusCode ?? 0,
      text,
      retryAfterMs: retryAfterMs(response.headers['retry-after']),
    };
  }
}

/** What went wrong before there was an answer. */
function describe(error: unknown, code: string, protocol: string): string {
  // Of a fault in TLS the message is a line of OpenSSL's source.
  const reason = error instanceof Error && 'reason' in error ? error.reason : undefined;
  const message = error instanceof Error ? error.message || code : String(error);
  const what = printable(typeof reason === 'string' ? reason : message);
  if (code !== 'ECONNRESET') return what;
  const why =
    protocol === 'https:'
      ? 'the client certificate may be of an authority that the source does not know'
      : 'the source may want https';
  return `${what} (closed without an answer: ${why})`;
}
