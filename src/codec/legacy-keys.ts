// The keys of a legacy line, in the order in which the API server writes them.

/** The keys, and where their ranges are kept. */
export const KEYS = [
  'id',
  'stage',
  'ip',
  'method',
  'user',
  'groups',
  'as',
  'asgroups',
  'user-agent',
  'namespace',
  'uri',
  'response',
] as const;

/** Indexes into KEYS. */
export const ID = KEYS.indexOf('id');
export const STAGE = KEYS.indexOf('stage');
export const IP = KEYS.indexOf('ip');
export const METHOD = KEYS.indexOf('method');
export const USER = KEYS.indexOf('user');
export const GROUPS = KEYS.indexOf('groups');
export const AS = KEYS.indexOf('as');
export const ASGROUPS = KEYS.indexOf('asgroups');
export const USER_AGENT = KEYS.indexOf('user-agent');
export const NAMESPACE = KEYS.indexOf('namespace');
export const URI = KEYS.indexOf('uri');
export const RESPONSE = KEYS.indexOf('response');

/** Whether `data[start..end)` are these bytes. */
export function equalsAt(data: Uint8Array, start: number, end: number, bytes: Uint8Array): boolean {
  if (end - start !== bytes.length) return false;
  for (let i = 0; i < bytes.length; i++) if (data[start + i] !== bytes[i]) return false;
  return true;
}
