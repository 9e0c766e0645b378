import t from 'tap';
import { removeProcessor } from '../../src/processor/remove.js';
import { process, textsOf } from '../helpers/processor.js';

t.test('fields are taken out, and every other byte stays', async (t) => {
  const batch = process(
    [[removeProcessor, { fields: ['userAgent', 'responseObject.items.metadata.managedFields'] }]],
    [
      '{"verb":"list","userAgent":"x", "n":9007199254740993,"responseObject":{"items":[{"metadata":{"managedFields":[1],"name":"a\\u003c"}},{"metadata":{"managedFields":[2]}}]}}',
      '{"verb":"get"}',
      '{"userAgent":"only"}\r',
    ],
  );
  t.same(textsOf(batch), [
    '{"verb":"list","n":9007199254740993,"responseObject":{"items":[{"metadata":{"name":"a\\u003c"}},{"metadata":{}}]}}',
    '{"verb":"get"}',
    '{}\r',
  ]);
});

t.test('only events that match are changed', async (t) => {
  const batch = process(
    [[removeProcessor, { fields: ['userAgent'], when: { verb: 'get' } }]],
    ['{"verb":"get","userAgent":"x"}', '{"verb":"list","userAgent":"x"}'],
  );
  t.same(textsOf(batch), ['{"verb":"get"}', '{"verb":"list","userAgent":"x"}']);
});

t.test(
  'an event that is broken behind its first fields is quarantined, not changed by guesswork',
  async (t) => {
    // A scan that has met all its fields does not look at the rest.
    const batch = process(
      [[removeProcessor, { fields: ['userAgent'], when: { verb: 'get' } }]],
      ['{"verb":"get","userAgent":"x","requestObject":{]}}', '{"verb":"get","userAgent":"x"}'],
    );
    t.same(textsOf(batch), ['{"verb":"get"}']);
    t.equal(batch.rejectedCount, 1);
    t.match(batch.quarantined, [{ reason: 'malformed', offset: 0, length: 50 }]);
  },
);
