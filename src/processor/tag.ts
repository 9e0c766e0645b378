// Gives events another tag, for later conditions (`tag: audit.kube-system`) and for the names of output files.
import { optional, template, Type, when } from '../config/schema.js';
import { compileTemplate } from '../event/template.js';
import { defineProcessor } from '../pipeline/component.js';
import { compileOptionalWhen, templateOf } from './validated.js';

export const tagProcessor = defineProcessor({
  name: 'tag',
  summary: 'Sets the tag of events.',
  options: Type.Object({
    tag: template({
      description:
        'The new tag. `{{ tag }}` is the one before; without any `tag` processor that is the name of the pipeline.',
      examples: ['audit.{{ objectRef.namespace ?? "none" }}'],
    }),
    when: optional(
      when({
        description: 'Only events that match this condition get the tag; without it all do.',
        examples: [{ 'user.username': 'system:*' }],
      }),
    ),
  }),
  examples: [
    `type: tag\ntag: 'audit.{{ objectRef.namespace ?? "none" }}'`,
    `type: tag\ntag: '{{ tag }}.system'\nwhen: { user.username: 'system:*' }`,
  ],
  create({ tag, when: condition }, { fields }) {
    const render = compileTemplate(templateOf(tag), fields);
    const matches = compileOptionalWhen(condition, fields);
    return {
      process(batch) {
        for (let i = 0; i < batch.size; i++) {
          if (batch.dropped[i] === 0 && matches(batch, i)) batch.tags[i] = render(batch, i);
        }
      },
    };
  },
});
