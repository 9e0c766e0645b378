// Headgate with far more outputs than it keeps open: every user has an own file, and comes back only when that was
// closed early. Shows what is bounded and what is not: memory, descriptors, the position file, and the time to stop.
//
//   npm run bench:outputs -- [--users 100000] [--rounds 3] [--only PART_OF_A_NAME] [--write]
//
// It makes hundreds of thousands of files below the temporary directory, and needs some gigabytes there.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const users = Number(values.users);
const rounds = Number(values.rounds);
const POLL_MS = 100;

const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const reportUsage = new URL('report-usage.mjs', import.meta.url).href;
const cliFlags = /^#!.*\bnode (.*)/.exec(readFileSync(cli, 'utf8'))?.[1]?.split(' ') ?? [];
const directory = mkdtempSync(join(tmpdir(), 'headgate-bench-'));
const input = join(directory, 'audit.log');

/**
 * Writes one event of each user, as often as asked.
 * @param {number} userCount
 * @param {number} roundCount
 */
function writeInput(userCount, roundCount) {
  const fd = openSync(input, 'w');
  let text = '';
  for (let i = 0; i < userCount * roundCount; i++) {
    const time = `2026-11-21T10:${String(Math.floor((i * 60) / (userCount * roundCount))).padStart(2, '0')}:00.000000Z`;
    text += `{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata","auditID":"${i}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods","verb":"list","user":{"username":"system:serviceaccount:default:user-${i % userCount}","groups":["system:authenticated"]},"sourceIPs":["127.0.0.1"],"objectRef":{"resource":"pods","namespace":"default","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"${time}","stageTimestamp":"${time}"}\n`;
    if (text.length > 1e6) {
      writeSync(fd, text);
      text = '';
    }
  }
  writeSync(fd, text);
  closeSync(fd);
}

/**
 * @param {string} tag
 * @param {string} sink
 * @returns {string[]} the arguments of `headgate run`
 */
function configure(tag, sink) {
  const pipeline = join(directory, 'bench.yaml');
  writeFileSync(
    pipeline,
    `source: { type: file, paths: ['${input}'] }
processors: [{ type: tag, tag: '${tag}' }]
routes: [{ to: out }]
sinks:
  out: ${sink}
`,
  );
  return ['run', '--state-dir', join(directory, 'state'), pipeline];
}

