// What an answer to a bulk request means, decided without I/O. Three things can become of an event: it is there (made now,
// or there already), it has to wait, or it will never be taken. What is the cluster's fault, or the operator's, is
// never an event's: those wait.

/** One item of an answer, as far as it was asked for. */
export interface ItemAnswer {
  status: number;
  error?: { type?: string; reason?: string; caused_by?: { reason?: string } };
}

export type ItemVerdict = 'done' | 'wait' | 'rejected';

/**
 * 400 and 404 that say nothing about the event: an index that is closed, missing and not made by itself, or not made
 * because the cluster may have no more shards (elastic/elasticsearch `ShardLimitValidator`), rights.
 */
const NOT_THE_EVENT = new Set([
  'cluster_block_exception',
  'index_closed_exception',
  'index_not_found_exception',
  'invalid_alias_name_exception',
  'no_shard_available_action_exception',
  'security_exception',
  'unavailable_shards_exception',
  'validation_exception',
]);

export function judgeItem({ status, error }: ItemAnswer): ItemVerdict {
  if ((status >= 200 && status < 300) || status === 409) return 'done';
  if (status === 401 || status === 403 || status === 429 || status >= 500 || status < 400) return 'wait';
  return NOT_THE_EVENT.has(error?.type ?? '') ? 'wait' : 'rejected';
}

/** What a server says that has no room: the bytes of an operation, and the most that all may take (`IndexingPressure`). */
const NO_ROOM = /(primary|coordinating)_operation_bytes=(\d+), max_\w+_bytes=(\d+)/;

/**
 * Whether a request of `bytes` finds no room where there is never enough, with nothing else under way. A document is
 * counted up to five times: Elasticsearch 9 takes none that is longer than a fiftieth of its heap.
 */
export function neverFits({ status, error }: ItemAnswer, bytes: number): boolean {
  const said = status === 429 ? NO_ROOM.exec(error?.reason ?? '') : null;
  if (!said) return false;
  const [, operation, needed, most] = said;
  // While its documents are written the request itself is still in memory.
  return Number(needed) + (operation === 'primary' ? bytes : 0) > Number(most);
}

/** The items of an answer, in the order of the request; undefined where it is not a whole answer for `count` items. */
export function itemsOf(body: unknown, count: number): ItemAnswer[] | undefined {
  const items: unknown = isObject(body) ? body['items'] : undefined;
  if (!Array.isArray(items) || items.length !== count) return undefined;
  const answers: ItemAnswer[] = [];
  for (const item of items as unknown[]) {
    const answer: unknown = isObject(item) ? item['create'] : undefined;
    if (!isObject(answer) || typeof answer['status'] !== 'number') return undefined;
    answers.push(answer as unknown as ItemAnswer);
  }
  return answers;
}

const CREATED: { create: ItemAnswer } = { create: { status: 201 } };
const CREATED_TEXT = JSON.stringify(CREATED);
/** The longest text of such an answer so far. */
let allCreatedText = '';

/**
 * What `JSON.parse` makes of the answer to a bulk request that made every document, which is almost every answer, without
 * parsing it; undefined for any other text. Those that stand for one event each are the same object.
 */
export function allCreated(text: string): { items: object[] } | undefined {
  const length = text.length - OPENING.length - CLOSING.length;
  const count = (length + 1) / (CREATED_TEXT.length + 1);
  if (!Number.isInteger(count) || count < 1 || !text.startsWith(OPENING) || !text.endsWith(CLOSING))
    return undefined;
  if (allCreatedText.length < length) allCreatedText = new Array(count).fill(CREATED_TEXT).join(',');
  if (text.slice(OPENING.length, -CLOSING.length) !== allCreatedText.slice(0, length)) return undefined;
  return { items: new Array<object>(count).fill(CREATED) };
}
const OPENING = '{"items":[';
const CLOSING = ']}';

/** What is to be done about a whole request. */
export type RequestVerdict =
  /** It was not looked at: send the same again. */
  | 'again'
  /** Nobody knows what became of it. */
  | 'unknown'
  /** It is too large, or one event makes all of it unreadable: send smaller parts. */
  | 'split';

/** `bytes`: of the request, which was answered with `status`, not 200. */
export function judgeRequest(status: number, body: unknown, bytes: number): RequestVerdict {
  if (status === 413 || neverFits({ status, error: errorOf(body) ?? {} }, bytes)) return 'split';
  // Only the server itself names an error's type; a proxy's 400 says nothing about any event.
  if (status === 400 && errorType(body) !== undefined)
    return NOT_THE_EVENT.has(errorType(body) ?? '') ? 'again' : 'split';
  return status === 401 || status === 403 || status === 429 ? 'again' : 'unknown';
}

/** The type that the server gives an error of a whole request. */
export function errorType(body: unknown): string | undefined {
  const type: unknown = errorOf(body)?.type;
  return typeof type === 'string' ? type : undefined;
}

function errorOf(body: unknown): ItemAnswer['error'] {
  const error = isObject(body) ? body['error'] : undefined;
  return isObject(error) ? error : undefined;
}

const LONGEST_REASON = 500;

/** An item's error in the server's words, for the quarantine. They can quote the event. */
export function describeError({ status, error }: ItemAnswer): string {
  const reasons = [error?.reason, error?.caused_by?.reason].filter((reason) => typeof reason === 'string');
  return `${status} ${error?.type ?? 'without a reason'}: ${reasons.join('; ')}`.slice(0, LONGEST_REASON);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
