// Long lines made to be slow: each is decoded within seconds because the work is linear in its length. Were it not,
// the smallest of these would take hours, so the deadline of the test is what checks it.
import t from 'tap';
import { FieldRegistry } from '../../src/event/fields.js';
import { compileWhen } from '../../src/event/match.js';
import { compileTemplate, parseTemplate } from '../../src/event/template.js';
import { parseWhen } from '../../src/event/when.js';
import { decode } from '../helpers/decode.js';

const BYTES = 4 * 1024 * 1024;
const HEAD = '{"kind":"Event","apiVersion":"audit.k8s.io/v1","user":{"username":"';
const EVENT = `${HEAD}u"}}`;

const filled = (unit: string, bytes = BYTES): string => unit.repeat(Math.floor(bytes / unit.length));

/** What a line begins with, what fills it, what it ends with; the events in it, and why the rest is quarantined. */
const CASES: [name: string, line: string, events: number, reason?: string][] = [
  ['torn halves', filled(HEAD), 0, 'malformed'],
  ['torn halves and a brace', `${filled(HEAD)}}`, 0, 'malformed'],
  ['torn halves before an event', `${filled(HEAD)}${EVENT}`, 1, 'torn'],
  ['beginnings of events', filled('{"kind":"'), 0, 'malformed'],
  ['events whose newlines were lost', filled(EVENT), Math.floor(BYTES / EVENT.length)],
  ['beginnings inside of an event', `{"a":[${filled('{"kind":"Event"},')}0]}`, 1],
  ['NUL bytes', filled('\0'), 0, 'malformed'],
  ['NUL bytes before an event', `${filled('\0')}${EVENT}`, 1, 'torn'],
  ['open brackets', filled('['), 0, 'malformed'],
  ['open brackets in an object', `{"a":${filled('[')}`, 0, 'malformed'],
  ['open objects', filled('{"user":'), 0, 'malformed'],
  ['arrays in a wanted field', `{"user":${filled('[', BYTES / 2)}${filled(']', BYTES / 2)}}`, 1],
  ['objects in a wanted field', `{"user":[${filled('{"username":[{}]},')}0]}`, 1],
  ['backslashes', filled('\\'), 0, 'malformed'],
  ['backslashes in a string', `{"a":"${filled('\\\\')}"}`, 1],
  ['backslashes in a string without end', `{"a":"${filled('\\')}}`, 0, 'malformed'],
  ['escaped quotes and a brace', `${filled('\\"')}}`, 0, 'malformed'],
  ['backslashes before each quote', `${filled('\\\\"')}}`, 0, 'malformed'],
  ['a string without end', `{"a":"${filled('x')}`, 0, 'malformed'],
  ['a string without end and a brace', `{"a":"${filled('x')}}`, 0, 'malformed'],
  ['quotes and a brace', `${filled('"')}}`, 0, 'malformed'],
  ['closing braces', filled('}'), 0, 'malformed'],
  ['braces the wrong way round', filled('}{'), 0, 'malformed'],
  ['the same key', `{${filled('"user":1,')}"z":0}`, 1],
  ['the same key with an escape', `{${filled('"\\u0075ser":1,')}"z":0}`, 1],
  ['a key with an escape', `{"\\u0075${filled('x')}":0}`, 1],
  ['digits', `{"a":${filled('1')}}`, 1],
  ['spaces', filled(' '), 0],
  ['a user name of letters', `{"user":{"username":"${filled('ab')}"}}`, 1],
  ['a user name of escapes', `{"user":{"username":"${filled('\\u0000')}"}}`, 1],
  ['short lines', filled('{}\n'), Math.floor(BYTES / 3)],
  ['empty lines', filled('\n'), 0],
  ['halves on lines of their own', filled(`${HEAD}\n`), 0, 'malformed'],
  [
    'halves with events',
    filled(`${HEAD}${EVENT}\n`),
    Math.floor(BYTES / (HEAD.length + EVENT.length + 1)),
    'torn',
  ],
];

for (const [name, line, events, reason] of CASES) {
  t.test(`work on ${name} is linear in their length`, { timeout: 120_000 }, async (t) => {
    const parsed = parseTemplate('{{ user.username ?? "none" }}');
    const when = parseWhen({ 'user.username': ['*a*b*c*', '*b?a*z'], 'user.groups|contains': 'x' });
    if ('faults' in parsed || 'faults' in when) throw new Error('impossible: faults');
    const fields = new FieldRegistry();
    const render = compileTemplate(parsed.template, fields);
    const matches = compileWhen(when.condition, fields);
    const { batch } = decode(Buffer.from(`${line}\n`, 'latin1'), fields);
    for (let i = 0; i < batch.size; i++) {
      render(batch, i);
      matches(batch, i);
    }
    t.equal(batch.size, events);
    t.equal(batch.quarantined[0]?.reason, reason);
  });
}
