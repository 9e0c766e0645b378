// `npm run bench`: Headgate against the yardstick on the same input in the same run, the runs taking turns so that a
// slow minute of the machine hits all of them; and its parts by themselves. Medians are shown.
//
//   node bench/run.mjs [--mb 500] [--runs 5] [--write]
//
// `--write` keeps the result in bench/RESULTS.md. Ends with 1 if Headgate is slower or bigger than it promises.
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gunzipSync } from 'node:zlib';
import { legacySamples, sample, writeRepeated } from './input.mjs';
import { measureFunction, measureProgram, median } from './measure.mjs';
import { decodeLegacy, partsOf } from './parts.mjs';

/** @typedef {import('./measure.mjs').Usage} Usage */

/** The processor time that the raw split may take, as a share of the yardstick's. */
const MAX_RATIO = 0.8;
const MAX_PEAK_BYTES = 150e6;
/** The processor time of `redact` on events without bodies, as a share of the time without it. */
const MAX_REDACTING = 1.15;
/**
 * The processor time a byte of a legacy log, whose events are half as long again, as a multiple of the yardstick's a byte
 * of JSON. To be lowered: the goal is 1.
 */
const MAX_LEGACY_RATIOS = new Map([
  ['one-line', 2],
  ['two-line', 2.6],
]);
const RAW = 'Headgate, plain files';
const GZIP = 'Headgate, compressed when rotated';
const STREAM = 'Headgate, compressed as they are written';
const HOURLY = 'Headgate, plain files by the hour';
const REDACTED = 'Headgate, plain files, `redact` with nothing to redact';
const REMOVED = 'Headgate, plain files, one field removed of each event';
/** @param {string} format */
const legacyName = (format) => `Headgate, plain files, from the ${format} legacy log`;
const YARDSTICK = 'yardstick (JSON.parse, no guarantees)';

const { values } = parseArgs({
  options: {
    mb: { type: 'string', default: '500' },
    runs: { type: 'string', default: '5' },
    write: { type: 'boolean', default: false },
  },
});
const runs = Number(values.runs);
const here = fileURLToPath(new URL('.', import.meta.url));
const cli = join(here, '../dist/cli.js');
// What the kernel gives to node when the command is started by its name.
const cliFlags = /^#!.*\bnode (.*)/.exec(readFileSync(cli, 'utf8'))?.[1]?.split(' ') ?? [];
const directory = mkdtempSync(join(tmpdir(), 'headgate-bench-'));
const input = join(directory, 'audit.log');
const work = join(directory, 'work');

/**
 * The bytes of all files in a directory, decompressed.
 * @param {string} path
 * @returns {number}
 */
function contentBytes(path) {
  return readdirSync(path).reduce((sum, name) => {
    const content = readFileSync(join(path, name));
    return sum + (name.endsWith('.gz') ? gunzipSync(content) : content).length;
  }, 0);
}

/**
 * @param {'none' | 'on_rotate' | 'stream'} compress
 * @param {string} path of the outputs
 * @param {string} [processor] besides the one that tags
 * @param {string} [from] the log
 * @returns {Usage}
 */
function measureHeadgate(compress, path, processor, from = input) {
  const pipeline = join(work, 'bench.yaml');
  writeFileSync(
    pipeline,
    `source: { type: file, paths: ['${from}'] }
processors:
  - { type: tag, tag: 'audit.{{ objectRef.namespace ?? "none" }}' }${processor === undefined ? '' : `\n  - ${processor}`}
routes:
  - { to: namespaces }
sinks:
  namespaces:
    type: files
    base_dir: '${work}/out'
    path: '${path}'
    rotate: { max_bytes: ${compress === 'none' ? '100MiB' : '8MiB'} }
    compress: ${compress}
`,
  );
  return measureProgram([...cliFlags, cli, 'run', '--once', '--state-dir', join(work, 'state'), pipeline]);
}

/** @returns {Usage} */
const measureYardstick = () => measureProgram([join(here, 'yardstick.mjs'), input, join(work, 'out')]);

