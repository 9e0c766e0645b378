// A whole pipeline in this process over a file system that fails where and when a test says: two files sinks (compressed
// and pruned, plain and kept), the quarantine, rotation; and the verdict on what it left behind.
import { getEventListeners } from 'node:events';
import { appendFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pino } from 'pino';
import { components } from '../../src/components.js';
import { loadPipelines } from '../../src/config/load.js';
import { nodeFileSystem } from '../../src/file-system.js';
import type { FileSystem } from '../../src/file-system.js';
import { namedMetrics } from '../../src/metrics.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { compareLines, NAMESPACES, numberedLine } from './audit-lines.js';
import { reconcile } from './headgate.js';
import { inWriteOrder, linesOf, readOutputs } from './outputs.js';
import { until } from './until.js';

const BROKEN_EVERY = 15;

export interface LogLine {
  level: number;
  code?: string;
  component?: string;
  msg: string;
}

/** A pipeline in `root` and the lines that it was given so far. */
export class FaultPipeline {
  readonly root: string;
  readonly logs: LogLine[] = [];
  #pipeline: Pipeline | undefined;
  #stop = { drain: new AbortController(), kill: new AbortController() };
  #run: Promise<void> = Promise.resolve();
  #lineCount = 0;
  #lateFrom = Infinity;

  constructor(root: string) {
    this.root = root;
    for (const name of ['log', 'state']) mkdirSync(join(root, name));
    writeFileSync(join(root, 'log/audit.log'), '');
    this.#configure('[gz, plain]', '');
  }

