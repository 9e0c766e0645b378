// The file source: follows the live files that a configuration names or matches, each with its backups, through any
// rotation. Here the paths are found and served in turn; one path is the business of `follower.ts`, and where it goes
// on after a start is decided by `resume.ts`.
//
// The files are the queue: while nobody asks for more, nothing is read; but what rotates away is held open meanwhile.
import type { Chunk } from '../../event/batch.js';
import type { Fault } from '../../event/fault.js';
import type { LineFormat } from '../../codec/decoder.js';
import { bytes, count, duration, glob, listOf, oneOf, optional, Type } from '../../config/schema.js';
import { bytesOf, millisecondsOf } from '../../config/units.js';
import { defineSource } from '../../pipeline/component.js';
import type { ComponentContext, Source } from '../../pipeline/component.js';
import type { PathPosition, SourcePosition } from '../../position/position.js';
import { DirectoryWatch } from './directory-watch.js';
import { PathPatterns } from './discover.js';
import { Follower } from './follower.js';

const REFRESH_MS = 1_000;
const DEFAULT_MAX_LINE_BYTES = '64MiB';
const DEFAULT_POLL_INTERVAL = '50ms';
const DEFAULT_MAX_OPEN = 10_000;
const DEFAULT_MAX_OPEN_BYTES = '16MiB';
const DEFAULT_MAX_OPEN_AGE = '5m';
// Places in a batch are 32-bit integers.
const LIMIT_MAX_LINE_BYTES = 2 ** 30;

/** The options as numbers. */
export interface FileSourceSettings {
  paths: readonly string[];
  readFrom: 'beginning' | 'end';
  maxLineBytes: number;
  pollIntervalMs: number;
  lineFormat?: LineFormat;
}

/** The `file` source of a pipeline file. */
export const fileSource = defineSource({
  name: 'file',
  summary:
    'Follows audit log files and their rotated backups, plain or gzip-compressed, and loses none of their lines.',
  options: Type.Object(
    {
      paths: listOf(
        glob({
          description:
            'An absolute path of a live file, or a glob over such paths. Backups belong to their live file and need no glob.',
        }),
        {
          description:
            'The live files to follow, each on its own. A path need not exist yet; new files that a glob matches are found while running.',
          minItems: 1,
          examples: [['/var/log/kube-audit/audit.log']],
        },
      ),
      format: optional(
        oneOf(['auto', 'json', 'legacy'], {
          description:
            'What a line holds: `json` is one event, or one EventList, as JSON; `legacy` is the log that the API server wrote before 1.8, and still writes with `--audit-log-format=legacy`; `auto` tells it for each line.',
          default: 'auto',
        }),
      ),
      legacy: optional(
        Type.Object(
          {
            max_open: optional(
              count({
                description: 'How many requests of one path may wait for their response.',
                default: DEFAULT_MAX_OPEN,
                minimum: 0,
                maximum: 1_000_000,
              }),
            ),
            max_open_bytes: optional(
              bytes({
                description: 'How long their lines may be together.',
                default: DEFAULT_MAX_OPEN_BYTES,
              }),
            ),
            max_open_age: optional(
              duration({
                description:
                  'How long a request waits: by the times in the log, and where no line follows by the clock.',
                default: DEFAULT_MAX_OPEN_AGE,
              }),
            ),
          },
          {
            additionalProperties: false,
            description:
              'In the two-line legacy formats a request is an event when its response comes. These bound the requests that wait; beyond them the oldest becomes an event with the annotation `headgate.io/legacy: request-only`.',
          },
        ),
      ),
      read_from: optional(
        oneOf(['beginning', 'end'], {
          description:
            'Where to begin when no position is stored. With `end` everything that exists at the first start is left out, backups too. A file that a glob finds later is always read from its beginning.',
          default: 'beginning',
        }),
      ),
      max_line_bytes: optional(
        bytes({
          description:
            'How long a line may be. A longer one is quarantined with its first 64 KiB, and reading goes on behind it. At most 1GiB.',
          default: DEFAULT_MAX_LINE_BYTES,
        }),
      ),
      poll_interval: optional(
        duration({
          description:
            'How often a file is looked at where the file system does not signal a change. Each look is one `stat`.',
          default: DEFAULT_POLL_INTERVAL,
        }),
      ),
    },
    { additionalProperties: false },
  ),
  examples: [
    'type: file\npaths: [/var/log/kube-audit/audit.log]\n',
    "type: file\npaths: ['/var/log/clusters/*/audit.log']\nread_from: end\nmax_line_bytes: 16MiB\n",
  ],
  validate(options) {
    const faults: Fault[] = [];
    const maxLineBytes = bytesOf(options.max_line_bytes ?? DEFAULT_MAX_LINE_BYTES);
    if (maxLineBytes < 1 || maxLineBytes > LIMIT_MAX_LINE_BYTES)
      faults.push({
        code: 'CONFIG_VALUE',
        message: 'max_line_bytes must be between 1B and 1GiB',
        path: ['max_line_bytes'],
      });
    if (millisecondsOf(options.poll_interval ?? DEFAULT_POLL_INTERVAL) < 1)
      faults.push({
        code: 'CONFIG_VALUE',
        message: 'poll_interval must be at least 1ms',
        path: ['poll_interval'],
      });
    return faults;
  },
  create: (options, context) =>
    new FileSource(
      {
        paths: options.paths,
        readFrom: options.read_from ?? 'beginning',
        maxLineBytes: bytesOf(options.max_line_bytes ?? DEFAULT_MAX_LINE_BYTES),
        pollIntervalMs: millisecondsOf(options.poll_interval ?? DEFAULT_POLL_INTERVAL),
        lineFormat: {
          format: options.format ?? 'auto',
          openLimits: {
            maxEntries: options.legacy?.max_open ?? DEFAULT_MAX_OPEN,
            maxBytes: bytesOf(options.legacy?.max_open_bytes ?? DEFAULT_MAX_OPEN_BYTES),
            maxAgeMs: millisecondsOf(options.legacy?.max_open_age ?? DEFAULT_MAX_OPEN_AGE),
          },
        },
      },
      context,
    ),
});

