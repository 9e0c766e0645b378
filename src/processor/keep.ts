// The opposite of `drop`: leaves out everything that does not match.
import { Type, when } from '../config/schema.js';
import { compileWhen } from '../event/match.js';
import { defineProcessor } from '../pipeline/component.js';
import { conditionOf } from './validated.js';

export const keepProcessor = defineProcessor({
  name: 'keep',
  summary: 'Leaves out the events that do not match.',
  options: Type.Object({
    when: when({
      description: 'Only events that match this condition go on.',
      examples: [{ level: ['Request', 'RequestResponse'] }],
    }),
  }),
  examples: [
    'type: keep\nwhen: { objectRef.namespace: team-* }',
    'type: keep\nwhen:\n  - responseStatus.code|gte: 400\n  - verb: [create, update, patch, delete]',
  ],
  create({ when: condition }, { fields }) {
    const matches = compileWhen(conditionOf(condition), fields);
    return {
      process(batch) {
        for (let i = 0; i < batch.size; i++) {
          if (batch.dropped[i] === 0 && !matches(batch, i)) batch.drop(i);
        }
      },
    };
  },
});
