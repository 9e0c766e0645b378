// What a legacy entry says as an event of audit.k8s.io/v1: the bytes that the API server's JSON log would have for what
// the entry holds, in the order of its Go struct, at level Metadata. What an entry does not say is left out:
// `<none>`, `<self>`, `<lookup>`, `<unknown>` and `<deferred>` are ways to say nothing (pkg/audit/format.go).
//
// Times: a request line has the time when the request was received, a response line when the response began. A line that
// is both has the time when the request was received, whatever its stage (`RequestReceivedTimestamp` there), so only
// at stage RequestReceived is that the time of the stage too.
//
// Verb and objectRef come from method and URI (`request-info.ts`); where the line has the verb, that counts.
import type { ByteString } from '../event/byte-string.js';
import { CLOSE_BRACE, CLOSE_BRACKET, COMMA, NEWLINE, QUOTE } from '../event/json-reader.js';
import { Constant } from '../event/json-writer.js';
import type { JsonWriter } from '../event/json-writer.js';
import { TIMESTAMP_BYTES, writeTimestamp } from '../event/timestamp.js';
import { unquoteTo } from './go-quote.js';
import { GroupsWriter } from './legacy-groups.js';
import {
  AS,
  ASGROUPS,
  GROUPS,
  ID,
  IP,
  METHOD,
  NAMESPACE,
  RESPONSE,
  STAGE,
  URI,
  USER,
  USER_AGENT,
} from './legacy-line.js';
import type { LegacyLine } from './legacy-line.js';
import { RequestInfo } from './request-info.js';

const NONE = Buffer.from('<none>');
const SELF = Buffer.from('<self>');
const LOOKUP = Buffer.from('<lookup>');
const UNKNOWN = Buffer.from('<unknown>');
/** How Go prints an address that it could not find out (`net.IP(nil)`), in the two-line formats. */
const NIL = Buffer.from('<nil>');
const EMPTY = Buffer.alloc(0);
const RECEIVED = Buffer.from('RequestReceived');

const BEGINNING = new Constant(
  '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":',
);
const STAGE_KEY = new Constant(',"stage":');
const STAGE_RECEIVED = new Constant(',"stage":"RequestReceived"');
const STAGE_COMPLETE = new Constant(',"stage":"ResponseComplete"');
const URI_KEY = new Constant(',"requestURI":');
const VERB_KEY = new Constant(',"verb":');
const NO_REQUEST = new Constant(',"requestURI":"","verb":"","user":{}');
const USER_KEY = new Constant(',"user":{');
const IMPERSONATED_KEY = new Constant(',"impersonatedUser":{');
const USERNAME_KEY = new Constant('"username":');
const GROUPS_KEY = new Constant('"groups":');
const SOURCE_KEY = new Constant(',"sourceIPs":[');
const AGENT_KEY = new Constant(',"userAgent":');
const OBJECT_KEY = new Constant(',"objectRef":{');
const RESOURCE_KEY = new Constant('"resource":');
const NAMESPACE_KEY = new Constant('"namespace":');
const NAME_KEY = new Constant('"name":');
const GROUP_KEY = new Constant('"apiGroup":');
const VERSION_KEY = new Constant('"apiVersion":');
const SUBRESOURCE_KEY = new Constant('"subresource":');
const CODE_KEY = new Constant(',"responseStatus":{"metadata":{},"code":');
const RECEIVED_KEY = new Constant(',"requestReceivedTimestamp":');
const STAGE_TIME_KEY = new Constant(',"stageTimestamp":');
const REQUEST_ONLY = new Constant(',"annotations":{"headgate.io/legacy":"request-only"}');
const RESPONSE_ONLY = new Constant(',"annotations":{"headgate.io/legacy":"response-only"}');

