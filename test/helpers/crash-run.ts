// The pipeline that crash tests run, its random kills, and the verdict on what it left behind.
import type { Test } from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareLines } from './audit-lines.js';
import { startHeadgate } from './headgate.js';
import { inWriteOrder, linesOf, readOutputs } from './outputs.js';

export const MODES = ['raw', 'on_rotate', 'stream'] as const;
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
    compress: ${mode === 'raw' ? 'none' : mode}
    max_open_files: 2
`,
  );
  return ['run', '--state-dir', join(root, 'state'), file];
}

/** How many kills; the environment enlarges it. */
export const KILLS = Number(process.env['HEADGATE_CRASH_KILLS'] ?? 12);
const LONGEST_LIFE_MS = 900;

/** Starts Headgate with these arguments and SIGKILLs it at a random instant, `KILLS` times. */
export async function killAtRandom(t: Test, args: readonly string[]): Promise<void> {
  for (let kill = 0; kill < KILLS; kill++) {
    const running = startHeadgate(args);
    // The instant is the point of the test; nothing is waited for.
    await sleep(Math.random() * LONGEST_LIFE_MS);
    running.child.kill('SIGKILL');
    t.equal(await running.exit, 'SIGKILL', running.stderr().slice(-500));
  }
}

/** A line that was written, and the output that it belongs to. */
interface RoutedLine {
  namespace: string;
  line: string;
}

/** What is wrong with the outputs: each line exactly once, in order per namespace, every \`.gz\` whole, nothing left over. */
export function faultsOf(root: string, lines: readonly RoutedLine[]): string[] {
  return faultsIn(readOutputs(join(root, 'out')), lines);
}

/** The same for contents by path. With `keep`, only so many closed files may be there, and the oldest lines may be gone. */
export function faultsIn(
  outputs: ReadonlyMap<string, Buffer>,
  lines: readonly RoutedLine[],
  keep = Infinity,
): string[] {
  const faults: string[] = [];
  const expected = new Map<string, string[]>();
  for (const { namespace, line } of lines) {
    const list = expected.get(namespace);
    if (list) list.push(line);
    else expected.set(namespace, [line]);
  }
  for (const [namespace, list] of expected) {
    const paths = [...outputs.keys()].filter((path) => stemOf(path).split('/')[0] === namespace);
    const ordered = inWriteOrder(paths, !paths.some((path) => path.includes('/')));
    // Sorting is stable: by time slice, where a path has one.
    ordered.sort((a, b) => (stemOf(a) < stemOf(b) ? -1 : Number(stemOf(a) > stemOf(b))));
    const found = ordered.flatMap((path) => linesOf(outputs.get(path) ?? Buffer.alloc(0)));
    // The end is all that retention leaves.
    const fault = compareLines(namespace, found, keep < Infinity ? list.slice(-found.length) : list);
    if (fault !== undefined) faults.push(fault);
    if (paths.length > keep + 1) faults.push(`${namespace}: ${paths.length} files, ${keep} of them closed`);
  }
  for (const path of outputs.keys()) if (path.endsWith('~gz')) faults.push(`left over: ${path}`);
  return faults;
}

function stemOf(path: string): string {
  return /^[^.~]+/.exec(path)?.[0] ?? '';
}
