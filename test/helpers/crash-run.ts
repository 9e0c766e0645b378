// The pipeline that crash tests run, its random kills, and the verdict on what it left behind.
import type { Test } from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { compareLines } from './audit-lines.js';
import { startHeadgate } from './headgate.js';
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

/** What is wrong with the outputs: each line exactly once, in order per namespace, every \`.gz\` whole, nothing left over. */
export function faultsOf(root: string, lines: readonly { namespace: string; line: string }[]): string[] {
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
