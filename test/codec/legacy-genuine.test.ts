// Genuine legacy logs against the JSON events of the same requests: what a legacy entry holds is, as an event, what the
// API server's JSON log says of the request.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import type { LegacyLine } from '../../src/codec/legacy-line.js';
import { eventText, readLine } from '../helpers/legacy.js';

const directory = process.env['HEADGATE_TEST_DATA'];
const options = { skip: directory === undefined && 'HEADGATE_TEST_DATA is not set' };

interface Event {
  auditID: string;
  stage: string;
  requestURI: string;
  verb: string;
  user: { username?: string; groups?: string[] };
  impersonatedUser?: { username?: string; groups?: string[] };
  sourceIPs?: string[];
  objectRef?: Record<string, string>;
  responseStatus?: { code?: number };
  requestReceivedTimestamp: string;
}

function linesOf(path: string): string[] {
  const data = readFileSync(join(directory ?? '', path));
  return (path.endsWith('.gz') ? gunzipSync(data) : data).toString('latin1').split('\n').filter(Boolean);
}

/** Microseconds of a time with six digits. */
function microseconds(time: string): number {
  return Date.parse(time) * 1000 + Number(time.slice(23, 26));
}

/** The events of a two-line log, joined by id. */
function joined(path: string): { events: Event[]; responses: number } {
  const requests = new Map<string, LegacyLine[]>();
  for (const text of linesOf(path)) {
    const line = readLine(Buffer.from(text, 'latin1'));
    const id = /id="([^"]*)"/.exec(text)?.[1] ?? '';
    requests.set(id, [...(requests.get(id) ?? []), line]);
  }
  const all = [...requests.values()];
  return {
    events: all.map(([request, response]) => {
      const text = (line: LegacyLine) => line.data.toString('latin1');
      if (!request) throw new Error('impossible: no line');
      return JSON.parse(eventText(Buffer.from(text(request), 'latin1'), response && text(response))) as Event;
    }),
    responses: all.filter(([, response]) => response).length,
  };
}

/** What a legacy entry can say of an event. */
function told(event: Event, hasGroups: boolean): unknown {
  const { verb, user, impersonatedUser, sourceIPs, requestURI, objectRef, responseStatus } = event;
  const person = ({ username, groups }: Event['user']) => ({
    username,
    groups: hasGroups ? groups : undefined,
  });
  return {
    verb,
    requestURI,
    user: person(user),
    impersonated: impersonatedUser?.username,
    ip: sourceIPs?.[0],
    objectRef: objectRef && {
      resource: objectRef['resource'],
      namespace: objectRef['namespace'],
      // That of what is created is in the body.
      name: verb === 'create' ? undefined : objectRef['name'],
      apiGroup: objectRef['apiGroup'],
      apiVersion: objectRef['apiVersion'],
      subresource: objectRef['subresource'],
    },
    code: responseStatus?.code,
  };
}

for (const [file, requests, responses, hasGroups] of [
  ['two-line', 10_050, 10_035, true],
  ['two-line-without-groups', 2_000, 1_992, false],
] as const) {
  t.test(`${file}: each entry says what the JSON event of its request says`, options, async (t) => {
    const { events, responses: found } = joined(`kubernetes/legacy/${file}.log.gz`);
    t.equal(events.length, requests);
    t.equal(found, responses);
    // The same requests under other ids, some microseconds earlier.
    const genuine = new Map<string, Event[]>();
    for (const line of linesOf('kubernetes/metadata.log.gz')) {
      const event = JSON.parse(Buffer.from(line, 'latin1').toString()) as Event;
      const of = `${event.requestURI} ${event.user.username}`;
      genuine.set(of, [...(genuine.get(of) ?? []), event]);
    }
    const different: unknown[] = [];
    for (const event of events) {
      const at = microseconds(event.requestReceivedTimestamp);
      const candidates = genuine.get(`${event.requestURI} ${event.user.username}`) ?? [];
      const isNear = (other: Event) => Math.abs(at - microseconds(other.requestReceivedTimestamp)) < 100_000;
      const mine = JSON.stringify(told(event, hasGroups));
      if (candidates.some((other) => isNear(other) && JSON.stringify(told(other, hasGroups)) === mine))
        continue;
      different.push({
        mine,
        near: candidates.filter(isNear).map((other) => JSON.stringify(told(other, hasGroups))),
      });
    }
    t.same(different, []);
  });
}

t.test(
  'one-line: each line is an event with its verb, its stage and the namespace that its URI names',
  options,
  async (t) => {
    const lines = linesOf('kubernetes/legacy/one-line.log.gz');
    t.equal(lines.length, 4000);
    const wrong: string[] = [];
    for (const line of lines) {
      const data = Buffer.from(line, 'latin1');
      const event = JSON.parse(eventText(data)) as Event;
      // Of the escapes that these have JSON knows all.
      const valueOf = (key: string) => {
        const quoted = new RegExp(` ${key}=("(?:[^"\\\\]|\\\\.)*")`).exec(data.toString())?.[1] ?? '""';
        return JSON.parse(quoted) as string;
      };
      const code = valueOf('response');
      const namespace = valueOf('namespace');
      const isSame =
        event.auditID === valueOf('id') &&
        event.verb === valueOf('method') &&
        event.stage === valueOf('stage') &&
        String(event.responseStatus?.code ?? '<deferred>') === code &&
        (event.objectRef?.['namespace'] ?? '<none>') === namespace;
      // The namespace must come out of the URI too.
      const alone = line.replace(/ namespace="[^"]*"/, '');
      if (!isSame || eventText(Buffer.from(alone, 'latin1')) !== eventText(data)) wrong.push(line);
    }
    t.same(wrong, []);
  },
);
