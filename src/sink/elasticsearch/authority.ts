// The certificate authority that a fingerprint means. A fingerprint cannot verify anything, a certificate can: the server
// shows its chain, whose last certificate is taken if it has that fingerprint, and from then on connections are verified
// with it as if it stood in `ca_file`. Only to compare the fingerprint on each connection would not do: a chain that was not
// verified may end in anybody's certificate.
import { once } from 'node:events';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import type { DetailedPeerCertificate } from 'node:tls';

/** The certificate (PEM) with this SHA-256 fingerprint at the end of the chain that the server of `node`, a URL, shows. */
export async function authorityOf(node: string, fingerprint: string, signal: AbortSignal): Promise<string> {
  const { hostname, port } = new URL(node);
  const host = hostname.replace(/^\[(.*)\]$/, '$1');
  const socket = connect({
    host,
    port: port === '' ? 443 : Number(port),
    ...(isIP(host) === 0 && { servername: host }),
    // Nothing is sent, and nothing believed but the fingerprint.
    rejectUnauthorized: false,
  });
  try {
    await once(socket, 'secureConnect', { signal });
    const authority = lastOf(socket.getPeerCertificate(true));
    if (digits(authority.fingerprint256) !== digits(fingerprint))
      throw new Error(`the certificate authority of ${node} is not the one of \`ca_fingerprint\``);
    const base64 = authority.raw.toString('base64').replace(/.{64}/g, '$&\n');
    return `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`;
  } finally {
    socket.destroy();
  }
}

/** Who signed whoever signed it, up to the first that signed itself. */
function lastOf(certificate: DetailedPeerCertificate): DetailedPeerCertificate {
  // Both are missing where the chain ends before such a one, whatever the type says.
  const issuer = certificate.issuerCertificate as DetailedPeerCertificate | undefined;
  return !issuer || issuer.fingerprint256 === certificate.fingerprint256 ? certificate : lastOf(issuer);
}

function digits(fingerprint: string): string {
  return fingerprint.replaceAll(':', '').toLowerCase();
}
