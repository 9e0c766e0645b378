// From nothing to events in a file: the set-up that `headgate webhook kubeconfig` makes and prints, for both ways in which an
// API server proves itself, and what becomes of others; also with the rights of the shipped service.
import t from 'tap';
import { chmodSync, chownSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AS_SERVICE, NOBODY, whyNotAsService } from '../helpers/as-service.js';
import { numberedLine } from '../helpers/audit-lines.js';
import { complaints, finished, startHeadgate } from '../helpers/headgate.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';
import { webhook } from '../helpers/webhook-command.js';

const LINES = Array.from({ length: 50 }, (_, i) => numberedLine(i, 1_780_000_000_000, 200).line);

interface Way {
  auth: string;
  under: readonly string[];
  skip: string | false;
  /** Who may not come, and how they are told. */
  stranger: { what: string; told: RegExp };
}
const ways: Way[] = [
  {
    auth: 'mtls',
    under: AS_SERVICE,
    skip: whyNotAsService(),
    stranger: {
      what: 'one with a certificate of another authority',
      told: /DEADLINE: .* may be of an authority that the source does not know/,
    },
  },
  {
    auth: 'token',
    under: [],
    skip: false,
    stranger: { what: 'one with another token', told: /SEND_REFUSED: .* answered 401/ },
  },
];

for (const { auth, under, skip, stranger } of ways) {
  const rights = under.length > 0 ? ', with the rights of the service and files of root' : '';
  t.test(`${auth}: who has the kubeconfig comes in, and nobody else${rights}`, { skip }, async (t) => {
    const root = temporaryDirectory(t);
    const [out, state] = [join(root, 'out'), join(root, 'state')];
    for (const directory of [out, state]) mkdirSync(directory);
    if (under.length > 0) for (const path of [out, state]) chownSync(path, NOBODY, NOBODY);
    chmodSync(root, 0o755);
    const setup = (name: string, ...more: string[]) =>
      webhook('kubeconfig', '--out', join(root, name), '--auth', auth, ...more);
    t.equal((await setup('webhook')).exitCode, 0);
    const source = (await setup('webhook', '--print', 'source')).stdout;
    const pipeline = join(root, 'p.yaml');
    writeFileSync(
      pipeline,
      `${source.replace('127.0.0.1:9443', '127.0.0.1:0')}
routes: [{ to: files }]
sinks: { files: { type: files, base_dir: '${out}/files', path: audit.log } }
`,
    );
    const running = startHeadgate(['run', '--state-dir', state, pipeline], { under: [...under] });
    t.teardown(() => running.child.kill('SIGKILL'));
    const port = () => running.logs().find(({ code }) => code === 'WEBHOOK_LISTENING')?.['port'];
    await until('it listens', () => port() !== undefined).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${running.stderr().slice(-1000)}`);
    });

    const file = join(root, 'audit.log');
    writeFileSync(file, `${LINES.join('\n')}\n`);
    const kubeconfigOf = (name: string): string => {
      const path = join(root, name, 'apiserver/kubeconfig.yaml');
      writeFileSync(path, readFileSync(path, 'utf8').replace(':9443/', `:${String(port())}/`));
      return path;
    };
    await setup('strange');
    // It trusts the server, too.
    copyFileSync(join(root, 'webhook/ca.crt'), join(root, 'strange/apiserver/ca.crt'));
    const args = ['--kubeconfig', kubeconfigOf('strange'), '--deadline', '1s'];
    const refused = await webhook('send', file, ...args);
    t.equal(refused.exitCode, 1, stranger.what);
    t.match(refused.stderr, stranger.told);
    t.match(refused.stderr, 'sent 0 events');
    const sent = await webhook('send', file, '--kubeconfig', kubeconfigOf('webhook'));
    t.equal(sent.exitCode, 0, sent.stderr);
    // Taken for a batch whose answer was lost.
    const again = await webhook(
      'send',
      file,
      '--kubeconfig',
      join(root, 'webhook/apiserver/kubeconfig.yaml'),
    );
    t.equal(again.exitCode, 0, again.stderr);
    const delivered = (): string[] => [...readOutputs(out).values()].flatMap(linesOf);
    await until('all is delivered', () => delivered().length >= LINES.length);
    running.child.kill('SIGTERM');
    const run = await finished(running);
    t.equal(run.exitCode, 0, complaints(run));
    t.same(delivered(), LINES);
    t.equal(run.counters['p']?.['headgate_webhook_duplicates_total'], 1);
  });
}
