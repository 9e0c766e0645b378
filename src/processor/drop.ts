// Leaves events out by configuration. They are counted as dropped, never lost sight of.
import { Type, when } from '../config/schema.js';
import { compileWhen } from '../event/match.js';
import { defineProcessor } from '../pipeline/component.js';
import { conditionOf } from './validated.js';

export const dropProcessor = defineProcessor({
  name: 'drop',
  summary: 'Leaves out the events that match.',
  options: Type.Object({
    when: when({
      description: 'Events that match this condition go to no sink.',
      examples: [{ stage: 'RequestReceived' }],
    }),
  }),
  examples: [
    'type: drop\nwhen: { stage: RequestReceived }',
    'type: drop\nwhen:\n  verb: [get, list, watch]\n  objectRef.resource: leases',
  ],
  create({ when: condition }, { fields }) {
    const matches = compileWhen(conditionOf(condition), fields);
    return {
      process(batch) {
        for (let i = 0; i < batch.size; i++) {
          if (batch.dropped[i] === 0 && matches(batch, i)) batch.drop(i);
        }
      },
    };
  },
});
