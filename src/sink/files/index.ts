// The `files` sink: each event becomes one line of the file that its tag (or any value) and its time name. This file
// finds the output of each event and decides when outputs close; `writer.ts` puts the lines on disk exactly once,
// `finish.ts` compresses and prunes, `restore.ts` brings everything back to the last commit after a crash.
import { bytesOf, millisecondsOf } from '../../config/units.js';
import { compileTime } from '../../event/audit.js';
import type { EventBatch, SubBatch } from '../../event/batch.js';
import type { ByteString } from '../../event/byte-string.js';
import { MAX_REMEMBERED_LENGTH } from '../../event/field-text.js';
import { compileAlternatives } from '../../event/template.js';
import { defineSink } from '../../pipeline/component.js';
import type { Recovery, Sink, SinkContext } from '../../pipeline/component.js';
import { retry } from '../../pipeline/backoff.js';
import type { Receipt } from '../../position/position.js';
import { Catalog } from './catalog.js';
import { Directories } from './directories.js';
import { Finisher } from './finish.js';
import { KnownTags } from './known-tags.js';
import { filesOptions } from './options.js';
import type { FilesOptions } from './options.js';
import { parsePathTemplate, renderPath, sliceOf } from './path-template.js';
import type { PathTemplate, TimeSlice } from './path-template.js';
import { isLimited } from './retention.js';
import { restoreSegments } from './restore.js';
import { isDue } from './rotate.js';
import { createOutput } from './segment.js';
import type { Output } from './segment.js';
import { GZIP_SUFFIX, outputName } from './segment-name.js';
import { SegmentWriter } from './writer.js';

/** How often outputs are looked at that may be due to close. */
const TICK_MS = 500;
/** How often files are looked at that may have become too old to keep, and tags that may have none left. */
const PRUNE_TICK_MS = 60_000;
/**
 * So many outputs may be open: each costs memory and a place in the position record. Beyond it the longest idle ones
 * are closed early, which costs nothing but smaller files.
 */
const MAX_OPEN_OUTPUTS = 10_000;
/** The defaults with `compress: stream`, where each flush and each commit ends a gzip member of every file. */
const STREAM_FLUSH_INTERVAL = '30s';
const STREAM_COMMIT_INTERVAL = '10s';
const FLUSH_INTERVAL = '20ms';

/** The output that a combination of values had last, for the time slice that it was in. */
interface Cached {
  output: Output;
  sliceStartMs: number;
}

/** The sink; `maxOpenOutputs` is smaller in tests only. */
export class FilesSink implements Sink {
  readonly #context: SinkContext;
  readonly #baseDir: string;
  readonly #maxOpenOutputs: number;
  readonly #template: PathTemplate;
  /** What an open file's name ends in after its rendered path. */
  readonly #suffix: string;
  readonly #values: ((batch: EventBatch, i: number) => ByteString)[];
  readonly #time: (batch: EventBatch, i: number) => number;
  readonly #rotate: { maxAgeMs: number; graceMs: number };
  readonly #writer: SegmentWriter;
  readonly #finisher: Finisher;
  readonly #catalog: Catalog | undefined;
  /** Undefined where tags are not limited. */
  readonly #tags: KnownTags | undefined;
  readonly #overflowGroup: string;
  /** Open outputs by rendered path. */
  readonly #outputs = new Map<string, Output>();
  #cache = new Map<ByteString, Cached>();
  /** The slice of the event before; at first one that holds no time. */
  #slice: TimeSlice = { startMs: Infinity, endMs: -Infinity, date: new Date(0) };
  #newestMs = -Infinity;
  #ticker: NodeJS.Timeout | undefined;
  #prunedAtMs = 0;

