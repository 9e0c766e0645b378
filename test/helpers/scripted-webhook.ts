// A webhook that answers as a test says, and keeps what it was sent.
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface Posted {
  method: string | undefined;
  url: string | undefined;
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** The common name of the client's certificate, where it showed one that is trusted. */
  client: string | undefined;
}

/** What to answer to the post with this number, from 0; `lost` closes the connection instead. */
export type Script = (number: number, posted: Posted) => Reply | 'lost';
export interface Reply {
  status: number;
  text?: string;
  headers?: Record<string, string>;
}

export interface ScriptedWebhook {
  port: number;
  posts: Posted[];
}

/** Listens on 127.0.0.1 until the test ends; with `tls` it speaks HTTPS. */
export async function scriptedWebhook(
  t: { teardown(run: () => unknown): unknown },
  script: Script = () => ({ status: 200 }),
  tls?: ServerOptions,
): Promise<ScriptedWebhook> {
  const posts: Posted[] = [];
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method, url, headers, socket } = request;
    const peer = 'getPeerCertificate' in socket ? (socket as never as Peer).getPeerCertificate() : undefined;
    const posted = { method, url, headers, body: Buffer.concat(chunks), client: peer?.subject?.CN };
    posts.push(posted);
    const reply = script(posts.length - 1, posted);
    if (reply === 'lost') socket.destroy();
    else response.writeHead(reply.status, reply.headers).end(reply.text);
  };
  const onRequest = (request: IncomingMessage, response: ServerResponse): void => {
    take(request, response).catch(() => undefined); // The client went away.
  };
  const server: Server = tls ? createHttpsServer(tls, onRequest) : createHttpServer(onRequest);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, posts };
}

interface Peer {
  getPeerCertificate(): { subject?: { CN?: string } };
}
