// Takes confidential values out of events, or puts a keyed hash in their place, by splicing: what is not redacted stays
// byte for byte. What the preset covers is said in `secrets.ts`; a patch is looked through like the object that it
// changes (`json-patch.ts`).
import { field, file, flag, listOf, oneOf, optional, Type, when } from '../../config/schema.js';
import type { Static } from '../../config/schema.js';
import { SLOT_STRIDE } from '../../event/batch.js';
import type { EventBatch } from '../../event/batch.js';
import { toBuffer } from '../../event/byte-string.js';
import type { Fault } from '../../event/fault.js';
import type { FieldPath } from '../../event/field-path.js';
import type { FieldRegistry } from '../../event/fields.js';
import { compileFieldText } from '../../event/field-text.js';
import type { JsonEdits } from '../../event/json-edit.js';
import { isStringAt, membersNamed, membersOf, PathMembers } from '../../event/json-members.js';
import type { Member } from '../../event/json-members.js';
import type { JsonReader } from '../../event/json-reader.js';
import { buildKeyTrie } from '../../event/key-trie.js';
import { defineProcessor } from '../../pipeline/component.js';
import { compileEdit } from '../edit-events.js';
import { compileOptionalWhen, fieldOf } from '../validated.js';
import { queryValues } from './exec-command.js';
import { eachPatched, patchOperations } from './json-patch.js';
import { KeyedHash, removal } from './replacement.js';
import type { Replacement } from './replacement.js';
import { LAST_APPLIED, SecretBodies } from './secrets.js';

const BODIES = ['requestObject', 'responseObject'];
/** Levels of events without bodies, as they stand in JSON. */
const BODILESS = ['"Metadata"', '"None"'].map((level) => Buffer.from(level));

const options = Type.Object({
  preset: optional(
    oneOf(['secrets'], {
      description:
        "`secrets`: the bodies (`requestObject`, `responseObject`) of requests for secrets, tokenreviews, serviceaccounts/token, certificatesigningrequests and OpenShift's OAuth tokens and clients, or of these kinds; and, in all other bodies, the annotation `kubectl.kubernetes.io/last-applied-configuration`, also where a patch sets it.",
    }),
  ),
  configmaps: flag({ description: 'The preset covers bodies of configmaps, too.', default: false }),
  exec_commands: flag({
    description: 'The preset covers the command line of `kubectl exec` in `requestURI`, too.',
    default: false,
  }),
  fields: listOf(field({ description: 'A field; a path goes through arrays, and into patches.' }), {
    description: 'Fields to redact besides the preset.',
    default: [],
    examples: [['requestObject.spec.tls.key', 'userAgent']],
  }),
  method: oneOf(['remove', 'hmac'], {
    description:
      '`remove` takes a value out together with its key. `hmac` puts a keyed hash in its place (`"hmac-sha256:…"`): equal values can be told, and not be guessed without the key.',
    default: 'remove',
  }),
  key_file: optional(
    file({
      description:
        'The key for `method: hmac`, at least 32 bytes of any kind. Read when the pipeline starts.',
      examples: ['/etc/headgate/redact.key'],
    }),
  ),
  when: optional(
    when({
      description: 'Only events that match this condition are redacted; without it all are.',
      examples: [{ 'objectRef.namespace': 'payments-*' }],
    }),
  ),
});

export const redactProcessor = defineProcessor({
  name: 'redact',
  summary: 'Takes confidential values out of events, or puts a keyed hash in their place.',
  options,
  examples: [
    'type: redact\npreset: secrets',
    'type: redact\npreset: secrets\nconfigmaps: true\nexec_commands: true\nmethod: hmac\nkey_file: /etc/headgate/redact.key',
    'type: redact\nfields: [user.extra, requestObject.spec.template.spec.containers.env.value]',
  ],
  validate,
  create(options, { component, fields }) {
    const replacement: Replacement =
      options.method === 'hmac' ? new KeyedHash(options.key_file ?? '', component) : removal;
    const matches = compileOptionalWhen(options.when, fields);
    const rules: Rule[] = [];
    if (options.preset) rules.push(secretsRule(options, fields, replacement));
    if (options.preset && options.exec_commands) rules.push(commandRule(fields, replacement));
    if (options.fields.length > 0)
      rules.push(
        fieldsRule(
          options.fields.map((name) => fieldOf(name)),
          fields,
          replacement,
        ),
      );
    const process = compileEdit(
      (batch, i) => rules.some((rule) => rule.isWanted(batch, i)) && matches(batch, i),
      (batch) => (reader, at, edits, i) => {
        for (const rule of rules) if (rule.isWanted(batch, i)) rule.edit(reader, at, edits);
      },
    );
    return { open: () => replacement.open(), process };
  },
});

