// Whole pipelines on a `VolatileDisk`: the log and its rotations, one life of the program after the other, each ended by
// the death of the process or by a power cut, and the verdict on what is left. In process, so that a test can take out
// a part and show that the verdict changes.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { pino } from 'pino';
import { components } from '../../src/components.js';
import { loadPipelines } from '../../src/config/load.js';
import type { PipelineConfig } from '../../src/config/pipeline-config.js';
import type { FileSystem } from '../../src/file-system.js';
import { Pipeline } from '../../src/pipeline/pipeline.js';
import { positionPath, readRecord } from '../../src/position/store.js';
import { numberedLine } from './audit-lines.js';
import type { NumberedLine } from './audit-lines.js';
import { cri, KLOG_LINE } from './container-log.js';
import { faultsIn } from './crash-run.js';
import { eventText, requestLine, responseLine } from './legacy.js';
import { linesOf } from './outputs.js';
import { pick, seeded, VolatileDisk } from './volatile-disk.js';
import { startProcess } from './volatile-file-system.js';

const LOG = '/log/audit.log';
/** Does not exist at first, nor does what it is in. */
export const OUT = '/data/logs/out';
const STATE = '/state';
const LOG_BYTES = 4_000;
const LINES = 160;
const BEGIN_MS = Date.UTC(2026, 10, 21, 10);

export interface Mode {
  name: string;
  /** Options of the sink, beside the size of its files. */
  sink: string;
  keep?: number;
  /** What the log holds. Default: an event a line. */
  form?: 'parts' | 'pairs';
  /** How lives end; both: either, by chance. */
  deaths: readonly [Death, ...Death[]];
}

/** Of the process, with what it wrote left in the page cache, or of the machine. */
export type Death = 'process' | 'power';

const deaths = ['power', 'process'] as const;
export const MODES: readonly Mode[] = [
  { name: 'raw', sink: "path: '{{ tag }}.log'", deaths },
  { name: 'on_rotate', sink: "path: '{{ tag }}.log', compress: on_rotate, max_open_files: 1", deaths },
  { name: 'sliced', sink: "path: '{{ tag }}/%Y%m%dT%H.log', compress: on_rotate", deaths },
  { name: 'kept', sink: "path: '{{ tag }}.log', compress: on_rotate", keep: 2, deaths },
  { name: 'stream', sink: "path: '{{ tag }}.log', compress: stream", keep: 2, deaths },
  { name: 'unsynced', sink: "path: '{{ tag }}.log', durability: write", deaths: ['process'] },
  { name: 'parts of lines', sink: "path: '{{ tag }}.log'", form: 'parts', deaths },
  { name: 'legacy pairs', sink: "path: '{{ tag }}.log'", form: 'pairs', deaths },
];

/** Puts something between a pipeline and its file system. */
export type Wrap = (fs: FileSystem) => FileSystem;

/** The configuration that the first life has, and the one after it: an operator may change it between them. */
export async function configsOf(directory: string, mode: Mode): Promise<PipelineConfig[]> {
  const configs: PipelineConfig[] = [];
  for (const maxBytes of ['3000B', '2000B']) {
    const file = join(directory, 'p.yaml');
    const rotate = `max_bytes: ${maxBytes}${mode.keep === undefined ? '' : `, keep: ${mode.keep}`}`;
    writeFileSync(
      file,
      `source: { type: file, paths: ['${LOG}'] }
processors: [{ type: tag, tag: '{{ objectRef.namespace ?? "none" }}' }]
routes: [{ to: files }]
sinks: { files: { type: files, base_dir: '${OUT}', rotate: { ${rotate} }, flush_interval: 1ms, ${mode.sink} } }
`,
    );
    const { pipelines, diagnostics } = await loadPipelines([file], {}, components);
    const [config] = pipelines;
    if (!config) throw new Error(JSON.stringify(diagnostics));
    // Shorter than anyone may configure it: a life is short.
    configs.push({ ...config, commit_interval: '1ms' });
  }
  return configs;
}

