// The part of an event that says who asks and from where, as a legacy entry tells it between id and namespace: user,
// impersonatedUser, sourceIPs and userAgent.
import { CLOSE_BRACE, CLOSE_BRACKET } from '../event/json-reader.js';
import { Constant } from '../event/json-writer.js';
import * as fields from './legacy-fields.js';
import { GroupsWriter } from './legacy-groups.js';
import { AS, ASGROUPS, GROUPS, IP, USER, USER_AGENT } from './legacy-keys.js';
import type { LegacyLine } from './legacy-line.js';
import { isThere, NO_KEY } from './legacy-output.js';
import type { LegacyOutput } from './legacy-output.js';

// Ways to say nothing (pkg/audit/format.go).
const NONE = Buffer.from('<none>');
const SELF = Buffer.from('<self>');
const LOOKUP = Buffer.from('<lookup>');
const UNKNOWN = Buffer.from('<unknown>');
/** How Go prints an address that it could not find out (`net.IP(nil)`), in the two-line formats. */
const NIL = Buffer.from('<nil>');
const EMPTY = Buffer.alloc(0);

const USER_KEY = new Constant(',"user":{');
const IMPERSONATED_KEY = new Constant(',"impersonatedUser":{');
const USERNAME_KEY = new Constant('"username":');
const GROUPS_KEY = new Constant('"groups":');
const NEXT_GROUPS_KEY = new Constant(',"groups":');
const SOURCE_KEY = new Constant(',"sourceIPs":[');
const AGENT_KEY = new Constant(',"userAgent":');

export class CallerWriter {
  readonly #output: LegacyOutput;
  readonly #groups = new GroupsWriter();

  constructor(output: LegacyOutput) {
    this.#output = output;
  }

  write(line: LegacyLine): void {
    const { out, noted } = this.#output;
    out.constant(USER_KEY);
    let start = out.length - 1;
    this.#person(line, isThere(line, USER, NONE), isThere(line, GROUPS, NONE), GROUPS);
    noted.note(fields.USER, start, out.length);
    const isImpersonated = isThere(line, AS, SELF);
    const hasGroups = isThere(line, ASGROUPS, LOOKUP);
    if (isImpersonated || hasGroups) {
      out.constant(IMPERSONATED_KEY);
      start = out.length - 1;
      this.#person(line, isImpersonated, hasGroups, ASGROUPS);
      noted.note(fields.IMPERSONATED, start, out.length);
    }
    if (isThere(line, IP, UNKNOWN) && !line.is(IP, NIL)) {
      out.constant(SOURCE_KEY);
      start = out.length - 1;
      this.#output.string(NO_KEY, line, IP, fields.SOURCE_IPS);
      out.byte(CLOSE_BRACKET);
      noted.note(fields.SOURCE_IPS, start, out.length);
    }
    if (isThere(line, USER_AGENT, EMPTY)) this.#output.string(AGENT_KEY, line, USER_AGENT, fields.USER_AGENT);
  }

  #person(line: LegacyLine, hasName: boolean, hasGroups: boolean, groups: number): void {
    const { out, noted } = this.#output;
    const isUser = groups === GROUPS;
    if (hasName) {
      if (isUser) this.#output.string(USERNAME_KEY, line, USER, fields.USERNAME);
      else this.#output.string(USERNAME_KEY, line, AS, fields.IMPERSONATED_NAME);
    }
    if (hasGroups) {
      out.constant(hasName ? NEXT_GROUPS_KEY : GROUPS_KEY);
      const start = out.length;
      this.#groups.write(out, line.data, line.startOf(groups), line.endOf(groups));
      noted.note(isUser ? fields.GROUPS : fields.IMPERSONATED_GROUPS, start, out.length);
    }
    out.byte(CLOSE_BRACE);
  }
}
