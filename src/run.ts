// `headgate run`: everything between the command line and the pipelines. Validates first, takes the lock, runs each
// pipeline on its own, turns signals into draining, and ends with one summary of all counters.
import { setMaxListeners } from 'node:events';
import picomatch from 'picomatch';
import { components } from './components.js';
import { formatDiagnostic } from './config/diagnostic.js';
import { loadPipelines } from './config/load.js';
import type { PipelineConfig } from './config/pipeline-config.js';
import { HeadgateError, UsageError } from './errors.js';
import { nodeFileSystem } from './file-system.js';
import { createLogger } from './log.js';
import type { Logger } from './log.js';
import { namedMetrics } from './metrics.js';
import { Pipeline } from './pipeline/pipeline.js';
import { lockState, makeStateDirectory, stateDirectory } from './position/state-directory.js';
import { positionPath, readRecord, storedPipelines } from './position/store.js';
import { showProgress } from './progress.js';
import { isSpoolPath } from './source/webhook/segments.js';

/** A drain that takes longer than this ends with exit code 1: what is not delivered is read again at the next start. */
const DRAIN_LIMIT_MS = 10_000;

export interface RunOptions {
  paths: readonly string[];
  once: boolean;
  stateDir: string | undefined;
  deadlineMs: number;
  env: NodeJS.ProcessEnv;
  /** Send what is in the quarantine through the pipelines again, instead of following logs. Only with `once`. */
  isReplay?: boolean;
}

/** Runs until a signal, or with `once` until all is delivered; resolves to the exit code. */
export async function runCommand(options: RunOptions): Promise<number> {
  const { pipelines: configs, diagnostics } = await loadPipelines(options.paths, options.env, components);
  if (diagnostics.length > 0) {
    for (const diagnostic of diagnostics) process.stderr.write(formatDiagnostic(diagnostic));
    return 2;
  }
  const log = createLogger();
  const directory = stateDirectory(options.stateDir, options.env);
  makeStateDirectory(directory);
  const lock = await lockState(directory);
  try {
    await refuseRenamedPipelines(configs, directory);
    // A pipeline that never ran has nothing in its quarantine, and is to begin where its source says.
    const stored = options.isReplay ? await storedPipelines(nodeFileSystem, directory) : [];
    const chosen = options.isReplay ? configs.filter(({ name }) => stored.includes(name)) : configs;
    const { exitCode, isStuck } = await runPipelines(chosen, options, directory, log);
    if (isStuck) {
      await lock.release();
      process.exit(exitCode); // What hangs would keep the process.
    }
    return exitCode;
  } finally {
    await lock.release();
  }
}

async function runPipelines(
  configs: readonly PipelineConfig[],
  { once, deadlineMs, isReplay = false }: RunOptions,
  directory: string,
  log: Logger,
): Promise<{ exitCode: number; isStuck: boolean }> {
  const clock = { now: () => Date.now() };
  const pipelines = configs.map(
    (config) =>
      new Pipeline(config, {
        stateDirectory: directory,
        fs: nodeFileSystem,
        log,
        clock,
        once,
        deadlineMs,
        isReplay,
      }),
  );
  const drain = new AbortController();
  const kill = new AbortController();
  setMaxListeners(0, drain.signal, kill.signal); // Each pipeline listens.
  const removeHandlers = handleSignals(drain, kill, log);
  const hideProgress = once ? showProgress(pipelines, process.stderr) : () => undefined;
  const startedMs = performance.now();
  log.info(
    {
      version: process.env['npm_package_version'],
      stateDirectory: directory,
      pipelines: configs.map(({ name }) => name),
    },
    'started',
  );

  const exitCodes = await Promise.all(
    pipelines.map(async (pipeline) => {
      try {
        await pipeline.run(drain.signal, kill.signal);
        return 0;
      } catch (error) {
        const code = error instanceof HeadgateError ? error.code : 'PIPELINE_HALTED';
        const detail = error instanceof HeadgateError ? {} : { err: error };
        log.error(
          { code, pipeline: pipeline.name, ...detail },
          `halted: ${error instanceof Error ? error.message : String(error)}`,
        );
        return error instanceof UsageError ? 2 : 1;
      }
    }),
  );

  hideProgress();
  removeHandlers();
  const exitCode = Math.max(0, ...exitCodes);
  const counters = Object.fromEntries(pipelines.map(({ name, metrics }) => [name, namedMetrics(metrics)]));
  const seconds = Number(((performance.now() - startedMs) / 1000).toFixed(3));
  log.info({ code: 'RUN_SUMMARY', exitCode, seconds, pipelines: counters }, 'RUN_SUMMARY');
  return { exitCode, isStuck: pipelines.some((pipeline) => pipeline.isStuck) };
}

/** The first signal drains, a second one ends at once. */
function handleSignals(drain: AbortController, kill: AbortController, log: Logger): () => void {
  let limit: NodeJS.Timeout | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (drain.signal.aborted) {
      kill.abort(new HeadgateError('DRAIN_TIMEOUT', `stopped at once by a second ${signal}`));
      return;
    }
    log.info({ signal }, 'draining');
    drain.abort();
    limit = setTimeout(() => {
      kill.abort(
        new HeadgateError(
          'DRAIN_TIMEOUT',
          `could not drain within ${DRAIN_LIMIT_MS / 1000} seconds; nothing is lost, it is read again at the next start`,
        ),
      );
    }, DRAIN_LIMIT_MS);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  return () => {
    clearTimeout(limit);
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
  };
}

/**
 * A pipeline that has no position, over a path that has one under a name that is not configured any more, is most likely
 * a renamed one: reading everything again would double it all, so that needs a word first.
 */
async function refuseRenamedPipelines(configs: readonly PipelineConfig[], directory: string): Promise<void> {
  const stored = await storedPipelines(nodeFileSystem, directory);
  const configured = new Set(configs.map(({ name }) => name));
  const strangers = stored.filter((name) => !configured.has(name));
  if (strangers.length === 0) return;
  const added = configs.filter(({ name }) => !stored.includes(name));
  if (added.length === 0) return;
  for (const stranger of strangers) {
    const found = await readRecord(nodeFileSystem, positionPath(directory, stranger));
    const paths = found?.record.source.paths.map(({ path }) => path) ?? [];
    for (const { name, source, file } of added) {
      const globs = source.options['paths'];
      if (!Array.isArray(globs) && source.type !== 'webhook') continue;
      const isFollowed = Array.isArray(globs) ? picomatch(globs as string[], { dot: true }) : isSpoolPath;
      const path = paths.find((each) => isFollowed(each));
      if (path === undefined) continue;
      throw new UsageError(
        'POSITION_OTHER_NAME',
        `pipeline ${name} (${file}) has no position, but ${path} has one under the name ${stranger}: \`headgate positions rename ${stranger} ${name}\` goes on from there, \`headgate positions reset ${name} --to beginning\` (or end) starts anew`,
        { path },
      );
    }
  }
}
