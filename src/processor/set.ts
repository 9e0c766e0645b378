// Adds fields to events: which cluster, node or environment they are from.
import { optional, Type, when } from '../config/schema.js';
import { computedField, KNOWN_FIELDS } from '../event/audit.js';
import type { EventBatch } from '../event/batch.js';
import type { ByteString } from '../event/byte-string.js';
import type { Fault } from '../event/fault.js';
import { parseFieldPath } from '../event/field-path.js';
import type { FieldPath } from '../event/field-path.js';
import { jsonString, newValueTree, setMembers, withMembers } from '../event/json-set.js';
import type { NewValue } from '../event/json-set.js';
import { isBelowAnyKey } from '../event/shape.js';
import type { Shape } from '../event/shape.js';
import { compileTemplate, parseTemplate } from '../event/template.js';
import { defineProcessor } from '../pipeline/component.js';
import { compileEdit } from './edit-events.js';
import { compileOptionalWhen, fieldOf, templateOf } from './validated.js';

export const setProcessor = defineProcessor({
  name: 'set',
  summary: 'Sets fields of events, and leaves every other byte as it was.',
  options: Type.Object({
    fields: Type.Record(Type.String(), Type.Union([Type.String(), Type.Number(), Type.Boolean()]), {
      description:
        'Fields and their values: a template (the value is a text then), a number or a boolean. A field of any name can be set; one that is there gets the new value in its place, and what is missing above it is made. What is set here can be named like any field by the processors behind this one, by routes and by sinks; the templates here see the event as it was before.',
      minProperties: 1,
      examples: [{ 'orchestrator.cluster.name': 'prod-eu-1' }],
    }),
    when: optional(
      when({
        description: 'Only events that match this condition are changed; without it all are.',
        examples: [{ 'user.username': 'system:*' }],
      }),
    ),
  }),
  examples: [
    `type: set\nfields:\n  orchestrator.cluster.name: prod-eu-1\n  annotations["headgate.io/node"]: node-7`,
    `type: set\nfields: { team: '{{ objectRef.namespace ?? "none" }}' }\nwhen: { verb: delete }`,
  ],
  validate: ({ fields }, known) => faultsOf(fields, known),
  fieldsMade: ({ fields }) => madeBy(fields),
  create({ fields: values, when: condition }, { fields }) {
    const setters = Object.entries(values).map(([name, value]) => {
      const path = fieldOf(name);
      if (typeof value !== 'string') return { path, render: () => String(value) };
      const template = compileTemplate(templateOf(value), fields);
      return { path, render: (...event: Parameters<typeof template>) => jsonString(template(...event)) };
    });
    const matches = compileOptionalWhen(condition, fields);
    const treeOf = (batch: EventBatch, i: number): ReadonlyMap<ByteString, NewValue> =>
      newValueTree(setters.map(({ path, render }) => ({ path, value: render(batch, i) })));
    // While an event lacks all of it, what is set is one piece of text at its end. The scanner, which did not find what
    // it was asked for, has read such an event to its end.
    const slots = [...new Set(setters.map(({ path: [first = ''] }) => fields.slot([first])))];
    const lacksAll = (batch: EventBatch, i: number): boolean =>
      slots.every((slot) => !batch.hasField(i, slot));
    const setInside = compileEdit(
      (batch, i) => !lacksAll(batch, i) && matches(batch, i),
      (batch) => (reader, at, edits, i) => {
        setMembers(reader, at, treeOf(batch, i), edits);
      },
    );
    return {
      process(batch) {
        setInside(batch);
        const changes = [];
        for (let i = 0; i < batch.size; i++) {
          if (batch.dropped[i] !== 0 || !lacksAll(batch, i) || !matches(batch, i)) continue;
          const [start = 0, end = 0] = [batch.starts[i], batch.ends[i]];
          changes.push({ index: i, bytes: withMembers(batch.data, start, end, treeOf(batch, i)) });
        }
        batch.rewrite(changes);
      },
    };
  },
});

function faultsOf(fields: Record<string, unknown>, known: Shape): Fault[] {
  const faults: Fault[] = [];
  const paths: { name: string; path: FieldPath }[] = [];
  for (const [name, value] of Object.entries(fields)) {
    const at = { path: ['fields', name] };
    const read = parseFieldPath(name, 'anything');
    // As it is told where the field is asked for.
    const parsed = 'path' in read && isBelowAnyKey(KNOWN_FIELDS, read.path) ? parseFieldPath(name) : read;
    if ('fault' in parsed) {
      faults.push({ ...parsed.fault, ...at, atKey: true });
    } else if (computedField(parsed.path) !== undefined) {
      const message = `\`${name}\` is computed and can not be set`;
      const hint = name === 'tag' ? 'use a `tag` processor' : 'choose another name';
      faults.push({ code: 'CONFIG_FIELD', message, hint, ...at, atKey: true });
    } else {
      const other = paths.find(({ path }) => isWithin(path, parsed.path) || isWithin(parsed.path, path));
      if (other) {
        const message = `\`${name}\` and \`${other.name}\` can not both be set: one would stand inside the other`;
        faults.push({ code: 'CONFIG_VALUE', message, ...at, atKey: true });
      }
      paths.push({ name, path: parsed.path });
    }
    const template = typeof value === 'string' ? parseTemplate(value, known) : undefined;
    if (template && 'faults' in template)
      faults.push(...template.faults.map((fault) => ({ ...fault, ...at })));
  }
  return faults;
}

/** The fields that have these names; a name that is none makes nothing, and is told by `faultsOf`. */
function madeBy(fields: unknown): FieldPath[] | undefined {
  if (typeof fields !== 'object' || fields === null || Array.isArray(fields)) return undefined;
  return Object.keys(fields).flatMap((name) => {
    const parsed = parseFieldPath(name, 'anything');
    return 'fault' in parsed ? [] : [parsed.path];
  });
}

/** Whether `outer` leads to `inner`, or both are the same. */
function isWithin(outer: FieldPath, inner: FieldPath): boolean {
  return outer.every((key, i) => key === inner[i]);
}
