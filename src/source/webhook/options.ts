// What can be said of a `webhook` source in a pipeline file, and what it means in numbers.
import { join } from 'node:path';
import { address, bytes, count, duration, file, listOf, optional, Type } from '../../config/schema.js';
import type { Static } from '../../config/schema.js';
import { bytesOf, millisecondsOf } from '../../config/units.js';
import type { Fault } from '../../event/fault.js';
import type { SourceContext } from '../../pipeline/component.js';
import { isLoopback, parseAddress } from './address.js';
import type { ListenAddress } from './address.js';

const DEFAULT_LISTEN = '127.0.0.1:9443';
const DEFAULT_MAX_BODY_BYTES = '64MiB';
const DEFAULT_MAX_ITEMS = 100_000;
const DEFAULT_MAX_CONNECTIONS = 256;
const DEFAULT_REQUEST_TIMEOUT = '30s';
const DEFAULT_SPOOL_BYTES = '10GiB';
// So that there is room again for any body once all that was stored is delivered, but for the segment in use.
const LEAST_BODIES_IN_SPOOL = 4;
// Lines of the spool are read by the limits of a log.
const LIMIT_MAX_BODY_BYTES = 2 ** 30;

/** The files that TLS needs. */
export interface TlsFiles {
  cert: string;
  key: string;
  clientCa: string | undefined;
}

/** The options as numbers. */
export interface WebhookSettings {
  listen: ListenAddress;
  /** The only path that takes events; undefined: any. */
  path: string | undefined;
  tls: TlsFiles | undefined;
  /** One of them must be in a client's certificate; undefined: any name. */
  clientNames: readonly string[] | undefined;
  tokenFile: string | undefined;
  limits: RequestLimits;
  spool: SpoolSettings;
}

/** What one client, and all of them together, may ask for. */
export interface RequestLimits {
  maxBodyBytes: number;
  maxItems: number;
  maxConnections: number;
  requestTimeoutMs: number;
}

export interface SpoolSettings {
  directory: string;
  maxBytes: number;
  /** Undefined: 1 GiB, or 5 % of a small file system. */
  minFreeBytes: number | undefined;
}

/** The options as they are written. */
export const webhookOptions = Type.Object(
  {
    listen: optional(
      address({
        description:
          'The IP address and the port to listen on; port 0 takes one that is free and logs it. An address that other machines can reach needs `tls`, and `tls.client_ca_file` or `token_file`.',
        default: DEFAULT_LISTEN,
      }),
    ),
    path: optional(
      Type.String({
        description:
          'The path that the API server posts to, without a query. Requests for any other are answered 404; without this option every path takes events.',
        pattern: '^/[!-~]*$',
        examples: ['/audit'],
      }),
    ),
    tls: optional(
      Type.Object(
        {
          cert_file: file({
            description: 'The certificate, PEM, with those that lead to its CA behind it.',
            examples: ['/etc/headgate/webhook/tls.crt'],
          }),
          key_file: file({
            description: 'Its private key, PEM, without a password.',
            examples: ['/etc/headgate/webhook/tls.key'],
          }),
          client_ca_file: optional(
            file({
              description: 'CA certificates, PEM. Clients must show a certificate that one of them signed.',
              examples: ['/etc/headgate/webhook/client-ca.crt'],
            }),
          ),
          client_names: optional(
            listOf(
              Type.String({ minLength: 1, description: 'A common name, DNS name, IP address or URI.' }),
              {
                description:
                  "Names of which a client's certificate must carry one, as its common name or its subject alternative name. Without it every certificate of the CA will do.",
                minItems: 1,
                examples: [['kube-apiserver']],
              },
            ),
          ),
        },
        {
          additionalProperties: false,
          description:
            'Speak HTTPS (HTTP/2 and HTTP/1.1, TLS 1.2 and later). The files are read again when they change; one that is of no use leaves the one before in use.',
        },
      ),
    ),
    token_file: optional(
      file({
        description:
          'Bearer tokens, one a line: a request must carry one of them. Read again when it changes; to change a token, have both in the file for a while. Needs `tls`, since the API server sends no token over plain HTTP.',
        examples: ['/etc/headgate/webhook/tokens'],
      }),
    ),
    max_body_bytes: optional(
      bytes({
        description:
          'How long the body of a request may be, also after decompression; a longer one is answered 413, and the API server drops its batch after some tries. At most 1GiB.',
        default: DEFAULT_MAX_BODY_BYTES,
        formatMinimum: '64KiB',
      }),
    ),
    max_items: optional(
      count({
        description: 'How many events a request may hold; one with more is answered 413.',
        default: DEFAULT_MAX_ITEMS,
        minimum: 1,
        maximum: 1_000_000,
      }),
    ),
    max_connections: optional(
      count({
        description:
          'How many connections may be open at once. Beyond it one that never sent a request that was let in is closed for each new one.',
        default: DEFAULT_MAX_CONNECTIONS,
        minimum: 1,
        maximum: 10_000,
      }),
    ),
    request_timeout: optional(
      duration({
        description: 'How long a client may take to send a request, and to shake hands before it.',
        default: DEFAULT_REQUEST_TIMEOUT,
        formatMinimum: '100ms',
      }),
    ),
    spool: optional(
      Type.Object(
        {
          max_bytes: optional(
            bytes({
              description:
                'How much of the disk events may take that were answered and are not delivered yet, in the state directory. While there is no room requests are answered 429, with `Retry-After`.',
              default: DEFAULT_SPOOL_BYTES,
              formatMinimum: '1MiB',
            }),
          ),
          min_free_bytes: optional(
            bytes({
              description:
                'They are also answered 429 while the file system of the state directory has less room than this. By default 1GiB, or 5 % of a file system that is smaller than 20GiB.',
              examples: ['1GiB'],
            }),
          ),
        },
        {
          additionalProperties: false,
          description: 'Where events wait that were answered, until every output has them.',
        },
      ),
    ),
  },
  { additionalProperties: false },
);

