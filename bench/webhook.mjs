// `npm run bench:webhook`: a pipeline with a webhook source under clients that post batches of 400 events over plain HTTP,
// each event a line of the spool, synced before it is answered.
//
//   node bench/webhook.mjs [--seconds 5] [--runs 3] [--write]
//
// `--write` keeps the result in bench/WEBHOOK.md. Ends with 1 if an answer with stalled outputs takes longer than it
// should.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from './measure.mjs';

/** @typedef {{ answersMs: number[], seconds: number, peakBytes: number }} Load */

const EVENTS = 400;
const MAX_STALLED_P99_MS = 50;
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '5' },
    runs: { type: 'string', default: '3' },
    write: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const cli = fileURLToPath(new URL('../dist/cli.js', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'headgate-bench-'));
let nextEvent = 0;

/** @returns {Buffer} one that was never sent before */
function body() {
  const items = Array.from({ length: EVENTS }, () => {
    const n = nextEvent++;
    return `{"level":"Metadata","auditID":"6d415f45-e4d6-4fe4-87c6-${String(n).padStart(12, '0')}","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/team-${n % 40}/pods?fieldSelector=spec.nodeName%3Dnode-${n % 90}&limit=500","verb":"list","user":{"username":"system:serviceaccount:team-${n % 40}:controller","uid":"1d3f4a7a-9d3e-4f0e-8d0b-0e0b5a6f1c11","groups":["system:serviceaccounts","system:authenticated"]},"sourceIPs":["10.0.0.${n % 250}"],"userAgent":"controller/v1.36.0 (linux/amd64) kubernetes/$Format","objectRef":{"resource":"pods","namespace":"team-${n % 40}","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2026-11-21T09:39:56.905902Z","stageTimestamp":"2026-11-21T09:39:56.909101Z","annotations":{"authorization.k8s.io/decision":"allow","authorization.k8s.io/reason":"RBAC: allowed by RoleBinding"}}`;
  });
  return Buffer.from(
    `{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{},"items":[${items.join(',')}]}\n`,
  );
}

/**
 * @param {number} port
 * @param {Agent} agent
 * @param {Buffer} data
 * @returns {Promise<number>} milliseconds to the answer
 */
function post(port, agent, data) {
  return new Promise((resolve, reject) => {
    const start = performance.now();
    const headers = { 'content-type': 'application/json', 'content-length': data.length };
    const sent = request(
      { host: '127.0.0.1', port, agent, method: 'POST', path: '/?timeout=30s', headers },
      (response) => {
        response.resume().on('end', () => {
          if (response.statusCode === 200) resolve(performance.now() - start);
          else reject(new Error(`answered ${response.statusCode}`));
        });
      },
    );
    sent.on('error', reject);
    sent.end(data);
  });
}

/**
 * Runs Headgate, and this while it listens.
 * @param {boolean} isStalled outputs take nothing
 * @param {(port: number, agent: Agent) => Promise<number[]>} load resolves to the times of answers
 * @returns {Promise<Load>}
 */
