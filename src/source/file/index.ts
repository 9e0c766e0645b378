// The file source: follows the live files that a configuration names or matches, each with its backups, through any
// rotation. Here the paths are found and served in turn; one path is the business of `follower.ts`, and where it goes
// on after a start is decided by `resume.ts`.
//
// The files are the queue: while nobody asks for more, nothing is read; but what rotates away is held open meanwhile.
import type { LineFormat } from '../../codec/decoder.js';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Chunk } from '../../event/batch.js';
import { defineSource } from '../../pipeline/component.js';
import type { Source, SourceContext } from '../../pipeline/component.js';
import type { PathPosition, SourcePosition } from '../../position/position.js';
import { WakeUp } from '../wake-up.js';
import { DirectoryWatch } from './directory-watch.js';
import { PathPatterns } from './discover.js';
import { Follower } from './follower.js';
import { Retention } from './retention.js';
import { fileOptions, settingsOf, validateFileOptions } from './options.js';
import type { FileSourceSettings } from './options.js';

const REFRESH_MS = 1_000;

/** The `file` source of a pipeline file. */
export const fileSource = defineSource({
  name: 'file',
  summary:
    'Follows audit log files and their rotated backups, plain or gzip-compressed, and loses none of their lines.',
  options: fileOptions,
  examples: [
    'type: file\npaths: [/var/log/kube-audit/audit.log]\n',
    "type: file\npaths: ['/var/log/clusters/*/audit.log']\nread_from: end\nmax_line_bytes: 16MiB\n",
    'type: file\npaths: [/var/log/kube-audit/audit.log]\nretain_unread: { max_bytes: 20GiB, retain_dir: /var/log/kube-audit-retained }\n',
  ],
  validate: validateFileOptions,
  create: (options, context) => new FileSource(settingsOf(options, context), context),
});

/** See `Source`. */
export class FileSource implements Source {
  readonly lineFormat?: LineFormat;
  readonly #settings: FileSourceSettings;
  readonly #context: SourceContext;
  readonly #patterns: PathPatterns;
  readonly #watch: DirectoryWatch;
  readonly #retention: Retention;
  readonly #followers = new Map<string, Follower>();
  /** Positions of paths that are not followed in this run: kept, since the path may come back. */
  #dormant = new Map<string, PathPosition>();
  #isOnce = false;
  /** As far as places were found: it is certain that nothing is missing behind the stored ones. */
  #isComplete = true;
  /** While opening: places must be found before anything else is done. */
  #mustTell = false;
  #isClosed = false;
  /** Whose turn it is, among the followers in order. */
  #turn = 0;
  #refreshTimer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #hasHint = false;
  readonly #hint = new WakeUp();

  constructor(settings: FileSourceSettings, context: SourceContext) {
    this.#settings = settings;
    if (settings.lineFormat) this.lineFormat = settings.lineFormat;
    this.#context = context;
    this.#patterns = new PathPatterns(settings.paths);
    this.#retention = new Retention(settings.retention, context);
    this.#watch = new DirectoryWatch({
      fs: context.fs,
      log: context.log,
      onHint: (path) => {
        this.#hasHint = true;
        this.#hint.wake();
        // While the sinks have no room nobody calls `next`, and what rotates away is to be held all the same.
        void this.#followers.get(path)?.look();
      },
    });
  }

  async open(position: SourcePosition | undefined, once: boolean, mustTell = false): Promise<boolean> {
    this.#isOnce = once;
    this.#mustTell = mustTell;
    this.#isComplete = true;
    const stored = position?.paths ?? [];
    this.#dormant = new Map(stored.map((path) => [path.path, path]));
    // After a reset, what the operator said goes before the configuration.
    const firstFrom = position?.readFrom ?? this.#settings.readFrom;
    const isFirst = position === undefined || position.readFrom !== undefined;
    for (const path of this.#patterns.literal) await this.#follow(path, firstFrom);
    // A live file can be missing for a moment, or its directory for longer, and its backups are still to be read.
    for (const { path } of stored) if (this.#patterns.matches(path)) await this.#follow(path, 'beginning');
    // A file that came while Headgate was stopped is new, also with `read_from: end`.
    for (const path of await this.#patterns.expand())
      await this.#follow(path, isFirst ? firstFrom : 'beginning');
    this.#countMissing();
    if (!once) await this.#watch.refresh();
    this.#refreshTimer = setInterval(() => {
      this.#refresh();
    }, REFRESH_MS);
    this.#mustTell = false;
    return this.#isComplete;
  }

  async next(): Promise<Chunk | undefined> {
    this.#hasHint = false;
    const followers = [...this.#followers.values()];
    for (let i = 0; i < followers.length && !this.#isClosed; i++) {
      this.#turn = (this.#turn + 1) % followers.length;
      const chunk = await followers[this.#turn]?.next();
      if (chunk) return chunk;
    }
    return undefined;
  }

  position(): SourcePosition {
    const followed = [...this.#followers.values()].flatMap((follower) => follower.position() ?? []);
    return { paths: [...followed, ...this.#dormant.values()] };
  }

  committed(position: SourcePosition): void {
    for (const path of position.paths) this.#followers.get(path.path)?.kept.committed(path);
  }

  wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#hasHint || this.#isClosed) return Promise.resolve();
    return this.#hint.wait(Math.min(timeoutMs, this.#settings.pollIntervalMs), signal);
  }

  isFinished(): boolean {
    return this.#isOnce && [...this.#followers.values()].every((follower) => follower.isFinished());
  }

  remainingBytes(): number {
    return [...this.#followers.values()].reduce((sum, follower) => sum + follower.remainingBytes(), 0);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearInterval(this.#refreshTimer);
    this.#hint.wake();
    await this.#refreshing;
    await this.#watch.close();
    await this.#retention.close();
    for (const follower of this.#followers.values()) await follower.close();
  }

  async #follow(path: string, readFrom: 'beginning' | 'end'): Promise<void> {
    if (this.#followers.has(path) || this.#isClosed) return;
    const { maxLineBytes, pollIntervalMs, retention } = this.#settings;
    const { directory: retainDirectory, isKeeping } = retention;
    const stored = this.#dormant.get(path);
    const follower = new Follower(
      { path, maxLineBytes, pollIntervalMs, readFrom, isOnce: this.#isOnce, retainDirectory, isKeeping },
      stored,
      this.#context,
    );
    let isComplete = await follower.open();
    while (this.#mustTell && stored && !follower.hasBegun) {
      await sleep(REFRESH_MS, undefined, { signal: this.#context.signal });
      isComplete = await follower.open();
    }
    if (!isComplete) this.#isComplete = false;
    this.#dormant.delete(path);
    this.#followers.set(path, follower);
    this.#watch.add(path);
  }

  /** New paths, replaced directories, and rotated files to be held: for the time in which nobody asks for more. */
  #refresh(): void {
    if (this.#isClosed) return;
    this.#refreshing ??= this.#refreshNow().finally(() => {
      this.#refreshing = undefined;
    });
  }

  async #refreshNow(): Promise<void> {
    const followers = [...this.#followers.values()];
    if (!this.#isOnce) for (const follower of followers) await follower.look();
    this.#countMissing();
    await this.#retention.check(followers);
    if (this.#isOnce) return;
    for (const path of await this.#patterns.expand()) await this.#follow(path, 'beginning');
    await this.#watch.refresh();
  }

  #countMissing(): void {
    const missing = [...this.#followers.values()].filter((follower) => follower.isMissing);
    this.#context.metrics.pathsMissing = missing.length;
  }
}
