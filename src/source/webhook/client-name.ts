// Whether a client's certificate, which its CA has signed, carries one of the names that are let in.
import { isIP } from 'node:net';
import type { TLSSocket } from 'node:tls';

/** Looks at the common name and at the subject alternative names; a wildcard in a certificate matches nothing else. */
export function hasName(socket: TLSSocket, names: readonly string[]): boolean {
  const certificate = socket.getPeerX509Certificate();
  if (!certificate) return false;
  const commonNames = certificate.subject
    .split('\n')
    .flatMap((line) => (line.startsWith('CN=') ? [line.slice(3)] : []));
  return names.some((name) => {
    if (commonNames.includes(name)) return true;
    if (isIP(name) > 0) return certificate.checkIP(name) !== undefined;
    return certificate.checkHost(name, { subject: 'never', wildcards: false }) !== undefined;
  });
}
