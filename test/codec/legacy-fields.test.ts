// The fields of events made from legacy lines are where a scan of the same events finds them, whatever is asked for.
import assert from 'node:assert/strict';
import t from 'tap';
import fc from 'fast-check';
import { JsonLinesDecoder } from '../../src/codec/json-lines.js';
import type { EventBatch } from '../../src/event/batch.js';
import { SLOT_STRIDE } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { compileScanner } from '../../src/event/scan.js';
import { createMetrics } from '../../src/metrics.js';
import { chunkOf } from '../helpers/decode.js';
import { requestLine, responseLine } from '../helpers/legacy.js';
import { randomRuns } from '../helpers/random-runs.js';

const PATHS =
  `kind apiVersion level auditID stage requestURI verb user user.username user.groups user.groups.0 user.uid
  impersonatedUser impersonatedUser.username impersonatedUser.groups impersonatedUser.groups.0 sourceIPs sourceIPs.0
  userAgent userAgent.x objectRef objectRef.resource objectRef.namespace objectRef.name objectRef.apiGroup
  objectRef.apiVersion objectRef.subresource objectRef.uid responseStatus responseStatus.metadata
  responseStatus.metadata.x responseStatus.code responseStatus.code.x requestReceivedTimestamp stageTimestamp
  annotations annotations.x other`
    .split(/\s+/)
    .map((path) => path.split('.'));
PATHS.push(['annotations', 'headgate.io/legacy'], ['annotations', 'headgate.io']);

function fieldsOf(data: Buffer, slots: Int32Array, base: number): string[] {
  return PATHS.map((path, slot) => {
    const at = base + slot * SLOT_STRIDE;
    const [start = -1, end, depth] = slots.subarray(at, at + SLOT_STRIDE);
    const value = start < 0 ? 'absent' : `${depth}: ${data.toString('latin1', start, end)}`;
    return `${path.join('.')} ${value}`;
  });
}

function scannedFields(batch: EventBatch, i: number): string[] {
  const scanner = compileScanner(PATHS);
  const slots = new Int32Array(PATHS.length * SLOT_STRIDE);
  scanner.load(batch.data);
  const end = scanner.scanLine(batch.starts[i] ?? -1, slots, 0, false);
  if (end !== batch.ends[i]) throw new Error(`no event: ${batch.bytes(i).toString()}`);
  return fieldsOf(batch.data, slots, 0);
}

const value = fc.constantFrom('a', 'system:masters', '', '日本', '<b>', 'a"b', 'a\\b', '&', '<none>');
const part = fc.constantFrom(
  'api',
  'apis',
  'v1',
  'apps',
  'pods',
  'namespaces',
  'x',
  '',
  '%41',
  '"',
  'watch',
  '&',
);
const uri = fc
  .tuple(
    fc.array(part, { maxLength: 9 }),
    fc.constantFrom('', '?watch=1', '?fieldSelector=metadata.name%3Dn&a=b'),
  )
  .map(([parts, query]) => `/${parts.join('/')}${query}`);
const values = fc.record(
  {
    uri: fc.oneof(
      uri,
      uri.map((path) => `/api/v1${path}`),
      uri.map((path) => `/apis/apps/v1${path}`),
    ),
    ip: fc.constantFrom('127.0.0.1', '<unknown>', '<nil>', '::1'),
    method: fc.constantFrom('GET', 'POST', 'DELETE', 'list', 'get', 'OPTIONS', 'a"'),
    user: value,
    groups: fc.constantFrom('"a"', '"a","b"', '"a\\"b"', 'no list', '<none>', '"日本"'),
    as: fc.oneof(value, fc.constant('<self>')),
    asgroups: fc.constantFrom('<lookup>', '"a"', '"a","b"'),
    namespace: value,
    'user-agent': value,
    stage: fc.constantFrom('RequestReceived', 'ResponseStarted', 'Panic'),
  },
  { requiredKeys: ['uri', 'stage'] },
);
const response = fc.constantFrom('200', '<deferred>', undefined);

t.test('fields noted while an event is written are those that a scan of it finds', async (t) => {
  const fields = new FieldRegistry();
  for (const path of PATHS) fields.slot(path);
  let compared = 0;
  // One decoder for all: parts of the lines come again.
  const decoder = new JsonLinesDecoder(fields, '', createMetrics());
  fc.assert(
    fc.property(values, response, fc.boolean(), ({ stage, ...request }, response, isAnswered) => {
      const lines = [requestLine('a', response === undefined ? request : { ...request, stage, response })];
      if (isAnswered) lines.push(responseLine('a'));
      lines.push('{"verb":"get"}');
      for (const batch of [decoder.decode(chunkOf(`${lines.join('\n')}\n`)), ...decoder.flush(0, true)]) {
        for (let i = 0; i < batch.size; i++, compared++) {
          const noted = fieldsOf(batch.data, batch.slots, i * batch.fieldCount * SLOT_STRIDE);
          assert.deepEqual(noted, scannedFields(batch, i));
        }
      }
    }),
    { numRuns: randomRuns(1000) },
  );
  t.ok(compared >= 2000);
});
