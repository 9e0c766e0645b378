// `npm run bench:elasticsearch`: what sending to Elasticsearch costs Headgate, into a server that keeps nothing, and how
// fast a real one takes it; beside the yardstick and the plain files sink, in turns. Medians are shown.
//
//   npm run bench:elasticsearch -- [--mb 1000] [--real-mb 100] [--runs 3] [--only PART_OF_A_NAME] [--write]
//
// Events arrive in a log that Headgate follows: of what stood there when it began it looks each up first, which is a row
// of its own. `--write` keeps the result in bench/ELASTICSEARCH.md. Ends with 1 if Headgate costs more than it promises.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { call, putTemplate, startElasticsearch } from '../test/helpers/elasticsearch.js';
import { sample, writeRepeated } from './input.mjs';
import { measureProgram, median } from './measure.mjs';

/** @typedef {import('./measure.mjs').Usage} Usage */
/** @typedef {{ name: string, bytes: number, events: number, run: () => Usage | Promise<Usage> }} Case */

/** The processor time with the usual options, as a multiple of the yardstick's. */
const MAX_RATIO = 1.4;
const MAX_PEAK_BYTES = 250e6;
const POLL_MS = 50;

const { values } = parseArgs({
  options: {
    mb: { type: 'string', default: '1000' },
    'real-mb': { type: 'string', default: '100' },
    runs: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    write: { type: 'boolean', default: false },
  },
});
const here = fileURLToPath(new URL('.', import.meta.url));
const cli = join(here, '../dist/cli.js');
// What the kernel gives to node when the command is started by its name.
const cliFlags = /^#!.*\bnode (.*)/.exec(readFileSync(cli, 'utf8'))?.[1]?.split(' ') ?? [];
const directory = mkdtempSync(join(tmpdir(), 'headgate-bench-'));
const work = join(directory, 'work');
const { lines, origin } = sample();
const eventsInSample = lines.toString('latin1').split('\n').length - 1;
/** @type {(() => unknown)[]} */
const teardowns = [];

/**
 * @param {string} log
 * @param {string} sink
 * @returns {string[]} the arguments of `headgate run`
 */
function configure(log, sink) {
  const pipeline = join(work, 'bench.yaml');
  writeFileSync(
    pipeline,
    `source: { type: file, paths: ['${log}'] }\nroutes: [{ to: out }]\nsinks: { out: ${sink} }\n`,
  );
  return [...cliFlags, cli, 'run', '--state-dir', join(work, 'state'), pipeline];
}

/** @param {number} bytes of the log @returns {boolean} whether the last commit is behind all of it */
function isCommitted(bytes) {
  try {
    return readFileSync(join(work, 'state/bench.position.json'), 'utf8').includes(`"offset": ${bytes},`);
  } catch {
    return false; // There is none yet.
  }
}

/**
 * A daemon that has caught up with a log before the events come that are measured, and is stopped when they are delivered.
 * @param {string} sink
 * @param {Buffer} given
 * @param {number} copies
 * @returns {Promise<Usage>}
 */
async function follow(sink, given, copies) {
  const log = join(work, 'audit.log');
  const first = given.subarray(0, given.indexOf('\n') + 1);
  writeFileSync(log, first);
  const child = spawn(
    process.execPath,
    ['--import', new URL('report-usage.mjs', import.meta.url).href, ...configure(log, sink)],
    { stdio: ['ignore', 'ignore', 'pipe', 'pipe'] },
  );
  let stderr = '';
  let usage = '';
  child.stderr?.on('data', (/** @type {Buffer} */ data) => (stderr += data.toString()));
  child.stdio[3]?.on('data', (/** @type {Buffer} */ data) => (usage += data.toString()));
  const exit = once(child, 'close');
  /** @param {number} bytes */
  const committed = async (bytes) => {
    while (!isCommitted(bytes)) {
      if (child.exitCode !== null) throw new Error(`headgate ended with ${child.exitCode}:\n${stderr}`);
      await sleep(POLL_MS);
    }
  };
  await committed(first.length);
  const start = performance.now();
  for (let copy = 0; copy < copies; copy++) appendFileSync(log, given);
  await committed(first.length + copies * given.length);
  const seconds = (performance.now() - start) / 1000;
  child.kill('SIGTERM');
  await exit;
  if (child.exitCode !== 0) throw new Error(`headgate ended with ${child.exitCode}:\n${stderr}`);
  return { seconds, ...JSON.parse(usage) };
}

