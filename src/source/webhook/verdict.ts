// What becomes of a request by its head alone, before a byte of its body is read. Pure.
import { createHash, timingSafeEqual } from 'node:crypto';

/** What of a request's head matters. */
export interface RequestHead {
  method: string | undefined;
  /** Path and query. */
  url: string | undefined;
  authorization: string | undefined;
  contentType: string | undefined;
  contentEncoding: string | undefined;
  contentLength: string | undefined;
}

/** What is let in. */
export interface AccessRules {
  path: string | undefined;
  /** Hashes of the tokens of which one is needed; undefined: none is. */
  tokens: readonly Buffer[] | undefined;
  maxBodyBytes: number;
}

/** Refused with a status code, or let in. */
export type Verdict = { refuse: number } | { isGzip: boolean; contentLength: number | undefined };

/** What a token is compared by: so that comparing takes the same time for each. */
export function hashToken(token: string): Buffer {
  return createHash('sha256').update(token, 'latin1').digest();
}

/** Decides. Who is not known learns nothing of what there is. */
export function judgeRequest(head: RequestHead, rules: AccessRules): Verdict {
  if (rules.tokens && !isAllowed(head.authorization, rules.tokens)) return { refuse: 401 };
  const path = (head.url ?? '').split('?', 1)[0];
  if (rules.path !== undefined && path !== rules.path) return { refuse: 404 };
  if (head.method !== 'POST') return { refuse: 405 };
  if (!/^application\/json *(?:;|$)/i.test(head.contentType ?? '')) return { refuse: 415 };
  const encoding = (head.contentEncoding ?? 'identity').toLowerCase();
  if (encoding !== 'identity' && encoding !== 'gzip') return { refuse: 415 };
  const contentLength = head.contentLength === undefined ? undefined : Number(head.contentLength);
  if (contentLength !== undefined && !(contentLength <= rules.maxBodyBytes)) return { refuse: 413 };
  return { isGzip: encoding === 'gzip', contentLength };
}

function isAllowed(authorization: string | undefined, tokens: readonly Buffer[]): boolean {
  const token = /^bearer +([!-~]+) *$/i.exec(authorization ?? '')?.[1];
  const hash = hashToken(token ?? '');
  // Each is compared, whether one was equal or not.
  const equal = tokens.filter((each) => timingSafeEqual(each, hash)).length;
  return token !== undefined && equal > 0;
}
