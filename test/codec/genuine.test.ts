// Genuine audit logs: every event is found with the fields that JSON.parse finds, and nothing is quarantined but
// the halves that a full disk and a killed API server left.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { JsonLinesDecoder } from '../../src/codec/json-lines.js';
import type { QuarantineEntry } from '../../src/event/batch.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { createMetrics } from '../../src/metrics.js';
import { chunkOf, rawField } from '../helpers/decode.js';

const directory = process.env['HEADGATE_TEST_DATA'];
const PATHS = [
  ['auditID'],
  ['stage'],
  ['verb'],
  ['requestURI'],
  ['user'],
  ['user', 'username'],
  ['user', 'extra', 'authentication.kubernetes.io/credential-id'],
  ['sourceIPs'],
  ['objectRef', 'namespace'],
  ['objectRef', 'name'],
  ['responseStatus', 'code'],
  ['requestObject', 'spec', 'containers', 'image'],
  ['responseObject', 'metadata', 'resourceVersion'],
  ['stageTimestamp'],
  ['timestamp'],
  ['annotations', 'authorization.k8s.io/decision'],
];
const CHUNK_BYTES = 1 << 20;

function read(file: string): Buffer {
  const data = readFileSync(file);
  return file.endsWith('.gz') ? gunzipSync(data) : data;
}

/** What a slot must hold: the value, or the array that the path met before its end. */
function follow(value: unknown, path: readonly string[]): unknown {
  let inner = value;
  for (const segment of path) {
    if (Array.isArray(inner)) return inner;
    if (typeof inner !== 'object' || inner === null) return undefined;
    inner = Object.hasOwn(inner, segment) ? (inner as Record<string, unknown>)[segment] : undefined;
  }
  return inner;
}

interface Result {
  events: number;
  differences: string[];
  quarantined: QuarantineEntry[];
}

/** Decodes a file and compares each event with JSON.parse. */
function compare(data: Buffer): Result {
  const fields = new FieldRegistry();
  const slots = PATHS.map((path) => fields.slot(path));
  const metrics = createMetrics();
  const decoder = new JsonLinesDecoder(fields, 'pipeline', metrics);
  const result: Result = { events: 0, differences: [], quarantined: [] };
  let start = 0;
  while (start < data.length) {
    let end = data.lastIndexOf(10, start + CHUNK_BYTES) + 1;
    if (end <= start) end = data.indexOf(10, start) + 1 || data.length;
    const batch = decoder.decode(chunkOf('', { data: data.subarray(start, end), offset: start }));
    for (let i = 0; i < batch.size; i++) {
      const event: unknown = JSON.parse(batch.bytes(i).toString());
      for (const slot of slots) {
        const path = PATHS[slot] ?? [];
        const raw = rawField(batch, i, slot)?.raw;
        const found = raw === undefined ? undefined : Buffer.from(raw, 'latin1').toString();
        const expected: unknown = follow(event, path);
        if (
          (found === undefined ? undefined : JSON.stringify(JSON.parse(found))) !== JSON.stringify(expected)
        ) {
          result.differences.push(
            `${path.join('.')} of the event at ${batch.offset + (batch.starts[i] ?? 0)}`,
          );
        }
      }
    }
    result.quarantined.push(...batch.quarantined);
    start = end;
  }
  result.events = metrics.events;
  return result;
}

function filesOf(data: string): Record<string, number> {
  const rotated = (name: string, count: number): [string, number][] =>
    readdirSync(join(data, name)).map((file) => [join(name, file), count]);
  return {
    'kubernetes/metadata.log.gz': 64_477,
    'kubernetes/requestresponse.log.gz': 28_431,
    // Whole lines 2,055, and the event behind the torn half.
    'kubernetes/diskfull.log.gz': 2056,
    'kubernetes/killed-and-restarted.log.gz': 2682,
    'kubernetes/webhook/batch.witness-audit.log.gz': -1,
    ...Object.fromEntries(rotated('kubernetes/rotated-plain', -1)),
    ...Object.fromEntries(rotated('kubernetes/rotated-compressed', -1)),
    'openshift/audit.log': 100,
    'openshift/audit-after-policy.log': 9,
    'audit2rbac/demo.log': 37,
    'k8s-docs/v1beta1.log': -1,
  };
}

if (directory === undefined || !existsSync(directory)) {
  t.pass('genuine audit logs', { skip: 'HEADGATE_TEST_DATA names no directory with them' });
} else {
  const files = filesOf(directory);
  const torn = new Map([
    ['kubernetes/diskfull.log.gz', 2039],
    ['kubernetes/killed-and-restarted.log.gz', 1939],
  ]);
  for (const [file, events] of Object.entries(files)) {
    t.test(`${file} is decoded as JSON.parse decodes it`, async (t) => {
      const path = join(directory, file);
      if (!existsSync(path)) {
        t.pass('', { skip: 'not there' });
        return;
      }
      const data = read(path);
      const result = compare(data);
      t.same(result.differences, []);
      if (events >= 0) t.equal(result.events, events);
      const line = torn.get(file);
      if (line === undefined) {
        t.same(result.quarantined, []);
        return;
      }
      let start = 0;
      for (let n = 1; n < line; n++) start = data.indexOf(10, start) + 1;
      t.match(result.quarantined, [{ reason: 'torn', offset: start }]);
    });
  }
}
