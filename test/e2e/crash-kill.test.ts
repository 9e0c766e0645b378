// The whole program, SIGKILLed at random instants while a writer rotates and compresses the log underneath it: each line
// is in the outputs exactly once, in order, every `.gz` is whole.
import t from 'tap';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { numberedLine } from '../helpers/audit-lines.js';
import type { NumberedLine } from '../helpers/audit-lines.js';
import { crashPipeline, faultsOf, killAtRandom, KILLS, MODES } from '../helpers/crash-run.js';
import { complaints, headgate } from '../helpers/headgate.js';
import { Lumberjack } from '../helpers/lumberjack.js';
import { temporaryDirectory } from '../helpers/temporary.js';

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
    await killAtRandom(t, args);
    clearInterval(writing);
    writer.close();
    const last = await headgate([...args, '--once', '--deadline', '120s']);
    t.equal(last.exitCode, 0, complaints(last));
    t.same(faultsOf(root, lines), [], `${lines.length} lines`);
  });
}