  constructor(options: FilesOptions, context: SinkContext, maxOpenOutputs = MAX_OPEN_OUTPUTS) {
    const parsed = parsePathTemplate(options.path, 'anything');
    if ('faults' in parsed) throw new Error('impossible: a path that validation has passed');
    this.#context = context;
    this.#maxOpenOutputs = maxOpenOutputs;
    this.#baseDir = options.base_dir;
    this.#template = parsed.template;
    this.#values = parsed.template.parts.flatMap((part) =>
      part.kind === 'value' ? [compileAlternatives(part.alternatives, context.fields)] : [],
    );
    this.#time = parsed.template.unit === undefined ? () => 0 : compileTime(context.fields);
    const { rotate } = options;
    const size = (text: string | undefined): number => (text === undefined ? Infinity : bytesOf(text));
    const time = (text: string | undefined): number => (text === undefined ? Infinity : millisecondsOf(text));
    this.#rotate = { maxAgeMs: time(rotate.max_age), graceMs: millisecondsOf(options.grace) };
    const retention = {
      keep: rotate.keep ?? Infinity,
      keepBytes: size(rotate.keep_bytes),
      keepAgeMs: time(rotate.keep_age),
      keepTotalBytes: size(rotate.keep_total_bytes),
    };
    const { fs, log, metrics, signal, drain, store, clock, component } = context;
    const mode = Number.parseInt(options.mode, 8);
    const isGzip = options.compress === 'stream';
    this.#suffix = isGzip ? GZIP_SUFFIX : '';
    const common = { component, log, metrics, signal, drain, fs, store, mode, now: () => clock.now() };
    const { max_tags: maxTags } = options;
    if (isLimited(retention) || maxTags !== undefined) {
      this.#catalog = new Catalog(fs, store.stateFile(context.name, 'closed.jsonl'), !isLimited(retention));
    }
    if (maxTags !== undefined) this.#tags = new KnownTags({ maxTags, component, log, metrics });
    this.#overflowGroup = renderPath(parsed.template, this.#slice, undefined).group;
    this.#finisher = new Finisher({
      ...common,
      isCompressed: options.compress !== 'none',
      retention,
      catalog: this.#catalog,
    });
    this.#writer = new SegmentWriter({
      ...common,
      sink: context.name,
      directories: new Directories(fs, options.base_dir),
      maxBytes: bytesOf(rotate.max_bytes),
      maxOpenFiles: options.max_open_files,
      isGzip,
      flushIntervalMs: millisecondsOf(
        options.flush_interval ?? (isGzip ? STREAM_FLUSH_INTERVAL : FLUSH_INTERVAL),
      ),
      isFsync: options.durability !== 'write',
    });
  }

  destination(batch: EventBatch, i: number): string {
    const slice = sliceOf(this.#template.unit, this.#time(batch, i));
    const values = this.#values.map((value) => value(batch, i));
    return `${this.#baseDir}/${renderPath(this.#template, slice, values).key}${this.#suffix}`;
  }

  async open(recovery: Recovery): Promise<void> {
    const catalog = this.#catalog;
    if (catalog) await retry(this.#context, 'read the catalog of closed files', () => catalog.open());
    for (const record of await restoreSegments(this.#context, recovery)) {
      const { path, key } = record;
      if (record.closed) {
        this.#finisher.add({ ...record, group: record.group ?? key });
      } else if (path.startsWith(`${this.#baseDir}/`)) {
        const output =
          this.#outputs.get(key) ?? this.#addOutput(key, record.group ?? key, record.sliceEndMs ?? Infinity);
        this.#writer.adopt(output, record, path.slice(this.#baseDir.length + 1));
      }
    }
    this.#tags?.recount(this.#tagsInUse());
    this.#finisher.pruneAll();
    this.#ticker = setInterval(() => {
      this.#tick(false);
    }, TICK_MS);
    this.#ticker.unref();
  }

  async write({ batch, indexes }: SubBatch): Promise<void> {
    const nowMs = this.#context.clock.now();
    let overflowed = 0;
    for (let k = 0; k < indexes.length; k++) {
      const i = indexes[k] ?? 0;
      const output = this.#outputOf(batch, i);
      if (output.isOverflow) overflowed++;
      this.#writer.append(output, batch, i, nowMs);
    }
    if (overflowed > 0) this.#tags?.overflowed(overflowed, nowMs);
    await this.#writer.room();
    await this.#finisher.room();
  }

  async settle(): Promise<Receipt[]> {
    return this.#writer.settle();
  }

  committed(receipts: readonly Receipt[]): void {
    for (const segment of this.#writer.takeClosed(receipts)) this.#finisher.add(segment);
  }

  hasChanges(): boolean {
    return this.#writer.hasChanges;
  }

  endOfInput(): void {
    this.#tick(true);
  }

  async close(finish: boolean): Promise<void> {
    clearInterval(this.#ticker);
    await this.#writer.close();
    await (finish ? this.#finisher.drain() : this.#finisher.stop());
  }

  #outputOf(batch: EventBatch, i: number): Output {
    const timeMs = this.#time(batch, i);
    if (timeMs > this.#newestMs) this.#newestMs = timeMs;
    if (timeMs < this.#slice.startMs || timeMs >= this.#slice.endMs)
      this.#slice = sliceOf(this.#template.unit, timeMs);
    const cacheKey = this.#cacheKey(batch, i);
    const isCached = cacheKey.length <= MAX_REMEMBERED_LENGTH;
    const cached = isCached ? this.#cache.get(cacheKey) : undefined;
    if (cached?.sliceStartMs === this.#slice.startMs && !cached.output.isGone) return cached.output;
    const values = this.#values.map((value) => value(batch, i));
    let { key, group } = renderPath(this.#template, this.#slice, values);
    if (this.#tags?.admit(group) === false)
      ({ key, group } = renderPath(this.#template, this.#slice, undefined));
    const output = this.#outputs.get(key) ?? this.#addOutput(key, group, this.#slice.endMs);
    if (isCached) {
      if (this.#cache.size >= 2 * this.#maxOpenOutputs) this.#cache = new Map();
      this.#cache.set(cacheKey, { output, sliceStartMs: this.#slice.startMs });
    }
    return output;
  }

  /** One string for the values of an event: the value itself where there is one. */
  #cacheKey(batch: EventBatch, i: number): ByteString {
    const first = this.#values[0];
    if (!first) return '';
    if (this.#values.length === 1) return first(batch, i);
    return this.#values
      .map((render) => render(batch, i))
      .map((value) => `${value.length}:${value}`)
      .join('');
  }

  #addOutput(key: string, group: string, sliceEndMs: number): Output {
    if (this.#outputs.size >= this.#maxOpenOutputs) this.#closeIdlest();
    const name = outputName(key, this.#template.ext);
    const output = createOutput(name, group, sliceEndMs, group === this.#overflowGroup);
    this.#outputs.set(key, output);
    return output;
  }

  /** Closes the tenth of the outputs that was idle longest. */
  #closeIdlest(): void {
    const lastAppendMs = (output: Output): number => output.active?.lastAppendMs ?? 0;
    const outputs = [...this.#outputs.values()].sort((a, b) => lastAppendMs(a) - lastAppendMs(b));
    for (const output of outputs.slice(0, Math.ceil(this.#maxOpenOutputs / 10))) this.#closeOutput(output);
  }

  /** The tags that have files, as far as the position record and the catalog of closed files know. */
  #tagsInUse(): Set<string> {
    const { name, store } = this.#context;
    const inUse = new Set(this.#catalog?.groups.keys());
    for (const { sink, group, key } of store.segments) if (sink === name) inUse.add(group ?? key);
    for (const { active, group } of this.#outputs.values()) if (active) inUse.add(group);
    inUse.delete(this.#overflowGroup);
    return inUse;
  }

  /** Makes room for others in the place of tags whose last file was pruned. */
  #recountTags(tags: KnownTags): void {
    const inUse = this.#tagsInUse();
    tags.recount(inUse);
    for (const output of this.#outputs.values()) {
      if (!output.active && !inUse.has(output.group)) this.#closeOutput(output);
    }
    this.#cache = new Map(); // What it sends to the overflow file may have room now.
  }

  #closeOutput(output: Output): void {
    this.#writer.closeActive(output);
    output.isGone = true;
    this.#outputs.delete(output.name.key);
  }

  #tick(isEnd: boolean): void {
    const nowMs = this.#context.clock.now();
    const moment = { nowMs, newestMs: this.#newestMs, isEnd };
    for (const output of this.#outputs.values()) {
      if (!isDue(output, this.#rotate, moment)) continue;
      // A path without time goes on being used, and its output knows which name is free.
      if (output.sliceEndMs === Infinity) this.#writer.closeActive(output);
      else this.#closeOutput(output);
    }
    if (nowMs - this.#prunedAtMs >= PRUNE_TICK_MS) {
      this.#prunedAtMs = nowMs;
      this.#finisher.pruneAll();
      if (this.#tags?.isFull) this.#recountTags(this.#tags);
    }
  }
}

export const filesSink = defineSink({
  name: 'files',
  summary: 'Writes each event as one line to a file named by its tag, or by any of its fields, and its time.',
  options: filesOptions,
  examples: [
    `type: files
base_dir: /var/log/audit-by-namespace
path: '{{ tag }}.%Y%m%d%H.log'
rotate: { max_bytes: 100MiB, keep: 48 }
compress: on_rotate`,
  ],
  validate: ({ path, max_tags }) => {
    const parsed = parsePathTemplate(path, 'anything');
    const hasValue = 'faults' in parsed || parsed.template.parts.some(({ kind }) => kind === 'value');
    if (max_tags === undefined || hasValue) return [];
    const message = '`max_tags` limits nothing: the path holds no value';
    return [{ code: 'CONFIG_VALUE', message, hint: 'take it away', path: ['max_tags'], offset: 0 }];
  },
  commitInterval: ({ compress }) => (compress === 'stream' ? STREAM_COMMIT_INTERVAL : undefined),
  create: (options, context) => new FilesSink(options, context),
});