async function underLoad(isStalled, load) {
  const work = join(directory, 'work');
  mkdirSync(work);
  // A file in the way of a directory: the output waits.
  if (isStalled) writeFileSync(join(work, 'out'), '');
  const pipeline = join(work, 'bench.yaml');
  writeFileSync(
    pipeline,
    `source: { type: webhook, listen: '127.0.0.1:0', spool: { min_free_bytes: 1B } }
processors: [{ type: tag, tag: 'audit.{{ objectRef.namespace ?? "none" }}' }]
routes: [{ to: files }]
sinks: { files: { type: files, base_dir: '${work}/out', path: '{{ tag }}.log' } }
`,
  );
  const child = spawn(process.execPath, [cli, 'run', '--state-dir', join(work, 'state'), pipeline], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let log = '';
  child.stderr.setEncoding('utf8').on('data', (/** @type {string} */ text) => (log += text));
  const ended = new Promise((resolve) => child.on('close', resolve));
  const agent = new Agent({ keepAlive: true });
  try {
    let port;
    while ((port = /"WEBHOOK_LISTENING".*?"port":(\d+)/.exec(log)?.[1]) === undefined) {
      if (child.exitCode !== null) throw new Error(log);
      await sleep(20);
    }
    await post(Number(port), agent, body());
    const start = performance.now();
    const answersMs = await load(Number(port), agent);
    const took = (performance.now() - start) / 1000;
    const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
    const peakBytes = Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
    return { answersMs, seconds: took, peakBytes };
  } finally {
    agent.destroy();
    child.kill('SIGKILL');
    await ended;
    rmSync(work, { recursive: true });
  }
}

/**
 * As many as will go, over so many connections.
 * @param {number} connections
 * @returns {(port: number, agent: Agent) => Promise<number[]>}
 */
const asFastAsPossible = (connections) => async (port, agent) => {
  /** @type {number[]} */
  const answersMs = [];
  // Made beforehand: making them takes longer than taking them in.
  const bodies = Array.from({ length: 40 * seconds + connections }, body);
  const until = performance.now() + seconds * 1000;
  const client = async () => {
    for (let data = bodies.pop(); data && performance.now() < until; data = bodies.pop())
      answersMs.push(await post(port, agent, data));
  };
  await Promise.all(Array.from({ length: connections }, client));
  return answersMs;
};

/** @type {(port: number, agent: Agent) => Promise<number[]>} */
const tenASecond = async (port, agent) => {
  const answers = [];
  for (let i = 0; i < 10 * seconds; i++) {
    answers.push(post(port, agent, body()));
    await sleep(100);
  }
  return Promise.all(answers);
};

/**
 * @param {readonly number[]} all
 * @param {number} share
 */
const quantile = (all, share) => all.toSorted((a, b) => a - b)[Math.floor((all.length - 1) * share)] ?? NaN;

/** @type {Map<string, () => Promise<Load>>} */
const loads = new Map([
  ['1 connection', () => underLoad(false, asFastAsPossible(1))],
  ['8 connections', () => underLoad(false, asFastAsPossible(8))],
  ['50 connections', () => underLoad(false, asFastAsPossible(50))],
  ['10 batches/s, outputs stalled', () => underLoad(true, tenASecond)],
]);

try {
  const rows = [];
  let stalledP99 = NaN;
  for (const [name, run] of loads) {
    /** @type {Load[]} */
    const all = [];
    for (let i = 0; i < Number(values.runs); i++) all.push(await run());
    const of = (/** @type {(load: Load) => number} */ value) => median(all.map(value));
    const rate = of(({ answersMs, seconds }) => answersMs.length / seconds);
    const p99 = of(({ answersMs }) => quantile(answersMs, 0.99));
    if (name.includes('stalled')) stalledP99 = p99;
    const p50 = of(({ answersMs }) => quantile(answersMs, 0.5));
    const peak = of(({ peakBytes }) => peakBytes / 1e6);
    rows.push(
      `| ${name} | ${rate.toFixed(0)} | ${(rate * EVENTS).toFixed(0)} | ${p50.toFixed(1)} | ${p99.toFixed(1)} | ${peak.toFixed(0)} |`,
    );
  }
  const report = `# Results of \`npm run bench:webhook\`

${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${availableParallelism()} CPUs; batches of ${EVENTS} events (${(body().length / 1e3).toFixed(0)} kB), each synced
before it is answered, delivered to a file per namespace at the same time; medians of ${values.runs}. The client runs on the same CPUs.

| | batches/s | events/s | p50 ms | p99 ms | peak MB |
|---|--:|--:|--:|--:|--:|
${rows.join('\n')}
`;
  console.log(report);
  if (values.write) writeFileSync(new URL('WEBHOOK.md', import.meta.url), report);
  if (!(stalledP99 < MAX_STALLED_P99_MS)) {
    console.error(`with stalled outputs p99 should be less than ${MAX_STALLED_P99_MS} ms`);
    process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true });
}
