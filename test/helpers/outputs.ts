// Reads every output file below a directory, plain and compressed, independently of the code that wrote them.
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { gunzipSync } from 'node:zlib';

/** Content by path relative to `directory`, sorted; a `.gz` is inflated, and throws where it is not whole. */
export function readOutputs(directory: string): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  const names = readdirSync(directory, { recursive: true, withFileTypes: true });
  const paths = names.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  for (const path of paths.sort()) {
    const data = readFileSync(path);
    found.set(relative(directory, path), path.endsWith('.gz') ? gunzipSync(data) : data);
  }
  return found;
}

/** The lines of a file; throws where the last one is not whole. */
export function linesOf(data: Buffer): string[] {
  if (data.length === 0) return [];
  const lines = data.toString('latin1').split('\n');
  if (lines.pop() !== '') throw new Error('the last line is not whole');
  return lines;
}

/** Orders the segments of one output as they were written: by sequence, the plain name of an unsliced path last. */
export function inWriteOrder(paths: Iterable<string>, isPlainLast: boolean): string[] {
  const sequence = (path: string): number => Number(/~(\d+)/.exec(path)?.[1] ?? (isPlainLast ? Infinity : 0));
  return [...paths].sort((a, b) => sequence(a) - sequence(b));
}
