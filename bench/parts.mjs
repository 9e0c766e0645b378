// The parts of the hot path by themselves, each over the same lines: splitting reads into lines, decoding lines into
// batches of events with the fields that a pipeline wants, conditions on such events, and `JSON.parse` for comparison.

// Types come from the source, so that a clone can be checked before it is built.
const { LineReader } = /** @type {typeof import('../src/codec/lines.js')} */ (await built('codec/lines.js'));
const { JsonLinesDecoder } = /** @type {typeof import('../src/codec/json-lines.js')} */ (
  await built('codec/json-lines.js')
);
const { FieldRegistry } = /** @type {typeof import('../src/event/fields.js')} */ (
  await built('event/fields.js')
);
const { compileWhen, parseWhen } = /** @type {typeof import('../src/event/match.js')} */ (
  await built('event/match.js')
);
const { createMetrics } = /** @type {typeof import('../src/metrics.js')} */ (await built('metrics.js'));
const { Trail } = /** @type {typeof import('../src/position/fingerprint.js')} */ (
  await built('position/fingerprint.js')
);

/** @typedef {import('../src/event/batch.js').EventBatch} EventBatch */

/** As long as what a source reads at a time is at the most (`src/codec/lines.ts`). */
const BATCH_BYTES = 512 * 1024;
const NEWLINE = 0x0a;

/** @param {string} path @returns {Promise<unknown>} */
function built(path) {
  return import(new URL(`../dist/${path}`, import.meta.url).href);
}

/**
 * @param {Buffer} lines
 * @returns {Buffer[]} whole lines each, none longer than a batch unless a single line is
 */
function piecesOf(lines) {
  const pieces = [];
  for (let start = 0; start < lines.length;) {
    const last = lines.lastIndexOf(NEWLINE, start + BATCH_BYTES - 1);
    const end = last >= start ? last + 1 : lines.indexOf(NEWLINE, start) + 1;
    pieces.push(lines.subarray(start, end));
    start = end;
  }
  return pieces;
}

/** @param {Buffer} lines */
async function splitLines(lines) {
  const reader = new LineReader({ path: '', maxLineBytes: 64 * 1024 * 1024, trail: new Trail() });
  let at = 0;
  const source = {
    /** @param {Buffer} buffer @param {number} start @param {number} length */
    read: async (buffer, start, length) => {
      const bytes = lines.copy(buffer, start, at, at + length);
      at += bytes;
      return bytes;
    },
  };
  while ((await reader.read(source, BATCH_BYTES)).bytes > 0);
  if (reader.trail.offset !== lines.length) throw new Error('impossible: lines were left over');
}

/**
 * Decodes all pieces and hands out each batch.
 * @param {Buffer[]} pieces
 * @param {InstanceType<typeof FieldRegistry>} fields
 * @param {(batch: EventBatch) => void} use
 */
function decode(pieces, fields, use) {
  const decoder = new JsonLinesDecoder(fields, '', createMetrics());
  for (const data of pieces) {
    use(decoder.decode({ kind: 'chunk', data, path: '', file: '', offset: 0, readAtMs: 0, quarantined: [] }));
  }
}

/**
 * @param {Buffer[]} pieces
 * @param {string[][]} paths of the fields that are wanted
 * @returns {() => void}
 */
function decodeFor(pieces, paths) {
  const fields = new FieldRegistry();
  for (const path of paths) fields.slot(path);
  return () => decode(pieces, fields, () => undefined);
}

/**
 * A condition over events that are decoded already.
 * @param {Buffer[]} pieces
 * @param {unknown} when
 * @returns {() => void}
 */
function match(pieces, when) {
  const parsed = parseWhen(when);
  if ('faults' in parsed) throw new Error(parsed.faults.map((fault) => fault.message).join());
  const fields = new FieldRegistry();
  const matches = compileWhen(parsed.condition, fields);
  /** @type {EventBatch[]} */
  const batches = [];
  decode(pieces, fields, (batch) => batches.push(batch));
  return () => {
    let count = 0;
    for (const batch of batches) {
      for (let i = 0; i < batch.size; i++) if (matches(batch, i)) count++;
    }
    if (count === 0) throw new Error('the condition matched nothing');
  };
}

/** @param {Buffer[]} pieces */
function parseJson(pieces) {
  for (const piece of pieces) {
    for (let start = 0; start < piece.length;) {
      const newline = piece.indexOf(NEWLINE, start);
      JSON.parse(piece.toString('utf8', start, newline));
      start = newline + 1;
    }
  }
}

/**
 * Decodes legacy lines, for the namespace.
 * @param {Buffer} lines
 * @returns {() => number} how many bytes their events are, with newlines
 */
export function decodeLegacy(lines) {
  const pieces = piecesOf(lines);
  const fields = new FieldRegistry();
  fields.slot(['objectRef', 'namespace']);
  return () => {
    const decoder = new JsonLinesDecoder(fields, '', createMetrics());
    let bytes = 0;
    /** @param {EventBatch} batch */
    const take = (batch) => {
      for (let i = 0; i < batch.size; i++) bytes += batch.byteLength(i) + 1;
      // As a sink does: the memory of the events is used again.
      batch.release();
    };
    for (const data of pieces) {
      const chunk = { path: '', file: '', offset: 0, readAtMs: 0, quarantined: [] };
      take(decoder.decode({ kind: 'chunk', data, ...chunk }));
    }
    decoder.flush(0, true).forEach(take);
    return bytes;
  };
}

/**
 * What can be measured by itself.
 * @param {Buffer} lines
 * @returns {Map<string, () => void | Promise<void>>}
 */
export function partsOf(lines) {
  const pieces = piecesOf(lines);
  const namespace = ['objectRef', 'namespace'];
  const selection = {
    verb: ['create', 'update', 'patch'],
    'user.username|startswith': 'system:',
    stage: 'Response*',
  };
  return new Map([
    ['split into lines', () => splitLines(lines)],
    ['decode, for the namespace', decodeFor(pieces, [namespace])],
    [
      'decode, for namespace, user and time',
      decodeFor(pieces, [namespace, ['user', 'username'], ['stageTimestamp']]),
    ],
    ['`when` with one value', match(pieces, { stage: 'RequestReceived' })],
    ['`when` with three fields', match(pieces, selection)],
    ['`JSON.parse`', () => parseJson(pieces)],
  ]);
}
