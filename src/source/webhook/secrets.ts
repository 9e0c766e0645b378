// The files that decide who is let in: certificate, key, CA of the clients, tokens. They are looked at again and again,
// by content, since a mounted secret changes by a symbolic link somewhere above. What can't be used never takes the
// place of what is in use: half of a pair that is being replaced is a usual sight.
import { X509Certificate } from 'node:crypto';
import { constants } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { HeadgateError } from '../../errors.js';
import type { FileSystem } from '../../file-system.js';
import { readBytes } from '../../position/durable-file.js';
import type { WebhookSettings } from './options.js';
import { hashToken } from './verdict.js';

const MAX_FILE_BYTES = 1024 * 1024;
/** Who guesses at a billion a second needs longer than the universe is old. */
const LEAST_TOKEN_BYTES = 16;

/** What is in use. */
export interface Secrets {
  tls: { cert: Buffer; key: Buffer; ca: Buffer | undefined } | undefined;
  /** Hashes of them. */
  tokens: readonly Buffer[] | undefined;
}

/** The files as they are now, in no order that means anything. Throws where one can't be read. */
export async function readSecretFiles(
  fs: FileSystem,
  { tls, tokenFile }: Pick<WebhookSettings, 'tls' | 'tokenFile'>,
): Promise<Map<string, Buffer>> {
  const paths = [tls?.cert, tls?.key, tls?.clientCa, tokenFile];
  const files = new Map<string, Buffer>();
  for (const path of paths) if (path !== undefined) files.set(path, await read(fs, path));
  return files;
}

/** What the files hold. Throws where they can't be used, saying which and why, and nothing of what is in them. */
export function makeSecrets(
  files: ReadonlyMap<string, Buffer>,
  { tls, tokenFile }: Pick<WebhookSettings, 'tls' | 'tokenFile'>,
): Secrets {
  const content = (path: string): Buffer => files.get(path) ?? Buffer.alloc(0);
  const tokens = tokenFile === undefined ? undefined : tokensOf(tokenFile, content(tokenFile));
  if (!tls) return { tls: undefined, tokens };
  const [cert, key] = [content(tls.cert), content(tls.key)];
  certificatesOf(tls.cert, cert);
  const ca = tls.clientCa === undefined ? undefined : content(tls.clientCa);
  if (tls.clientCa !== undefined && ca) certificatesOf(tls.clientCa, ca);
  try {
    createSecureContext({ cert, key, ca });
  } catch (cause) {
    throw unusable(tls.key, 'it is no private key, or not that of the certificate', cause);
  }
  return { tls: { cert, key, ca }, tokens };
}

function tokensOf(path: string, content: Buffer): Buffer[] {
  const tokens = content
    .toString('latin1')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (tokens.length === 0) throw unusable(path, 'no token is in it');
  if (tokens.some((token) => !/^[!-~]+$/.test(token)))
    throw unusable(path, 'a token in it has a space, or a character that no header can carry');
  if (tokens.some((token) => token.length < LEAST_TOKEN_BYTES))
    throw unusable(path, `a token in it is shorter than ${String(LEAST_TOKEN_BYTES)} characters`);
  return tokens.map(hashToken);
}

/** Throws where the file holds no certificate: as a list of CAs, Node would take it for an empty one. */
function certificatesOf(path: string, content: Buffer): void {
  try {
    new X509Certificate(content);
  } catch (cause) {
    throw unusable(path, 'it holds no certificate', cause);
  }
}

async function read(fs: FileSystem, path: string): Promise<Buffer> {
  try {
    const fd = await fs.open(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      const { size, isFile } = await fs.fstat(fd);
      if (!isFile || size > MAX_FILE_BYTES) throw new Error('it is no ordinary file of at most 1 MiB');
      return await readBytes(fs, fd, size);
    } finally {
      await fs.close(fd);
    }
  } catch (cause) {
    throw unusable(path, cause instanceof Error ? cause.message : String(cause), cause);
  }
}

function unusable(path: string, why: string, cause?: unknown): HeadgateError {
  return new HeadgateError('WEBHOOK_SECRET', `${path} can't be used: ${why}`, { path, cause });
}
