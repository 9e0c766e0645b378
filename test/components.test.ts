// Holds every component against the conventions, so that a new one is complete: described, with examples that work.
import t from 'tap';
import { parse } from 'yaml';
import { components } from '../src/components.js';
import { checkOptions } from '../src/config/check-options.js';
import { ConfigDocument } from '../src/config/document.js';
import { FORMATS } from '../src/config/formats.js';
import { definitions } from './helpers/definitions.js';
import { bytes, directory, Type } from '../src/config/schema.js';
import { KNOWN_FIELDS } from '../src/event/audit.js';
import { defineSink } from '../src/pipeline/component.js';
import type { ComponentDefinition } from '../src/pipeline/component.js';

/** What a component's declaration lacks, in words. */
function lacks(component: ComponentDefinition): string[] {
  const { kind, name, summary, options, examples } = component;
  const found: string[] = [];
  if (!/^[a-z][a-z_]*$/.test(name)) found.push('the name is not in snake_case');
  if (!/^[A-Z].*\.$/s.test(summary)) found.push('the summary is no sentence');
  if (examples.length === 0) found.push('there is no example');
  lacksOfOptions('', options as OptionSchema, found);
  for (const example of examples) {
    const document = new ConfigDocument('example', example, {});
    const { type, ...values } = (parse(example) as Record<string, unknown> | null) ?? {};
    if (type !== name) found.push(`an example is not of type ${name}`);
    const filled = checkOptions(document, [], `the \`${name}\` ${kind}`, options, values);
    for (const { message } of document.diagnostics) found.push(`an example fails: ${message}`);
    for (const { message } of (document.diagnostics.length === 0 &&
      component.validate?.(filled as never, KNOWN_FIELDS)) ||
      []) {
      found.push(`an example fails: ${message}`);
    }
  }
  return found;
}

interface OptionSchema {
  type?: string;
  format?: string;
  formatMinimum?: string;
  description?: string;
  default?: unknown;
  examples?: unknown;
  properties?: Record<string, OptionSchema>;
  items?: OptionSchema;
  required?: string[];
}

function lacksOfOptions(path: string, schema: OptionSchema, found: string[]): void {
  for (const [key, option] of Object.entries(schema.properties ?? {})) {
    const name = path + key;
    const { format = '', description = '' } = option;
    if (!/^[a-z][a-z0-9_]*$/.test(key)) found.push(`${name} is not in snake_case`);
    if (!/[.?]$/.test(description)) found.push(`${name} has no description`);
    if (format !== '' && !FORMATS[format]) found.push(`${name} has the unknown format ${format}`);
    if ((format === 'bytes') !== /(^|_)bytes$/.test(key))
      found.push(`${name}: sizes, and only they, end in _bytes`);
    const values = [
      option.default,
      option.formatMinimum,
      ...((option.examples as unknown[] | undefined) ?? []),
    ];
    for (const value of values) {
      if (value === undefined || !FORMATS[format]) continue;
      for (const fault of FORMATS[format].check(value))
        found.push(`${name}: ${JSON.stringify(value)}: ${fault.message}`);
    }
    const isRequired = schema.required?.includes(key) ?? false;
    if (isRequired && option.default === undefined && option.examples === undefined) {
      found.push(`${name} is required and has no example`);
    }
    lacksOfOptions(`${name}.`, option, found);
    if (option.items) lacksOfOptions(`${name}[].`, option.items, found);
  }
}

for (const component of components) {
  t.test(`the ${component.kind} ${component.name} is complete`, async (t) => {
    t.same(lacks(component), []);
  });
}

t.test('a name is unique among the components of its kind', async (t) => {
  const names = components.map(({ kind, name }) => `${kind} ${name}`);
  t.equal(new Set(names).size, names.length);
});

t.test('what a declaration can lack is found', async (t) => {
  const sloppy = defineSink({
    name: 'someWhere',
    summary: 'writes',
    options: Type.Object({
      dir: directory({ description: 'Where.' }),
      max_size: bytes({ description: '', default: '5' }),
      nested: Type.Object({ camelCase: Type.String() }, { description: 'More.', default: {} }),
    }),
    examples: ['type: else\ndir: relative'],
    create: () => {
      throw new Error('impossible: made for its declaration only');
    },
  });
  t.same(lacks(sloppy), [
    'the name is not in snake_case',
    'the summary is no sentence',
    'dir is required and has no example',
    'max_size has no description',
    'max_size: sizes, and only they, end in _bytes',
    'max_size: "5": the unit is missing',
    'nested.camelCase is not in snake_case',
    'nested.camelCase has no description',
    'nested.camelCase is required and has no example',
    'an example is not of type someWhere',
    'an example fails: must be an absolute path',
    'an example fails: `nested` lacks `camelCase`',
  ]);
  const [first] = definitions;
  t.same(first && lacks(first), ['there is no example']);
});
