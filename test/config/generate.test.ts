import t from 'tap';
import { FORMATS } from '../../src/config/formats.js';
import { generateSchema } from '../../src/config/generate.js';
import { definitions } from '../helpers/definitions.js';

type Json = Record<string, unknown>;

/** The part of a schema at a path of keys. */
function at(schema: unknown, ...path: string[]): Json {
  return path.reduce<unknown>((part, key) => (part as Json | undefined)?.[key], schema) as Json;
}

const schema = generateSchema(definitions);
const sinks = at(schema, 'properties', 'sinks', 'additionalProperties');
const filesSchema = at(sinks, 'allOf', '0', 'then');

t.test('a pipeline may have its declared keys only, and needs those without default', async (t) => {
  t.equal(schema['$schema'], 'http://json-schema.org/draft-07/schema#');
  t.equal(schema['additionalProperties'], false);
  t.same(schema['required'], ['source', 'routes', 'sinks']);
  t.same(Object.keys(at(schema, 'properties')), [
    'pipeline',
    'source',
    'processors',
    'routes',
    'otherwise',
    'sinks',
    'commit_interval',
    'quarantine',
    'tests',
  ]);
});

t.test('a component is held against the schema of its type alone', async (t) => {
  t.same(at(sinks, 'properties', 'type')['enum'], ['files', 'stdout']);
  t.same(at(sinks, 'allOf', '0', 'if'), { required: ['type'], properties: { type: { const: 'files' } } });
  t.equal(filesSchema['description'], 'Writes files.');
  t.equal(filesSchema['additionalProperties'], false);
  t.same(filesSchema['required'], ['type', 'base_dir', 'path']);
  t.same(at(schema, 'properties', 'processors', 'items', 'properties', 'type')['enum'], ['tag', 'drop']);
  t.same(at(schema, 'properties', 'source', 'properties', 'type')['enum'], ['file']);
});

t.test(
  'options keep their description, default and examples; what only Headgate knows is taken out',
  async (t) => {
    t.match(at(filesSchema, 'properties', 'rotate', 'properties', 'max_bytes'), {
      description: 'How large.',
      default: '100MiB',
      type: 'string',
    });
    t.same(at(filesSchema, 'properties', 'path')['examples'], ['{{ tag }}.log']);
    t.equal(at(filesSchema, 'properties', 'rotate')['additionalProperties'], false);
    const text = JSON.stringify(schema);
    t.notMatch(text, /"format":|formatMinimum/);
    t.equal(at(schema, 'properties', 'quarantine', 'properties', 'max_bytes')['default'], '1GiB');
  },
);

t.test('an editor accepts what check accepts', async (t) => {
  const values: Record<string, { good: string[]; bad: string[] }> = {
    bytes: { good: ['64MiB', '0B', '5kB'], bad: ['64', 'MiB', '64 MiB', '64mb', '-1B', '1.5GiB'] },
    duration: { good: ['30s', '10ms', '1d'], bad: ['30', '1w', '1 h'] },
    glob: { good: ['/var/log/*.log', '/a'], bad: ['audit.log'] },
    directory: { good: ['/var/log', '/'], bad: ['logs', './logs'] },
    'path-template': { good: ['{{ tag }}.log', 'a'], bad: ['/a.log'] },
    name: { good: ['a', 'by-namespace.v1'], bad: ['-a', 'a b', '', 'a'.repeat(65)] },
  };
  for (const [name, { good, bad }] of Object.entries(values)) {
    const format = FORMATS[name];
    const pattern = new RegExp(String(format?.editor['pattern']));
    for (const value of good) {
      t.same(format?.check(value), [], `${name}: ${value}`);
      t.match(value, pattern);
    }
    for (const value of bad) {
      t.not(format?.check(value).length, 0, `${name}: ${value}`);
      t.notMatch(value, pattern);
    }
    t.match('${NAME}', pattern, 'a variable can be anything');
  }
});

t.test('numbers, booleans and words can be variables, too', async (t) => {
  const keep = at(filesSchema, 'properties', 'rotate', 'properties', 'keep');
  t.match(keep, { type: ['integer', 'string'], minimum: 0, maximum: 1000 });
  t.match('${KEEP}', new RegExp(String(keep['pattern'])));
  t.notMatch('many', new RegExp(String(keep['pattern'])));
  t.match(at(schema, 'properties', 'otherwise')['anyOf'], [{ enum: ['drop'] }, { pattern: '\\$\\{' }]);
  t.match('${MODE}', new RegExp(String(at(filesSchema, 'properties', 'mode')['pattern'])));
});
