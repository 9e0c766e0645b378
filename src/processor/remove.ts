// Takes fields out of events; everything else of an event stays as it was, byte for byte.
import { field, listOf, optional, Type, when } from '../config/schema.js';
import { PathMembers } from '../event/json-members.js';
import { defineProcessor } from '../pipeline/component.js';
import { compileEdit } from './edit-events.js';
import { compileOptionalWhen, fieldOf } from './validated.js';

export const removeProcessor = defineProcessor({
  name: 'remove',
  summary: 'Takes fields out of events, and leaves every other byte as it was.',
  options: Type.Object({
    fields: listOf(field({ description: 'A field; a path goes through arrays.' }), {
      description: 'The fields to take out. A field that an event lacks is no fault.',
      minItems: 1,
      examples: [['responseObject.metadata.managedFields', 'userAgent']],
    }),
    when: optional(
      when({
        description: 'Only events that match this condition are changed; without it all are.',
        examples: [{ level: 'RequestResponse' }],
      }),
    ),
  }),
  examples: [
    'type: remove\nfields: [requestObject.metadata.managedFields, responseObject.metadata.managedFields]',
    'type: remove\nfields: [responseObject]\nwhen: { verb: [get, list, watch] }',
  ],
  create({ fields: names, when: condition }, { fields }) {
    const paths = names.map((name) => new PathMembers(fieldOf(name)));
    const matches = compileOptionalWhen(condition, fields);
    const process = compileEdit(matches, () => (reader, at, edits) => {
      for (const path of paths)
        path.each(reader, at, ({ keyStart, valueEnd }) => {
          edits.cutMember(keyStart, valueEnd);
        });
    });
    return { process };
  },
});