/**
 * Takes turns: each thing once, then each again.
 * @param {Map<string, () => Usage | Promise<Usage>>} things
 * @returns {Promise<Map<string, Usage>>} the medians
 */
async function takeTurns(things) {
  /** @type {Map<string, Usage[]>} */
  const all = new Map([...things.keys()].map((name) => [name, []]));
  for (let run = 0; run < runs; run++) {
    for (const [name, measure] of things) all.get(name)?.push(await measure());
  }
  return new Map(
    [...all].map(([name, usages]) => [
      name,
      {
        seconds: median(usages.map((usage) => usage.seconds)),
        cpuSeconds: median(usages.map((usage) => usage.cpuSeconds)),
        peakBytes: median(usages.map((usage) => usage.peakBytes)),
      },
    ]),
  );
}

/**
 * A measurement that counts only if every byte of the input came out.
 * @param {number} inputBytes
 * @param {() => Usage} measure
 * @param {(outputBytes: number) => boolean} [isComplete]
 * @returns {() => Usage}
 */
const complete =
  (inputBytes, measure, isComplete = (outputBytes) => outputBytes === inputBytes) =>
  () => {
    mkdirSync(work);
    try {
      const usage = measure();
      const outputBytes = contentBytes(join(work, 'out'));
      if (!isComplete(outputBytes)) throw new Error(`${outputBytes} bytes came out of ${inputBytes}`);
      return usage;
    } finally {
      rmSync(work, { recursive: true });
    }
  };

/**
 * @param {Map<string, Usage>} usages
 * @param {(name: string) => number} bytesOf what each of them went through
 * @returns {string} a table
 */
function table(usages, bytesOf) {
  const rows = [...usages].map(([name, { seconds, cpuSeconds, peakBytes }]) => {
    const bytes = bytesOf(name);
    const peak = Number.isNaN(peakBytes) ? '' : (peakBytes / 1e6).toFixed(0);
    return `| ${name} | ${(bytes / 1e6 / seconds).toFixed(0)} | ${((cpuSeconds * 1e9) / bytes).toFixed(2)} | ${peak} |`;
  });
  return ['| | MB/s | CPU s/GB | peak MB |', '|---|--:|--:|--:|', ...rows].join('\n');
}

/**
 * @param {Map<string, Usage>} usages
 * @param {Map<string, { inputBytes: number, eventBytes: number, maxRatio: number }>} runs
 * @param {number} bytes that the yardstick went through
 * @returns {{ sentences: string, isGood: boolean }} a line for each legacy log
 */
function judgeLegacy(usages, runs, bytes) {
  const yardstick = (usages.get(YARDSTICK)?.cpuSeconds ?? NaN) / bytes;
  let [sentences, isGood] = ['', true];
  for (const [name, { inputBytes, eventBytes, maxRatio }] of runs) {
    const cpuSeconds = usages.get(name)?.cpuSeconds ?? NaN;
    const ratioOf = (/** @type {number} */ bytes) => cpuSeconds / bytes / yardstick;
    const ratio = ratioOf(inputBytes);
    sentences += `${name}: ${ratio.toFixed(2)} of the yardstick's processor time a byte of the log (at most ${maxRatio}), ${ratioOf(eventBytes).toFixed(2)} a byte of its events.\n`;
    isGood &&= ratio <= maxRatio;
  }
  return { sentences, isGood };
}

