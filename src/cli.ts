#!/usr/bin/env -S node --single-threaded-gc
// The heap is some ten megabytes: collecting it on one thread takes 7 % less CPU and 10 MB less memory than on four.
//
// The command line: which command, which options, which exit code. Commands load what they need when they run, so
// that `--help` does not wait for a stream library.
import { readFileSync } from 'node:fs';
import { duration, parse, text } from './command/arguments.js';
import { HeadgateError, systemCode, UsageError } from './errors.js';
import { stateDirectory } from './position/state-directory.js';

const DEFAULT_PATH = '/etc/headgate/pipelines';

const HELP = `headgate takes the Kubernetes audit log, or its webhook, and routes the events to files and Elasticsearch: it loses
nothing and doubles nothing.

usage:
  headgate run [PATH...]          run the pipelines of these YAML files or directories (default ${DEFAULT_PATH})
      --once                      deliver what exists now, then exit
      --deadline DURATION         with --once: give up when nothing moved for so long (default 10m)
      --state-dir DIR             where positions and the quarantine are kept
  headgate replay [PATH...]       send what is in the quarantine of these pipelines through them again
      --deadline DURATION
      --state-dir DIR
  headgate check [PATH...]        tell every fault of the configuration
      --explain                   tell what each pipeline looks at and where its routes lead
      --input FILE                tell what would become of each event of a file (- for standard input)
  headgate test [PATH...]         run the tests in pipeline files
  headgate elasticsearch setup [PATH...]
                                  install what the elasticsearch sinks of these pipelines need on their clusters:
                                  templates, data streams, lifecycle policies
      --dry-run                   tell what would change
      --print                     show the requests, for Kibana's console
      --force                     replace templates that are not Headgate's
      --rollover                  begin a new index in data streams whose mappings changed
  headgate positions              how far each pipeline has read
  headgate positions reset PIPELINE --to beginning|end
  headgate positions rename OLD NEW
      --state-dir DIR
  headgate webhook kubeconfig     make certificates and a kubeconfig for kube-apiserver's audit webhook, and tell how to use them
      --server URL                where the API server posts to (default https://127.0.0.1:9443/audit)
      --name NAME                 a further host name or address of the server; can be repeated
      --out DIR                   where the files go (default /etc/headgate/webhook)
      --auth mtls|token           how the API server proves itself (default mtls)
      --mode batch|blocking|blocking-strict
      --valid DURATION, --ca-valid DURATION
                                  how long certificates last (default 365d, 3650d)
      --client-name NAME          the common name of its certificate (default kube-apiserver)
      --ca FILE, --ca-key FILE, --server-cert FILE, --server-key FILE, --client-cert FILE, --client-key FILE
                                  take these instead of making them
      --dry-run                   write nothing
      --print source|flags|kubeadm|patch|manifest
                                  tell only this part, and write nothing
  headgate webhook send FILE      post the events of a file (- for standard input) as kube-apiserver would
      --kubeconfig FILE | --url URL
      --batch-events N            (default 400)
      --batch-bytes SIZE          (default 10MiB)
      --deadline DURATION
  headgate schema                 the JSON Schema of a pipeline file, for editors
      --reference                 the manual of all its options, as Markdown
  headgate --help | --version

exit codes: 0 done, 1 failed while running, 2 usage or configuration
`;

async function run(args: string[], isReplay = false): Promise<number> {
  const { values, positionals } = parse(args, {
    ...(isReplay ? {} : { once: { type: 'boolean' } }),
    deadline: { type: 'string' },
    'state-dir': { type: 'string' },
  });
  const deadlineMs = duration('deadline', text(values['deadline']) ?? '10m');
  const { runCommand } = await import('./run.js');
  return runCommand({
    paths: positionals.length > 0 ? positionals : [DEFAULT_PATH],
    once: isReplay || values['once'] === true,
    isReplay,
    stateDir: text(values['state-dir']),
    deadlineMs,
    env: process.env,
  });
}

async function check(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, { explain: { type: 'boolean' }, input: { type: 'string' } });
  if (values['explain'] === true && values['input'] !== undefined)
    throw new UsageError('USAGE', 'write either --explain or --input FILE');
  const { checkCommand } = await import('./command/check.js');
  const { stdout, stderr, env } = process;
  return checkCommand(
    positionals.length > 0 ? positionals : [DEFAULT_PATH],
    { stdout, stderr, env, isForPeople: stdout.isTTY },
    { explain: values['explain'] === true, input: text(values['input']) },
  );
}

