// What a request asks for, from its HTTP method and its URI: verb, and the resource that it is about. It follows
// kube-apiserver (k8s.io/apiserver pkg/endpoints/request/requestinfo.go) step by step, odd URIs included, for the
// two-line legacy log says neither. Parts of the path are ranges of bytes; nothing is allocated for an ordinary URI.
import type { ByteString } from '../event/byte-string.js';
import { equalsAt } from './legacy-keys.js';

const SLASH = 0x2f;
const QUESTION_MARK = 0x3f;
const PERCENT = 0x25;
/** More parts than a path can mean something with: prefix, group, version, verb, `namespaces` and name, three more. */
const MAX_PARTS = 10;

const EMPTY = Buffer.alloc(0);
const API = Buffer.from('api');
const APIS = Buffer.from('apis');
const NAMESPACES = Buffer.from('namespaces');
const STATUS = Buffer.from('status');
const FINALIZE = Buffer.from('finalize');
const WATCH = Buffer.from('watch');
const PROXY = Buffer.from('proxy');
const REDIRECT = Buffer.from('redirect');
const SCHEMES = [Buffer.from('http://'), Buffer.from('https://')];

const VERBS = new Map([
  ['POST', 'create'],
  ['GET', 'get'],
  ['HEAD', 'get'],
  ['PUT', 'update'],
  ['PATCH', 'patch'],
  ['DELETE', 'delete'],
]);

/** What is not part of a path that was read is -1; else it is an index for `partStart` and `partEnd`. */
export class RequestInfo {
  /** What the ranges of the parts are in: the URI's own buffer, or another where it holds `%XX`. */
  path: Buffer = EMPTY;
  isResource = false;
  group = -1;
  version = -1;
  namespace = -1;
  resource = -1;
  name = -1;
  subresource = -1;
  /** The part that is a verb, in old URIs as `/api/v1/watch/pods`. */
  #special = -1;
  #data: Buffer = EMPTY;
  #pathEnd = 0;
  #end = 0;
  readonly #partStarts = new Int32Array(MAX_PARTS);
  readonly #partEnds = new Int32Array(MAX_PARTS);
  #partCount = 0;
  #scratch: Buffer = EMPTY;

  partStart(part: number): number {
    return this.#partStarts[part] as number;
  }
  partEnd(part: number): number {
    return this.#partEnds[part] as number;
  }

