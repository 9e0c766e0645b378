// Preloaded into a process (`node --import`): the k-th change that it makes to the file system is the last thing it
// does. A write is done by half. `HEADGATE_TEST_DIE_AT` is k; with `HEADGATE_TEST_CHANGES` the number of changes
// is written to that file when the process ends by itself.
import fs from 'node:fs';
import { CHANGES, isChange } from './disk-changes.mjs';

const dieAt = Number(process.env['HEADGATE_TEST_DIE_AT'] ?? Infinity);
let changes = 0;
const kill = process.kill.bind(process);

/** @param {string} name */
function wrap(name) {
  /** @type {Record<string, (...args: any[]) => unknown>} */
  const functions = /** @type {any} */ (fs);
  const original = functions[name];
  if (!original) throw new Error(`no fs.${name}`);
  functions[name] = (...args) => {
    if (!isChange(name, args) || ++changes < dieAt) return original(...args);
    // The same change, by half where it can be, synchronously; then the process is gone.
    if (name === 'write') args[3] = Math.floor(args[3] / 2);
    try {
      functions[`${name}Sync`]?.(...args.slice(0, -1));
    } catch {
      // A change that fails changes nothing; the process dies all the same.
    }
    kill(process.pid, 'SIGKILL');
    return undefined;
  };
}

for (const name of [...CHANGES, 'open']) wrap(name);

const report = process.env['HEADGATE_TEST_CHANGES'];
if (report !== undefined)
  process.on('exit', () => {
    fs.writeFileSync(report, String(changes));
  });
