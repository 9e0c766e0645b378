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
import { CLOSE_BRACE, CLOSE_BRACKET, COMMA, QUOTE } from '../event/json-reader.js';
import { Constant } from '../event/json-writer.js';
import type { JsonWriter } from '../event/json-writer.js';
import { TIMESTAMP_BYTES, writeTimestamp } from '../event/timestamp.js';
import { unquoteTo } from './go-quote.js';
import * as fields from './legacy-fields.js';
import { NotedFields } from './legacy-fields.js';
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

/** A constant that holds the values of fields. */
interface Members {
  text: Constant;
  /** Of each value in turn: its field, start and end. */
  values: Int32Array;
}

// Each of the values, JSON too, stands in the text once, behind the values before it.
function members(text: string, values: [number, string][]): Members {
  let at = 0;
  const ranges = values.map(([field, value]) => {
    const start = text.indexOf(value, at);
    at = value.startsWith('{') ? start : start + value.length;
    return [field, start, start + value.length];
  });
  return { text: new Constant(text), values: Int32Array.from(ranges.flat()) };
}

const NO_KEY = new Constant('');
const END = new Constant('}\n');
const BEGINNING = members('{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":', [
  [fields.KIND, '"Event"'],
  [fields.API_VERSION, '"audit.k8s.io/v1"'],
  [fields.LEVEL, '"Metadata"'],
]);
const STAGE_KEY = new Constant(',"stage":');
const STAGE_RECEIVED = members(',"stage":"RequestReceived"', [[fields.STAGE, '"RequestReceived"']]);
const STAGE_COMPLETE = members(',"stage":"ResponseComplete"', [[fields.STAGE, '"ResponseComplete"']]);
const URI_KEY = new Constant(',"requestURI":');
const VERB_KEY = new Constant(',"verb":');
const NO_REQUEST = members(',"requestURI":"","verb":"","user":{}', [
  [fields.REQUEST_URI, '""'],
  [fields.VERB, '""'],
  [fields.USER, '{}'],
]);
const USER_KEY = new Constant(',"user":{');
const IMPERSONATED_KEY = new Constant(',"impersonatedUser":{');
const USERNAME_KEY = new Constant('"username":');
const GROUPS_KEY = new Constant('"groups":');
const NEXT_GROUPS_KEY = new Constant(',"groups":');
const SOURCE_KEY = new Constant(',"sourceIPs":[');
const AGENT_KEY = new Constant(',"userAgent":');
const OBJECT_KEY = new Constant(',"objectRef":{');
const RESOURCE_KEY = new Constant('"resource":"');
const NAMESPACE_KEY = new Constant('"namespace":"');
const LINE_NAMESPACE_KEY = new Constant('"namespace":');
const QUOTE_COMMA = new Constant('",');
const NAME_KEY = new Constant('"name":"');
const GROUP_KEY = new Constant('"apiGroup":"');
const VERSION_KEY = new Constant('"apiVersion":"');
const SUBRESOURCE_KEY = new Constant('"subresource":"');
const STATUS_KEY = members(',"responseStatus":{"metadata":{},"code":', [[fields.METADATA, '{}']]);
/** From the brace of the status to its code. */
const BEFORE_CODE = '{"metadata":{},"code":'.length;
const RECEIVED_KEY = new Constant(',"requestReceivedTimestamp":"');
const STAGE_TIME_KEY = new Constant(',"stageTimestamp":"');
const REQUEST_ONLY = members(',"annotations":{"headgate.io/legacy":"request-only"}', [
  [fields.ANNOTATIONS, '{"headgate.io/legacy":"request-only"}'],
  [fields.HALF, '"request-only"'],
]);
const RESPONSE_ONLY = members(',"annotations":{"headgate.io/legacy":"response-only"}', [
  [fields.ANNOTATIONS, '{"headgate.io/legacy":"response-only"}'],
  [fields.HALF, '"response-only"'],
]);

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
/** Their indexes by first byte and length, which differ for all of them. */
const METHOD_AT = new Int8Array(256 * 8).fill(-1);
for (const [i, { bytes }] of METHODS.entries()) METHOD_AT[((bytes[0] as number) << 3) | bytes.length] = i;
const VERBS = new Map(
  ['get', 'list', 'watch', 'create', 'update', 'patch', 'delete', 'deletecollection'].map((verb) => [
    verb,
    members(`,"verb":"${verb}"`, [[fields.VERB, `"${verb}"`]]),
  ]),
);

