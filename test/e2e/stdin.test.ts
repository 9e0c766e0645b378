// Standard input through the whole program: it ends the run, and what was committed outlives a crash.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import type { Test } from 'tap';
import { numberedLine } from '../helpers/audit-lines.js';
import { cri, KLOG_LINE } from '../helpers/container-log.js';
import { complaints, finished, reconcile, startHeadgate } from '../helpers/headgate.js';
import { eventText, requestLine } from '../helpers/legacy.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

function pipelineOf(t: Test): { root: string; args: string[] } {
  const root = temporaryDirectory(t);
  writeFileSync(
    join(root, 'p.yaml'),
    `source: { type: stdin }
routes: [{ to: files }]
commit_interval: 30ms
sinks: { files: { type: files, base_dir: '${root}/out', path: all.log, compress: none } }
`,
  );
  return { root, args: ['run', '--state-dir', join(root, 'state'), join(root, 'p.yaml')] };
}

/** All lines of the outputs, file by file. */
function written(root: string): string[] {
  try {
    return [...readOutputs(join(root, 'out')).values()].flatMap(linesOf);
  } catch {
    return []; // Nothing was written yet.
  }
}

const EVENTS = Array.from({ length: 500 }, (_, i) => numberedLine(i, 0).line);

for (const once of [false, true]) {
  t.test(`the end of the input ends the run when all is delivered (once: ${once})`, async (t) => {
    const { root, args } = pipelineOf(t);
    const running = startHeadgate(once ? [...args, '--once'] : args, { withStdin: true });
    // The last line lacks its newline, a request its response, and a part its end.
    const request = requestLine('r');
    const lines = [...EVENTS, ...cri(KLOG_LINE), request, '{"last":1}'];
    running.child.stdin?.end(lines.join('\n'));
    const { exitCode, counters, ...rest } = await finished(running);
    t.equal(exitCode, 0, complaints({ exitCode, counters, ...rest }));
    t.same(written(root), [...EVENTS, '{"last":1}', eventText(request)]);
    t.equal(reconcile(counters['p'] ?? {}), undefined);
    t.match(counters['p'], { headgate_events_delivered_total: 502, headgate_lines_not_audit_total: 1 });
  });
}

t.test('a run with a deadline waits for an idle input for longer than that', async (t) => {
  const { root, args } = pipelineOf(t);
  const running = startHeadgate([...args, '--once', '--deadline', '3s'], { withStdin: true });
  running.child.stdin?.write(`${EVENTS[0]}\n`);
  await until('the event was written', () => written(root).length === 1);
  const idleSinceMs = performance.now();
  await until('the deadline has passed', () => performance.now() - idleSinceMs > 4500);
  t.equal(running.child.exitCode, null, running.stderr());
  running.child.stdin?.end();
  t.equal(await running.exit, 0, running.stderr());
});

t.test('a signal ends a run whose input goes on, with what is open', async (t) => {
  const { root, args } = pipelineOf(t);
  const running = startHeadgate(args, { withStdin: true });
  running.child.stdin?.write(`${EVENTS[0]}\n${requestLine('r')}\n`);
  await until('the event was written', () => written(root).length === 1);
  running.child.kill('SIGTERM');
  t.equal(await running.exit, 0, running.stderr());
  t.same(written(root), [EVENTS[0], eventText(requestLine('r'))]);
});

t.test('what was written before a kill stays, and the next run begins behind it', async (t) => {
  const { root, args } = pipelineOf(t);
  const killed = startHeadgate(args, { withStdin: true });
  killed.child.stdin?.write(`${EVENTS.slice(0, 100).join('\n')}\n${requestLine('r')}\n`);
  const position = join(root, 'state/p.position.json');
  await until('it is committed, with the open request', () => {
    try {
      return readFileSync(position, 'utf8').includes('"open"') && written(root).length === 100;
    } catch {
      return false;
    }
  });
  killed.child.stdin?.write(`${EVENTS.slice(100, 200).join('\n')}\n`);
  await until('something more is written', () => written(root).length > 100);
  killed.child.kill('SIGKILL');
  t.equal(await killed.exit, 'SIGKILL');
  const before = written(root);
  const again = startHeadgate(args, { withStdin: true });
  again.child.stdin?.end(`${EVENTS.slice(200).join('\n')}\n`);
  t.equal((await finished(again)).exitCode, 0);
  // What was there is closed, and goes on in another file.
  const expected = [...before, eventText(requestLine('r')), ...EVENTS.slice(200)];
  t.ok(written(root).sort().join('\n') === expected.sort().join('\n'), 'each line is there once');
  t.notMatch(readFileSync(position, 'utf8'), '"open"');
});
