// `headgate check`: every fault of the pipeline files, without changing or contacting anything.
import { components } from '../components.js';
import { formatDiagnostic } from '../config/diagnostic.js';
import type { Environment } from '../config/expand-env.js';
import { loadPipelines } from '../config/load.js';
import type { ComponentDefinition } from '../pipeline/component.js';

export interface CheckIo {
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream;
  env: Environment;
}

/** Resolves to the exit code: 0, or 2 where there is any fault. */
export async function checkCommand(
  paths: readonly string[],
  io: CheckIo,
  definitions: readonly ComponentDefinition[] = components,
): Promise<number> {
  const { pipelines, diagnostics } = await loadPipelines(paths, io.env, definitions);
  if (diagnostics.length > 0) {
    for (const diagnostic of diagnostics) io.stderr.write(formatDiagnostic(diagnostic));
    const files = new Set(diagnostics.map((diagnostic) => diagnostic.file)).size;
    io.stderr.write(`${counted(diagnostics.length, 'fault')} in ${counted(files, 'file')}\n`);
    return 2;
  }
  for (const { name, file } of pipelines) io.stdout.write(`ok  ${name}  (${file})\n`);
  return 0;
}

function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
