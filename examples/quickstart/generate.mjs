// Writes an audit log as a kube-apiserver with log rotation would have left it: the live file and its backups, plain
// and compressed. Fields, their order and their escaping are those of the Go struct (k8s.io/apiserver,
// pkg/apis/audit/v1/types.go). The same seed gives the same events on every machine.
//
//   node examples/quickstart/generate.mjs [DIRECTORY]     (default: log/ beside this file)
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { nextRequest, requestIn } from './requests.mjs';
import { encode } from './go-json.mjs';
import { Random } from './random.mjs';

/** @typedef {import('./requests.mjs').Request} Request */
/** @typedef {'RequestReceived' | 'ResponseStarted' | 'ResponseComplete'} Stage */

export { Random } from './random.mjs';

/** When the example log begins, in microseconds since the epoch: shortly before a full hour. */
const START_MICROS = Date.UTC(2026, 10, 21, 9, 22) * 1000;
const BACKUP_BYTES = 680_000;
const LIVE_BYTES = 340_000;
/** Backups, oldest first, by their last extension. */
const BACKUPS = ['.gz', '.gz', '', ''];

/**
 * A Kubernetes MicroTime: always six digits, always UTC.
 * @param {number} micros
 * @returns {string}
 */
function microTime(micros) {
  const millis = Math.floor(micros / 1000);
  return `${new Date(millis).toISOString().slice(0, -1)}${String(micros - millis * 1000).padStart(3, '0')}Z`;
}

/**
 * The line of one stage of a request, without its newline.
 * @param {Request} request
 * @param {Stage} stage
 * @param {number} receivedMicros
 * @param {number} atMicros
 * @returns {string}
 */
function lineOf(request, stage, receivedMicros, atMicros) {
  const isAnswered = stage !== 'RequestReceived';
  const isComplete = stage === 'ResponseComplete';
  const hasNotes = isAnswered && Object.keys(request.annotations).length > 0;
  // The name of an object to be created is known only when the body has been read.
  const hasName = isAnswered || request.verb !== 'create';
  return encode({
    kind: 'Event',
    apiVersion: 'audit.k8s.io/v1',
    level: request.level,
    auditID: request.auditID,
    stage,
    requestURI: request.requestURI,
    verb: request.verb,
    user: request.user ?? {},
    ...(isAnswered && { impersonatedUser: request.impersonatedUser }),
    sourceIPs: request.sourceIPs,
    userAgent: request.userAgent,
    objectRef: request.objectRef && (hasName ? request.objectRef : { ...request.objectRef, name: undefined }),
    ...(isAnswered && { responseStatus: request.responseStatus }),
    ...(isComplete && { requestObject: request.requestObject, responseObject: request.responseObject }),
    requestReceivedTimestamp: microTime(receivedMicros),
    stageTimestamp: microTime(atMicros),
    ...(hasNotes && { annotations: request.annotations }),
  });
}

/**
 * The stages that a request leaves in the log: a failed login leaves one, a watch three.
 * @param {Request} request
 * @returns {readonly Stage[]}
 */
function stagesOf(request) {
  if (!request.user) return ['ResponseStarted'];
  if (request.verb === 'watch') return ['RequestReceived', 'ResponseStarted', 'ResponseComplete'];
  return ['RequestReceived', 'ResponseComplete'];
}

/**
 * One event: the last stage of a request.
 * @param {Random} random
 * @param {{ atMicros?: number, namespace?: string }} [options] when it ended, and the namespace that it is about
 * @returns {string} without a newline
 */
export function eventLine(random, { atMicros = START_MICROS, namespace } = {}) {
  const request = namespace === undefined ? nextRequest(random) : requestIn(random, namespace);
  const stage = request.user ? 'ResponseComplete' : 'ResponseStarted';
  return lineOf(request, stage, atMicros - random.integer(300, 40_000), atMicros);
}

/**
 * Events without end, as they come to a busy API server: stages of different requests interleave.
 * @param {Random} random
 * @param {{ startMicros?: number, meanGapMicros?: number }} [options] the time of the first request, and the mean time from one to the next
 * @returns {Generator<{ atMicros: number, line: string }, never>} lines without a newline, in order of their stageTimestamp
 */
export function* auditEvents(random, { startMicros = START_MICROS, meanGapMicros = 2_700_000 } = {}) {
  /** @type {{ atMicros: number, line: string }[]} */
  const pending = [];
  for (let nowMicros = startMicros; ; nowMicros += random.integer(1, 2 * meanGapMicros)) {
    while (pending[0] && pending[0].atMicros < nowMicros)
      yield /** @type {typeof pending[0]} */ (pending.shift());
    const request = nextRequest(random);
    let atMicros = nowMicros;
    for (const stage of stagesOf(request)) {
      if (stage === 'ResponseComplete' && request.verb === 'watch')
        atMicros += random.integer(1, 150) * meanGapMicros;
      else if (stage !== 'RequestReceived') atMicros += random.integer(300, 40_000);
      const event = { atMicros, line: lineOf(request, stage, nowMicros, atMicros) };
      const next = pending.findIndex((other) => other.atMicros > event.atMicros);
      pending.splice(next < 0 ? pending.length : next, 0, event);
    }
  }
}

/**
 * The files of the example log, oldest first: names as lumberjack gives them, contents before compression.
 * @returns {{ name: string, content: Buffer, isCompressed: boolean }[]}
 */
export function exampleFiles() {
  const events = auditEvents(new Random(20261121));
  let event = events.next().value;
  /** @param {number} maxBytes */
  const take = (maxBytes) => {
    const lines = [];
    for (let bytes = 0; ; event = events.next().value) {
      const line = Buffer.from(`${event.line}\n`);
      bytes += line.length;
      if (bytes > maxBytes) return Buffer.concat(lines);
      lines.push(line);
    }
  };
  const backups = BACKUPS.map((extension) => {
    const content = take(BACKUP_BYTES);
    // The write that no longer fits makes lumberjack rename the full file, and gives it its time.
    const time = microTime(event.atMicros).slice(0, 23).replaceAll(':', '-');
    return { name: `audit-${time}.log${extension}`, content, isCompressed: extension === '.gz' };
  });
  return [...backups, { name: 'audit.log', content: take(LIVE_BYTES), isCompressed: false }];
}

/**
 * Writes the example log into a directory, which is made where it is missing.
 * @param {string} directory
 * @returns {void}
 */
export function writeExample(directory) {
  mkdirSync(directory, { recursive: true });
  for (const { name, content, isCompressed } of exampleFiles()) {
    writeFileSync(join(directory, name), isCompressed ? gzipSync(content, { level: 9 }) : content);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Throws for options: it has none, and none is the name of a directory.
  const [directory] = parseArgs({ allowPositionals: true }).positionals;
  writeExample(directory ?? fileURLToPath(new URL('log/', import.meta.url)));
}
