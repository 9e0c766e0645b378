// The whole program, SIGKILLed at random instants while a writer rotates and compresses the log underneath it: each line
// is in the outputs exactly once, in order, every `.gz` is whole.
import t from 'tap';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { numberedLine } from '../helpers/audit-lines.js';
import type { NumberedLine } from '../helpers/audit-lines.js';
import { crashPipeline, faultsOf, MODES } from '../helpers/crash-run.js';
import { complaints, headgate, startHeadgate } from '../helpers/headgate.js';
import { Lumberjack } from '../helpers/lumberjack.js';
import { temporaryDirectory } from '../helpers/temporary.js';

const KILLS = Number(process.env['HEADGATE_CRASH_KILLS'] ?? 12);
const LONGEST_LIFE_MS = 900;

for (const mode of MODES) {
  t.test(`${mode}: exactly once through ${KILLS} random kills`, async (t) => {
    const root = temporaryDirectory(t);
    for (const name of ['log', 'state']) mkdirSync(join(root, name));
    const writer = new Lumberjack(join(root, 'log/audit.log'), { maxBytes: 200_000, compress: true });
    const lines: NumberedLine[] = [];
    const write = (): void => {
      for (let i = 0; i < 25; i++) {
        const line = numberedLine(lines.length, Date.now());
        writer.write(line.line);
        lines.push(line);
      }
    };
    write();
    const writing = setInterval(write, 4);
    t.teardown(() => {
      clearInterval(writing);
    });

    const args = crashPipeline(root, mode, '60KiB');
    for (let kill = 0; kill < KILLS; kill++) {
      const running = startHeadgate(args);
      // The instant is the point of the test; nothing is waited for.
      await sleep(Math.random() * LONGEST_LIFE_MS);
      running.child.kill('SIGKILL');
      t.equal(await running.exit, 'SIGKILL', running.stderr().slice(-500));
    }
    clearInterval(writing);
    writer.close();
    const last = await headgate([...args, '--once', '--deadline', '30s']);
    t.equal(last.exitCode, 0, complaints(last));
    t.same(faultsOf(root, lines), [], `${lines.length} lines`);
  });
}
