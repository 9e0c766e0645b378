// The input of the benches: a genuine log repeated with nothing changed, or else a generated one, so large that the
// time to start a process does not count.
import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { Random, auditEvents } from '../examples/quickstart/generate.mjs';

const GENERATED_BYTES = 32 * 1024 * 1024;

/** @returns {Buffer} whole lines */
function generated() {
  const lines = [];
  let bytes = 0;
  for (const { line } of auditEvents(new Random(1), { meanGapMicros: 500 })) {
    const data = Buffer.from(`${line}\n`);
    lines.push(data);
    bytes += data.length;
    if (bytes >= GENERATED_BYTES) break;
  }
  return Buffer.concat(lines);
}

/**
 * Lines to measure with, at level Metadata.
 * @returns {{ lines: Buffer, origin: string }} `origin` says in words where they come from
 */
export function sample() {
  const data = process.env['HEADGATE_TEST_DATA'];
  if (data === undefined) return { lines: generated(), origin: 'generated events' };
  const lines = gunzipSync(readFileSync(join(data, 'kubernetes/metadata.log.gz')));
  return { lines, origin: 'events of a kube-apiserver 1.36 at level Metadata' };
}

/**
 * Genuine logs of the legacy formats, by the name of the format; none without HEADGATE_TEST_DATA.
 * @returns {Map<string, Buffer>}
 */
export function legacySamples() {
  const data = process.env['HEADGATE_TEST_DATA'];
  if (data === undefined) return new Map();
  return new Map(
    ['one-line', 'two-line'].map((name) => [
      name,
      gunzipSync(readFileSync(join(data, `kubernetes/legacy/${name}.log.gz`))),
    ]),
  );
}

/**
 * Writes lines to a file, over and over.
 * @param {string} path
 * @param {Buffer} lines
 * @param {number} bytes how long the file is to be, at least
 * @returns {number} its length
 */
export function writeRepeated(path, lines, bytes) {
  const fd = openSync(path, 'wx');
  let length = 0;
  while (length < bytes) length += writeSync(fd, lines);
  closeSync(fd);
  return length;
}
