// X.509 certificates for the webhook: an authority, and what it signs for the server and for its clients (RFC 5280).
// Keys are EC P-256; an authority that was given may also have an RSA key, or another curve of NIST. Loads the library only
// where a certificate is made.
import { createHash, generateKeyPairSync, randomBytes, webcrypto, X509Certificate } from 'node:crypto';
import type { KeyObject } from 'node:crypto';
import { isIP, isIPv6 } from 'node:net';
import { UsageError } from '../../errors.js';

/** Clocks of other nodes may be so far behind. */
const BEFORE_MS = 5 * 60_000;
const YEAR_OF_GENERALIZED_TIME = 2050;
const OID = {
  commonName: '2.5.4.3',
  subjectKeyIdentifier: '2.5.29.14',
  keyUsage: '2.5.29.15',
  subjectAltName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKeyIdentifier: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;
/** The bits of a key usage, and how many bits of its byte are not used. */
const SIGNS_CERTIFICATES = { bits: 0b0000_0110, unused: 1 };
const SIGNS_MESSAGES = { bits: 0b1000_0000, unused: 7 };
/** How an authority signs, by the curve of its key. */
const CURVES: Readonly<Record<string, { namedCurve: string; hash: string }>> = {
  prime256v1: { namedCurve: 'P-256', hash: 'SHA-256' },
  secp384r1: { namedCurve: 'P-384', hash: 'SHA-384' },
  secp521r1: { namedCurve: 'P-521', hash: 'SHA-512' },
};

/** A certificate and its key. */
export interface Identity {
  certificate: X509Certificate;
  key: KeyObject;
}

/** What an authority is to sign. */
export interface Leaf {
  commonName: string;
  usage: 'server' | 'client';
  /** Host names and IP addresses of a server. */
  names: readonly string[];
  validMs: number;
}

/** Makes an authority that signs itself, for `validMs` from now on. */
export async function createAuthority(commonName: string, validMs: number): Promise<Identity> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const certificate = await sign(
    { commonName, publicKey, names: [], usage: 'authority', notAfterMs: Date.now() + validMs },
    { key: privateKey },
  );
  return { certificate, key: privateKey };
}

/** Makes a key and a certificate for it. It is not valid for longer than its authority is. */
export async function issue(authority: Identity, leaf: Leaf): Promise<Identity> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const notAfterMs = Math.min(Date.now() + leaf.validMs, Date.parse(authority.certificate.validTo));
  const certificate = await sign({ ...leaf, publicKey, notAfterMs }, authority);
  return { certificate, key: privateKey };
}

interface Subject {
  commonName: string;
  publicKey: KeyObject;
  names: readonly string[];
  usage: 'authority' | 'server' | 'client';
  notAfterMs: number;
}

/** Without a certificate the signer is the subject itself. */
async function sign(
  subject: Subject,
  signer: { key: KeyObject; certificate?: X509Certificate },
): Promise<X509Certificate> {
  const { cryptoKey, hash } = await importKey(signer.key);
  const [asn1, pki] = await Promise.all([import('asn1js'), import('pkijs')]);
  const isAuthority = subject.usage === 'authority';
  const certificate = new pki.Certificate();
  certificate.version = 2; // Counted from 0: v3.
  certificate.serialNumber = new asn1.Integer({ valueHex: exactly(serialNumber()) });
  certificate.subjectPublicKeyInfo = new pki.PublicKeyInfo({
    schema: asn1.fromBER(exactly(subject.publicKey.export({ type: 'spki', format: 'der' }))).result,
  });
  certificate.subject.typesAndValues.push(
    new pki.AttributeTypeAndValue({
      type: OID.commonName,
      value: new asn1.Utf8String({ value: subject.commonName }),
    }),
  );
  const issuer = signer.certificate && pki.Certificate.fromBER(exactly(signer.certificate.raw));
  certificate.issuer = issuer?.subject ?? certificate.subject;
  const time = (ms: number): InstanceType<typeof pki.Time> => {
    const value = new Date(Math.floor(ms / 1000) * 1000);
    const type = value.getUTCFullYear() >= YEAR_OF_GENERALIZED_TIME ? 1 : 0;
    return new pki.Time({ type, value });
  };
  certificate.notBefore = time(Date.now() - BEFORE_MS);
  certificate.notAfter = time(subject.notAfterMs);

  const extension = (extnID: string, critical: boolean, value: { toBER(): ArrayBuffer }) =>
    new pki.Extension({ extnID, critical, extnValue: value.toBER() });
  const octets = (bytes: Buffer) => new asn1.OctetString({ valueHex: exactly(bytes) });
  const { bits, unused } = isAuthority ? SIGNS_CERTIFICATES : SIGNS_MESSAGES;
  const constraints = new pki.BasicConstraints(isAuthority ? { cA: true, pathLenConstraint: 0 } : {});
  const identifier = keyIdentifier(certificate.subjectPublicKeyInfo);
  const issuerIdentifier = issuer ? storedIdentifier(issuer) : identifier;
  certificate.extensions = [
    extension(OID.basicConstraints, true, constraints.toSchema()),
    extension(
      OID.keyUsage,
      true,
      new asn1.BitString({ valueHex: exactly(Buffer.of(bits)), unusedBits: unused }),
    ),
    extension(OID.subjectKeyIdentifier, false, octets(identifier)),
    extension(
      OID.authorityKeyIdentifier,
      false,
      new pki.AuthorityKeyIdentifier({ keyIdentifier: octets(issuerIdentifier) }).toSchema(),
    ),
  ];
  if (!isAuthority) {
    const keyPurposes = [subject.usage === 'server' ? OID.serverAuth : OID.clientAuth];
    certificate.extensions.push(
      extension(OID.extendedKeyUsage, false, new pki.ExtKeyUsage({ keyPurposes }).toSchema()),
    );
  }
  if (subject.names.length > 0) {
    const altNames = subject.names.map((name) =>
      isIP(name) === 0
        ? new pki.GeneralName({ type: 2, value: name })
        : new pki.GeneralName({ type: 7, value: octets(addressBytes(name)) }),
    );
    certificate.extensions.push(
      extension(OID.subjectAltName, false, new pki.AltName({ altNames }).toSchema()),
    );
  }
  await certificate.sign(cryptoKey, hash);
  return new X509Certificate(Buffer.from(certificate.toSchema().toBER()));
}