/** @returns {Promise<{ report: string, isGood: boolean }>} */
async function bench() {
  const { lines, origin } = sample();
  const legacy = legacySamples();
  /** @type {Map<string, number>} */
  const partBytes = new Map();
  const partRuns = new Map([...partsOf(lines)].map(([name, part]) => [name, () => measureFunction(part)]));
  for (const [format, sample] of legacy) {
    const name = `decode the ${format} legacy log, for the namespace`;
    const copies = Math.ceil(lines.length / sample.length);
    partBytes.set(name, sample.length * copies);
    const decode = decodeLegacy(Buffer.concat(Array.from({ length: copies }, () => sample)));
    partRuns.set(name, () => measureFunction(() => void decode()));
  }
  const parts = await takeTurns(partRuns);
  const bytes = writeRepeated(input, lines, Number(values.mb) * 1e6);
  /** @type {Map<string, { inputBytes: number, eventBytes: number, maxRatio: number, run: () => Usage }>} */
  const legacyRuns = new Map();
  for (const [format, sample] of legacy) {
    const path = join(directory, `${format}.log`);
    const inputBytes = writeRepeated(path, sample, Number(values.mb) * 1e6);
    const eventBytes = decodeLegacy(sample)() * (inputBytes / sample.length);
    legacyRuns.set(legacyName(format), {
      inputBytes,
      eventBytes,
      maxRatio: MAX_LEGACY_RATIOS.get(format) ?? NaN,
      run: complete(eventBytes, () => measureHeadgate('none', '{{ tag }}.log', undefined, path)),
    });
  }
  const programs = await takeTurns(
    new Map([
      [YARDSTICK, complete(bytes, measureYardstick)],
      [RAW, complete(bytes, () => measureHeadgate('none', '{{ tag }}.log'))],
      [HOURLY, complete(bytes, () => measureHeadgate('none', '{{ tag }}.%Y%m%d%H.log'))],
      [
        REDACTED,
        complete(bytes, () => measureHeadgate('none', '{{ tag }}.log', '{ type: redact, preset: secrets }')),
      ],
      [
        REMOVED,
        complete(
          bytes,
          () => measureHeadgate('none', '{{ tag }}.log', '{ type: remove, fields: [userAgent] }'),
          (outputBytes) => outputBytes < bytes,
        ),
      ],
      [GZIP, complete(bytes, () => measureHeadgate('on_rotate', '{{ tag }}.%Y%m%d%H.log'))],
      [STREAM, complete(bytes, () => measureHeadgate('stream', '{{ tag }}.%Y%m%d%H.log'))],
      ...[...legacyRuns].map(([name, { run }]) => /** @type {const} */ ([name, run])),
    ]),
  );
  const ratio = (programs.get(RAW)?.cpuSeconds ?? NaN) / (programs.get(YARDSTICK)?.cpuSeconds ?? NaN);
  const peak = programs.get(RAW)?.peakBytes ?? NaN;
  const redacting = (programs.get(REDACTED)?.cpuSeconds ?? NaN) / (programs.get(RAW)?.cpuSeconds ?? NaN);
  const fromLegacy = judgeLegacy(programs, legacyRuns, bytes);
  const report = `# Results of \`npm run bench\`

${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${availableParallelism()} CPUs; ${origin}, medians of ${runs}.
Processor time counts all threads, from the start of the process to its end.

## From the log to a file per namespace, ${(bytes / 1e6).toFixed(0)} MB

${table(programs, (name) => legacyRuns.get(name)?.inputBytes ?? bytes)}

Plain files take ${ratio.toFixed(2)} of the yardstick's processor time (at most ${MAX_RATIO}) and ${(peak / 1e6).toFixed(0)} MB of memory (less than ${MAX_PEAK_BYTES / 1e6}).
Looking for secrets in events that have none takes ${redacting.toFixed(2)} of the time of not looking (at most ${MAX_REDACTING}).
${fromLegacy.sentences}
## Parts by themselves, in one thread, ${(lines.length / 1e6).toFixed(0)} MB

${table(parts, (name) => partBytes.get(name) ?? lines.length)}
`;
  const isGood = ratio <= MAX_RATIO && peak < MAX_PEAK_BYTES && redacting <= MAX_REDACTING;
  return { report, isGood: isGood && fromLegacy.isGood };
}

try {
  const { report, isGood } = await bench();
  console.log(report);
  if (values.write) writeFileSync(join(here, 'RESULTS.md'), report);
  if (!isGood) {
    console.error('slower or bigger than promised');
    process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true });
}