/** See `Source`. */
export class FileSource implements Source {
  readonly lineFormat?: LineFormat;
  readonly #settings: FileSourceSettings;
  readonly #context: ComponentContext;
  readonly #patterns: PathPatterns;
  readonly #watch: DirectoryWatch;
  readonly #followers = new Map<string, Follower>();
  /** Positions of paths that are not followed in this run: kept, since the path may come back. */
  #dormant = new Map<string, PathPosition>();
  #isOnce = false;
  #isClosed = false;
  /** Whose turn it is, among the followers in order. */
  #turn = 0;
  #refreshTimer: NodeJS.Timeout | undefined;
  #refreshing: Promise<void> | undefined;
  #hasHint = false;
  #wake: () => void = () => undefined;

  constructor(settings: FileSourceSettings, context: ComponentContext) {
    this.#settings = settings;
    if (settings.lineFormat) this.lineFormat = settings.lineFormat;
    this.#context = context;
    this.#patterns = new PathPatterns(settings.paths);
    this.#watch = new DirectoryWatch({
      fs: context.fs,
      log: context.log,
      onHint: (path) => {
        this.#hasHint = true;
        this.#wake();
        // While the sinks have no room nobody calls `next`, and what rotates away is to be held all the same.
        void this.#followers.get(path)?.look();
      },
    });
  }

  async open(position: SourcePosition | undefined, once: boolean): Promise<void> {
    this.#isOnce = once;
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
    if (once) return;
    await this.#watch.refresh();
    this.#refreshTimer = setInterval(() => {
      this.#refresh();
    }, REFRESH_MS);
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

  wait(timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#hasHint || this.#isClosed || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', done);
        this.#wake = () => undefined;
        resolve();
      };
      const timer = setTimeout(done, Math.min(timeoutMs, this.#settings.pollIntervalMs));
      signal.addEventListener('abort', done);
      this.#wake = done;
    });
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
    this.#wake();
    await this.#refreshing;
    await this.#watch.close();
    for (const follower of this.#followers.values()) await follower.close();
  }

  async #follow(path: string, readFrom: 'beginning' | 'end'): Promise<void> {
    if (this.#followers.has(path) || this.#isClosed) return;
    const { maxLineBytes, pollIntervalMs } = this.#settings;
    const follower = new Follower(
      { path, maxLineBytes, pollIntervalMs, readFrom, isOnce: this.#isOnce },
      this.#dormant.get(path),
      this.#context,
    );
    await follower.open();
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
    for (const follower of this.#followers.values()) await follower.look();
    for (const path of await this.#patterns.expand()) await this.#follow(path, 'beginning');
    await this.#watch.refresh();
  }
}