/** The usual ones of HTTP and of the API, so that no string is made for them. */
const METHODS = [
  'GET',
  'POST',
  'PUT',
  'PATCH',
  'DELETE',
  'get',
  'list',
  'watch',
  'create',
  'update',
  'patch',
  'delete',
].map((text) => ({ text, bytes: Buffer.from(text) }));
const VERBS = new Map(
  ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'].map((verb) => [
    verb,
    new Constant(`"${verb}"`),
  ]),
);

export class LegacyEventWriter {
  readonly #info = new RequestInfo();
  readonly #groups = new GroupsWriter();
  /** For values with their escapes undone; the URI has its own, since parts of it are written later. */
  #value: Buffer = Buffer.alloc(1024);
  #uri: Buffer = Buffer.alloc(1024);

  /**
   * Writes the event of `line` and a newline. A request may come with its `response`; without it the event is
   * annotated as a half.
   */
  write(out: JsonWriter, line: LegacyLine, response?: LegacyLine): void {
    const { kind, isDeferred } = line;
    out.constant(BEGINNING);
    this.#string(out, line, ID);
    if (line.has(STAGE)) {
      out.constant(STAGE_KEY);
      this.#string(out, line, STAGE);
    } else {
      out.constant(isDeferred ? STAGE_RECEIVED : STAGE_COMPLETE);
    }
    if (kind === 'response') out.constant(NO_REQUEST);
    else this.#writeRequest(out, line);
    const answer = response ?? line;
    if (answer.has(RESPONSE) && !isDeferred) {
      out.constant(CODE_KEY);
      // Digits only, so they are JSON as they stand.
      for (let p = answer.startOf(RESPONSE); p < answer.endOf(RESPONSE); p++)
        out.byte(answer.data[p] as number);
      out.byte(CLOSE_BRACE);
    }
    if (kind !== 'response') writeTime(out, RECEIVED_KEY, line.timeUs);
    if (response) writeTime(out, STAGE_TIME_KEY, response.timeUs);
    else if (kind === 'response' || isDeferred || line.is(STAGE, RECEIVED))
      writeTime(out, STAGE_TIME_KEY, line.timeUs);
    if (kind === 'response') out.constant(RESPONSE_ONLY);
    else if (kind === 'request' && !response) out.constant(REQUEST_ONLY);
    out.byte(CLOSE_BRACE);
    out.byte(NEWLINE);
  }

  #writeRequest(out: JsonWriter, line: LegacyLine): void {
    out.constant(URI_KEY);
    this.#readUri(out, line);
    out.constant(VERB_KEY);
    const method = methodOf(line);
    const verb = line.kind === 'complete' ? method : this.#info.verbOf(method);
    const constant = VERBS.get(verb);
    if (constant) out.constant(constant);
    else out.text(verb);
    out.constant(USER_KEY);
    this.#writeUser(out, line, isThere(line, USER, NONE), isThere(line, GROUPS, NONE), GROUPS);
    out.byte(CLOSE_BRACE);
    const isImpersonated = isThere(line, AS, SELF);
    const hasGroups = isThere(line, ASGROUPS, LOOKUP);
    if (isImpersonated || hasGroups) {
      out.constant(IMPERSONATED_KEY);
      this.#writeUser(out, line, isImpersonated, hasGroups, ASGROUPS);
      out.byte(CLOSE_BRACE);
    }
    if (isThere(line, IP, UNKNOWN) && !line.is(IP, NIL)) {
      out.constant(SOURCE_KEY);
      this.#string(out, line, IP);
      out.byte(CLOSE_BRACKET);
    }
    if (isThere(line, USER_AGENT, EMPTY)) {
      out.constant(AGENT_KEY);
      this.#string(out, line, USER_AGENT);
    }
    if (this.#info.isResource) this.#writeObject(out, line, verb);
  }

