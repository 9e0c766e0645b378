import t from 'tap';
import { Writable } from 'node:stream';
import { pino } from 'pino';
import { RestartError } from '../../src/errors.js';
import { endRestartWaits, retry, retryDelayMs } from '../../src/pipeline/backoff.js';
import { createMetrics } from '../../src/metrics.js';
import { notDurable } from '../../src/sink/files/descriptors.js';
import { systemError } from '../helpers/file-system.js';

function options(signal = new AbortController().signal) {
  const logged: { code: string; level: number; cause?: string; msg: string }[] = [];
  const sink = new Writable({
    write(line: Buffer, _encoding, done) {
      logged.push(JSON.parse(line.toString()) as (typeof logged)[number]);
      done();
    },
  });
  return { component: 'sinks.x', log: pino(sink), metrics: createMetrics(), signal, random: () => 0, logged };
}

t.test('tries until it works; says once that it waits and once that it goes on', async (t) => {
  const o = options();
  let failures = 5;
  const value = await retry(o, 'write x', async () => {
    if (failures-- > 0) throw systemError('ENOSPC');
    return 42;
  });
  t.equal(value, 42);
  t.equal(o.metrics.retries, 5);
  t.match(o.logged, [
    { code: 'SINK_WAITING', level: 50, cause: 'ENOSPC', msg: /could not write x/ },
    { code: 'SINK_WAITING', level: 30, msg: /goes on/ },
  ]);
  t.equal(o.logged.length, 2);
});

t.test('many operations of one component that wait for the same fault are told of once', async (t) => {
  const o = options();
  const failing = Array.from({ length: 20 }, (_, i) => {
    let failures = i + 1;
    return retry(o, `write ${i}`, async () => {
      if (failures-- > 0) throw systemError('ENOSPC');
    });
  });
  await Promise.all(failing);
  t.same(
    o.logged.map(({ level }) => level),
    [50, 30],
  );
  await retry({ ...o, component: 'sinks.y' }, 'x', async () => undefined);
});

t.test('what works at once says nothing', async (t) => {
  const o = options();
  await retry(o, 'x', async () => undefined);
  t.equal(o.logged.length, 0);
});

t.test('an abort ends the waiting with its reason', async (t) => {
  const stop = new AbortController();
  const o = options(stop.signal);
  const waiting = retry({ ...o, random: () => 1 }, 'x', async () => {
    stop.abort(new Error('stopped'));
    throw systemError('EIO');
  });
  await t.rejects(waiting, /stopped/);
});

t.test('a bug is not waited out', async (t) => {
  const o = options();
  await t.rejects(
    retry(o, 'x', async () => {
      throw new Error('impossible: a bug');
    }),
    /impossible/,
  );
});

t.test('delays double up to two seconds, with full jitter', async (t) => {
  t.equal(
    retryDelayMs(1, () => 1),
    40,
  );
  t.equal(
    retryDelayMs(2, () => 1),
    80,
  );
  t.equal(
    retryDelayMs(50, () => 1),
    2000,
  );
  t.equal(
    retryDelayMs(50, () => 0),
    0,
  );
});

t.test('a wait that is broken off does not say that it goes on', async (t) => {
  const stop = new AbortController();
  const o = options(stop.signal);
  const waiting = retry({ ...o, random: () => 1 }, 'x', async () => {
    setImmediate(() => {
      stop.abort(new Error('stopped'));
    });
    throw systemError('EIO');
  });
  await t.rejects(waiting);
  t.match(o.logged, { length: 1, 0: { level: 50 } });
  t.equal(o.metrics.componentsWaiting, 0);
});

t.test('the parts of a component are told of as one, and counted while they wait', async (t) => {
  const o = options();
  const part = async (failures: number): Promise<void> => {
    await retry({ ...o }, 'x', async () => {
      if (failures-- > 0) throw systemError('ENOSPC');
      t.equal(o.metrics.componentsWaiting, 1);
    });
  };
  await Promise.all([part(3), part(2)]);
  t.same(
    o.logged.map(({ level }) => level),
    [50, 30],
  );
  t.equal(o.metrics.componentsWaiting, 0);
});

t.test('what could not be made durable is not tried again: it waits until it is committed', async (t) => {
  const o = options();
  let tries = 0;
  const sync = retry(o, 'sync x', async () => {
    tries++;
    throw notDurable('/x', systemError('EIO'));
  });
  await t.rejects(sync, RestartError);
  t.equal(tries, 1);
  t.equal(o.metrics.componentsWaiting, 1, 'also while the pipeline starts again');
  t.match(o.logged, { length: 1, 0: { code: 'SINK_WAITING', cause: 'EIO' } });
  endRestartWaits(o.metrics, new AbortController().signal);
  t.equal(o.metrics.componentsWaiting, 0);
  t.match(o.logged, { length: 2, 1: { level: 30 } });
});

t.test('nothing is begun any more after an abort', async (t) => {
  let isBegun = false;
  const o = options(AbortSignal.abort(new Error('stopped')));
  await t.rejects(
    retry(o, 'x', async () => {
      isBegun = true;
    }),
    /stopped/,
  );
  t.notOk(isBegun);
});