  #configure(to: string, more: string): void {
    const { root } = this;
    writeFileSync(
      join(root, 'p.yaml'),
      `source: { type: file, paths: ['${root}/log/audit.log'], poll_interval: 5ms }
processors: [{ type: tag, tag: '{{ objectRef.namespace ?? "none" }}' }]
routes: [{ to: ${to} }]
commit_interval: 20ms
sinks:
  gz: { type: files, base_dir: '${root}/gz/in', path: '{{ tag }}.log', rotate: { max_bytes: 6KiB, keep: 2 }, compress: on_rotate, max_open_files: 2 }
  plain: { type: files, base_dir: '${root}/plain', path: '{{ tag }}/x.log', rotate: { max_bytes: 6KiB }, compress: none }
${more}`,
    );
  }

  /** From the next start on the lines go to one more sink, which holds them all in one file in a directory of its own. */
  addSink(): void {
    this.#lateFrom = this.#lineCount;
    this.#configure(
      '[gz, plain, late]',
      `  late: { type: files, base_dir: '${this.root}/late/in', path: all.log, compress: stream }
`,
    );
  }

  get pipeline(): Pipeline {
    if (!this.#pipeline) throw new Error('not started');
    return this.#pipeline;
  }

  /** Events given so far, without what is broken. */
  get eventCount(): number {
    return this.#lineCount - Math.floor(this.#lineCount / BROKEN_EVERY);
  }

  append(count: number): void {
    let text = '';
    for (let i = 0; i < count; i++) text += `${lineOf(++this.#lineCount)}\n`;
    appendFileSync(join(this.root, 'log/audit.log'), text);
  }

  async start(fs: FileSystem = nodeFileSystem, once = false): Promise<void> {
    const { pipelines } = await loadPipelines([join(this.root, 'p.yaml')], {}, components);
    const [config] = pipelines;
    if (!config) throw new Error('the pipeline file has a fault');
    const log = pino({}, { write: (line) => this.logs.push(JSON.parse(line) as LogLine) });
    const runtime = { stateDirectory: join(this.root, 'state'), fs, log, once };
    const clock = { now: () => Date.now() };
    this.#pipeline = new Pipeline(config, { ...runtime, clock, deadlineMs: 60_000 });
    this.#stop = { drain: new AbortController(), kill: new AbortController() };
    this.#run = this.#pipeline.run(this.#stop.drain.signal, this.#stop.kill.signal);
    this.#run.catch(() => undefined); // `end` tells.
  }

  /** Waits until everything given is delivered. */
  async delivered(already = 0): Promise<void> {
    const isOver = { value: false };
    const over = this.#run.finally(() => (isOver.value = true));
    over.catch(() => undefined);
    await until(
      'everything is delivered',
      () => isOver.value || this.pipeline.metrics.eventsDelivered >= this.eventCount - already,
      60_000,
    );
  }

  /** Drains, or with `kill` ends at once; rejects as the pipeline does. */
  async end(how: 'drain' | 'kill' = 'drain'): Promise<void> {
    this.#stop[how].abort(new Error('killed by the test'));
    await this.#run;
  }

  /** What waits to be told that the pipeline is to stop. */
  get listenerCount(): number {
    const { drain, kill } = this.#stop;
    return getEventListeners(drain.signal, 'abort').length + getEventListeners(kill.signal, 'abort').length;
  }

  /** Resolves when it ends by itself. */
  async ended(): Promise<void> {
    await this.#run;
  }

  /** What is wrong with outputs and quarantine: nothing where each line is there once, in order. */
  faults(): string[] {
    const faults: string[] = [];
    const expected = new Map<string, string[]>(NAMESPACES.map((name) => [name ?? 'none', []]));
    const broken: string[] = [];
    for (let i = 1; i <= this.#lineCount; i++) {
      if (i % BROKEN_EVERY === 0) broken.push(lineOf(i));
      else expected.get(numberedLine(i, 0).namespace)?.push(lineOf(i));
    }
    const plain = readOutputs(join(this.root, 'plain'));
    const gz = readOutputs(join(this.root, 'gz/in'));
    for (const [name, lines] of expected) {
      const found = linesIn(plain, `${name}/`);
      const fault = compareLines(`plain ${name}`, found, lines);
      if (fault !== undefined) faults.push(fault);
      // Two closed files are kept, so the newest lines are there, and no others.
      const kept = linesIn(gz, `${name}`);
      const newest = compareLines(`gz ${name}`, kept, lines.slice(-kept.length));
      if (newest !== undefined) faults.push(newest);
      if (kept.length < 10) faults.push(`gz ${name}: only ${kept.length} lines are kept`);
    }
    if ([...gz.keys()].length > 3 * expected.size) faults.push(`not pruned: ${[...gz.keys()].join(' ')}`);
    for (const path of gz.keys()) if (path.endsWith('~gz')) faults.push(`left over: ${path}`);
    if (this.#lateFrom < this.#lineCount) {
      const late: string[] = [];
      for (let i = this.#lateFrom + 1; i <= this.#lineCount; i++)
        if (i % BROKEN_EVERY !== 0) late.push(lineOf(i));
      const all = linesIn(readOutputs(join(this.root, 'late/in')), 'all');
      const lost = compareLines('late', all, late);
      if (lost !== undefined) faults.push(lost);
    }
    const state = join(this.root, 'state');
    const quarantined = readdirSync(state)
      .filter((name) => name.startsWith('p.quarantine'))
      .flatMap((name) => linesOf(readFileSync(join(state, name))))
      .map((line) => (JSON.parse(line) as { raw: string }).raw);
    const fault = compareLines('quarantine', quarantined, broken);
    if (fault !== undefined) faults.push(fault);
    return faults;
  }

  /** What is wrong with the counters of a run that delivered what was appended since `eventsBefore` were given. */
  counterFaults(linesBefore: number): string[] {
    const metrics = namedMetrics(this.pipeline.metrics);
    const faults: string[] = [];
    const wrong = reconcile(metrics);
    if (wrong !== undefined) faults.push(wrong);
    const lines = this.#lineCount - linesBefore;
    if (metrics['headgate_lines_read_total'] !== lines)
      faults.push(`${metrics['headgate_lines_read_total']} lines read instead of ${lines}`);
    if (metrics['headgate_components_waiting'] !== 0) faults.push('still waiting');
    return faults;
  }
}

function lineOf(number: number): string {
  return number % BROKEN_EVERY === 0 ? `broken ${number}` : numberedLine(number, 0, 150).line;
}

function linesIn(outputs: Map<string, Buffer>, prefix: string): string[] {
  const paths = [...outputs.keys()].filter((path) => path.startsWith(prefix) && !path.endsWith('~gz'));
  return inWriteOrder(paths, true).flatMap((path) => linesOf(outputs.get(path) ?? Buffer.alloc(0)));
}
