// A TCP proxy between the API server's client and Headgate. It keeps one port while Headgate comes and goes with another
// each time, and can lose answers: what the client sends goes on, what comes back does not, until the test has seen
// that the request was taken; then the connections are cut.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

export interface AnswerCutter {
  port: number;
  /** Where connections lead from now on; undefined: they are refused. */
  target: number | undefined;
  /** From now on nothing goes back to the client. */
  hold: () => void;
  /** Ends every connection, and lets answers through on new ones. What was held is lost. */
  cut: () => void;
  /** Bytes of answers that are held now. */
  heldBytes: () => number;
}

/** Listens on 127.0.0.1 until the test ends. */
export async function answerCutter(t: { teardown(run: () => unknown): unknown }): Promise<AnswerCutter> {
  const sockets = new Set<Socket>();
  let isHolding = false;
  let heldBytes = 0;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    // Else each answer would wait for an acknowledgement of what is before it.
    socket.setNoDelay(true);
    socket.on('close', () => sockets.delete(socket)).on('error', () => undefined);
  };
  const cut = (): void => {
    isHolding = false;
    heldBytes = 0;
    for (const socket of sockets) socket.destroy();
  };
  const server = createServer((client) => {
    keep(client);
    if (proxy.target === undefined) {
      client.destroy();
      return;
    }
    const headgate = connect(proxy.target, '127.0.0.1');
    keep(headgate);
    client.on('data', (data) => headgate.write(data));
    headgate.on('data', (data) => {
      if (isHolding) heldBytes += data.length;
      else client.write(data);
    });
    client.on('close', () => headgate.destroy());
    headgate.on('close', () => client.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => {
    cut();
    server.close();
  });
  const proxy: AnswerCutter = {
    port: (server.address() as AddressInfo).port,
    target: undefined,
    hold: () => {
      isHolding = true;
    },
    cut,
    heldBytes: () => heldBytes,
  };
  return proxy;
}
