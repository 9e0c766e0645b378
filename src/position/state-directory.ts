// Where state lives, and that only one process uses it. The lock is a listening unix socket in the directory: it goes
// with the process, whatever ends it, and it answers who holds it.
import { mkdirSync, renameSync, unlinkSync } from 'node:fs';
import { createConnection, createServer } from 'node:net';
import type { Server } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { HaltError, systemCode, UsageError } from '../errors.js';

/** `sockaddr_un` holds 108 bytes with the closing NUL; longer paths would be cut silently. */
const LONGEST_SOCKET_PATH = 107;
const SOCKET_NAME = 'headgate.sock';

/** `--state-dir`, the first entry of `$STATE_DIRECTORY`, or the usual place for this user. */
export function stateDirectory(option: string | undefined, env: NodeJS.ProcessEnv): string {
  if (option !== undefined) return option;
  const fromSystemd = env['STATE_DIRECTORY']?.split(':')[0];
  if (fromSystemd) return fromSystemd;
  if (process.getuid?.() === 0) return '/var/lib/headgate';
  const home = env['XDG_STATE_HOME'];
  return join(home?.startsWith('/') ? home : join(homedir(), '.local/state'), 'headgate');
}

/** Makes the directory (0700) where it is missing. */
export function makeStateDirectory(directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new HaltError(
      'STATE_UNUSABLE',
      `the state directory ${directory} can't be made: ${String(error)}`,
      { cause: error, path: directory },
    );
  }
}

export interface StateLock {
  release(): Promise<void>;
}

/** Takes the lock. Throws STATE_LOCKED naming the holder's pid, or STATE_SOCKET_PATH. */
export async function lockState(directory: string): Promise<StateLock> {
  const path = join(directory, SOCKET_NAME);
  if (Buffer.byteLength(path) > LONGEST_SOCKET_PATH) {
    throw new UsageError(
      'STATE_SOCKET_PATH',
      `${path} is longer than ${LONGEST_SOCKET_PATH} bytes, which a socket's path must not be: use a shorter --state-dir`,
      { path },
    );
  }
  // Each round either takes the lock, finds its holder, or removes one dead socket.
  for (let round = 0; round < 10; round++) {
    const server = await listen(path);
    if (server) {
      // Someone who took our socket for a dead one may have put theirs in its place.
      if ((await holderOf(path)) === process.pid) return { release: () => release(server) };
      await release(server);
    }
    const pid = await holderOf(path);
    if (pid !== undefined) {
      throw new UsageError(
        'STATE_LOCKED',
        `another headgate (pid ${pid}) uses the state directory ${directory}: stop it first, or give this one its own --state-dir`,
        { path },
      );
    }
    removeDeadSocket(path);
  }
  throw new UsageError(
    'STATE_LOCKED',
    `others are starting with the state directory ${directory} at the same moment`,
    { path },
  );
}

async function listen(path: string): Promise<Server | undefined> {
  const server = createServer((connection) => {
    connection.on('error', () => connection.destroy()); // The asker went away.
    connection.end(String(process.pid));
  });
  return new Promise((resolve, reject) => {
    server.once('error', (error) => {
      if (systemCode(error) === 'EADDRINUSE') resolve(undefined);
      else
        reject(
          new HaltError('STATE_UNUSABLE', `can't take the lock ${path}: ${error.message}`, {
            cause: error,
            path,
          }),
        );
    });
    server.listen(path, () => {
      server.unref();
      resolve(server);
    });
  });
}

/** The pid that answers on a socket; undefined where nobody does. */
export async function holderOf(path: string): Promise<number | undefined> {
  return new Promise((resolve) => {
    let answer = '';
    const connection = createConnection(path);
    connection.setEncoding('latin1');
    connection.on('data', (text: string) => (answer += text));
    connection.on('end', () => {
      resolve(Number(answer));
    });
    connection.on('error', () => {
      resolve(undefined);
    });
  });
}

// Renamed first: of two that find the same dead socket only one can rename it.
function removeDeadSocket(path: string): void {
  const aside = `${path}.${process.pid}`;
  try {
    renameSync(path, aside);
    unlinkSync(aside);
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error; // Someone else removed it.
  }
}

async function release(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => {
      resolve();
    }); // Also removes the socket file.
  });
}
