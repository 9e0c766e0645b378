// The pipeline that crash tests run, and the verdict on what it left behind.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareLines } from './audit-lines.js';
import type { NumberedLine } from './audit-lines.js';
import { inWriteOrder, linesOf, readOutputs } from './outputs.js';

export const MODES = ['raw', 'on_rotate'] as const;
export type Mode = (typeof MODES)[number];

/** Writes a pipeline over `<root>/log/audit.log` to `<root>/out` that rotates often; returns the arguments of a run. */
export function crashPipeline(root: string, mode: Mode, maxBytes: string): string[] {
  const file = join(root, 'p.yaml');
  writeFileSync(
    file,
    `source: { type: file, paths: ['${root}/log/audit.log'] }
processors: [{ type: tag, tag: '{{ objectRef.namespace ?? "none" }}' }]
routes: [{ to: files }]
commit_interval: 30ms
sinks:
  files:
    type: files
    base_dir: '${root}/out'
    path: '{{ tag }}.log'
    rotate: { max_bytes: ${maxBytes} }
    compress: ${mode === 'raw' ? 'none' : 'on_rotate'}
    max_open_files: 2
`,
  );
  return ['run', '--state-dir', join(root, 'state'), file];
}

/** What is wrong with the outputs: each line exactly once, in order per namespace, every \`.gz\` whole, nothing left over. */
export function faultsOf(root: string, lines: readonly NumberedLine[]): string[] {
  const faults: string[] = [];
  const outputs = readOutputs(join(root, 'out'));
  const expected = new Map<string, string[]>();
  for (const { namespace, line } of lines) {
    const list = expected.get(namespace);
    if (list) list.push(line);
    else expected.set(namespace, [line]);
  }
  for (const [namespace, list] of expected) {
    const paths = [...outputs.keys()].filter((path) => /^[^.~]+/.exec(path)?.[0] === namespace);
    const found = inWriteOrder(paths, true).flatMap((path) => linesOf(outputs.get(path) ?? Buffer.alloc(0)));
    const fault = compareLines(namespace, found, list);
    if (fault !== undefined) faults.push(fault);
  }
  for (const path of outputs.keys()) if (path.endsWith('~gz')) faults.push(`left over: ${path}`);
  return faults;
}
