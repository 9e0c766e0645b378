// Runs the built command line as a user would: its own process, without what tap injects into child processes.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

export const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

export interface LogLine {
  level: string;
  code?: string;
  msg: string;
  [key: string]: unknown;
}

export interface Running {
  child: ChildProcess;
  /** Everything on stderr so far. */
  stderr: () => string;
  stdout: () => string;
  /** The JSON lines on stderr so far. */
  logs: () => LogLine[];
  /** Resolves to the exit code, or to the name of the signal that ended it. */
  exit: Promise<number | string>;
}

export interface StartOptions {
  /** Arguments for node before the script. */
  nodeArgs?: string[];
  env?: NodeJS.ProcessEnv;
  /** Gives it a standard input to write to; else there is none. */
  withStdin?: boolean;
  /** A command with its arguments that runs node in its place: `setpriv …`. */
  under?: readonly string[];
  /** Another user, where this one may become it. */
  user?: User | undefined;
}

export interface User {
  uid: number;
  gid: number;
}

/** The environment without tap's and coverage's hooks. */
export function plainEnv(extra: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const env = { ...process.env, ...extra };
  for (const name of Object.keys(env)) {
    if (name === 'NODE_OPTIONS' || name === 'NODE_V8_COVERAGE' || name.startsWith('TAP')) delete env[name];
  }
  return env;
}

export function startHeadgate(
  args: readonly string[],
  { nodeArgs = [], env = {}, under = [], user, withStdin = false }: StartOptions = {},
): Running {
  // tap puts its NODE_OPTIONS into the environment of everything that is spawned.
  const command = ['-u', 'NODE_OPTIONS', ...under, process.execPath, ...nodeArgs, CLI, ...args];
  const child = spawn('env', command, {
    stdio: [withStdin ? 'pipe' : 'ignore', 'pipe', 'pipe'],
    env: plainEnv(env),
    ...user,
  });
  let stderr = '';
  let stdout = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  child.stdout?.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  const exit = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | string);
  const logs = (): LogLine[] =>
    stderr
      .split('\n')
      .filter((line) => line.startsWith('{') && line.endsWith('}'))
      .map((line) => JSON.parse(line) as LogLine);
  return { child, stderr: () => stderr, stdout: () => stdout, logs, exit };
}

export interface Finished {
  exitCode: number | string;
  stdout: string;
  stderr: string;
  logs: LogLine[];
  /** The counters of RUN_SUMMARY by pipeline; empty where there was none. */
  counters: Record<string, Record<string, number>>;
}

/** Runs to the end. */
export async function headgate(args: readonly string[], options: StartOptions = {}): Promise<Finished> {
  return finished(startHeadgate(args, options));
}

/** Waits for the end of a run. */
export async function finished(running: Running): Promise<Finished> {
  const exitCode = await running.exit;
  const logs = running.logs();
  const summary = logs.find(({ code }) => code === 'RUN_SUMMARY');
  return {
    exitCode,
    stdout: running.stdout(),
    stderr: running.stderr(),
    logs,
    counters: (summary?.['pipelines'] ?? {}) as Finished['counters'],
  };
}

/** The errors and warnings among the logs, for a test's message. */
export function complaints({ logs, stderr }: Finished): string {
  const bad = logs.filter(({ level }) => level !== 'info').map((line) => JSON.stringify(line));
  return logs.length === 0 ? stderr.slice(-1000) : bad.join('\n').slice(-2000);
}

/** What every run's counters must fulfil; the text says what does not. */
export function reconcile(counters: Record<string, number>): string | undefined {
  const n = (name: string): number => counters[`headgate_${name}`] ?? NaN;
  const lines = n('lines_read_total');
  const parts =
    n('events_read_total') +
    n('lines_joined_total') +
    n('lines_blank_total') +
    n('lines_not_audit_total') +
    n('lines_quarantined_total');
  if (lines !== parts)
    return `${lines} lines read, but events, joined, blank, not audit and quarantined are ${parts}`;
  const events = n('events_read_total');
  const fates =
    n('events_delivered_total') +
    n('events_dropped_total') +
    n('events_quarantined_total') +
    n('events_in_flight');
  if (events !== fates)
    return `${events} events, but delivered, dropped, quarantined and in flight are ${fates}`;
  return undefined;
}