  /** Reads the URI `data[start..end)`, as it was sent. What was read is good until the next call. */
  read(data: Buffer, start: number, end: number): void {
    this.isResource = false;
    this.group = this.version = this.namespace = this.resource = this.name = this.subresource = -1;
    this.#special = -1;
    this.#data = data;
    this.#end = end;
    this.#split(data, startOfPath(data, start, end), end);
    const count = this.#partCount;
    const isApi = this.#is(0, API);
    if (count < 3 || !(isApi || this.#is(0, APIS)) || (!isApi && count < 4)) return;
    let part = isApi ? 1 : 2;
    const version = part++;
    const isWatch = this.#is(part, WATCH);
    if (isWatch || this.#is(part, PROXY) || this.#is(part, REDIRECT)) {
      // The API server answers `/api/v1/watch` with an error before it is a request for anything.
      if (part + 1 === count) return;
      this.#special = part++;
    }
    this.isResource = true;
    this.group = isApi ? -1 : this.#filled(1);
    this.version = this.#filled(version);
    this.#readResource(part, this.#special < 0 || isWatch);
  }

  /** The verb for an HTTP method: that of the API for a resource, else the method in lower case. */
  verbOf(method: ByteString): ByteString {
    // Bytes beyond ASCII stay: they are parts of characters.
    if (!this.isResource) return method.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
    if (this.#special >= 0)
      return this.path.toString('latin1', this.partStart(this.#special), this.partEnd(this.#special));
    const verb = VERBS.get(method) ?? '';
    if (this.name >= 0) return verb;
    if (verb === 'get') return isTrue(this.#parameter('watch')) ? 'watch' : 'list';
    return verb === 'delete' ? 'deletecollection' : verb;
  }

  /** The name that the field selector of a list or a watch demands; undefined where there is none. */
  selectedName(verb: ByteString): ByteString | undefined {
    const isSelection = this.name < 0 && this.#special < 0 && (verb === 'list' || verb === 'watch');
    return isSelection ? nameOfSelector(this.#parameter('fieldSelector')) : undefined;
  }

  // What stands behind the version: [namespaces NAMESPACE] RESOURCE [NAME [SUBRESOURCE]].
  #readResource(first: number, mayHaveSubresource: boolean): void {
    const count = this.#partCount;
    let part = first;
    if (part + 1 < count && this.#is(part, NAMESPACES)) {
      this.namespace = this.#filled(part + 1);
      if (part + 2 < count && !this.#is(part + 2, STATUS) && !this.#is(part + 2, FINALIZE)) part += 2;
    }
    this.resource = this.#filled(part);
    if (part + 1 < count) this.name = this.#filled(part + 1);
    if (part + 2 < count && mayHaveSubresource) this.subresource = this.#filled(part + 2);
  }

  #split(data: Buffer, start: number, end: number): void {
    this.path = data;
    this.#partCount = 0;
    let p = start;
    while (p < end && data[p] === SLASH) p++;
    let partStart = p;
    let count = 0;
    for (; p < end; p++) {
      const byte = data[p] as number;
      if (byte > QUESTION_MARK) continue;
      if (byte === PERCENT && data !== this.#scratch) {
        this.#splitDecoded(data, start, end);
        return;
      }
      if (byte === QUESTION_MARK && data !== this.#scratch) break;
      if (byte === SLASH && count < MAX_PARTS) {
        this.#partStarts[count] = partStart;
        this.#partEnds[count++] = p;
        partStart = p + 1;
      }
    }
    if (data !== this.#scratch) this.#pathEnd = p;
    if (count < MAX_PARTS) {
      this.#partStarts[count] = partStart;
      this.#partEnds[count++] = p;
    }
    // Slashes at the end separate nothing.
    while (count > 0 && this.#partStarts[count - 1] === this.#partEnds[count - 1]) count--;
    this.#partCount = count;
  }

  // A `%2F` separates too: the API server splits the path when it has decoded it.
  #splitDecoded(data: Buffer, start: number, end: number): void {
    let pathEnd = start;
    while (pathEnd < end && data[pathEnd] !== QUESTION_MARK) pathEnd++;
    this.#pathEnd = pathEnd;
    if (this.#scratch.length < pathEnd - start) this.#scratch = Buffer.allocUnsafeSlow(pathEnd - start);
    this.#split(this.#scratch, 0, decodePercents(this.#scratch, data, start, pathEnd));
  }

  /** The first value of a query parameter, decoded; undefined where it is absent. */
  #parameter(name: string): ByteString | undefined {
    if (this.#pathEnd >= this.#end) return undefined;
    const query = this.#data.toString('latin1', this.#pathEnd + 1, this.#end);
    // Splitting costs more than all the rest of a line, and few have it.
    return query.includes(name) || query.includes('%') ? parameterOf(query, name) : undefined;
  }

  #is(part: number, word: Uint8Array): boolean {
    return part < this.#partCount && equalsAt(this.path, this.partStart(part), this.partEnd(part), word);
  }

  /** The part, or -1 where it is empty, as between two slashes. */
  #filled(part: number): number {
    return this.partStart(part) < this.partEnd(part) ? part : -1;
  }
}

// A client that takes the API server for a proxy sends the whole URL.
function startOfPath(data: Buffer, start: number, end: number): number {
  if (data[start] === SLASH) return start;
  for (const scheme of SCHEMES) {
    if (end - start < scheme.length || !equalsAt(data, start, start + scheme.length, scheme)) continue;
    let p = start + scheme.length;
    while (p < end && data[p] !== SLASH) p++;
    return p;
  }
  return start;
}

/** Writes `data[start..end)` to `target` with each `%XX` as its byte; returns the length. */
function decodePercents(target: Buffer, data: Buffer, start: number, end: number): number {
  let to = 0;
  for (let p = start; p < end; p++) {
    const value = data[p] === PERCENT && p + 2 < end ? hexByte(data, p + 1) : -1;
    if (value < 0) {
      target[to++] = data[p] as number;
    } else {
      target[to++] = value;
      p += 2;
    }
  }
  return to;
}

function hexByte(data: Buffer, at: number): number {
  const digits = data.toString('latin1', at, at + 2);
  return /^[0-9a-fA-F]{2}$/.test(digits) ? parseInt(digits, 16) : -1;
}

function parameterOf(query: ByteString, name: string): ByteString | undefined {
  for (const pair of query.split('&')) {
    const equals = pair.indexOf('=');
    const key = equals < 0 ? pair : pair.slice(0, equals);
    if (decodeForm(key) === name) return equals < 0 ? '' : decodeForm(pair.slice(equals + 1));
  }
  return undefined;
}

function decodeForm(text: string): string {
  if (!text.includes('%') && !text.includes('+')) return text;
  return text
    .replaceAll('+', ' ')
    .replace(/%([0-9a-fA-F]{2})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 16)));
}

// As Convert_Slice_string_To_bool of apimachinery: whatever is not false is true.
function isTrue(value: string | undefined): boolean {
  return value !== undefined && value !== '0' && value.toLowerCase() !== 'false';
}

/** The name that a field selector demands, if it does and if a path could hold it (`RequiresExactMatch`). */
function nameOfSelector(selector: ByteString | undefined): ByteString | undefined {
  for (const term of selector?.split(',') ?? []) {
    const name = /^metadata\.name==?([^=!\\]+)$/.exec(term)?.[1];
    if (name !== undefined && name !== '.' && name !== '..' && !/[/%]/.test(name)) return name;
  }
  return undefined;
}
