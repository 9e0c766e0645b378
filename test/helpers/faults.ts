// Faults of pipeline files in tests: the YAML of a test carries a `‸` at each place that a fault is expected to
// point at, so that line and column are seen, not counted.
import type { Test } from 'tap';
import type { Diagnostic } from '../../src/config/diagnostic.js';
import { loadPipelines } from '../../src/config/load.js';
import type { Loaded } from '../../src/config/load.js';
import { definitions } from './definitions.js';

const MARK = '‸';

/** Loads a directory with these files; the diagnostics name the files without the directory. */
export async function load(
  t: Test,
  files: Record<string, string | Buffer>,
  env: Record<string, string> = {},
  known = definitions,
): Promise<Loaded> {
  const directory = t.testdir(files);
  const loaded = await loadPipelines([directory], env, known);
  const relative = (text: string) => text.replaceAll(`${directory}/`, '');
  return {
    pipelines: loaded.pipelines,
    diagnostics: loaded.diagnostics.map((diagnostic) => ({
      ...diagnostic,
      file: relative(diagnostic.file),
      message: relative(diagnostic.message),
    })),
  };
}

/** `code`, then a piece of the message, then one of the hint. */
export type Expected = [code: Diagnostic['code'], message: string, hint?: string];

/** Holds the faults of one file against its marks, in order; returns them. */
export async function expectFaults(
  t: Test,
  marked: string,
  expected: Expected[],
  env: Record<string, string> = {},
  known = definitions,
): Promise<Diagnostic[]> {
  const places: string[] = [];
  const text = marked
    .split('\n')
    .map((line, i) => {
      const pieces = line.split(MARK);
      let column = 1;
      for (const piece of pieces.slice(0, -1)) {
        column += Array.from(piece).length;
        places.push(`${i + 1}:${column}`);
      }
      return pieces.join('');
    })
    .join('\n');
  const { diagnostics, pipelines } = await load(t, { 'a.yaml': text }, env, known);
  t.same(
    diagnostics.map(({ line, column, code }) => `${line}:${column} ${code}`),
    expected.map(([code], i) => `${places[i] ?? '1:1'} ${code}`),
    'each fault once, at its place',
  );
  for (const [i, [, message, hint]] of expected.entries()) {
    t.match(diagnostics[i]?.message, message);
    if (hint !== undefined) t.match(diagnostics[i]?.hint, hint);
  }
  t.same(pipelines, []);
  return diagnostics;
}
