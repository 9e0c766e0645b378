// What components are given in tests: a silent log, fresh counters, the real file system.
import { FieldRegistry } from '../../src/event/fields.js';
import { nodeFileSystem } from '../../src/file-system.js';
import type { FileSystem } from '../../src/file-system.js';
import { silentLogger } from '../../src/log.js';
import type { Logger } from '../../src/log.js';
import { createMetrics } from '../../src/metrics.js';
import type { Rejection, SinkContext } from '../../src/pipeline/component.js';
import { PositionStore } from '../../src/position/store.js';

export interface ContextOptions {
  /** The state directory. */
  directory: string;
  fs?: FileSystem;
  log?: Logger;
  now?: () => number;
  signal?: AbortSignal;
}

export type TestContext = SinkContext & { store: PositionStore; rejections: Rejection[] };

export async function sinkContext(options: ContextOptions): Promise<TestContext> {
  const common = {
    pipeline: 'p',
    fs: options.fs ?? nodeFileSystem,
    log: options.log ?? silentLogger(),
    metrics: createMetrics(),
    clock: { now: options.now ?? (() => Date.now()) },
    signal: options.signal ?? new AbortController().signal,
    drain: new AbortController().signal,
  };
  const store = await PositionStore.open({ ...common, directory: options.directory });
  const rejections: Rejection[] = [];
  const reject = async (rejected: readonly Rejection[]): Promise<void> => {
    rejections.push(...rejected);
  };
  return {
    ...common,
    component: 'sinks.out',
    name: 'out',
    fields: new FieldRegistry(),
    store,
    rejections,
    reject,
  };
}
