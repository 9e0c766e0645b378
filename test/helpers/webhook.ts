// Bodies as the API server posts them, made of numbered events, and a client that posts them.
import { request as httpRequest } from 'node:http';
import type { OutgoingHttpHeaders } from 'node:http';

const KIND = '"kind":"Event","apiVersion":"audit.k8s.io/v1",';

/** The body of one POST, of events as the log backend writes them. */
export function listOf(lines: readonly string[]): Buffer {
  const items = lines.map((line) => line.replace(KIND, ''));
  return Buffer.from(
    `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${items.join(',')}]}\n`,
  );
}

export interface PostOptions {
  method?: string;
  path?: string;
  headers?: OutgoingHttpHeaders;
}

export interface Posted {
  status: number;
  headers: NodeJS.Dict<string | string[]>;
  text: string;
}

/** Sends a body over plain HTTP; rejects where no answer comes. */
export function post(
  port: number,
  body: Buffer | string,
  { method = 'POST', path = '/?timeout=30s', headers = {} }: PostOptions = {},
): Promise<Posted> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      {
        host: '127.0.0.1',
        port,
        agent: false,
        method,
        path,
        headers: {
          'content-type': 'application/json',
          ...(headers['transfer-encoding'] === undefined && { 'content-length': Buffer.byteLength(body) }),
          ...headers,
        },
      },
      (response) => {
        let text = '';
        response.setEncoding('latin1').on('data', (part: string) => (text += part));
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, headers: response.headers, text });
        });
        response.on('error', reject);
      },
    );
    request.on('error', reject);
    request.end(body);
  });
}
