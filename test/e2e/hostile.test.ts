// One log with every hostile thing at once, through the whole program: nothing leaves its place, nothing is mixed up,
// nothing is lost or told twice.
import t from 'tap';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { complaints, headgate, reconcile } from '../helpers/headgate.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';

const TORN = 2_000;
const DEPTH = 100_000;
const MIB = 1024 * 1024;

/** JSON spellings of strings, as bytes; each stands for other bytes than every other. */
const VALUES = [
  '../../etc/cron.d/x',
  '/etc/passwd',
  '.',
  '..',
  '...',
  '',
  'a/b',
  'a%2Fb',
  'a%252Fb',
  'a\\\\b',
  '%',
  '%%',
  '%Y%m',
  '%~',
  '~',
  'a~000001',
  'a',
  'A',
  'a.log',
  'a.gz',
  '{{ tag }}',
  'system:node:a',
  'l\\u0000',
  'l\\n{\\"level\\":\\"error\\",\\"code\\":\\"FORGED\\"}',
  'l\\r\\nFORGED',
  '\\u001b[31mred',
  'caf\u00e9',
  'cafe\u0301',
  '\u65e5\u672c',
  '\\ud83d\\ude00',
  '\\ud800',
  '\\udc00',
  '\\ud801\\ud800',
  '\u202egnp.exe',
  'x'.repeat(4096),
  'x'.repeat(4097),
  `${'x'.repeat(4096)}y`,
  '/'.repeat(4096),
  '__proto__',
  'constructor',
].map((text) => Buffer.from(text).toString('latin1'));
// No valid UTF-8: each decodes to U+FFFD, and they must stay apart all the same.
VALUES.push('\xff', '\xfe', '\xc3', '\xc0\xaf', '\xed\xa0\x81');

const event = (id: number, user: string, namespace: string, more = ''): string =>
  `{"kind":"Event","apiVersion":"audit.k8s.io/v1","auditID":"${id}","stage":"ResponseComplete","user":{"username":"${user}"},"objectRef":{"namespace":"${namespace}"}${more},"stageTimestamp":"2026-11-21T10:00:00.000000Z"}`;

interface Expectation {
  /** The log, as a byte string. */
  log: string;
  /** Lines by the number of the value of each field. */
  byUser: Map<number, string[]>;
  byNamespace: Map<number, string[]>;
  /** Reasons of the quarantine, counted. */
  quarantined: Record<string, number>;
}

function hostileLog(): Expectation {
  const byUser = new Map<number, string[]>();
  const byNamespace = new Map<number, string[]>();
  let log = '';
  let id = 0;
  const next = (more = ''): string => {
    const user = id % VALUES.length;
    // Other pairs of values in every round.
    const namespace = (id * 7 + Math.floor(id / VALUES.length)) % VALUES.length;
    const line = event(id++, VALUES[user] ?? '', VALUES[namespace] ?? '', more);
    byUser.set(user, [...(byUser.get(user) ?? []), line]);
    byNamespace.set(namespace, [...(byNamespace.get(namespace) ?? []), line]);
    return line;
  };
  for (let i = 0; i < 3 * VALUES.length; i++) log += `${next()}\n`;
  for (const more of [
    ',"user":{"username":"another"},"objectRef":null',
    ',"responseStatus":{"code":1e999},"x":-1e-999',
    ',"requestObject":{"a":1,"a":2,"\\u0061":3}',
    `,"requestObject":${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}`,
    `,"requestObject":${'{"user":'.repeat(DEPTH)}null${'}'.repeat(DEPTH)}`,
    `,"annotations":{"x":"${'y'.repeat(11 * MIB)}"}`,
    `,"requestObject":{"data":"${'z'.repeat(5 * MIB)}"},"responseObject":{"items":[${'{"a":"\\u003c"},'.repeat(400_000)}0]}`,
    ',"requestObject":"{\\"kind\\":\\"Event\\",\\"apiVersion\\":\\"audit.k8s.io/v1\\"}"',
  ])
    log += `${next(more)}\n`;
  const half = event(0, 'half', 'half').slice(0, 80);
  for (let i = 0; i < TORN; i++) log += `${half}${next()}\n`;
  for (let i = 0; i < TORN; i++) log += `${half}\n`;
  const malformed = [
    '{',
    '}',
    '"',
    '\\',
    '{"a":1e}',
    '\0\0\0',
    '\xff\xfe',
    `${'['.repeat(MIB)}`,
    '\\'.repeat(MIB),
  ];
  const notObjects = ['1e999', '[]', '"{}"', 'null', `${'['.repeat(DEPTH)}${']'.repeat(DEPTH)}`];
  for (const line of [...malformed, ...notObjects]) log += `${line}\n`;
  log += `{"a":"${'x'.repeat(17 * MIB)}"}\n`;
  // A hole that copytruncate left, and two events whose newline was lost.
  log += `${'\0'.repeat(1000)}${next()}\n${next()}${next()}\n\n \r\n`;
  log += `${next()}\n`;
  const quarantined = {
    torn: TORN + 1,
    malformed: TORN + malformed.length,
    not_an_object: notObjects.length,
    too_long: 1,
  };
  return { log, byUser, byNamespace, quarantined };
}

