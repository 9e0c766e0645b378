// Legacy audit lines as kube-apiserver wrote them, and their events.
import { LegacyEventWriter } from '../../src/codec/legacy-event.js';
import { KnownParts } from '../../src/codec/legacy-known.js';
import { LegacyLine } from '../../src/codec/legacy-line.js';
import { JsonWriter } from '../../src/event/json-writer.js';
import type { NumberedLine } from './audit-lines.js';

/** A string as Go's `%q` prints it, for ASCII. */
export function goQuote(text: string): string {
  return JSON.stringify(text).replace(/\\u00/g, '\\x');
}

/** The pairs of a line, each value quoted. */
export function pairs(values: Record<string, string>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${goQuote(value)}`)
    .join(' ');
}

export const TIME = '2017-03-21T03:57:09.106841886-04:00';

/** A request as 1.6 wrote it; `values` replace what it says. */
export function requestLine(id: string, values: Record<string, string> = {}, time = TIME): string {
  const request = {
    id,
    ip: '127.0.0.1',
    method: 'GET',
    user: 'admin',
    groups: '"system:masters","system:authenticated"',
    as: '<self>',
    asgroups: '<lookup>',
    namespace: 'default',
    uri: '/api/v1/namespaces/default/pods',
  };
  return `${time} AUDIT: ${pairs({ ...request, ...values })}`;
}

/** The line of its response. */
export function responseLine(id: string, code = 200, time = '2017-03-21T03:57:09.108403639-04:00'): string {
  return `${time} AUDIT: ${pairs({ id, response: String(code) })}`;
}

/** Reads a line; throws what is wrong with it. */
export function readLine(line: string | Buffer): LegacyLine {
  const data = Buffer.from(line);
  const read = new LegacyLine();
  if (!read.read(data, 0, data.length)) throw new Error(read.fault);
  return read;
}

const nothing = new KnownParts(4, 4);

/** The event of one line, or of a request and its response, as text without newline. */
export function eventText(line: string | Buffer, response?: string): string {
  const out = new JsonWriter(Buffer.alloc(64));
  new LegacyEventWriter(nothing).write(
    out,
    readLine(line),
    response === undefined ? undefined : readLine(response),
  );
  return out.buffer.toString('utf8', 0, out.length - 1);
}

/** The same as an object. */
export function eventOf(line: string | Buffer, response?: string): Record<string, unknown> {
  return JSON.parse(eventText(line, response)) as Record<string, unknown>;
}

/** A two-line log for crash tests: interleaved pairs, every tenth request without response, every thirteenth response alone. */
export class NumberedPairs {
  /** The events of what was written so far, in order. */
  readonly events: NumberedLine[] = [];
  readonly #open = new Map<number, { request: string; namespace: string }>();
  #number = 0;

  /** The next lines: a request, and the responses that are due by now. */
  next(): string[] {
    const number = this.#number++;
    const namespace = `team-${(number * 7) % 3}`;
    const request = requestLine(
      `request-${number}`,
      { namespace, uri: `/api/v1/namespaces/${namespace}/pods/${'p'.repeat((number * 31) % 200)}` },
      timeOf(number),
    );
    this.#open.set(number, { request, namespace });
    const lines = [request];
    for (const [due, pair] of this.#open) {
      if (due % 10 === 0 || number < due + ((due * 7) % 23)) continue;
      const response = responseLine(`request-${due}`, 200 + (due % 5), timeOf(number));
      lines.push(response);
      this.#add(pair.namespace, eventText(pair.request, response));
      this.#open.delete(due);
      if (due % 13 !== 0) continue;
      lines.push(response);
      this.#add('none', eventText(response));
    }
    return lines;
  }

  /** No line follows: what is open now is given up. */
  end(): void {
    for (const { request, namespace } of this.#open.values()) this.#add(namespace, eventText(request));
    this.#open.clear();
  }

  #add(namespace: string, line: string): void {
    this.events.push({ number: this.events.length, namespace, line });
  }
}

function timeOf(number: number): string {
  return new Date(Date.UTC(2017, 0, 1) + number).toISOString();
}
