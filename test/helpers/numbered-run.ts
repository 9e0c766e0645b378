// A pipeline over a growing log of numbered lines, run by the command line, for tests of faults around it; and the
// verdict that each line is in its output exactly once, in order.
import { appendFileSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compareLines, numberedLine } from './audit-lines.js';
import type { NumberedLine } from './audit-lines.js';
import { startHeadgate } from './headgate.js';
import type { LogLine, Running, StartOptions, User } from './headgate.js';
import { inWriteOrder, linesOf, readOutputs } from './outputs.js';
import { until } from './until.js';

export class NumberedRun {
  readonly log: string;
  readonly state: string;
  readonly args: string[];
  readonly lines: NumberedLine[] = [];
  readonly #baseDir: string;

  /** `sink` are more options of the sink, in YAML. */
  constructor(
    root: string,
    { baseDir = join(root, 'out'), path = '{{ tag }}.log', sink = '', commitInterval = '100ms' } = {},
  ) {
    this.#baseDir = baseDir;
    this.log = join(root, 'audit.log');
    this.state = join(root, 'state');
    writeFileSync(this.log, '');
    mkdirSync(this.state, { recursive: true });
    const file = join(root, 'p.yaml');
    writeFileSync(
      file,
      `source: { type: file, paths: ['${this.log}'] }
processors: [{ type: tag, tag: '{{ objectRef.namespace ?? "none" }}' }]
routes: [{ to: out }]
commit_interval: ${commitInterval}
sinks:
  out: { type: files, base_dir: '${baseDir}', path: '${path}'${sink} }
`,
    );
    this.args = ['run', '--state-dir', this.state, file];
  }

  /** Runs the pipeline, until the test ends at the latest. */
  start(
    t: { teardown(run: () => void): unknown },
    more: readonly string[] = [],
    options: StartOptions = {},
  ): Running {
    const running = startHeadgate([...this.args, ...more], options);
    t.teardown(() => running.child.kill('SIGKILL'));
    return running;
  }

  /** Adds `count` lines to the log. */
  append(count: number, maxBodyBytes = 600): void {
    const added = Array.from({ length: count }, (_, i) =>
      numberedLine(this.lines.length + i, 0, maxBodyBytes),
    );
    this.lines.push(...added);
    appendFileSync(this.log, added.map(({ line }) => `${line}\n`).join(''));
  }

  /** Gives what headgate writes to another user. */
  giveTo({ uid, gid }: User): void {
    for (const path of [this.state, this.log]) chownSync(path, uid, gid);
  }

  /** What is wrong with the outputs, for the lines from `from` on. */
  faults(from = 0): string[] {
    const outputs = readOutputs(this.#baseDir);
    const expected = new Map<string, string[]>();
    for (const { namespace, line } of this.lines.slice(from)) {
      const list = expected.get(namespace);
      if (list) list.push(line);
      else expected.set(namespace, [line]);
    }
    return [...expected].flatMap(([namespace, lines]) => {
      const paths = [...outputs.keys()].filter((path) => /^[^.~]+/.exec(path)?.[0] === namespace);
      const found = inWriteOrder(paths, true).flatMap((path) =>
        linesOf(outputs.get(path) ?? Buffer.alloc(0)),
      );
      return compareLines(namespace, found, lines) ?? [];
    });
  }

  /** Waits until the outputs hold exactly the lines from `from` on. */
  async delivered(from = 0): Promise<void> {
    await until(
      'each line is in its output',
      () => {
        try {
          return this.faults(from).length === 0;
        } catch {
          return false; // Half a line, or no directory yet.
        }
      },
      60_000,
    );
  }
}

/** The errors that say that a component waits. */
export function waits(logs: readonly LogLine[]): LogLine[] {
  return logs.filter(({ code, level }) => code === 'SINK_WAITING' && level === 'error');
}

/** Waits until it is told that a component waits, and resolves to why. */
export async function waiting(running: Running): Promise<unknown> {
  await until('it is told that it waits', () => waits(running.logs()).length > 0);
  return waits(running.logs())[0]?.['cause'];
}

/** The counters of the run's end. */
export function summaryOf(logs: readonly LogLine[]): Record<string, number> {
  const summary = logs.find(({ code }) => code === 'RUN_SUMMARY')?.['pipelines'] as
    { p: Record<string, number> } | undefined;
  return summary?.p ?? {};
}
