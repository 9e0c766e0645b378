// The JSON Schema of a pipeline file, made of the components' declarations, for editors: completion, descriptions,
// and most of what `headgate check` says, while one types. Draft-07, which yaml-language-server knows best; a
// component is chosen by `if`/`then` on its `type`, so that an editor complains about that component only.
// Invariant: nothing that `headgate check` accepts is faulty for an editor, so every value may hold `${ENV}`; all but
// a component's `type`, which decides what an editor offers.
import type { ComponentDefinition } from '../pipeline/component.js';
import { ENV_PATTERN, FORMATS, NAME_PATTERN } from './formats.js';
import { pipelineSchema } from './pipeline-config.js';

type JsonSchema = Record<string, unknown>;

/** The schema of a file in which any of these components can be used; plain JSON. */
export function generateSchema(definitions: readonly ComponentDefinition[]): JsonSchema {
  const pipeline = editorSchema(pipelineSchema) as { properties: Record<string, JsonSchema> };
  const { source, processors, sinks } = pipeline.properties;
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Headgate pipeline',
    description: 'One pipeline: where audit events come from, what is done to them, where they go.',
    ...pipeline,
    properties: {
      ...pipeline.properties,
      source: { ...source, ...componentSchema('source', definitions) },
      processors: { ...processors, items: componentSchema('processor', definitions) },
      sinks: {
        type: 'object',
        description: sinks?.['description'],
        minProperties: 1,
        propertyNames: { pattern: NAME_PATTERN },
        additionalProperties: componentSchema('sink', definitions),
      },
    },
  };
}

function componentSchema(
  kind: ComponentDefinition['kind'],
  definitions: readonly ComponentDefinition[],
): JsonSchema {
  const known = definitions.filter((definition) => definition.kind === kind);
  const summaries = known.map(({ name, summary }) => `\`${name}\`: ${summary}`);
  return {
    type: 'object',
    required: ['type'],
    properties: { type: { description: summaries.join('\n\n'), enum: known.map(({ name }) => name) } },
    allOf: known.map(({ name, summary, options }) => {
      const { properties, required, ...rest } = editorSchema(options);
      return {
        if: { required: ['type'], properties: { type: { const: name } } },
        then: {
          ...rest,
          description: summary,
          properties: { type: { const: name }, ...(properties as JsonSchema) },
          required: ['type', ...((required ?? []) as string[])],
        },
      };
    }),
  };
}

/** An option's schema without what only Headgate understands, and with `${ENV}` allowed. */
function editorSchema(schema: JsonSchema): JsonSchema {
  const { format, properties, items, ...rest } = schema;
  delete rest['formatMinimum'];
  const known = typeof format === 'string' ? FORMATS[format] : undefined;
  const editor: JsonSchema = { ...rest, ...known?.editor };
  if (known?.reference !== undefined) {
    editor['description'] = `${String(schema['description'])}\n\n${known.reference}`;
  }
  if (isObject(properties)) {
    const entries = Object.entries(properties as Record<string, JsonSchema>);
    editor['properties'] = Object.fromEntries(entries.map(([key, part]) => [key, editorSchema(part)]));
    editor['additionalProperties'] = false;
    // An option with a default may be left out.
    const required = (schema['required'] as string[] | undefined)?.filter(
      (key) => (properties as Record<string, JsonSchema>)[key]?.['default'] === undefined,
    );
    if (required && required.length > 0) editor['required'] = required;
    else delete editor['required'];
  }
  if (typeof schema['pattern'] === 'string') editor['pattern'] = `${schema['pattern']}|${ENV_PATTERN}`;
  if (isObject(items)) editor['items'] = editorSchema(items);
  if (isObject(schema['patternProperties'])) {
    const entries = Object.entries(schema['patternProperties'] as Record<string, JsonSchema>);
    editor['patternProperties'] = Object.fromEntries(entries.map(([key, part]) => [key, editorSchema(part)]));
  }
  return orEnvironment(editor);
}

/** Numbers, booleans and words may be written as `${ENV}`. */
function orEnvironment(schema: JsonSchema): JsonSchema {
  const { enum: words, ...rest } = schema;
  const type = schema['type'];
  if (Array.isArray(words)) {
    return { ...rest, anyOf: [{ enum: words }, { type: 'string', pattern: ENV_PATTERN }] };
  }
  if (type !== 'integer' && type !== 'number' && type !== 'boolean') return schema;
  // `pattern` says nothing of numbers and booleans, and `minimum` nothing of strings.
  return { ...schema, type: [type, 'string'], pattern: ENV_PATTERN };
}

function isObject(value: unknown): value is JsonSchema {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