/**
 * The log, written and rotated between two lives: what the API server does is not at stake, so it is durable. Entries of
 * several lines go on in the next file, and none is open when a life begins.
 */
class Log {
  readonly lines: NumberedLine[] = [];
  readonly broken: string[] = [];
  readonly #disk: VolatileDisk;
  readonly #form: Mode['form'];
  /** Requests whose response is still to be written. */
  readonly #open: { id: string; request: string; namespace: string }[] = [];
  #data = '';
  #timed = 0;
  #rotations = 0;

  constructor(disk: VolatileDisk, form: Mode['form']) {
    this.#disk = disk;
    this.#form = form;
  }

  write(count: number): void {
    for (let i = 0; i < count; i++) {
      const number = this.lines.length + this.#open.length;
      // Some hours in all, so that time slices change.
      const event = numberedLine(number, BEGIN_MS + number * 60_000);
      if (this.#form === 'pairs') this.#request(event);
      else {
        this.lines.push(event);
        if (this.#form === 'parts') this.#appendTimed(cri(event.line, 200));
        else this.#append(event.line);
      }
      if (number % 9 !== 4) continue;
      const broken = `{"broken":${number}`;
      this.broken.push(broken);
      if (this.#form === 'parts') this.#appendTimed([...cri(broken), ...cri(KLOG_LINE, 50, 'stderr')]);
      else this.#append(broken);
    }
    while (this.#open.length > 0) this.#respond();
    this.#disk.place(LOG, Buffer.from(this.#data));
  }

  /** Each with a time of its own, as a runtime does: what a file begins with tells it from others. */
  #appendTimed(lines: readonly string[]): void {
    for (const line of lines) {
      const nanoseconds = String(this.#timed++).padStart(9, '0');
      this.#append(line.replace(/\.\d+Z/, `.${nanoseconds}Z`));
    }
  }

  #request({ number, namespace }: NumberedLine): void {
    const values = namespace === 'none' ? { namespace: '<none>', uri: '/' } : { namespace };
    const request = requestLine(`request-${number}`, { ...values, user: `user-${number % 3}` });
    this.#append(request);
    this.#open.push({ id: `request-${number}`, request, namespace });
    if (this.#open.length > number % 7) this.#respond();
  }

  #respond(): void {
    // Not in the order of the requests.
    const [{ id, request, namespace } = { id: '', request: '', namespace: '' }] = this.#open.splice(
      this.#open.length >> 1,
      1,
    );
    const response = responseLine(id);
    this.#append(response);
    this.lines.push({ number: this.lines.length, namespace, line: eventText(request, response) });
  }

  #append(line: string): void {
    if (this.#data.length + line.length >= LOG_BYTES) this.rotate();
    this.#data += `${line}\n`;
  }

  /** Renames the live file, begins a new one, and compresses the old one: its inode number is free then. */
  rotate(): void {
    const time = new Date(BEGIN_MS + this.#rotations++ * 60_000).toISOString();
    const backup = `audit-${time.replaceAll(':', '-').slice(0, -1)}.log`;
    const data = Buffer.from(this.#data);
    this.#data = '';
    this.#disk.place(LOG, data);
    this.#disk.move(LOG, backup);
    this.#disk.place(LOG, Buffer.alloc(0));
    this.#disk.place(`/log/${backup}.gz`, gzipSync(data));
    this.#disk.move(`/log/${backup}`);
  }
}

interface Life {
  dieAt: number;
  config: PipelineConfig;
  wrap: Wrap | undefined;
}

/** Runs until all is delivered, or until death; returns how many changes it made, and what it complained of. */
async function live(disk: VolatileDisk, { dieAt, config, wrap }: Life) {
  const complaints: string[] = [];
  const log = pino({ level: 'warn' }, { write: (line) => void complaints.push(line) });
  const process = startProcess(disk, dieAt);
  const fs = wrap ? wrap(process.fs) : process.fs;
  let nowMs = BEGIN_MS + 24 * 3_600_000;
  const clock = { now: () => (nowMs += 1_000) };
  const pipeline = new Pipeline(config, {
    stateDirectory: STATE,
    fs,
    log,
    clock,
    once: true,
    deadlineMs: 20_000,
  });
  try {
    await pipeline.run(new AbortController().signal, process.signal);
  } catch (error) {
    if (!process.signal.aborted) complaints.push(String(error));
  }
  return { changes: process.changes(), complaints, isDead: process.signal.aborted };
}

export interface Outcome {
  /** What is wrong; empty where all is well. */
  faults: string[];
  /** What the power cuts did to whatever was not durable, for whoever looks for the reason. */
  fates: string[];
  /** Changes of the first life. */
  changes: number;
}

export interface Point {
  configs: readonly PipelineConfig[];
  mode: Mode;
  /** The change that is the last of the first life. */
  dieAt: number;
  seed: number;
  wrap?: Wrap | undefined;
}

/**
 * Runs the pipeline to its death at one point, in half of the cases once or twice more to a death during recovery, then
 * to the end, and holds what is there against what was written; then cuts the power, and does so again.
 */
export async function tryPoint({ configs, mode, dieAt, seed, wrap }: Point): Promise<Outcome> {
  const { deaths } = mode;
  const random = seeded(seed);
  const disk = new VolatileDisk();
  disk.place(STATE);
  const log = new Log(disk, mode.form);
  log.write(LINES / 2);
  const faults: string[] = [];
  const fates: string[] = [];
  const run = async (life: number, lastChange = Infinity): Promise<number> => {
    const config = configs[life % configs.length];
    if (!config) throw new Error('no configuration');
    const { changes, complaints, isDead } = await live(disk, { dieAt: lastChange, config, wrap });
    faults.push(...complaints.map((complaint) => `life ${life}: ${complaint.trim()}`));
    fates.push(`life ${life} ${isDead ? 'died' : 'ended'} after ${changes} changes`);
    return changes;
  };
  const cut = (): void => {
    fates.push(...disk.cutPower(random).map((fate) => `  ${fate}`));
  };

  const changes = await run(0, dieAt);
  if (pick(random, deaths) === 'power') cut();
  for (let life = 1; life <= 2 && random() < 0.5; life++) {
    await run(life, 1 + Math.floor(random() * 40));
    if (pick(random, deaths) === 'power') cut();
  }
  log.rotate();
  log.write(LINES / 2 + Math.floor(random() * 20));
  await run(1);
  faults.push(...(await verdict('at the end', disk, log, mode)));
  if (deaths.includes('power')) {
    cut();
    faults.push(...(await verdict('after a power cut at the end', disk, log, mode)));
    await run(1);
    faults.push(...(await verdict('at the next end', disk, log, mode)));
  }
  return { faults, fates, changes };
}

async function verdict(when: string, disk: VolatileDisk, log: Log, { keep }: Mode): Promise<string[]> {
  const faults: string[] = [];
  try {
    const outputs = new Map<string, Buffer>();
    for (const [path, data] of disk.files(OUT))
      outputs.set(path, path.endsWith('.gz') ? gunzipSync(data) : data);
    faults.push(...faultsIn(outputs, log.lines, keep));
    const quarantined = linesOf(disk.files(STATE).get('p.quarantine.jsonl') ?? Buffer.alloc(0)).map(
      (line) => (JSON.parse(line) as { raw: string }).raw,
    );
    if (quarantined.join() !== log.broken.join())
      faults.push(`quarantine: ${quarantined.length} lines instead of ${log.broken.length}`);
    const found = await readRecord(startProcess(disk).fs, positionPath(STATE, 'p'));
    if (!found || found.isPrevious) faults.push('the position file is not readable');
  } catch (error) {
    faults.push(String(error));
  }
  return faults.map((fault) => `${when}: ${fault}`);
}
