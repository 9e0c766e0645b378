// After a crash it must be known whether what stands behind the receipts will be read again, before it is cut or kept.
import t from 'tap';
import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { FaultPipeline } from '../helpers/fault-pipeline.js';
import { FaultyDisk } from '../helpers/faulty-disk.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

t.test(
  'a log that can not be read at the start after a crash is waited for, and nothing is doubled',
  async (t) => {
    const root = temporaryDirectory(t);
    const pipeline = new FaultPipeline(root);
    await pipeline.start();
    pipeline.append(60);
    await pipeline.delivered();
    const before = pipeline.eventCount;
    await pipeline.end('kill').catch(() => undefined);
    for (const name of readdirSync(join(root, 'plain')))
      appendFileSync(join(root, 'plain', name, 'x.log'), 'a tail');

    const disk = new FaultyDisk({
      operation: 'open',
      places: ['the log'],
      placeOf: (path) => (path === join(root, 'log/audit.log') ? 'the log' : undefined),
      codes: ['EACCES'],
      inARow: 3,
      between: () => 0,
    });
    await pipeline.start(disk.fs);
    pipeline.append(30);
    await pipeline.delivered(before);
    await until('it could be read', () => disk.missing().length === 0);
    await pipeline.end();
    t.same(pipeline.faults(), []);
    t.ok(
      pipeline.logs.some(({ code }) => code === 'SOURCE_READ'),
      'it is told',
    );
  },
);
