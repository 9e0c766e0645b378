// Genuine audit logs through the whole program: the union of all outputs is the input, byte for byte, each line is in
// the file of its own namespace (told by jq, which shares no code with us), and the quarantine holds exactly the
// torn halves.
import t from 'tap';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { encodeValue } from '../../src/sink/files/encode.js';
import { fromText } from '../../src/event/byte-string.js';
import { complaints, headgate, reconcile } from '../helpers/headgate.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';

const data = process.env['HEADGATE_TEST_DATA'];

interface Input {
  name: string;
  /** Files to copy beside each other; the last one becomes the live `audit.log`. */
  files: string[];
}

function inputs(directory: string): Input[] {
  const kubernetes = join(directory, 'kubernetes');
  const single = (name: string): Input => ({ name, files: [join(kubernetes, name)] });
  const rotated = (name: string): Input => ({
    name,
    files: readdirSync(join(kubernetes, name))
      .sort((a, b) => (a === 'audit.log' ? 1 : b === 'audit.log' ? -1 : a < b ? -1 : 1))
      .map((file) => join(kubernetes, name, file)),
  });
  return [
    single('metadata.log.gz'),
    single('requestresponse.log.gz'),
    single('diskfull.log.gz'),
    single('killed-and-restarted.log.gz'),
    rotated('rotated-plain'),
    rotated('rotated-compressed'),
    single('webhook/batch.witness-audit.log.gz'),
    single('webhook/trunc.witness-audit.log.gz'),
    { name: 'audit2rbac', files: [join(directory, 'audit2rbac/demo.log')] },
    { name: 'openshift', files: [join(directory, 'openshift/audit.log')] },
  ];
}

const read = (path: string): Buffer =>
  path.endsWith('.gz') ? gunzipSync(readFileSync(path)) : readFileSync(path);

function hasJq(): boolean {
  try {
    execFileSync('jq', ['--version']);
    return true;
  } catch {
    return false;
  }
}

/** The namespace of every line of a file that holds whole events only, told by jq; null where there is none. */
function namespaces(path: string): (string | null)[] {
  const output = execFileSync('jq', ['-c', '.objectRef.namespace'], {
    input: readFileSync(path),
    maxBuffer: 1 << 30,
  });
  return output
    .toString('utf8')
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as string | null);
}

if (data === undefined || !existsSync(data)) {
  t.skip('HEADGATE_TEST_DATA is not set: genuine audit logs are not here', async () => undefined);
} else if (!hasJq()) {
  t.skip('jq is not installed: no independent reader', async () => undefined);
} else {
  for (const input of inputs(data)) {
    t.test(`${input.name}: every event is in the file of its namespace, byte for byte`, async (t) => {
      const root = temporaryDirectory(t);
      mkdirSync(join(root, 'log'));
      const [live, ...backups] = [...input.files].reverse();
      if (live === undefined) throw new Error('no input');
      const whole = [...backups].reverse().concat(live).map(read);
      writeFileSync(join(root, 'log/audit.log'), read(live));
      for (const file of backups) copyFileSync(file, join(root, 'log', basename(file)));
      mkdirSync(join(root, 'state'));
      writeFileSync(
        join(root, 'p.yaml'),
        `source: { type: file, paths: ['${root}/log/audit.log'] }
processors: [{ type: tag, tag: 'audit.{{ objectRef.namespace ?? "none" }}' }]
routes: [{ to: files }]
sinks:
  files: { type: files, base_dir: '${root}/out', path: '{{ tag }}.%Y%m%d%H.log', compress: on_rotate }
`,
      );
      const run = await headgate(['run', '--once', '--state-dir', join(root, 'state'), join(root, 'p.yaml')]);
      t.equal(run.exitCode, 0, complaints(run));
      t.equal(reconcile(run.counters['p'] ?? {}), undefined);

      // What should be there: each line, or of a torn line its half (quarantined) and its event.
      const needle = '{"kind":"Event","apiVersion":"audit';
      const events: string[] = [];
      const halves: string[] = [];
      for (const line of whole.flatMap(linesOf)) {
        try {
          JSON.parse(Buffer.from(line, 'latin1').toString('utf8'));
          events.push(line);
        } catch {
          const at = line.lastIndexOf(needle);
          halves.push(line.slice(0, at));
          events.push(line.slice(at));
        }
      }
      const outputs = readOutputs(join(root, 'out'));
      t.ok(
        [...outputs.values()].flatMap(linesOf).sort().join('\n') === events.sort().join('\n'),
        `the union is the input: ${events.length} events`,
      );

      const wrong: string[] = [];
      for (const [path, content] of outputs) {
        const plain = join(root, 'one-output');
        writeFileSync(plain, content);
        for (const namespace of namespaces(plain)) {
          const expected = encodeValue(fromText(`audit.${namespace ?? 'none'}`), 200);
          if (!path.startsWith(`${expected}.2`)) wrong.push(`${namespace} in ${path}`);
        }
      }
      t.same(wrong.slice(0, 5), []);

      const quarantine = join(root, 'state/p.quarantine.jsonl');
      const entries = existsSync(quarantine)
        ? linesOf(readFileSync(quarantine)).map(
            (line) => JSON.parse(line) as { reason: string; raw?: string; raw_base64?: string },
          )
        : [];
      t.same(
        entries.map(({ reason }) => reason),
        halves.map(() => 'torn'),
      );
      const raw = entries.map((each) =>
        Buffer.from(each.raw ?? each.raw_base64 ?? '', each.raw === undefined ? 'base64' : 'utf8').toString(
          'latin1',
        ),
      );
      t.same(
        raw.map((text) => text.length),
        halves.map((text) => text.length),
      );
      t.ok(raw.join('') === halves.join(''), 'the quarantine holds exactly the torn halves');
    });
  }
}
