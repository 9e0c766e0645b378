// Certificates for tests, made with the `openssl` command: an authority, and what it signed.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Certified {
  certPath: string;
  keyPath: string;
  cert: string;
  key: string;
}

/** Why tests that need certificates are skipped, or false. */
export const withoutOpenssl =
  spawnSync('openssl', ['version']).status === 0
    ? false
    : 'there is no openssl command to make certificates with';

function openssl(...args: string[]): void {
  const { status, stderr } = spawnSync('openssl', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`);
}

/** A certificate authority whose files are in `directory`. Two of one `subject` are told apart by their keys only. */
export class Authority implements Certified {
  readonly #directory: string;
  readonly #name: string;
  readonly certPath: string;
  readonly keyPath: string;
  readonly cert: string;
  readonly key: string;

  constructor(directory: string, name: string, subject = name) {
    this.#directory = directory;
    this.#name = name;
    this.certPath = join(directory, `${name}.crt`);
    this.keyPath = join(directory, `${name}.key`);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.keyPath];
    // Without key identifiers: what they say must not be what tells two authorities apart.
    const extensions = ['-addext', 'subjectKeyIdentifier=none'];
    openssl(
      'req',
      '-x509',
      ...key,
      '-days',
      '2',
      '-subj',
      `/CN=${subject}`,
      ...extensions,
      '-out',
      this.certPath,
    );
    this.cert = readFileSync(this.certPath, 'utf8');
    this.key = readFileSync(this.keyPath, 'utf8');
  }

  /** A certificate for 127.0.0.1, and for a client of that name, unless `alternativeNames` are others. */
  sign(name: string, alternativeNames = 'IP:127.0.0.1'): Certified {
    const path = (suffix: string): string => join(this.#directory, `${this.#name}-${name}.${suffix}`);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', path('key')];
    openssl('req', ...key, '-subj', `/CN=${name}`, '-out', path('csr'));
    writeFileSync(path('ext'), `subjectAltName=${alternativeNames}\n`);
    const signer = ['-CA', this.certPath, '-CAkey', this.keyPath, '-CAcreateserial'];
    const files = ['-in', path('csr'), '-extfile', path('ext'), '-out', path('crt')];
    openssl('x509', '-req', ...signer, '-days', '2', ...files);
    return {
      certPath: path('crt'),
      keyPath: path('key'),
      cert: readFileSync(path('crt'), 'utf8'),
      key: readFileSync(path('key'), 'utf8'),
    };
  }
}
