import t from 'tap';
import { expandEnv } from '../../src/config/expand-env.js';

const env = { A: 'one', B: '${A}$&$1', EMPTY: '' };

t.test('references are replaced once, and what they stand for is not read again', async (t) => {
  t.same(expandEnv('<${A}-${A}>', env), { text: '<one-one>', names: ['A', 'A'], faults: [] });
  t.equal(expandEnv('${B}', env).text, '${A}$&$1');
  t.equal(expandEnv('x${EMPTY}y', env).text, 'xy');
});

t.test('`$${` is a literal `${`, and a `$` alone is nothing special', async (t) => {
  t.same(expandEnv('$${A} $$${A} $A $$', env), { text: '${A} $${A} $A $$', names: [], faults: [] });
  t.equal(expandEnv('^a$', env).text, '^a$');
});

t.test('every fault of a text is told, with its offset and without any value', async (t) => {
  const { faults } = expandEnv('${A}${X} ${} ${1} ${A', env);
  t.same(
    faults.map(({ code, offset }) => [code, offset]),
    [
      ['CONFIG_ENV', 4],
      ['CONFIG_ENV', 9],
      ['CONFIG_ENV', 13],
      ['CONFIG_ENV', 18],
    ],
  );
  t.match(faults[0]?.message, '`X` is not set');
  t.notMatch(JSON.stringify(faults), 'one');
});

t.test('names that every object has are not set', async (t) => {
  t.equal(expandEnv('${constructor}', {}).faults.length, 1);
});
