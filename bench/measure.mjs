// Measures: a Node program from its start to its end, or a function within this process.
import { spawnSync } from 'node:child_process';

const reportUsage = new URL('report-usage.mjs', import.meta.url).href;

/** @typedef {{ seconds: number, cpuSeconds: number, peakBytes: number }} Usage */

/**
 * Runs a Node program to its end.
 * @param {string[]} args the program and its arguments
 * @returns {Usage} wall-clock time, processor time of all threads, and the most memory that was resident at once
 */
export function measureProgram(args) {
  const start = performance.now();
  const run = spawnSync(process.execPath, ['--import', reportUsage, ...args], {
    stdio: ['ignore', 'ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  const seconds = (performance.now() - start) / 1000;
  if (run.error) throw run.error;
  if (run.status !== 0)
    throw new Error(`node ${args.join(' ')} ended with ${run.status ?? run.signal}:\n${run.stderr}`);
  return { seconds, ...JSON.parse(run.output[3] ?? '') };
}

/**
 * Calls a function and measures it.
 * @param {() => void | Promise<void>} work
 * @returns {Promise<Usage>} without the memory, which nobody can tell apart from the rest of the process
 */
export async function measureFunction(work) {
  const start = performance.now();
  const before = process.cpuUsage();
  await work();
  const { user, system } = process.cpuUsage(before);
  const seconds = (performance.now() - start) / 1000;
  return { seconds, cpuSeconds: (user + system) / 1e6, peakBytes: NaN };
}

/**
 * The value in the middle, or the mean of the two in the middle.
 * @param {readonly number[]} values at least one
 * @returns {number}
 */
export function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const [low, high] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  if (low === undefined || high === undefined) throw new Error('impossible: the median of nothing');
  return (low + high) / 2;
}