/** One kind of confidential values. */
interface Rule {
  /** Whether the event can have any: quick, from fields that the scanner has found. */
  isWanted(batch: EventBatch, i: number): boolean;
  edit(reader: JsonReader, at: number, edits: JsonEdits): void;
}

function secretsRule(
  { configmaps }: { configmaps: boolean },
  fields: FieldRegistry,
  replacement: Replacement,
): Rule {
  // The level alone tells of most events that they have no bodies: looking for more would make each scan longer.
  const level = fields.slot(['level']);
  const secrets = new SecretBodies({ withConfigMaps: configmaps });
  const lastApplied = buildKeyTrie([[LAST_APPLIED]]);
  return {
    isWanted(batch, i) {
      const at = (i * batch.fieldCount + level) * SLOT_STRIDE;
      const start = batch.slots[at] as number;
      if (start < 0) return true;
      const length = (batch.slots[at + 1] as number) - start;
      return !BODILESS.some(
        (name) => name.length === length && batch.data.compare(name, 0, length, start, start + length) === 0,
      );
    },
    edit(reader, at, edits) {
      const members = membersOf(reader, at);
      const isSecret = members.some(
        ({ key, valueStart }) => key === 'objectRef' && secrets.isReference(reader, valueStart),
      );
      for (const body of members) {
        if (!BODIES.includes(body.key)) continue;
        const { valueStart, valueEnd } = body;
        if (isSecret || secrets.isBody(reader, valueStart)) {
          replacement.member(reader, body, edits);
          continue;
        }
        for (const member of membersNamed(reader, valueStart, valueEnd, lastApplied))
          replacement.member(reader, member, edits);
        for (const { path, value } of patchOperations(reader, valueStart))
          if (path.includes(LAST_APPLIED)) replacement.member(reader, value, edits);
      }
    },
  };
}

function commandRule(fields: FieldRegistry, replacement: Replacement): Rule {
  const subresource = compileFieldText(['objectRef', 'subresource'], fields, (text) => text);
  const requestUri = new PathMembers(['requestURI']);
  return {
    isWanted: (batch, i) => subresource(batch, i) === 'exec',
    edit(reader, at, edits) {
      requestUri.each(reader, at, ({ valueStart, valueEnd }) => {
        if (!isStringAt(reader, valueStart)) return;
        const raw = reader.data.toString('latin1', valueStart + 1, valueEnd - 1);
        for (const { start, end, value } of queryValues(raw, 'command'))
          edits.replace(valueStart + 1 + start, valueStart + 1 + end, toBuffer(replacement.text(value)));
      });
    },
  };
}

function fieldsRule(paths: readonly FieldPath[], fields: FieldRegistry, replacement: Replacement): Rule {
  // A path can lead through an array, or into a patch, and then its slot says little: its first key says enough.
  const slots = [...new Set(paths.map(([first = '']) => fields.slot([first])))];
  const found = paths.map((path) => {
    const [first = '', ...inBody] = path;
    const isInBody = BODIES.includes(first) && inBody.length > 0;
    return { members: new PathMembers(path), body: isInBody ? new PathMembers([first]) : undefined, inBody };
  });
  return {
    isWanted: (batch, i) => slots.some((slot) => batch.hasField(i, slot)),
    edit(reader, at, edits) {
      const redact = (member: Member): void => {
        replacement.member(reader, member, edits);
      };
      for (const { members, body, inBody } of found) {
        members.each(reader, at, redact);
        body?.each(reader, at, ({ valueStart }) => {
          eachPatched(reader, valueStart, inBody, redact);
        });
      }
    },
  };
}

function validate(given: Static<typeof options>): Fault[] {
  const faults: Fault[] = [];
  const fault = (path: string, message: string, hint: string): void => {
    faults.push({ code: 'CONFIG_VALUE', message, hint, path: [path] });
  };
  if (!given.preset && given.fields.length === 0)
    fault('fields', 'nothing is redacted: neither `preset` nor `fields` is given', 'add `preset: secrets`');
  for (const name of ['configmaps', 'exec_commands'] as const)
    if (given[name] && !given.preset)
      fault(name, `\`${name}\` belongs to the preset`, 'add `preset: secrets`');
  if (given.method === 'hmac' && given.key_file === undefined)
    fault('method', '`hmac` needs a key', 'add `key_file: /etc/headgate/redact.key`');
  if (given.method === 'remove' && given.key_file !== undefined)
    fault('key_file', 'a key without `method: hmac` does nothing', 'add `method: hmac`');
  return faults;
}
