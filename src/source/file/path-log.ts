// What is told of a followed path, and how often: a fault that lasts once in a while, not with each attempt. It decides
// nothing.
import type { ComponentContext } from '../../pipeline/component.js';
import type { FileList } from './file-list.js';
import { RareLog } from './rare-log.js';

/** So long nothing may be at the path: for a moment of each rotation that is normal. */
export const MISSING_ALARM_MS = 10_000;

export class PathLog {
  readonly #path: string;
  readonly #context: Pick<ComponentContext, 'log' | 'component'>;
  readonly #rare: RareLog;
  #hasToldMissing = false;
  #sizeWhileMissing = 0;

  constructor(path: string, context: Pick<ComponentContext, 'log' | 'component'>) {
    this.#path = path;
    this.#context = context;
    this.#rare = new RareLog(context.log);
  }

  /** It was told, and nothing has changed since, that there is nothing to begin with. */
  get hasToldMissing(): boolean {
    return this.#hasToldMissing;
  }

  /** An operation of the file system failed, and is tried again. */
  fault(code: string, error: unknown): void {
    const message = error instanceof Error ? error.message : code;
    this.#rare.error(
      code,
      { ...this.#data('SOURCE_READ'), err: error },
      `${this.#path} can't be read for now, trying again: ${message}`,
    );
  }

  mount(): void {
    const what =
      'is mounted as a single file: the file after a rotation is not seen here; mount its directory';
    this.#context.log.warn(this.#data('SOURCE_MOUNT'), `${this.#path} ${what}`);
  }

  /** What was read before is not there. */
  waiting(): void {
    const message = `neither ${this.#path} nor any backup of it exists, although it was read before; waiting for them`;
    this.#warnOnce(message);
  }

  /** A place to read at was found. */
  begun(): void {
    this.#hasToldMissing = false;
  }

  /** Nothing at the path is normal for a moment of each rotation; a file that grows without a name is not. */
  seen({ live, missingSinceMs }: FileList): void {
    const data = this.#data('SOURCE_PATH_MISSING');
    const hasGrown = live !== undefined && live.size > this.#sizeWhileMissing;
    this.#sizeWhileMissing = live?.size ?? 0;
    if (live?.nlink === 0 && missingSinceMs === undefined) {
      const what =
        'leads to a file that was deleted on the other side of its mount: mount the directory instead';
      this.#rare.error('deleted', data, `${this.#path} ${what}`);
    }
    if (missingSinceMs === undefined) {
      this.#hasToldMissing = false;
    } else if (!live) {
      this.#warnOnce(`${this.#path} does not exist, waiting for it`);
    } else if (hasGrown && performance.now() - missingSinceMs > MISSING_ALARM_MS) {
      this.#rare.error(
        'missing',
        data,
        `${this.#path} is gone, but the file that it was is still written to`,
      );
    }
  }

  #warnOnce(message: string): void {
    if (!this.#hasToldMissing) this.#context.log.warn(this.#data('SOURCE_PATH_MISSING'), message);
    this.#hasToldMissing = true;
  }

  #data(code: string): { code: string; component: string; path: string } {
    return { code, component: this.#context.component, path: this.#path };
  }
}
