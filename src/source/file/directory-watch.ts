// Wakes the source when something happens at a followed path, sooner than the next poll would. A hint and no more:
// chokidar leaves out events of a file that come within 5 ms of another, without a last one at the end, and a watch on
// a directory dies with it. Nothing depends on a hint, and polling finds everything.
import { dirname } from 'node:path';
import { watch } from 'chokidar';
import type { FSWatcher } from 'chokidar';
import type { FileSystem } from '../../file-system.js';
import type { Logger } from '../../log.js';
import { statIfExists } from './discover.js';

/** Where hints go, and what they are got with. */
export interface DirectoryWatchOptions {
  fs: FileSystem;
  log: Logger;
  /** Gets what changed: a followed path, or a directory. A rename and a new file at once look like any change. */
  onHint: (path: string) => void;
}

interface Watched {
  watcher: FSWatcher;
  identity: string;
}

/** Watches the directories of all followed paths. */
export class DirectoryWatch {
  readonly #options: DirectoryWatchOptions;
  readonly #paths = new Set<string>();
  readonly #watched = new Map<string, Watched>();
  #isBroken = false;
  #isClosed = false;

  constructor(options: DirectoryWatchOptions) {
    this.#options = options;
  }

  /** Watches for this path from the next `refresh` on. */
  add(path: string): void {
    this.#paths.add(path);
  }

  /** Watches directories that came into being or were replaced since, instead of what was there before. */
  async refresh(): Promise<void> {
    for (const directory of new Set([...this.#paths].map((path) => dirname(path)))) {
      const stat = await statIfExists(this.#options.fs, directory).catch(() => undefined);
      const identity = stat && `${String(stat.dev)}:${String(stat.ino)}`;
      const watched = this.#watched.get(directory);
      if (watched?.identity === identity) continue;
      this.#watched.delete(directory);
      await watched?.watcher.close();
      if (identity !== undefined && !this.#isClosed && !this.#isBroken)
        this.#watched.set(directory, { watcher: this.#watch(directory), identity });
    }
  }

  /** May be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true;
    const watched = [...this.#watched.values()];
    this.#watched.clear();
    for (const { watcher } of watched) await watcher.close();
  }

  #watch(directory: string): FSWatcher {
    // Without `ignored` each backup costs a watch of its own.
    const watcher = watch(directory, {
      depth: 0,
      ignoreInitial: true,
      ignored: (path) => path !== directory && !this.#paths.has(path),
    });
    watcher.on('all', (_event, path) => {
      this.#options.onHint(path);
    });
    watcher.on('error', (error) => {
      if (this.#isBroken) return;
      this.#isBroken = true;
      this.#options.log.warn(
        { err: error, path: directory },
        'file changes are not signalled, polling instead',
      );
    });
    return watcher;
  }
}
