// Certificates and keys that were given instead of made: that each is what it is said to be is found out before anything is
// written, and not by an API server that logs a failed handshake every ten seconds.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP } from 'node:net';
import { UsageError } from '../../errors.js';
import type { Identity } from './certificates.js';
import { readText } from './kubeconfig-file.js';

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^]*?-----END CERTIFICATE-----/g;

/** A certificate with what leads from it to its authority, and its key, as they stand in files. */
export interface GivenIdentity extends Identity {
  /** The file of the certificates, as it is. */
  pem: string;
  chain: X509Certificate[];
}

function fault(path: string, what: string): UsageError {
  return new UsageError('USAGE', `${path} ${what}`, { path });
}

function isSigned(certificate: X509Certificate, by: X509Certificate): boolean {
  return certificate.checkIssued(by) && certificate.verify(by.publicKey);
}

/** All certificates of a PEM file, at least one. */
export async function readCertificates(
  path: string,
): Promise<{ pem: string; all: [X509Certificate, ...X509Certificate[]] }> {
  const pem = await readText(path);
  try {
    const [first, ...rest] = (pem.match(CERTIFICATE) ?? []).map((block) => new X509Certificate(block));
    if (first) return { pem, all: [first, ...rest] };
  } catch {
    // Told below.
  }
  throw fault(path, 'holds no certificate (PEM)');
}

async function readKey(path: string): Promise<KeyObject> {
  const pem = await readText(path);
  try {
    return createPrivateKey(pem);
  } catch {
    throw fault(path, 'holds no private key without a password (PEM)');
  }
}

/** A certificate and its key; throws where the one is not of the other, or is no longer valid. */
export async function readIdentity(certificatePath: string, keyPath: string): Promise<GivenIdentity> {
  const { pem, all } = await readCertificates(certificatePath);
  const key = await readKey(keyPath);
  const [certificate] = all;
  if (!certificate.checkPrivateKey(key)) throw fault(keyPath, `is not the key of ${certificatePath}`);
  if (Date.parse(certificate.validTo) < Date.now())
    throw fault(certificatePath, `is not valid any more since ${certificate.validTo}`);
  return { certificate, key, pem, chain: all };
}

/** Throws where one of them may not sign others, or leads to no root among them: OpenSSL trusts no other. */
export function checkAuthorities(path: string, all: readonly X509Certificate[]): void {
  if (all.some(({ ca }) => !ca)) throw fault(path, 'is no authority: it may not sign certificates');
  const isRooted = all.every((start) => {
    let at: X509Certificate | undefined = start;
    // No longer than all of them: a ring has no root.
    for (let i = 0; at && i < all.length && !isSigned(at, at); i++) {
      const signed: X509Certificate = at;
      at = all.find((each) => isSigned(signed, each));
    }
    return at !== undefined && isSigned(at, at);
  });
  if (!isRooted) throw fault(path, 'leads to no root: put the authorities that signed it behind it');
}

/** Throws where none of the authorities signed what the chain ends with. */
export function checkIssued(
  path: string,
  chain: readonly X509Certificate[],
  caPath: string,
  authorities: readonly X509Certificate[],
): void {
  const isLinked = chain.every((certificate, i) => {
    const next = chain[i + 1];
    return next === undefined || isSigned(certificate, next);
  });
  const last = chain.at(-1);
  const isKnown = authorities.some(
    (authority) => last?.fingerprint256 === authority.fingerprint256 || (last && isSigned(last, authority)),
  );
  if (!isLinked || !isKnown)
    throw fault(
      path,
      `was not signed by an authority in ${caPath}: put what is between them behind it in the same file`,
    );
}

/** Throws where a server with this certificate is not believed to be `host`. */
export function checkServes(path: string, certificate: X509Certificate, host: string): void {
  // As Go does: the common name is no name of a host.
  const isFor =
    isIP(host) === 0
      ? certificate.checkHost(host, { subject: 'never' }) !== undefined
      : certificate.checkIP(host) !== undefined;
  if (!isFor)
    throw fault(path, `is for ${certificate.subjectAltName ?? 'no name at all'}, and not for ${host}`);
}

/** The common name of its subject. */
export function commonNameOf({ subject }: X509Certificate): string | undefined {
  return /^CN=(.+)$/m.exec(subject)?.[1];
}
