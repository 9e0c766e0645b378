// The parts of an event that say what is asked for: requestURI and verb, and the objectRef. They follow from namespace, URI
// and method of a legacy entry (`request-info.ts`); where the line has the verb, that counts.
import type { ByteString } from '../event/byte-string.js';
import { CLOSE_BRACE, COMMA } from '../event/json-reader.js';
import { Constant } from '../event/json-writer.js';
import { unquoteTo } from './go-quote.js';
import * as fields from './legacy-fields.js';
import { METHOD, NAMESPACE, URI } from './legacy-keys.js';
import type { LegacyLine } from './legacy-line.js';
import { fragment, isThere } from './legacy-output.js';
import type { Fragment, LegacyOutput } from './legacy-output.js';
import { RequestInfo } from './request-info.js';

const NONE = Buffer.from('<none>');

const URI_KEY = new Constant(',"requestURI":');
const VERB_KEY = new Constant(',"verb":');
const OBJECT_KEY = new Constant(',"objectRef":{');
const RESOURCE_KEY = new Constant('"resource":"');
const NAMESPACE_KEY = new Constant('"namespace":"');
const LINE_NAMESPACE_KEY = new Constant('"namespace":');
const QUOTE_COMMA = new Constant('",');
const NAME_KEY = new Constant('"name":"');
const GROUP_KEY = new Constant('"apiGroup":"');
const VERSION_KEY = new Constant('"apiVersion":"');
const SUBRESOURCE_KEY = new Constant('"subresource":"');

/** The usual ones of HTTP and of the API, so that no string is made for them. */
const METHODS = [
  ...['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'],
  ...['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'],
  ...['post', 'put', 'head', 'options', 'connect'],
].map((text) => ({ text, bytes: Buffer.from(text) }));
/** Their indexes by first byte and length, which differ for all of them. */
const METHOD_AT = new Int8Array(256 * 8).fill(-1);
for (const [i, { bytes }] of METHODS.entries()) METHOD_AT[methodPlace(bytes, 0, bytes.length)] = i;
const VERBS = new Map<ByteString, Fragment>(
  METHODS.map(({ text }) => [text, fragment(`,"verb":"${text}"`, [[fields.VERB, `"${text}"`]])]),
);

/** An index that stands for the method of a line; -1 where it is an unusual one. */
export function methodIndex(line: LegacyLine): number {
  const index = METHOD_AT[methodPlace(line.data, line.startOf(METHOD), line.endOf(METHOD))] as number;
  const usual = METHODS[index];
  return usual && line.is(METHOD, usual.bytes) ? index : -1;
}

/** The method with an index; with -1, that of the line. */
export function methodOf(index: number, line: LegacyLine): ByteString {
  const usual = METHODS[index];
  if (usual) return usual.text;
  const start = line.startOf(METHOD);
  const end = line.endOf(METHOD);
  const target = Buffer.allocUnsafe(end - start);
  return target.toString('latin1', 0, unquoteTo(target, 0, line.data, start, end));
}

export class TargetWriter {
  readonly #output: LegacyOutput;
  readonly #info = new RequestInfo();
  /** A URI with its escapes undone. */
  #uri: Buffer = Buffer.alloc(1024);
  #verb: ByteString = '';
  /** The parts of the path need no escapes. */
  #isPlain = false;

  constructor(output: LegacyOutput) {
    this.#output = output;
  }

  /** Writes URI and verb of a line with this method. */
  writeRequest(line: LegacyLine, method: ByteString): void {
    const { out, noted } = this.#output;
    const isRead = this.#readUri(line);
    this.#isPlain = isRead && line.isPlain(URI);
    this.#output.string(URI_KEY, line, URI, fields.REQUEST_URI);
    this.#verb = line.kind === 'complete' ? method : this.#info.verbOf(method);
    const verb = VERBS.get(this.#verb);
    if (verb) {
      this.#output.fragment(verb);
      return;
    }
    out.constant(VERB_KEY);
    const start = out.length;
    out.text(this.#verb);
    noted.note(fields.VERB, start, out.length);
  }

  /** Writes objectRef of the same line, of which each member may be absent; nothing where no resource is asked for. */
  writeObject(line: LegacyLine): void {
    const info = this.#info;
    if (!info.isResource) return;
    const { out, noted } = this.#output;
    out.constant(OBJECT_KEY);
    const start = out.length - 1;
    const view = this.#isPlain ? line.view : undefined;
    this.#part(RESOURCE_KEY, info.resource, fields.RESOURCE, view);
    if (isThere(line, NAMESPACE, NONE)) {
      this.#output.string(LINE_NAMESPACE_KEY, line, NAMESPACE, fields.NAMESPACE);
      out.byte(COMMA);
    } else {
      this.#part(NAMESPACE_KEY, info.namespace, fields.NAMESPACE, view);
    }
    if (info.name >= 0) this.#part(NAME_KEY, info.name, fields.NAME, view);
    else this.#writeSelectedName();
    this.#part(GROUP_KEY, info.group, fields.GROUP, view);
    this.#part(VERSION_KEY, info.version, fields.VERSION, view);
    this.#part(SUBRESOURCE_KEY, info.subresource, fields.SUBRESOURCE, view);
    // The comma behind the last member.
    if (out.length - 1 > start) out.length--;
    out.byte(CLOSE_BRACE);
    noted.note(fields.OBJECT, start, out.length);
  }

  /** Reads what the URI asks for; returns whether from the line itself. */
  #readUri(line: LegacyLine): boolean {
    const { data } = line;
    const start = line.startOf(URI);
    const end = line.endOf(URI);
    if (!line.isEscaped(URI)) {
      this.#info.read(data, start, end);
      return true;
    }
    if (this.#uri.length < end - start) this.#uri = Buffer.allocUnsafeSlow(end - start);
    this.#info.read(this.#uri, 0, unquoteTo(this.#uri, 0, data, start, end));
    return false;
  }

  #writeSelectedName(): void {
    const { out, noted } = this.#output;
    const name = this.#info.selectedName(this.#verb);
    if (name === undefined) return;
    out.constant(NAME_KEY);
    const start = --out.length;
    out.text(name);
    noted.note(fields.NAME, start, out.length);
    out.byte(COMMA);
  }

  /** Writes a member of objectRef that is a part of the path, and a comma, if it is there. `view`: as it stands there. */
  #part(key: Constant, part: number, field: number, view: DataView | undefined): void {
    if (part < 0) return;
    const { out, noted } = this.#output;
    const info = this.#info;
    const start = out.length + key.length - 1;
    if (view && info.path.buffer === view.buffer) {
      out.constantAndBytes(key, view, info.partStart(part), info.partEnd(part));
      out.constant(QUOTE_COMMA);
    } else {
      out.constant(key);
      out.length--;
      out.string(info.path, info.partStart(part), info.partEnd(part));
      out.byte(COMMA);
    }
    noted.note(field, start, out.length - 1);
  }
}

function methodPlace(data: Uint8Array, start: number, end: number): number {
  return ((data[start] as number) << 3) | Math.min(end - start, 7);
}
