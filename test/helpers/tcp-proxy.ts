// A TCP proxy on the way to a real server, that can be told what becomes of the bytes of a request or of an answer.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';

/** What becomes of some bytes that came from one side: `to` leads to the other. Both sides end together. */
export type Forward = (data: Buffer, to: Socket) => void;

const pass: Forward = (data, to) => {
  to.write(data);
};

export class TcpProxy {
  /** Of what clients send, and of what the server does. */
  request: Forward = pass;
  answer: Forward = pass;
  readonly #server: Server;

  private constructor(target: URL) {
    this.#server = createServer((client) => {
      const server = connect(Number(target.port), target.hostname);
      const end = (): void => {
        client.destroy();
        server.destroy();
      };
      for (const socket of [client, server]) socket.on('error', end).on('close', end);
      client.on('data', (data) => {
        this.request(data, server);
      });
      server.on('data', (data) => {
        this.answer(data, client);
      });
    });
  }

  /** To the server at `url`; ends with the test. */
  static async start(t: { teardown(run: () => void): unknown }, url: string): Promise<TcpProxy> {
    const proxy = new TcpProxy(new URL(url));
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    t.teardown(() => proxy.#server.close());
    return proxy;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Everything goes through again. */
  heal(): void {
    this.request = this.answer = pass;
  }
}