export class LegacyEventWriter {
  /** Where the fields of the event are that was written last. */
  readonly noted = new NotedFields();
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
    this.noted.present = 0;
    this.#members(out, BEGINNING);
    this.#string(out, NO_KEY, line, ID, fields.AUDIT_ID);
    if (line.has(STAGE)) this.#string(out, STAGE_KEY, line, STAGE, fields.STAGE);
    else this.#members(out, isDeferred ? STAGE_RECEIVED : STAGE_COMPLETE);
    if (kind === 'response') this.#members(out, NO_REQUEST);
    else this.#writeRequest(out, line);
    const answer = response ?? line;
    if (answer.has(RESPONSE) && !isDeferred) this.#writeStatus(out, answer);
    if (kind !== 'response') this.#time(out, RECEIVED_KEY, line.timeUs, fields.RECEIVED_TIME);
    if (response) this.#time(out, STAGE_TIME_KEY, response.timeUs, fields.STAGE_TIME);
    else if (kind === 'response' || isDeferred || line.is(STAGE, RECEIVED))
      this.#time(out, STAGE_TIME_KEY, line.timeUs, fields.STAGE_TIME);
    if (kind === 'response') this.#members(out, RESPONSE_ONLY);
    else if (kind === 'request' && !response) this.#members(out, REQUEST_ONLY);
    out.constant(END);
  }

  #writeRequest(out: JsonWriter, line: LegacyLine): void {
    const uri = this.#writeUri(out, line);
    const isPlain = uri === line.data && line.isPlain(URI);
    const method = methodOf(line);
    const verb = line.kind === 'complete' ? method : this.#info.verbOf(method);
    this.#writeVerb(out, verb);
    out.constant(USER_KEY);
    let start = out.length - 1;
    this.#writeUser(out, line, isThere(line, USER, NONE), isThere(line, GROUPS, NONE), GROUPS);
    this.noted.note(fields.USER, start, out.length);
    const isImpersonated = isThere(line, AS, SELF);
    const hasGroups = isThere(line, ASGROUPS, LOOKUP);
    if (isImpersonated || hasGroups) {
      out.constant(IMPERSONATED_KEY);
      start = out.length - 1;
      this.#writeUser(out, line, isImpersonated, hasGroups, ASGROUPS);
      this.noted.note(fields.IMPERSONATED, start, out.length);
    }
    if (isThere(line, IP, UNKNOWN) && !line.is(IP, NIL)) {
      out.constant(SOURCE_KEY);
      start = out.length - 1;
      this.#string(out, NO_KEY, line, IP, fields.SOURCE_IPS);
      out.byte(CLOSE_BRACKET);
      this.noted.note(fields.SOURCE_IPS, start, out.length);
    }
    if (isThere(line, USER_AGENT, EMPTY)) this.#string(out, AGENT_KEY, line, USER_AGENT, fields.USER_AGENT);
    if (this.#info.isResource) this.#writeObject(out, line, verb, isPlain);
  }

  /** Writes the URI and reads what it asks for; returns what it was read from. */
  #writeUri(out: JsonWriter, line: LegacyLine): Buffer {
    this.#string(out, URI_KEY, line, URI, fields.REQUEST_URI);
    const { data } = line;
    const start = line.startOf(URI);
    const end = line.endOf(URI);
    if (!line.isEscaped(URI)) {
      this.#info.read(data, start, end);
      return data;
    }
    if (this.#uri.length < end - start) this.#uri = Buffer.allocUnsafeSlow(end - start);
    this.#info.read(this.#uri, 0, unquoteTo(this.#uri, 0, data, start, end));
    return this.#uri;
  }

  #writeVerb(out: JsonWriter, verb: ByteString): void {
    const member = VERBS.get(verb);
    if (member) {
      this.#members(out, member);
      return;
    }
    out.constant(VERB_KEY);
    const start = out.length;
    out.text(verb);
    this.noted.note(fields.VERB, start, out.length);
  }

  #writeUser(out: JsonWriter, line: LegacyLine, hasName: boolean, hasGroups: boolean, groups: number): void {
    const isUser = groups === GROUPS;
    if (hasName) {
      if (isUser) this.#string(out, USERNAME_KEY, line, USER, fields.USERNAME);
      else this.#string(out, USERNAME_KEY, line, AS, fields.IMPERSONATED_NAME);
    }
    if (hasGroups) {
      out.constant(hasName ? NEXT_GROUPS_KEY : GROUPS_KEY);
      const start = out.length;
      this.#groups.write(out, line.data, line.startOf(groups), line.endOf(groups));
      this.noted.note(isUser ? fields.GROUPS : fields.IMPERSONATED_GROUPS, start, out.length);
    }
    out.byte(CLOSE_BRACE);
  }

  /** Writes objectRef, of which each member may be absent. `isPlain`: the parts of the path need no escapes. */
  #writeObject(out: JsonWriter, line: LegacyLine, verb: ByteString, isPlain: boolean): void {
    const info = this.#info;
    out.constant(OBJECT_KEY);
    const start = out.length - 1;
    const view = isPlain ? line.view : undefined;
    this.#part(out, RESOURCE_KEY, info.resource, fields.RESOURCE, view);
    if (isThere(line, NAMESPACE, NONE)) {
      this.#string(out, LINE_NAMESPACE_KEY, line, NAMESPACE, fields.NAMESPACE);
      out.byte(COMMA);
    } else {
      this.#part(out, NAMESPACE_KEY, info.namespace, fields.NAMESPACE, view);
    }
    if (info.name >= 0) this.#part(out, NAME_KEY, info.name, fields.NAME, view);
    else this.#writeSelectedName(out, verb);
    this.#part(out, GROUP_KEY, info.group, fields.GROUP, view);
    this.#part(out, VERSION_KEY, info.version, fields.VERSION, view);
    this.#part(out, SUBRESOURCE_KEY, info.subresource, fields.SUBRESOURCE, view);
    // The comma behind the last member.
    if (out.length - 1 > start) out.length--;
    out.byte(CLOSE_BRACE);
    this.noted.note(fields.OBJECT, start, out.length);
  }

  #writeSelectedName(out: JsonWriter, verb: ByteString): void {
    const name = this.#info.selectedName(verb);
    if (name === undefined) return;
    out.constant(NAME_KEY);
    const start = --out.length;
    out.text(name);
    this.noted.note(fields.NAME, start, out.length);
    out.byte(COMMA);
  }

  /** Writes a member of objectRef that is a part of the path, and a comma, if it is there. `view`: as it stands there. */
  #part(out: JsonWriter, key: Constant, part: number, field: number, view: DataView | undefined): void {
    if (part < 0) return;
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
    this.noted.note(field, start, out.length - 1);
  }

  #writeStatus(out: JsonWriter, answer: LegacyLine): void {
    this.#members(out, STATUS_KEY);
    const code = out.length;
    // Digits only, so they are JSON as they stand.
    out.constantAndBytes(NO_KEY, answer.view, answer.startOf(RESPONSE), answer.endOf(RESPONSE));
    this.noted.note(fields.CODE, code, out.length);
    out.byte(CLOSE_BRACE);
    this.noted.note(fields.STATUS, code - BEFORE_CODE, out.length);
  }

  #time(out: JsonWriter, key: Constant, us: number, field: number): void {
    out.constant(key);
    out.reserve(TIMESTAMP_BYTES + 1);
    const start = out.length - 1;
    out.length = writeTimestamp(out.buffer, out.length, us);
    out.byte(QUOTE);
    this.noted.note(field, start, out.length);
  }

  #members(out: JsonWriter, { text, values }: Members): void {
    const from = out.length;
    out.constant(text);
    for (let i = 0; i < values.length; i += 3)
      this.noted.note(
        values[i] as number,
        from + (values[i + 1] as number),
        from + (values[i + 2] as number),
      );
  }

  #string(out: JsonWriter, prefix: Constant, line: LegacyLine, key: number, field: number): void {
    const from = out.length + prefix.length;
    if (line.isPlain(key)) {
      // With the quotes that are around it.
      out.constantAndBytes(prefix, line.view, line.startOf(key) - 1, line.endOf(key) + 1);
    } else {
      out.constant(prefix);
      this.#escaped(out, line, key);
    }
    this.noted.note(field, from, out.length);
  }

  #escaped(out: JsonWriter, line: LegacyLine, key: number): void {
    const start = line.startOf(key);
    const end = line.endOf(key);
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
  const start = line.startOf(METHOD);
  const length = line.endOf(METHOD) - start;
  const usual = METHODS[METHOD_AT[((line.data[start] as number) << 3) | Math.min(length, 7)] as number];
  if (usual && line.is(METHOD, usual.bytes)) return usual.text;
  const target = Buffer.allocUnsafe(length);
  return target.toString('latin1', 0, unquoteTo(target, 0, line.data, start, line.endOf(METHOD)));
}
