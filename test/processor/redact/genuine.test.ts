// The preset `secrets` on genuine logs with bodies: nothing that it covers is left, and nothing else has changed. What
// it covers is found here by JSON.parse, not by Headgate.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { redactProcessor } from '../../../src/processor/redact/index.js';
import { process as run, textsOf } from '../../helpers/processor.js';

const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';
const CONFIDENTIAL = ['secrets', 'tokenreviews', 'configmaps', 'certificatesigningrequests'];
const PIECE_BYTES = 8 * 1024 * 1024;
const directory = process.env['HEADGATE_TEST_DATA'];
const skip = directory === undefined ? 'HEADGATE_TEST_DATA is not set: no genuine logs' : false;

interface Body {
  kind?: string;
  items?: { kind?: string }[];
}
interface Event {
  objectRef?: { resource?: string; subresource?: string };
  requestObject?: Body;
  responseObject?: Body;
}

function isConfidential({ objectRef }: Event, body: Body): boolean {
  const { resource = '', subresource } = objectRef ?? {};
  return (
    CONFIDENTIAL.includes(resource) ||
    (resource === 'serviceaccounts' && subresource === 'token') ||
    /^(Secret|ConfigMap|TokenRe)/.test(body.kind ?? '')
  );
}

/** The texts of 16 bytes and more inside a value, as they stand in JSON; of last applied configurations in others. */
function collect(value: unknown, isAll: boolean, found: Set<string>): void {
  if (typeof value === 'string') {
    if (isAll && value.length >= 16 && /^[\w+/=.-]+$/.test(value)) found.add(value);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) collect(inner, isAll || key === LAST_APPLIED, found);
  }
}

function withoutLastApplied(key: string, value: unknown): unknown {
  return key === LAST_APPLIED ? undefined : value;
}

function* pieces(file: string): Generator<Buffer> {
  const read = readFileSync(join(directory ?? '', file));
  const data = file.endsWith('.gz') ? gunzipSync(read) : read;
  for (let start = 0; start < data.length;) {
    const newline = data.indexOf(0x0a, Math.min(start + PIECE_BYTES, data.length - 1));
    const end = newline < 0 ? data.length : newline;
    yield data.subarray(start, end);
    start = end + 1;
  }
}

for (const file of ['openshift/audit.log', 'kubernetes/requestresponse.log.gz']) {
  t.test(`${file}: nothing that is covered is left, all else is as it was`, { skip }, async (t) => {
    let covered = 0;
    let leaks = 0;
    let changes = 0;
    let unlike = 0;
    for (const piece of pieces(file)) {
      const lines = piece.toString('latin1').split('\n');
      const batch = run([[redactProcessor, { preset: 'secrets', configmaps: true }]], [piece]);
      t.equal(batch.size, lines.length);
      t.equal(textsOf(batch).length, lines.length, 'none is dropped');
      for (const [i, line] of lines.entries()) {
        const after = batch.bytes(i).toString('latin1');
        const event = JSON.parse(line) as Event;
        const secret = new Set<string>();
        for (const name of ['requestObject', 'responseObject'] as const) {
          const body = event[name];
          if (!body) continue;
          const isAll = isConfidential(event, body);
          collect(body, isAll, secret);
          if (isAll) delete event[name];
        }
        covered += secret.size;
        // What stands elsewhere in the event as well (a name in its URI) is no secret.
        const rest = JSON.stringify(event, withoutLastApplied);
        for (const text of secret) if (after.includes(text) && !rest.includes(text)) leaks++;
        if (after === line) continue;
        changes++;
        if (JSON.stringify(JSON.parse(after)) !== rest) unlike++;
        if (line.includes(LAST_APPLIED)) continue;
        // Both bodies stand side by side: one cut, and on both sides of it the bytes that were there.
        let same = 0;
        while (after[same] === line[same]) same++;
        if (!line.endsWith(after.slice(same))) unlike++;
      }
    }
    t.ok(covered > 0, `${covered} texts are covered`);
    t.ok(changes > 0, `${changes} events are changed`);
    t.equal(leaks, 0);
    t.equal(unlike, 0);
  });
}
