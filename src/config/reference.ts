// The manual of all options, as Markdown, made of the components' declarations: what `headgate check` accepts is what
// stands there, and nothing can be declared without being told.
import type { ComponentDefinition } from '../pipeline/component.js';
import { FORMATS } from './formats.js';
import { pipelineSchema } from './pipeline-config.js';
import { BYTE_UNITS, DURATION_UNITS } from './units.js';

interface Option {
  type?: string | string[];
  format?: string;
  formatMinimum?: string;
  description?: string;
  title?: string;
  default?: unknown;
  examples?: unknown[];
  enum?: string[];
  minimum?: number;
  maximum?: number;
  properties?: Record<string, Option>;
  required?: string[];
  items?: Option;
  anyOf?: Option[];
  patternProperties?: Record<string, Option>;
}

const KINDS = [
  ['source', 'Sources', 'Where events come from. A pipeline has one.'],
  ['processor', 'Processors', 'What is done to each event, in the order of the file.'],
  ['sink', 'Sinks', 'Where events go. A pipeline has one or more, by name.'],
] as const;

/** The manual of a pipeline file in which any of these components can be used. */
export function generateReference(definitions: readonly ComponentDefinition[]): string {
  const parts = [INTRODUCTION, table('', pipelineSchema as Option)];
  for (const [kind, title, text] of KINDS) {
    parts.push(`## ${title}\n\n${text}`);
    for (const { name, summary, options, examples } of definitions.filter((each) => each.kind === kind)) {
      parts.push(`### \`${name}\`\n\n${summary}`);
      const rows = table('', options as Option);
      if (rows !== '') parts.push(rows);
      for (const example of examples) parts.push(`\`\`\`yaml\n${example.trim()}\n\`\`\``);
    }
  }
  return `${parts.join('\n\n')}\n`;
}

const INTRODUCTION = `# Reference

Every key of a pipeline file, every component and every option. This page is generated from the declarations that
\`headgate check\` uses (\`npm run generate\`). How conditions (\`when\`) are written is in [conditions.md](conditions.md).

- A **size** is a whole number and one of ${names(BYTE_UNITS)}: \`64MiB\`. A **duration** is a whole number and one of
  ${names(DURATION_UNITS)}: \`30s\`.
- A **template** is text with \`{{ field ?? other ?? "text" }}\` in it: the first of them that an event has.
- \`\${NAME}\` in any value stands for a variable of the environment.

## A pipeline`;

function names(units: object): string {
  return Object.keys(units)
    .map((unit) => `\`${unit}\``)
    .join(', ');
}

/** One row for each option, those inside it behind it. */
function table(prefix: string, schema: Option): string {
  const rows = rowsOf(prefix, schema);
  if (rows.length === 0) return '';
  return ['| option | value | default | |', '|---|---|---|---|', ...rows].join('\n');
}

function rowsOf(prefix: string, schema: Option): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, option]) => {
    const name = `${prefix}${key}`;
    const isRequired = schema.required?.includes(key) === true && option.default === undefined;
    const example = option.examples?.[0];
    const description = [
      option.description ?? '',
      option.formatMinimum === undefined ? '' : `At least \`${option.formatMinimum}\`.`,
      example === undefined ? '' : `Example: ${code(example)}.`,
    ];
    const cells = [
      `\`${name}\``,
      valueOf(option),
      isRequired
        ? '**required**'
        : option.default === undefined || isMapping(option)
          ? ''
          : code(option.default),
      description.filter((text) => text !== '').join(' '),
    ];
    const inner = option.items ? rowsOf(`${name}[].`, option.items) : rowsOf(`${name}.`, option);
    return [`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`, ...inner];
  });
}

function valueOf(option: Option): string {
  if (option.enum) return option.enum.map((word) => `\`${word}\``).join(', ');
  if (option.title !== undefined) return option.title;
  if (option.format !== undefined && FORMATS[option.format])
    return KIND_OF_FORMAT[option.format] ?? option.format;
  if (option.type === 'array')
    return option.items && option.items.type !== 'object' ? `list of ${valueOf(option.items)}` : 'list';
  if (option.type === 'object') return 'mapping';
  if (option.type === 'integer') {
    const { minimum, maximum } = option;
    const range = [minimum === undefined ? '' : `≥ ${minimum}`, maximum === undefined ? '' : `≤ ${maximum}`];
    return ['whole number', ...range].filter((text) => text !== '').join(' ');
  }
  if (option.type === 'boolean') return '`true`, `false`';
  return option.type === 'string' ? 'text' : 'any';
}

const KIND_OF_FORMAT: Readonly<Record<string, string>> = {
  bytes: 'size',
  when: 'condition',
  glob: 'path or glob',
  'path-template': 'path with templates',
  file: 'path',
  directory: 'path',
  address: 'address',
};

function isMapping({ type }: Option): boolean {
  return type === 'object';
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``;
}
