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
  /** Standard output is a terminal. */
  isForPeople?: boolean;
}

export interface CheckOptions {
  /** Tell what each pipeline looks at and where its routes lead. */
  explain?: boolean;
  /** A file of events: tell what would become of each. */
  input?: string | undefined;
}

/** Resolves to the exit code: 0, or 2 where there is any fault. */
export async function checkCommand(
  paths: readonly string[],
  io: CheckIo,
  { explain = false, input }: CheckOptions = {},
  definitions: readonly ComponentDefinition[] = components,
): Promise<number> {
  const { pipelines, diagnostics } = await loadPipelines(paths, io.env, definitions);
  if (diagnostics.length > 0) {
    for (const diagnostic of diagnostics) io.stderr.write(formatDiagnostic(diagnostic));
    const files = new Set(diagnostics.map((diagnostic) => diagnostic.file)).size;
    io.stderr.write(`${counted(diagnostics.length, 'fault')} in ${counted(files, 'file')}\n`);
    return 2;
  }
  if (input !== undefined) {
    const { checkInput } = await import('./check-input.js');
    await checkInput(pipelines, input, io.stdout, io.isForPeople ?? false);
    return 0;
  }
  const { explain: explanation } = explain ? await import('./explain.js') : { explain: () => '' };
  for (const pipeline of pipelines) {
    const { name, file, commit_interval: interval, commitIntervalFor: sink } = pipeline;
    io.stdout.write(`ok  ${name}  (${file})\n`);
    if (sink !== undefined)
      io.stdout.write(`    commit_interval: ${interval}  (the default for sinks.${sink})\n`);
    io.stdout.write(explanation(pipeline));
  }
  return 0;
}

function counted(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}