/** @param {string} path */
function sizeIfThere(path) {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

/**
 * Runs Headgate and looks at it from outside meanwhile.
 * @param {string[]} args
 * @param {(child: import('node:child_process').ChildProcess, polls: number) => void} atPoll
 */
async function measure(args, atPoll = () => undefined) {
  const position = join(directory, 'state/bench.position.json');
  const start = performance.now();
  const child = spawn(process.execPath, ['--import', reportUsage, ...cliFlags, cli, ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
  });
  let stderr = '';
  let usage = '';
  child.stderr?.on('data', (/** @type {Buffer} */ data) => (stderr += data.toString()));
  child.stdio[3]?.on('data', (/** @type {Buffer} */ data) => (usage += data.toString()));
  const exit = once(child, 'close');
  let descriptors = 0;
  let positionBytes = 0;
  for (let polls = 0; child.exitCode === null; polls++) {
    try {
      descriptors = Math.max(descriptors, readdirSync(`/proc/${child.pid}/fd`).length);
    } catch {
      break; // It has ended.
    }
    positionBytes = Math.max(positionBytes, sizeIfThere(position));
    atPoll(child, polls);
    await Promise.race([sleep(POLL_MS), exit]);
  }
  await exit;
  if (child.exitCode !== 0) throw new Error(`headgate ended with ${child.exitCode}:\n${stderr}`);
  const seconds = (performance.now() - start) / 1000;
  const { cpuSeconds, peakBytes } = JSON.parse(usage);
  return { seconds, cpuSeconds, peakBytes, descriptors, positionBytes, stderr };
}

function cleanUp() {
  for (const name of ['out', 'state']) rmSync(join(directory, name), { recursive: true, force: true });
}

/** @returns {number} how many files came out */
function outputs() {
  const names = readdirSync(join(directory, 'out'), { recursive: true, withFileTypes: true });
  return names.filter((entry) => entry.isFile()).length;
}

/**
 * Every event of the input, once, in the outputs.
 * @param {number} events
 * @param {string} tag
 * @param {string} path
 * @param {string} more options of the sink
 */
async function split(events, tag, path, more) {
  const sink = `{ type: files, base_dir: '${directory}/out', path: '${path}'${more} }`;
  const run = await measure([...configure(tag, sink), '--once']);
  // Counted by Headgate: reading hundreds of thousands of files takes longer than writing them.
  const delivered = Number(/"headgate_events_delivered_total":(\d+)/.exec(run.stderr)?.[1]);
  if (delivered !== events) throw new Error(`${delivered} events came out:\n${run.stderr}`);
  return { ...run, files: outputs() };
}

/** A daemon with as many open outputs as a sink has at most, told to stop when it has delivered everything. */
async function stop() {
  const sink = `{ type: files, base_dir: '${directory}/out', path: '{{ tag }}.log' }`;
  const position = join(directory, 'state/bench.position.json');
  const inputBytes = statSync(input).size;
  let stoppedAtMs = 0;
  const run = await measure(configure(USER, sink), (child) => {
    const isDelivered =
      sizeIfThere(position) > 0 && readFileSync(position, 'utf8').includes(`"offset": ${inputBytes},`);
    if (stoppedAtMs > 0 || !isDelivered) return;
    stoppedAtMs = performance.now();
    child.kill('SIGTERM');
  });
  return { ...run, seconds: (performance.now() - stoppedAtMs) / 1000, files: outputs() };
}

const USER = '{{ user.username ?? "none" }}';
const HOURLY = '{{ tag }}.%Y%m%d%H.log';

/** @type {[string, number, number, () => Promise<Awaited<ReturnType<typeof measure>> & { files: number }>][]} */
const cases = [
  ['a directory for each user', users, rounds, () => split(users * rounds, USER, '{{ tag }}/audit.log', '')],
  ['a file for each user and hour', users, rounds, () => split(users * rounds, USER, HOURLY, '')],
  ['the same, compressed', users, 1, () => split(users, USER, HOURLY, ', compress: on_rotate')],
  [
    'a tag for each user, one file',
    10 * users,
    rounds,
    () =>
      split(
        10 * users * rounds,
        `audit.{{ objectRef.namespace ?? "none" }}.${USER}`,
        'audit.log',
        ', rotate: { max_bytes: 10GiB }',
      ),
  ],
  ['10,000 open files, from SIGTERM to the end', 10_000, 1, stop],
];

/** @returns {Promise<string>} a table */
async function bench() {
  const rows = [
    '| | users | events | s | CPU s | peak MB | descriptors | files | position file, MB |',
    '|---|--:|--:|--:|--:|--:|--:|--:|--:|',
  ];
  for (const [name, userCount, roundCount, run] of cases) {
    if (!name.includes(values.only)) continue;
    writeInput(userCount, roundCount);
    const { seconds, cpuSeconds, peakBytes, descriptors, files, positionBytes } = await run();
    const numbers = [
      userCount,
      userCount * roundCount,
      seconds.toFixed(1),
      cpuSeconds.toFixed(0),
      (peakBytes / 1e6).toFixed(0),
      descriptors,
      files,
      (positionBytes / 1e6).toFixed(1),
    ];
    rows.push(`| ${name} | ${numbers.join(' | ')} |`);
    cleanUp();
  }
  return rows.join('\n');
}

try {
  const report = `# Results of \`npm run bench:outputs\`

${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${availableParallelism()} CPUs, one run each.
A file for each user, and far more users than the 10,000 outputs that a sink keeps open: every user comes back only when
its file was closed early.

${await bench()}
`;
  console.log(report);
  if (values.write) writeFileSync(new URL('MANY-OUTPUTS.md', import.meta.url), report);
} finally {
  rmSync(directory, { recursive: true });
}
