// `npm start`: runs Headgate once over a copy of the example log in a new temporary directory, then reads the outputs
// back without any of Headgate's code and shows that every line of the log is there exactly once.
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

const here = fileURLToPath(new URL('.', import.meta.url));
const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));

/**
 * The lines of all files in a directory, decompressed where their name ends in `.gz`.
 * @param {string} directory
 * @returns {Map<string, string[]>} by file name, in order of the names; each character of a line is one byte
 */
function linesByFile(directory) {
  const files = readdirSync(directory).sort();
  return new Map(
    files.map((name) => {
      const bytes = readFileSync(join(directory, name));
      const text = (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('latin1');
      return [name, text.split('\n').slice(0, -1)];
    }),
  );
}

/**
 * A name cut for the table.
 * @param {string} name
 * @param {number} width
 * @returns {string}
 */
const cut = (name, width) => (name.length > width ? `${name.slice(0, width - 1)}…` : name).padEnd(width);

const directory = mkdtempSync(join(tmpdir(), 'headgate-quickstart-'));
const [log, out, state] = [join(directory, 'log'), join(directory, 'out'), join(directory, 'state')];
cpSync(join(here, 'log'), log, { recursive: true });

const command = ['run', '--once', '--state-dir', state, join(here, 'pipeline.yaml')];
console.log(`headgate ${command.join(' ')}\n`);
const run = spawnSync(process.execPath, [cli, ...command], {
  env: { ...process.env, HEADGATE_EXAMPLE_LOG: log, HEADGATE_EXAMPLE_OUT: out },
  stdio: 'inherit',
});
if (run.error) throw run.error;
if (run.status !== 0) {
  console.error(`headgate ended with ${run.status ?? run.signal}; what it left is in ${directory}`);
  process.exit(run.status ?? 1);
}

const input = [...linesByFile(log).values()].flat();
const outputs = linesByFile(out);
console.log(`\n${cut('tag', 28)} ${'events'.padStart(7)} ${'bytes'.padStart(9)}  file`);
for (const [name, lines] of outputs) {
  const tag = basename(name, '.gz').replace(/\.\d{10}(~\d{6})?\.log$/, '');
  const bytes = lines.reduce((sum, line) => sum + line.length + 1, 0);
  console.log(
    `${cut(tag, 28)} ${String(lines.length).padStart(7)} ${String(bytes).padStart(9)}  ${cut(name, 60).trimEnd()}`,
  );
}

const output = [...outputs.values()].flat();
console.log(`\nlog      ${log}\noutput   ${out}\nstate    ${state}\n`);
// Sorted, two equal lists hold the same lines, each equally often.
const isComplete = input.sort().join('\n') === output.sort().join('\n');
console.log(
  `${input.length} lines in the log and its backups, ${output.length} events in ${outputs.size} files:`,
);
console.log(isComplete ? 'every line is there exactly once, byte for byte' : 'NOT the same lines');
if (!isComplete) process.exitCode = 1;