function tree(root: string): string[] {
  const entries = readdirSync(root, { recursive: true, withFileTypes: true });
  return entries.map((entry) => relative(root, join(entry.parentPath, entry.name))).sort();
}

/** What is wrong with the files of one pipeline; undefined where each value has its lines in a file of its own. */
function misplaced(directory: string, expected: ReadonlyMap<number, string[]>): string | undefined {
  const outputs = [...readOutputs(directory).values()].map((data) => linesOf(data).join('\n'));
  const wanted = new Set([...expected.values()].map((lines) => lines.join('\n')));
  if (outputs.length !== wanted.size) return `${outputs.length} files instead of ${wanted.size}`;
  const strange = outputs.find((content) => !wanted.has(content));
  return strange === undefined ? undefined : `a file that begins with ${strange.slice(0, 300)}`;
}

t.test(
  'hostile events stay in their place, apart from each other, and are counted',
  { timeout: 300_000 },
  async (t) => {
    const root = temporaryDirectory(t);
    const place = join(root, 'deep/down');
    mkdirSync(join(place, 'pipelines'), { recursive: true });
    const { log, byUser, byNamespace, quarantined } = hostileLog();
    writeFileSync(join(place, 'audit.log'), Buffer.from(log, 'latin1'));
    for (const [name, field, path] of [
      ['user', 'user.username', '{{ tag }}/audit.log'],
      ['namespace', 'objectRef.namespace', 'x.{{ tag }}'],
    ]) {
      writeFileSync(
        join(place, `pipelines/${name}.yaml`),
        `source: { type: file, paths: ['${place}/audit.log'], max_line_bytes: 16MiB }
processors: [{ type: tag, tag: '{{ ${field} ?? "absent" }}' }]
routes: [{ to: out }]
sinks: { out: { type: files, base_dir: '${place}/${name}', path: '${path}', max_open_files: 16 } }
`,
      );
    }
    const before = tree(root);
    const run = await headgate([
      'run',
      '--once',
      '--state-dir',
      join(place, 'state'),
      join(place, 'pipelines'),
    ]);
    t.equal(run.exitCode, 0, complaints(run));

    const added = tree(root).filter((path) => !before.includes(path));
    const elsewhere = added.filter((path) => !/^deep\/down\/(user|namespace|state)(\/|$)/.test(path));
    t.same(elsewhere, [], 'nothing was made anywhere else');
    t.same(
      readdirSync(join(place, 'state')).sort(),
      ['namespace', 'user'].flatMap((name) => [
        `${name}.position.json`,
        `${name}.position.json.1`,
        `${name}.quarantine.jsonl`,
      ]),
    );
    t.ok(
      added.every((path) => path.split('/').every((part) => /^[A-Za-z0-9._@:+=%~-]{1,255}$/.test(part))),
      'only harmless names',
    );

    t.equal(
      misplaced(join(place, 'user'), byUser),
      undefined,
      'each user has its own file, with its events once',
    );
    t.equal(misplaced(join(place, 'namespace'), byNamespace), undefined, 'and so has each namespace');

    for (const name of ['user', 'namespace']) {
      const counters = run.counters[name] ?? {};
      t.equal(reconcile(counters), undefined, name);
      const total = Object.values(quarantined).reduce((sum, count) => sum + count, 0);
      t.match(counters, {
        headgate_lines_blank_total: 2,
        headgate_lines_quarantined_total: total,
        headgate_events_delivered_total: [...byUser.values()].flat().length,
        headgate_events_in_flight: 0,
        headgate_bytes_read_total: log.length,
      });
      const found: Record<string, number> = {};
      for (const line of linesOf(readFileSync(join(place, `state/${name}.quarantine.jsonl`)))) {
        const { reason } = JSON.parse(line) as { reason: string };
        found[reason] = (found[reason] ?? 0) + 1;
      }
      t.same(found, quarantined, name);
    }

    const logLines = run.stderr.trimEnd().split('\n');
    t.same(
      logLines.filter((line) => !/^\{.*\}$/.test(line) || typeof JSON.parse(line) !== 'object'),
      [],
      'every line of its own log is one JSON object',
    );
    t.notMatch(run.stderr, /FORGED/);
    t.equal(run.stdout, '');
  },
);
