// From paths on the command line to validated pipelines: finds the files, reads them, and holds them against each
// other. Every fault of every file is found in one run. Nothing here changes anything on disk.
import { readFile, readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { systemCode } from '../errors.js';
import type { ComponentDefinition } from '../pipeline/component.js';
import { compareDiagnostics } from './diagnostic.js';
import type { Diagnostic } from './diagnostic.js';
import { ConfigDocument, fileDiagnostic } from './document.js';
import type { Environment } from './expand-env.js';
import { checkTogether } from './check-together.js';
import { validatePipeline } from './validate.js';
import type { Validated } from './validate.js';
import type { PipelineConfig } from './pipeline-config.js';

/** Pipeline files are written by people; more than this is something else. */
const MAX_FILE_BYTES = 1024 * 1024;

export interface Loaded {
  /** In the order of the paths; empty where there is any diagnostic: a wrong configuration changes nothing. */
  pipelines: PipelineConfig[];
  /** Sorted by file and position. */
  diagnostics: Diagnostic[];
}

/**
 * Loads pipeline files. A path is a file, or a directory of which every `*.yaml` and `*.yml` is loaded, but no
 * directory in it and no hidden file. Never rejects because of what a file holds or of how it can't be read.
 */
export async function loadPipelines(
  paths: readonly string[],
  env: Environment,
  definitions: readonly ComponentDefinition[],
): Promise<Loaded> {
  const { files, diagnostics } = await findFiles(paths);
  const documents: ConfigDocument[] = [];
  const validated: Validated[] = [];
  for (const file of files) {
    const text = await readText(file);
    if (typeof text !== 'string') {
      diagnostics.push(text);
      continue;
    }
    const document = new ConfigDocument(file, text, env);
    documents.push(document);
    validated.push(validatePipeline(document, definitions));
  }
  checkTogether(validated);
  diagnostics.push(...documents.flatMap((document) => document.diagnostics));
  diagnostics.sort(compareDiagnostics);
  if (diagnostics.length > 0) return { pipelines: [], diagnostics };
  return { pipelines: validated.flatMap(({ config }) => config ?? []), diagnostics };
}

/** The files that the paths stand for, each once. */
async function findFiles(paths: readonly string[]): Promise<{ files: string[]; diagnostics: Diagnostic[] }> {
  const files = new Map<string, string>();
  const diagnostics: Diagnostic[] = [];
  for (const path of paths) {
    try {
      const found = (await stat(path)).isDirectory() ? await filesIn(path) : [path];
      if (found.length === 0) {
        diagnostics.push(
          fileDiagnostic(path, {
            code: 'CONFIG_NONE_FOUND',
            message: 'the directory holds no pipeline: no `*.yaml` and no `*.yml`',
            hint: 'directories in it and hidden files are not looked at',
          }),
        );
      }
      for (const file of found) {
        if (!files.has(resolve(file))) files.set(resolve(file), file);
      }
    } catch (error) {
      diagnostics.push(unreadable(path, reasonOf(error)));
    }
  }
  return { files: [...files.values()], diagnostics };
}

async function filesIn(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true });
  return entries
    .filter((entry) => /^[^.].*\.ya?ml$/.test(entry.name) && !entry.isDirectory())
    .map((entry) => join(directory, entry.name))
    .sort();
}

async function readText(file: string): Promise<string | Diagnostic> {
  try {
    const status = await stat(file);
    if (!status.isFile()) return unreadable(file, 'this is no ordinary file');
    if (status.size > MAX_FILE_BYTES)
      return unreadable(file, 'this is too large for a pipeline file (1 MiB)');
    const content = await readFile(file);
    const zeroAt = content.indexOf(0);
    if (zeroAt >= 0) return unreadable(file, `this is no text: a NUL byte at offset ${zeroAt}`);
    // Strips a byte order mark, too.
    return new TextDecoder('utf-8', { fatal: true }).decode(content);
  } catch (error) {
    return unreadable(file, reasonOf(error));
  }
}

function unreadable(file: string, message: string): Diagnostic {
  return fileDiagnostic(file, { code: 'CONFIG_UNREADABLE', message });
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or directory',
  EACCES: 'permission denied',
  EPERM: 'permission denied',
  ERR_ENCODING_INVALID_ENCODED_DATA: 'this is no text: the bytes are not UTF-8',
};

function reasonOf(error: unknown): string {
  return REASONS[systemCode(error) ?? ''] ?? (error instanceof Error ? error.message : String(error));
}