  /** Writes the URI and reads what it asks for. */
  #readUri(out: JsonWriter, line: LegacyLine): void {
    let { data } = line;
    let start = line.startOf(URI);
    let end = line.endOf(URI);
    if (line.isEscaped(URI)) {
      if (this.#uri.length < end - start) this.#uri = Buffer.allocUnsafeSlow(end - start);
      end = unquoteTo(this.#uri, 0, data, start, end);
      data = this.#uri;
      start = 0;
    }
    if (line.isPlain(URI)) out.quoted(line.view, start, end);
    else out.string(data, start, end);
    this.#info.read(data, start, end);
  }

  #writeUser(out: JsonWriter, line: LegacyLine, hasName: boolean, hasGroups: boolean, groups: number): void {
    if (hasName) {
      out.constant(USERNAME_KEY);
      this.#string(out, line, groups === GROUPS ? USER : AS);
    }
    if (hasGroups) {
      if (hasName) out.byte(COMMA);
      out.constant(GROUPS_KEY);
      this.#groups.write(out, line.data, line.startOf(groups), line.endOf(groups));
    }
  }

  #writeObject(out: JsonWriter, line: LegacyLine, verb: ByteString): void {
    const info = this.#info;
    out.constant(OBJECT_KEY);
    if (info.resource >= 0) {
      this.#part(out, RESOURCE_KEY, info.resource);
      out.byte(COMMA);
    }
    if (isThere(line, NAMESPACE, NONE)) {
      out.constant(NAMESPACE_KEY);
      this.#string(out, line, NAMESPACE);
      out.byte(COMMA);
    } else if (info.namespace >= 0) {
      this.#part(out, NAMESPACE_KEY, info.namespace);
      out.byte(COMMA);
    }
    if (info.name >= 0) {
      this.#part(out, NAME_KEY, info.name);
      out.byte(COMMA);
    } else {
      const name = info.selectedName(verb);
      if (name !== undefined) {
        out.constant(NAME_KEY);
        out.text(name);
        out.byte(COMMA);
      }
    }
    if (info.group >= 0) {
      this.#part(out, GROUP_KEY, info.group);
      out.byte(COMMA);
    }
    if (info.version >= 0) {
      this.#part(out, VERSION_KEY, info.version);
      out.byte(COMMA);
    }
    if (info.subresource >= 0) {
      this.#part(out, SUBRESOURCE_KEY, info.subresource);
      out.byte(COMMA);
    }
    if (out.buffer[out.length - 1] === COMMA) out.length--;
    out.byte(CLOSE_BRACE);
  }

  #part(out: JsonWriter, key: Constant, part: number): void {
    out.constant(key);
    out.string(this.#info.path, this.#info.partStart(part), this.#info.partEnd(part));
  }

  #string(out: JsonWriter, line: LegacyLine, key: number): void {
    const start = line.startOf(key);
    const end = line.endOf(key);
    if (line.isPlain(key)) {
      out.quoted(line.view, start, end);
      return;
    }
    if (!line.isEscaped(key)) {
      out.string(line.data, start, end);
      return;
    }
    if (this.#value.length < end - start) this.#value = Buffer.allocUnsafeSlow(end - start);
    out.string(this.#value, 0, unquoteTo(this.#value, 0, line.data, start, end));
  }
}

/** Whether the line says something under the key: neither that there is nothing, nor nothing. */
function isThere(line: LegacyLine, key: number, absent: Buffer): boolean {
  return line.has(key) && line.endOf(key) > line.startOf(key) && !line.is(key, absent);
}

function methodOf(line: LegacyLine): ByteString {
  for (const { text, bytes } of METHODS) if (line.is(METHOD, bytes)) return text;
  const start = line.startOf(METHOD);
  const target = Buffer.allocUnsafe(line.endOf(METHOD) - start);
  return target.toString('latin1', 0, unquoteTo(target, 0, line.data, start, line.endOf(METHOD)));
}

function writeTime(out: JsonWriter, key: Constant, us: number): void {
  out.constant(key);
  out.reserve(TIMESTAMP_BYTES + 2);
  out.byte(QUOTE);
  out.length = writeTimestamp(out.buffer, out.length, us);
  out.byte(QUOTE);
}
