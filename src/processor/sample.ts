// Keeps one of n events of what matches. Which one depends on the content alone, so a line that is read again after a
// crash has the same fate, and so has the same line on another node.
import { createHash } from 'node:crypto';
import { count, Type, when } from '../config/schema.js';
import { compileWhen } from '../event/match.js';
import { defineProcessor } from '../pipeline/component.js';
import { conditionOf } from './validated.js';

const HASH_BYTES = 6; // What a number holds exactly.

export const sampleProcessor = defineProcessor({
  name: 'sample',
  summary: 'Keeps one of n of the events that match, and drops the others.',
  options: Type.Object({
    keep_one_in: count({
      description:
        'Of so many matching events one is kept, on average. Which one is decided by a hash of the line: the same line is always kept or always dropped.',
      minimum: 2,
      maximum: 1_000_000_000,
      examples: [100],
    }),
    when: when({
      description: 'What is thinned out; all other events are kept.',
      examples: [{ verb: ['get', 'list', 'watch'] }],
    }),
  }),
  examples: ['type: sample\nkeep_one_in: 100\nwhen: { verb: watch, user.username: system:kube-scheduler }'],
  create({ keep_one_in: every, when: condition }, { fields }) {
    const matches = compileWhen(conditionOf(condition), fields);
    return {
      process(batch) {
        for (let i = 0; i < batch.size; i++) {
          if (batch.dropped[i] !== 0 || !matches(batch, i)) continue;
          const hash = createHash('sha256').update(batch.line(i)).digest();
          if (hash.readUIntBE(0, HASH_BYTES) % every !== 0) batch.drop(i);
        }
      },
    };
  },
});
