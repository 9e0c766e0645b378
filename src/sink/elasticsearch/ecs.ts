// What stands in front of an event in a document of `format: ecs`: the fields that Elastic's integration
// `kubernetes.audit_logs` makes (elastic/integrations `packages/kubernetes/data_stream/audit_logs`), and those of ECS that
// it lacks (who is impersonated, groups, duration). Values are copied as they stand in the event; one of another shape than
// the field has is left out here, and stays where it is in the event.
import { SLOT_STRIDE } from '../../event/batch.js';
import type { EventBatch } from '../../event/batch.js';
import { toBuffer } from '../../event/byte-string.js';
import type { ByteString } from '../../event/byte-string.js';
import type { FieldPath } from '../../event/field-path.js';
import type { FieldRegistry } from '../../event/fields.js';
import type { JsonEdits } from '../../event/json-edit.js';
import { isObjectAt, membersOf } from '../../event/json-members.js';
import type { NamedMember } from '../../event/json-members.js';
import type { JsonReader } from '../../event/json-reader.js';
import { jsonString } from '../../event/json-set.js';

const ECS_VERSION = '8.17.0';
const STRING = /^"/;
const NUMBER = /^[0-9]+$/;
/** Each element is told from the next by its closing quote: linear. */
const STRINGS = /^\[\s*(?:"(?:[^"\\]|\\.)*"\s*,?\s*)+\]$/;
const OUTCOMES: Readonly<Record<string, ByteString>> = { '"allow"': '"success"', '"forbid"': '"failure"' };

/** JSON text, or members; what is undefined or has no members is left out. */
type Node = ByteString | undefined | { readonly [key: string]: Node };

/** What Headgate itself knows of an event. */
export interface KnownOfEvent {
  /** Members of `event`: `ingested`, and `duration` where it is known. */
  event: { readonly [key: string]: Node };
  /** Other members of the document. */
  rest: { readonly [key: string]: Node };
  /** JSON text of `orchestrator.cluster`. */
  cluster: ByteString | undefined;
}

export class EcsFields {
  readonly #slots = new Map<string, { slot: number; depth: number }>();
  readonly #dataStream: Node;

  /** `index` as in the options: where it names a data stream of the usual three parts, they are fields, too. */
  constructor(index: string, fields: FieldRegistry) {
    const [, type, dataset, namespace] = /^(logs)-([^-{%]+)-([^-{%]+)$/.exec(index) ?? [];
    if (type !== undefined && dataset !== undefined && namespace !== undefined)
      this.#dataStream = {
        type: jsonString(type),
        dataset: jsonString(dataset),
        namespace: jsonString(namespace),
      };
    for (const path of PATHS) {
      const key = path.join('.');
      this.#slots.set(key, { slot: fields.slot(path), depth: path.length });
    }
  }

  /** The document up to the event: `data` belongs to event i of the batch. */
  head(batch: EventBatch, i: number, { event, rest, cluster }: KnownOfEvent): ByteString {
    const of = (path: string, shape: RegExp = STRING): ByteString | undefined => {
      const raw = this.#raw(batch, i, path);
      return raw !== undefined && shape.test(raw) ? raw : undefined;
    };
    const ips = of('sourceIPs', STRINGS);
    const { username, uid, groups } = userOf(of, 'user');
    const effective = userOf(of, 'impersonatedUser');
    const document: Node = {
      ecs: { version: `"${ECS_VERSION}"` },
      event: {
        kind: '"event"',
        module: '"kubernetes"',
        dataset: '"kubernetes.audit_logs"',
        action: of('verb'),
        outcome: OUTCOMES[of('annotations.authorization.k8s.io/decision') ?? ''],
        id: of('auditID'),
        start: of('requestReceivedTimestamp'),
        ...event,
      },
      user: {
        name: username,
        id: uid,
        group: { name: groups },
        effective: { name: effective.username, id: effective.uid, group: { name: effective.groups } },
      },
      user_agent: { original: of('userAgent') },
      source: { ip: ips },
      client: { ip: ips },
      related: {
        user: listOf([uid, username, effective.uid, effective.username]),
        ip: ips,
      },
      url: { original: of('requestURI') },
      http: { response: { status_code: of('responseStatus.code', NUMBER) } },
      orchestrator: {
        type: '"kubernetes"',
        api_version: of('apiVersion'),
        namespace: of('objectRef.namespace'),
        resource: { type: of('objectRef.resource'), name: of('objectRef.name') },
        cluster,
      },
      data_stream: this.#dataStream,
    };
    return textOf({ ...rest, ...document }) ?? '';
  }

  #raw(batch: EventBatch, i: number, path: string): ByteString | undefined {
    const found = this.#slots.get(path);
    if (!found) throw new Error(`impossible: ${path} was not asked for`);
    const at = (i * batch.fieldCount + found.slot) * SLOT_STRIDE;
    const start = batch.slots[at] as number;
    // Less of the path than all leads to an array, in which it may go on.
    if (start < 0 || batch.slots[at + 2] !== found.depth) return undefined;
    return batch.data.toString('latin1', start, batch.slots[at + 1]);
  }
}

const USER_FIELDS = ['username', 'uid', 'groups'];
const PATHS: FieldPath[] = [
  ['verb'],
  ['annotations', 'authorization.k8s.io/decision'],
  ['auditID'],
  ['requestReceivedTimestamp'],
  ...['user', 'impersonatedUser'].flatMap((user) => USER_FIELDS.map((field) => [user, field])),
  ['userAgent'],
  ['sourceIPs'],
  ['requestURI'],
  ['responseStatus', 'code'],
  ['apiVersion'],
  ['objectRef', 'namespace'],
  ['objectRef', 'resource'],
  ['objectRef', 'name'],
];

function userOf(of: (path: string, shape?: RegExp) => ByteString | undefined, user: string) {
  return {
    username: of(`${user}.username`),
    uid: of(`${user}.uid`),
    groups: of(`${user}.groups`, STRINGS),
  };
}

function listOf(values: readonly (ByteString | undefined)[]): ByteString | undefined {
  const found = [...new Set(values.filter((value) => value !== undefined))];
  return found.length === 0 ? undefined : `[${found.join(',')}]`;
}

function textOf(node: Node): ByteString | undefined {
  if (typeof node !== 'object') return node;
  let text = '';
  for (const [key, below] of Object.entries(node)) {
    const value = textOf(below);
    if (value !== undefined) text += `${text === '' ? '' : ','}"${key}":${value}`;
  }
  return text === '' ? undefined : `{${text}}`;
}

/** An annotation's key as that integration writes it. */
export function annotationKey(key: ByteString): ByteString {
  return key.replaceAll('.', '_');
}

/** Renames the annotations among the members of an event, but none to what another is called. */
export function renameAnnotations(
  reader: JsonReader,
  members: readonly NamedMember[],
  edits: JsonEdits,
): void {
  for (const { key, valueStart } of members) {
    if (key !== 'annotations' || !isObjectAt(reader, valueStart)) continue;
    const annotations = membersOf(reader, valueStart);
    const taken = new Set(annotations.map((member) => member.key));
    for (const member of annotations) {
      const name = annotationKey(member.key);
      if (taken.has(name)) continue;
      taken.add(name);
      edits.replace(member.keyStart, reader.string(member.keyStart + 1), toBuffer(jsonString(name)));
    }
  }
}