/** Faults that no option has by its kind alone. */
export function validateWebhookOptions(options: Static<typeof webhookOptions>): Fault[] {
  return [...accessFaults(options), ...sizeFaults(options)];
}

/** Nobody may be able to make up events, or to read them, who is not on this machine. */
function accessFaults({ listen, tls, token_file }: Static<typeof webhookOptions>): Fault[] {
  const faults: Fault[] = [];
  const fault = (path: string[], message: string, hint: string): void => {
    faults.push({ code: 'CONFIG_VALUE', message, hint, path });
  };
  const parsed = parseAddress(listen ?? DEFAULT_LISTEN);
  const isOpen = !('fault' in parsed) && !isLoopback(parsed);
  if (isOpen && !tls)
    fault(
      ['listen'],
      'an address that other machines can reach needs `tls`',
      'add `tls: { cert_file: …, key_file: … }` with `client_ca_file`, or with `token_file` beside it; or listen on 127.0.0.1',
    );
  else if (isOpen && tls?.client_ca_file === undefined && token_file === undefined)
    fault(
      ['listen'],
      'an address that other machines can reach needs `tls.client_ca_file` or `token_file`: anybody could make up events',
      'add one of them, or listen on 127.0.0.1',
    );
  if (token_file !== undefined && !tls)
    fault(
      ['token_file'],
      '`token_file` needs `tls`: over plain HTTP the API server sends no token, so every request would be refused',
      'add `tls`, or leave the token out: on 127.0.0.1 none is needed',
    );
  if (tls?.client_names && tls.client_ca_file === undefined)
    fault(
      ['tls', 'client_names'],
      '`client_names` needs `client_ca_file`: without it clients are not asked for a certificate',
      'add `client_ca_file`',
    );
  return faults;
}

function sizeFaults({ max_body_bytes, spool }: Static<typeof webhookOptions>): Fault[] {
  const maxBodyBytes = bytesOf(max_body_bytes ?? DEFAULT_MAX_BODY_BYTES);
  if (maxBodyBytes > LIMIT_MAX_BODY_BYTES)
    return [
      { code: 'CONFIG_VALUE', message: 'max_body_bytes must be at most 1GiB', path: ['max_body_bytes'] },
    ];
  const maxBytes = bytesOf(spool?.max_bytes ?? DEFAULT_SPOOL_BYTES);
  if (maxBytes >= maxBodyBytes * LEAST_BODIES_IN_SPOOL) return [];
  const path = spool?.max_bytes === undefined ? ['max_body_bytes'] : ['spool', 'max_bytes'];
  const message = '`spool.max_bytes` must be at least four times `max_body_bytes`';
  return [{ code: 'CONFIG_VALUE', message, hint: 'raise the one or lower the other', path }];
}

/** Fills in what is not said. */
export function settingsOf(
  options: Static<typeof webhookOptions>,
  { pipeline, stateDirectory }: Pick<SourceContext, 'pipeline' | 'stateDirectory'>,
): WebhookSettings {
  const listen = parseAddress(options.listen ?? DEFAULT_LISTEN);
  if ('fault' in listen) throw new Error('impossible: unvalidated address');
  const { tls, spool } = options;
  return {
    listen,
    path: options.path,
    tls: tls && { cert: tls.cert_file, key: tls.key_file, clientCa: tls.client_ca_file },
    clientNames: tls?.client_names,
    tokenFile: options.token_file,
    limits: {
      maxBodyBytes: bytesOf(options.max_body_bytes ?? DEFAULT_MAX_BODY_BYTES),
      maxItems: options.max_items ?? DEFAULT_MAX_ITEMS,
      maxConnections: options.max_connections ?? DEFAULT_MAX_CONNECTIONS,
      requestTimeoutMs: millisecondsOf(options.request_timeout ?? DEFAULT_REQUEST_TIMEOUT),
    },
    spool: {
      directory: join(stateDirectory, `${pipeline}~spool`),
      maxBytes: bytesOf(spool?.max_bytes ?? DEFAULT_SPOOL_BYTES),
      minFreeBytes: spool?.min_free_bytes === undefined ? undefined : bytesOf(spool.min_free_bytes),
    },
  };
}