async function test(args: string[]): Promise<number> {
  const { positionals } = parse(args, {});
  const { testCommand } = await import('./command/test.js');
  return testCommand(positionals.length > 0 ? positionals : [DEFAULT_PATH], process);
}

async function elasticsearch(args: string[]): Promise<number> {
  const flag = { type: 'boolean' } as const;
  const flags = { 'dry-run': flag, print: flag, force: flag, rollover: flag };
  const { values, positionals } = parse(args, flags);
  const [action, ...paths] = positionals;
  if (action !== 'setup') throw new UsageError('USAGE', 'write headgate elasticsearch setup [PATH...]');
  if (values['print'] === true && values['dry-run'] === true)
    throw new UsageError('USAGE', 'write either --print or --dry-run');
  const { elasticsearchSetupCommand } = await import('./command/elasticsearch-setup.js');
  return elasticsearchSetupCommand(paths.length > 0 ? paths : [DEFAULT_PATH], process, {
    print: values['print'] === true,
    dryRun: values['dry-run'] === true,
    force: values['force'] === true,
    rollover: values['rollover'] === true,
  });
}

async function positions(args: string[]): Promise<number> {
  const { values, positionals } = parse(args, { to: { type: 'string' }, 'state-dir': { type: 'string' } });
  const directory = stateDirectory(text(values['state-dir']), process.env);
  const { listPositions, renamePipeline, resetPosition } = await import('./command/positions.js');
  const [action, first, second, ...rest] = positionals;
  const to = values['to'];
  if (action === undefined) return listPositions(directory, process.stdout, process.stdout.isTTY);
  if (
    action === 'reset' &&
    first !== undefined &&
    second === undefined &&
    (to === 'beginning' || to === 'end')
  ) {
    return resetPosition(directory, first, to);
  }
  if (action === 'rename' && first !== undefined && second !== undefined && rest.length === 0) {
    return renamePipeline(directory, first, second);
  }
  throw new UsageError(
    'USAGE',
    'write headgate positions, headgate positions reset PIPELINE --to beginning|end, or headgate positions rename OLD NEW',
  );
}

async function schema(args: string[]): Promise<number> {
  const { values } = parse(args, { reference: { type: 'boolean' } });
  const { referenceCommand, schemaCommand } = await import('./command/schema.js');
  if (values['reference'] === true) referenceCommand(process);
  else schemaCommand(process);
  return 0;
}

function version(): string {
  const file = new URL('../package.json', import.meta.url);
  return (JSON.parse(readFileSync(file, 'utf8')) as { version: string }).version;
}

async function webhook(args: string[]): Promise<number> {
  const { webhookCommand } = await import('./command/webhook/index.js');
  return webhookCommand(args, process);
}

const commands: Readonly<Record<string, (args: string[]) => Promise<number>>> = {
  run: (args) => run(args),
  replay: (args) => run(args, true),
  check,
  test,
  elasticsearch,
  positions,
  webhook,
  schema,
};

async function main([name, ...args]: string[]): Promise<number> {
  if (name === '--version') {
    process.stdout.write(`${version()}\n`);
    return 0;
  }
  if (name === '--help' || name === '-h' || name === 'help' || args.includes('--help')) {
    process.stdout.write(HELP);
    return 0;
  }
  const command = name === undefined ? undefined : commands[name];
  if (!command) {
    process.stderr.write(HELP);
    if (name !== undefined) process.stderr.write(`\nheadgate: unknown command ${JSON.stringify(name)}\n`);
    return 2;
  }
  // Those that run pipelines deal with it themselves: what a closed pipe lost must not pass for delivered.
  if (!['run', 'replay'].includes(name ?? '')) endQuietlyWithReader();
  return command(args);
}

/** `headgate check --input audit.log | head` is no failure. */
function endQuietlyWithReader(): void {
  process.stdout.on('error', (error) => {
    if (systemCode(error) !== 'EPIPE') throw error;
    process.exit(0);
  });
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof HeadgateError)) throw error;
  process.stderr.write(`headgate: ${error.code}: ${error.message}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