async function importKey(key: KeyObject): Promise<{ cryptoKey: webcrypto.CryptoKey; hash: string }> {
  const pkcs8 = key.export({ type: 'pkcs8', format: 'der' });
  const curve = CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''];
  if (key.asymmetricKeyType === 'ec' && curve) {
    const algorithm = { name: 'ECDSA', namedCurve: curve.namedCurve };
    const cryptoKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']);
    return { cryptoKey, hash: curve.hash };
  }
  if (key.asymmetricKeyType === 'rsa') {
    const algorithm = { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' };
    const cryptoKey = await webcrypto.subtle.importKey('pkcs8', pkcs8, algorithm, false, ['sign']);
    return { cryptoKey, hash: 'SHA-256' };
  }
  throw new UsageError(
    'USAGE',
    `the key of the authority is of type ${key.asymmetricKeyType ?? 'unknown'}: RSA, or EC on P-256, P-384 or P-521 is needed`,
  );
}

/** Positive, of the same length always (RFC 5280 §4.1.2.2). */
function serialNumber(): Buffer {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40;
  return bytes;
}

interface HasPublicKey {
  subjectPublicKey: { valueBlock: { valueHexView: Uint8Array } };
}

/** RFC 7093 §2, method 1. */
function keyIdentifier({ subjectPublicKey }: HasPublicKey): Buffer {
  return createHash('sha256').update(subjectPublicKey.valueBlock.valueHexView).digest().subarray(0, 20);
}

interface IssuerCertificate {
  extensions?: { extnID: string; parsedValue?: unknown }[] | undefined;
  subjectPublicKeyInfo: HasPublicKey;
}

/** The one that its certificate names: another one would not be found by who builds a chain. */
function storedIdentifier(issuer: IssuerCertificate): Buffer {
  const stored = issuer.extensions?.find(({ extnID }) => extnID === OID.subjectKeyIdentifier)?.parsedValue as
    { valueBlock: { valueHexView: Uint8Array } } | undefined;
  return stored ? Buffer.from(stored.valueBlock.valueHexView) : keyIdentifier(issuer.subjectPublicKeyInfo);
}

/** An IP address as a certificate holds it: 4 or 16 bytes. */
function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number));
  // Written in one way only: no zone, no dotted end.
  const [head = '', tail] = new URL(`http://[${address}]`).hostname.slice(1, -1).split('::');
  const groups = (text: string): number[] =>
    text === '' ? [] : text.split(':').map((group) => parseInt(group, 16));
  const [first, last] = [groups(head), groups(tail ?? '')];
  const zeros = Array<number>(8 - first.length - last.length).fill(0);
  return Buffer.from([...first, ...zeros, ...last].flatMap((group) => [group >> 8, group & 0xff]));
}

/** The library takes the whole of a buffer's memory, so it must be no more than the bytes. */
function exactly(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