/** @param {string} log @param {string} sink @returns {Usage} of a run over a log that stands there when it begins */
function runOnce(log, sink) {
  return measureProgram([...configure(log, sink), '--once']);
}

/** @param {() => Usage | Promise<Usage>} run @returns {Promise<Usage>} */
async function inWork(run) {
  mkdirSync(work);
  try {
    return await run();
  } finally {
    rmSync(work, { recursive: true });
  }
}

/** @returns {Promise<{ url: string, end: () => Promise<number> }>} a server that keeps nothing, and says how much came */
async function startNull() {
  const child = spawn(process.execPath, [join(here, 'null-bulk.mjs')], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const said = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const port = (await said.next()).value;
  const end = async () => {
    child.stdin.end();
    return Number((await said.next()).value);
  };
  return { url: `http://127.0.0.1:${port}`, end };
}

/** @param {string} url @param {string} index @param {string} more */
const sinkTo = (url, index, more) => `{ type: elasticsearch, nodes: ['${url}'], index: '${index}'${more} }`;

/** @param {(url: string) => Promise<Usage> | Usage} run @param {number} events @returns {() => Promise<Usage>} */
const intoNothing = (run, events) => async () => {
  const server = await startNull();
  const usage = await inWork(() => run(server.url));
  const documents = await server.end();
  if (documents < events) throw new Error(`${documents} documents came, of ${events}`);
  return usage;
};

/** @returns {Case[]} */
function casesWithNothing() {
  const copies = Math.ceil((Number(values.mb) * 1e6) / lines.length);
  const bytes = copies * lines.length;
  const events = copies * eventsInSample;
  const log = join(directory, 'audit.log');
  writeRepeated(log, lines, bytes);
  /** @param {string} name @param {string} more @returns {Case} */
  const followed = (name, more) => {
    const run = (/** @type {string} */ url) => follow(sinkTo(url, 'audit', more), lines, copies);
    return { name, bytes, events, run: intoNothing(run, events) };
  };
  const files = `{ type: files, base_dir: '${work}/out', path: audit.log }`;
  return [
    {
      name: YARDSTICK,
      bytes,
      events,
      run: () => inWork(() => measureProgram([join(here, 'yardstick.mjs'), log, join(work, 'out')])),
    },
    { name: 'plain file', bytes, events, run: () => inWork(() => follow(files, lines, copies)) },
    followed(USUAL, ''),
    followed('requests of 1 MiB', ', batch: { max_bytes: 1MiB }'),
    followed('requests of 10 MiB and 10,000 events', ', batch: { max_bytes: 10MiB, max_events: 10000 }'),
    followed('gzip', ', compression: gzip'),
    {
      name: 'of a log that was there, each looked up first',
      bytes,
      events,
      run: intoNothing((url) => runOnce(log, sinkTo(url, 'audit', '')), events),
    },
  ];
}

/** @param {string} url @returns {Case[]} */
function casesWithServer(url) {
  const copies = Math.max(1, Math.round((Number(values['real-mb']) * 1e6) / lines.length));
  const given = distinct(copies);
  const bytes = given.length;
  const events = copies * eventsInSample;
  const log = join(directory, 'real.log');
  writeFileSync(log, given);
  /** @param {string} name @param {string} more @param {boolean} isFollowed @returns {Case} */
  const into = (name, more, isFollowed) => ({
    name,
    bytes,
    events,
    run: async () => {
      const t = { teardown: () => undefined };
      await putTemplate(t, url, 'audit', false);
      const sink = sinkTo(url, 'audit', more);
      const usage = await inWork(() => (isFollowed ? follow(sink, given, 1) : runOnce(log, sink)));
      await call(url, 'POST', '/audit/_refresh');
      const { count } = /** @type {{ count: number }} */ (
        /** @type {unknown} */ (await call(url, 'GET', '/audit/_count'))
      );
      if (count !== events) throw new Error(`${count} documents came, of ${events}`);
      await call(url, 'DELETE', '/audit');
      return usage;
    },
  });
  return [
    into('real server', '', true),
    into('real server, gzip', ', compression: gzip', true),
    into('real server, of a log that was there', '', false),
  ];
}

/**
 * Equal lines are one document: each copy gets ids of its own, no longer than those that stood there.
 * @param {number} copies
 * @returns {Buffer}
 */
function distinct(copies) {
  return Buffer.concat(
    Array.from({ length: copies }, (_, copy) =>
      Buffer.from(
        lines
          .toString('latin1')
          .replaceAll(/"auditID":"..../g, `"auditID":"${copy.toString(16).padStart(4, '0')}`),
        'latin1',
      ),
    ),
  );
}

/**
 * Takes turns: each case once, then each again.
 * @param {Case[]} cases
 * @returns {Promise<Map<string, Usage & Pick<Case, 'bytes' | 'events'>>>} the medians
 */
async function takeTurns(cases) {
  /** @type {Map<Case, Usage[]>} */
  const all = new Map(cases.map((each) => [each, []]));
  for (let turn = 0; turn < Number(values.runs); turn++)
    for (const [each, usages] of all) {
      const usage = await each.run();
      usages.push(usage);
      console.error(`${each.name}: ${usage.seconds.toFixed(1)} s, ${usage.cpuSeconds.toFixed(2)} CPU s`);
    }
  return new Map(
    [...all].map(([{ name, bytes, events }, usages]) => [
      name,
      {
        bytes,
        events,
        seconds: median(usages.map((usage) => usage.seconds)),
        cpuSeconds: median(usages.map((usage) => usage.cpuSeconds)),
        peakBytes: median(usages.map((usage) => usage.peakBytes)),
      },
    ]),
  );
}

const YARDSTICK = 'yardstick (JSON.parse, no guarantees), into files';
const USUAL = 'requests of 5 MiB, the default';

async function bench() {
  const cases = casesWithNothing();
  const node = values.only === '' || 'real server'.includes(values.only) ? await findNode() : undefined;
  if (node && 'url' in node) cases.push(...casesWithServer(node.url));
  const wanted = cases.filter(({ name }) => name === YARDSTICK || name.includes(values.only));
  const usages = await takeTurns(wanted);
  const perByte = (/** @type {string} */ name) => {
    const usage = usages.get(name);
    return usage ? usage.cpuSeconds / usage.bytes : NaN;
  };
  const rows = [...usages].map(([name, { seconds, cpuSeconds, peakBytes, bytes, events }]) => {
    const cells = [
      name,
      Math.round(events / seconds).toLocaleString('en'),
      (bytes / 1e6 / seconds).toFixed(0),
      ((cpuSeconds * 1e9) / bytes).toFixed(2),
      (perByte(name) / perByte(YARDSTICK)).toFixed(2),
      (peakBytes / 1e6).toFixed(0),
    ];
    return `| ${cells.join(' | ')} |`;
  });
  const ratio = perByte(USUAL) / perByte(YARDSTICK);
  const peak = usages.get(USUAL)?.peakBytes ?? NaN;
  const report = `# Results of \`npm run bench:elasticsearch\`

${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${availableParallelism()} CPUs; ${origin}, medians of ${values.runs}.
Into a server that takes everything at once and keeps nothing, except where it says *real server*: one node of Elasticsearch
with half a gigabyte of heap on the same machine, an index, only times indexed${node && 'missing' in node ? ` (left out: ${node.missing})` : ''}.
Processor time is Headgate's own, of all threads, from the start of its process to its end; the server's is not counted, but
takes its share of the machine. The start, about 1 CPU s, counts most in the short runs with the real server. ${Math.round(lines.length / eventsInSample)} bytes an event; ${values.mb} MB, ${values['real-mb']} MB to the real server.

| | events/s | MB/s | CPU s/GB | × yardstick | peak MB |
|---|--:|--:|--:|--:|--:|
${rows.join('\n')}

The default takes ${ratio.toFixed(2)} of the yardstick's processor time (at most ${MAX_RATIO}) and ${(peak / 1e6).toFixed(0)} MB of memory (less than ${MAX_PEAK_BYTES / 1e6}).
For comparison, others into such a server, uncompressed, on another day of the same kind of machine: syslog-ng 17 CPU s/GB, Benthos 18.5,
rsyslog 22, Fluent Bit 25, Vector 28.
`;
  const isGood = !(ratio > MAX_RATIO) && !(peak >= MAX_PEAK_BYTES);
  return { report, isGood };
}

async function findNode() {
  const t = { teardown: (/** @type {() => unknown} */ run) => teardowns.push(run) };
  return startElasticsearch(t);
}

try {
  const { report, isGood } = await bench();
  console.log(report);
  if (values.write) writeFileSync(join(here, 'ELASTICSEARCH.md'), report);
  if (!isGood) {
    console.error('slower or bigger than promised');
    process.exitCode = 1;
  }
} finally {
  for (const run of teardowns.reverse()) await run();
  rmSync(directory, { recursive: true });
}
