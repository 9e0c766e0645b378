// A server that speaks as much of Elasticsearch's API as the sink uses, on documents in memory, and that can be told how
// to misbehave, request by request. As in a data stream, `create` finds an id only in the newest backing index.
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { ServerOptions } from 'node:https';
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';

export interface StoredDocument {
  id: string;
  /** The text of the document as it was sent, one character a byte. */
  source: string;
}

/** One bulk request that is to be answered. */
export interface Exchange {
  items: { index: string; id: string; source: string }[];
  headers: IncomingHttpHeaders;
  bytes: number;
  response: ServerResponse;
  /** Does what is asked for with the given items (all), and returns the answer for them. */
  create: (items?: Exchange['items']) => object[];
  answer: (status: number, body: unknown, headers?: Record<string, string>) => void;
}

export type Reaction = (exchange: Exchange) => void | Promise<void>;

export class FakeElasticsearch {
  /** Paths of all requests, with the time of each. */
  readonly requests: { path: string; atMs: number }[] = [];
  /** What becomes of the next bulk requests, one each; those after them are obeyed. */
  readonly reactions: Reaction[] = [];
  /** Decides before anything else: true where it has answered. */
  guard: (request: IncomingMessage, exchange: Exchange | undefined, response: ServerResponse) => boolean =
    () => false;
  isElasticsearch = true;
  /** Backing indices of each name, oldest first. */
  readonly #indices = new Map<string, Map<string, string>[]>();
  readonly #server: ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>;
  readonly #scheme: string;

  private constructor(tls: ServerOptions | undefined) {
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      this.#handle(request, response).catch((error: unknown) => {
        response.destroy(error as Error);
      });
    };
    this.#server = tls ? createTlsServer(tls, answer) : createServer(answer);
    this.#scheme = tls ? 'https' : 'http';
  }

  /** With `tls` it speaks https. */
  static async start(
    t: { teardown(run: () => void): unknown },
    tls?: ServerOptions,
  ): Promise<FakeElasticsearch> {
    const fake = new FakeElasticsearch(tls);
    await new Promise<void>((resolve) => fake.#server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      fake.#server.closeAllConnections();
      fake.#server.close();
    });
    return fake;
  }

  get url(): string {
    return `${this.#scheme}://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }
  get bulkRequests(): number {
    return this.requests.filter(({ path }) => path.startsWith('/_bulk')).length;
  }
  get names(): string[] {
    return [...this.#indices.keys()];
  }

  /** All documents of a name, over all its backing indices. */
  documents(name: string): StoredDocument[] {
    const all = (this.#indices.get(name) ?? []).flatMap((index) => [...index]);
    return all.map(([id, source]) => ({ id, source }));
  }

  rollover(name: string): void {
    this.#backing(name).push(new Map());
  }

  #backing(name: string): Map<string, string>[] {
    let backing = this.#indices.get(name);
    if (!backing) this.#indices.set(name, (backing = [new Map<string, string>()]));
    return backing;
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    this.requests.push({ path, atMs: performance.now() });
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    let body = Buffer.concat(chunks);
    if (request.headers['content-encoding'] === 'gzip') body = gunzipSync(body);
    const exchange = path.startsWith('/_bulk') ? this.#exchange(request, body, response) : undefined;
    if (this.guard(request, exchange, response)) return;
    if (exchange) {
      const reaction = this.reactions.shift();
      if (reaction) await reaction(exchange);
      else exchange.answer(200, { items: exchange.create() });
    } else if (path.includes('/_refresh')) {
      this.#answer(response, 200, { _shards: { failed: 0 } });
    } else if (path.includes('/_search')) {
      this.#answer(response, 200, this.#search(path, body));
    } else {
      this.#answer(response, 404, { error: { type: 'unknown_path' } });
    }
  }

  #exchange(request: IncomingMessage, body: Buffer, response: ServerResponse): Exchange {
    const lines = body.toString('latin1').split('\n');
    const items: Exchange['items'] = [];
    for (let k = 0; k + 1 < lines.length; k += 2) {
      const { create } = JSON.parse(lines[k] ?? '') as { create: { _index: string; _id: string } };
      items.push({ index: create._index, id: create._id, source: lines[k + 1] ?? '' });
    }
    return {
      items,
      headers: request.headers,
      bytes: body.length,
      response,
      create: (some = items) => some.map((item) => ({ create: { status: this.#create(item) } })),
      answer: (status, answer, headers) => {
        this.#answer(response, status, answer, headers);
      },
    };
  }

  #create({ index, id, source }: Exchange['items'][number]): number {
    const newest = this.#backing(index).at(-1);
    if (newest?.has(id)) return 409;
    newest?.set(id, source);
    return 201;
  }

  #search(path: string, body: Buffer): object {
    const names = decodeURIComponent(path.slice(1, path.indexOf('/_search'))).split(',');
    const { query } = JSON.parse(body.toString()) as { query: { ids: { values: string[] } } };
    const wanted = new Set(query.ids.values);
    const hits = names.flatMap((name) => this.documents(name).filter(({ id }) => wanted.has(id)));
    return {
      timed_out: false,
      _shards: { failed: 0 },
      hits: { hits: hits.map(({ id }) => ({ _id: id })) },
    };
  }

  #answer(
    response: ServerResponse,
    status: number,
    body: unknown,
    headers: Record<string, string> = {},
  ): void {
    response.writeHead(status, {
      'content-type': 'application/json',
      ...(this.isElasticsearch && { 'x-elastic-product': 'Elasticsearch' }),
      ...headers,
    });
    response.end(typeof body === 'string' ? body : JSON.stringify(body));
  }
}

/** Reactions that tests share. */
export const reactions = {
  /** Answers all items with the same status and error. */
  allItems:
    (status: number, type: string): Reaction =>
    ({ items, answer }) => {
      answer(200, { items: items.map(() => ({ create: { status, error: { type, reason: 'so' } } })) });
    },
  /** Does nothing and answers with this status. */
  status:
    (status: number, type = 'some_exception', headers: Record<string, string> = {}): Reaction =>
    ({ answer }) => {
      answer(status, { error: { type }, status }, headers);
    },
  /** The connection breaks before anything was done. */
  resetBefore: (({ response }) => {
    response.destroy();
  }) satisfies Reaction,
  /** Everything is done, and the connection breaks before the answer. */
  resetAfter: (({ create, response }) => {
    create();
    response.destroy();
  }) satisfies Reaction,
};
