// `headgate schema`: the JSON Schema of a pipeline file, for editors, or the manual of its options.
// `schema/pipeline.schema.json` and `docs/reference.md` are its output.
import { components } from '../components.js';
import { generateSchema } from '../config/generate.js';
import { generateReference } from '../config/reference.js';
import type { ComponentDefinition } from '../pipeline/component.js';

/** Prints the schema. */
export function schemaCommand(
  io: { stdout: NodeJS.WritableStream },
  definitions: readonly ComponentDefinition[] = components,
): void {
  io.stdout.write(`${JSON.stringify(generateSchema(definitions), null, 2)}\n`);
}

/** Prints the manual of all options as Markdown. */
export function referenceCommand(
  io: { stdout: NodeJS.WritableStream },
  definitions: readonly ComponentDefinition[] = components,
): void {
  io.stdout.write(generateReference(definitions));
}
