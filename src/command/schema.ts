// `headgate schema`: the JSON Schema of a pipeline file, for editors. `schema/pipeline.schema.json` is its output.
import { components } from '../components.js';
import { generateSchema } from '../config/generate.js';
import type { ComponentDefinition } from '../pipeline/component.js';

/** Prints the schema. */
export function schemaCommand(
  io: { stdout: NodeJS.WritableStream },
  definitions: readonly ComponentDefinition[] = components,
): void {
  io.stdout.write(`${JSON.stringify(generateSchema(definitions), null, 2)}\n`);
}
