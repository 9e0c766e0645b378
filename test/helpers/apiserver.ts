// Builds and runs `test/apiserver`, a Go program that writes audit events with kube-apiserver's own log backend and
// webhook client. Go, or the way to its modules, may be missing on a machine: then there is a reason to skip.
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { linesOf } from './outputs.js';
import { temporaryDirectory } from './temporary.js';

const DIRECTORY = fileURLToPath(new URL('../apiserver', import.meta.url));
const DOWNLOAD_DEADLINE_MS = 120_000;
const BUILD_DEADLINE_MS = 600_000;

interface Teardown {
  teardown(run: () => unknown): unknown;
}

/** The program's path, or in one line why it cannot be had here. A program that does not compile throws. */
export async function buildApiserver(t: Teardown): Promise<{ command: string } | { missing: string }> {
  const go = async (args: string[], timeout: number): Promise<void> => {
    const env = { ...process.env, CGO_ENABLED: '0', GOTOOLCHAIN: 'local' };
    const options = { cwd: DIRECTORY, env, timeout, killSignal: 'SIGKILL', maxBuffer: 1 << 26 } as const;
    await promisify(execFile)('go', args, options);
  };
  try {
    // Downloads what is missing, and compiles nothing.
    await go(['list', '-mod=readonly', '-deps', '.'], DOWNLOAD_DEADLINE_MS);
  } catch (error) {
    const { code, killed, stderr = '' } = error as { code?: unknown; killed?: boolean; stderr?: string };
    if (code === 'ENOENT')
      return { missing: "go is not installed: kube-apiserver's own writer cannot be built" };
    const why =
      killed === true ? `not within ${DOWNLOAD_DEADLINE_MS / 1000} s` : stderr.trim().split('\n').at(-1);
    return { missing: `go cannot get the modules of kube-apiserver's own writer: ${why}` };
  }
  const command = join(temporaryDirectory(t), 'apiserver');
  await go(['build', '-mod=readonly', '-o', command, '.'], BUILD_DEADLINE_MS);
  return { command };
}

export interface Summary {
  /** How many events were offered to the backends. */
  events: number;
  /** The apiserver's own: a number, or numbers by label; absent where nothing was ever counted. */
  counters: {
    apiserver_audit_event_total: number;
    apiserver_audit_requests_rejected_total: number;
    apiserver_audit_error_total?: Record<string, number>;
  };
}

export interface Writing {
  /** Resolves when it has ended by itself, everything flushed; rejects where it failed. */
  finished: Promise<Summary>;
  /** Ends it where it was started with `--until-eof`. */
  stop: () => Promise<Summary>;
}

/** Starts the program; it ends with the test at the latest. */
export function startApiserver(t: Teardown, command: string, args: readonly string[]): Writing {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  // Of a failing webhook it repeats every event: the end is enough.
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-4000)));
  const finished = once(child, 'close').then(([code]) => {
    if (code !== 0) throw new Error(`the apiserver's writer ended with ${code}: ${stderr}`);
    return JSON.parse(stdout) as Summary;
  });
  // A test that fails earlier has its own error.
  finished.catch(() => undefined);
  t.teardown(async () => {
    child.kill('SIGKILL');
    await finished.catch(() => undefined);
  });
  const stop = (): Promise<Summary> => {
    child.stdin.end();
    return finished;
  };
  return { finished, stop };
}

/** The content of a kubeconfig file for `--audit-webhook-config-file`: the webhook at this address, no credentials. */
export function kubeconfig(url: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'webhook', cluster: { server: url } }],
    contexts: [{ name: 'webhook', context: { cluster: 'webhook' } }],
    'current-context': 'webhook',
  });
}

export interface WitnessedLine {
  namespace: string;
  line: string;
}

/** The lines that a `--witness` holds, with each event's namespace or `none`, told by `JSON.parse`. */
export function witnessed(path: string): WitnessedLine[] {
  return linesOf(readFileSync(path)).map((line) => {
    const event = JSON.parse(Buffer.from(line, 'latin1').toString('utf8')) as {
      objectRef?: { namespace?: string };
    };
    return { namespace: event.objectRef?.namespace ?? 'none', line };
  });
}
