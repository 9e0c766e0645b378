// The connections of a server: how many there may be, and which of them goes when there are too many or when nothing
// comes of it. Who was never let in goes first, so strangers can't keep the API server out. Here they are known by the
// address and port of the other side, which a socket, what TLS makes of it, and a request of it have in common.
import type { Socket } from 'node:net';

/** How long a connection that was let in before may be idle: longer than Go's client keeps one (90 s). */
export const IDLE_MS = 150_000;
const SWEEP_MS = 1_000;

/** The other side's address and port. */
export interface Peer {
  remoteAddress?: string | undefined;
  remotePort?: number | undefined;
}

interface Connection {
  socket: Socket;
  /** Requests under way. */
  active: number;
  /** A request of it was answered 200. */
  isTrusted: boolean;
  /** When it came, or was last used. */
  sinceMs: number;
}

export class Connections {
  readonly #max: number;
  readonly #firstRequestMs: number;
  readonly #count: (open: number) => void;
  readonly #open = new Map<string, Connection>();
  readonly #timer: NodeJS.Timeout;

  /** `firstRequestMs`: how long the head of the first request may take. `count` is told how many there are. */
  constructor(max: number, firstRequestMs: number, count: (open: number) => void) {
    this.#max = max;
    this.#firstRequestMs = firstRequestMs;
    this.#count = count;
    this.#timer = setInterval(() => {
      this.#closeIdle();
    }, SWEEP_MS);
  }

  /** Takes in a new one; where there are too many, one is closed. */
  add(socket: Socket): void {
    const key = keyOf(socket);
    if (this.#open.size >= this.#max && !this.#evict()) {
      socket.destroy();
      return;
    }
    this.#open.set(key, { socket, active: 0, isTrusted: false, sinceMs: performance.now() });
    this.#count(this.#open.size);
    socket.once('close', () => {
      if (this.#open.get(key)?.socket === socket) this.#open.delete(key);
      this.#count(this.#open.size);
    });
  }

  /** A request of it begins. */
  begin(peer: Peer): void {
    const connection = this.#open.get(keyOf(peer));
    if (connection) connection.active++;
  }

  /** A request of it is over. `key` was asked for when it began: a socket forgets its peer. */
  end(key: string, isTrusted: boolean): void {
    const connection = this.#open.get(key);
    if (!connection) return;
    connection.active--;
    connection.isTrusted ||= isTrusted;
    connection.sinceMs = performance.now();
  }

  /** Closes the one of a request, whatever is under way on it. */
  destroy(key: string): void {
    this.#open.get(key)?.socket.destroy();
  }

  /** Closes those on which nothing is under way, or all of them. */
  closeAll(isForced: boolean): void {
    for (const { socket, active } of [...this.#open.values()]) if (isForced || active <= 0) socket.destroy();
  }

  /** No more are looked after. */
  stop(): void {
    clearInterval(this.#timer);
  }

  /** Closes the oldest that was never let in, one without a request before others. */
  #evict(): boolean {
    const strangers = [...this.#open.values()].filter(({ isTrusted }) => !isTrusted);
    const oldest = strangers.find(({ active }) => active <= 0) ?? strangers[0];
    oldest?.socket.destroy();
    return oldest !== undefined;
  }

  #closeIdle(): void {
    const nowMs = performance.now();
    for (const { socket, active, isTrusted, sinceMs } of [...this.#open.values()])
      if (active <= 0 && nowMs - sinceMs > (isTrusted ? IDLE_MS : this.#firstRequestMs)) socket.destroy();
  }
}

/** What a connection is known by. */
export function keyOf({ remoteAddress, remotePort }: Peer): string {
  return `${remoteAddress ?? ''} ${String(remotePort ?? '')}`;
}
