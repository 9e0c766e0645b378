// What an audit event has: the fields of audit.k8s.io (kubernetes/apiserver pkg/apis/audit/v1/types.go, and what
// v1alpha1 and v1beta1 had besides), and the fields that Headgate computes. Names in a pipeline file are
// checked against them, so that a misspelt field is a fault and not a condition that never holds.
import { BACKSLASH, QUOTE } from './json-reader.js';
import { unescapeTo } from './json-string.js';
import { SLOT_STRIDE } from './batch.js';
import type { EventBatch } from './batch.js';
import type { FieldRegistry } from './fields.js';
import type { Fields, Shape } from './shape.js';
import { parseTimestamp } from './timestamp.js';

const USER: Shape = { username: 'nothing', uid: 'nothing', groups: 'nothing', extra: 'key' };
const OBJECT_REFERENCE: Shape = {
  resource: 'nothing',
  namespace: 'nothing',
  name: 'nothing',
  uid: 'nothing',
  apiGroup: 'nothing',
  apiVersion: 'nothing',
  resourceVersion: 'nothing',
  subresource: 'nothing',
};
const STATUS: Shape = {
  kind: 'nothing',
  apiVersion: 'nothing',
  metadata: 'anything',
  status: 'nothing',
  message: 'nothing',
  reason: 'nothing',
  details: {
    name: 'nothing',
    group: 'nothing',
    kind: 'nothing',
    uid: 'nothing',
    causes: { reason: 'nothing', message: 'nothing', field: 'nothing' },
    retryAfterSeconds: 'nothing',
  },
  code: 'nothing',
};

/** The fields of an event as the API server writes it. */
export const EVENT_SHAPE: Fields = {
  kind: 'nothing',
  apiVersion: 'nothing',
  metadata: 'anything',
  level: 'nothing',
  timestamp: 'nothing',
  auditID: 'nothing',
  stage: 'nothing',
  requestURI: 'nothing',
  verb: 'nothing',
  user: USER,
  impersonatedUser: USER,
  authenticationMetadata: 'anything',
  sourceIPs: 'nothing',
  userAgent: 'nothing',
  objectRef: OBJECT_REFERENCE,
  responseStatus: STATUS,
  requestObject: 'anything',
  responseObject: 'anything',
  requestReceivedTimestamp: 'nothing',
  stageTimestamp: 'nothing',
  annotations: 'key',
};

/** The fields that are computed; the scanner never looks for them. */
export const COMPUTED_FIELDS = ['tag', 'time', 'latency_ms'] as const;
export type ComputedField = (typeof COMPUTED_FIELDS)[number];

/** What may be named where no processor has made any field yet. */
export const KNOWN_FIELDS: Fields = {
  ...EVENT_SHAPE,
  ...Object.fromEntries(COMPUTED_FIELDS.map((name) => [name, 'nothing' as const])),
};

/** The computed field that a path names, if it names one. */
export function computedField(path: readonly string[]): ComputedField | undefined {
  return path.length === 1 ? COMPUTED_FIELDS.find((name) => name === path[0]) : undefined;
}

/**
 * Makes the function that tells `time`, in whole milliseconds since the epoch: `stageTimestamp`, else `timestamp`
 * (v1alpha1, v1beta1), else `requestReceivedTimestamp` (all that most legacy lines have), else when the event was read.
 * What is no timestamp, or before 1970, counts as absent.
 */
export function compileTime(fields: FieldRegistry): (batch: EventBatch, i: number) => number {
  const stage = fields.slot(['stageTimestamp']);
  const old = fields.slot(['timestamp']);
  const received = fields.slot(['requestReceivedTimestamp']);
  return (batch, i) => {
    let us = timestampAt(batch, i, stage);
    if (Number.isNaN(us)) us = timestampAt(batch, i, old);
    if (Number.isNaN(us)) us = timestampAt(batch, i, received);
    return Number.isNaN(us) ? batch.readAtMs : Math.floor(us / 1000);
  };
}

/**
 * Makes the function that tells `latency_ms`, from `requestReceivedTimestamp` to `stageTimestamp`, in milliseconds
 * with up to three decimals; NaN where either is absent.
 */
export function compileLatency(fields: FieldRegistry): (batch: EventBatch, i: number) => number {
  const received = fields.slot(['requestReceivedTimestamp']);
  const stage = fields.slot(['stageTimestamp']);
  return (batch, i) => (timestampAt(batch, i, stage) - timestampAt(batch, i, received)) / 1000;
}

// Microseconds since the epoch, or NaN.
function timestampAt(batch: EventBatch, i: number, slot: number): number {
  const at = (i * batch.fieldCount + slot) * SLOT_STRIDE;
  const start = batch.slots[at] as number;
  if (start < 0 || batch.data[start] !== QUOTE) return NaN;
  const end = batch.slots[at + 1] as number;
  const us = parseTimestamp(batch.data, start + 1, end - 1);
  if (Number.isNaN(us) && batch.data.subarray(start, end).includes(BACKSLASH)) {
    const unescaped = new Uint8Array(end - start);
    return parseTimestamp(unescaped, 0, unescapeTo(unescaped, batch.data, start + 1, end - 1));
  }
  return us;
}
