// `headgate test`: the tests that stand in the pipeline files themselves. Each gives lines to the pipeline, and says what
// must become of them; nothing is written. Lines are read as the source reads them.
import { isDeepStrictEqual } from 'node:util';
import { components } from '../components.js';
import { formatDiagnostic } from '../config/diagnostic.js';
import { loadPipelines } from '../config/load.js';
import type { ExpectedOutcome, PipelineConfig, PipelineTest } from '../config/pipeline-config.js';
import { UsageError } from '../errors.js';
import type { Chunk } from '../event/batch.js';
import { PipelineTrace } from '../pipeline/trace.js';
import type { Traced } from '../pipeline/trace.js';
import type { CheckIo } from './check.js';

/** Resolves to the exit code: 0, 1 where a test fails, 2 where there is a fault in a file, or no test in any. */
export async function testCommand(paths: readonly string[], io: CheckIo): Promise<number> {
  const { pipelines, diagnostics } = await loadPipelines(paths, io.env, components);
  if (diagnostics.length > 0) {
    for (const diagnostic of diagnostics) io.stderr.write(formatDiagnostic(diagnostic));
    return 2;
  }
  if (pipelines.every(({ tests }) => tests.length === 0))
    throw new UsageError('USAGE', 'none of the files holds `tests:`');
  let [passed, failed] = [0, 0];
  for (const pipeline of pipelines) {
    if (pipeline.tests.length === 0) io.stdout.write(`${pipeline.name}: no tests\n`);
    for (const [i, test] of pipeline.tests.entries()) {
      const faults = await runTest(pipeline, test);
      if (faults.length === 0) passed++;
      else failed++;
      const name = test.name ?? `test ${i + 1}`;
      io.stdout.write(`${faults.length === 0 ? 'ok' : 'not ok'}  ${pipeline.name}: ${name}\n`);
      for (const fault of faults) io.stdout.write(`      ${fault}\n`);
    }
  }
  io.stdout.write(`${passed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}

/** What is not as the test says, in words. */
async function runTest(config: PipelineConfig, { input, expect }: PipelineTest): Promise<string[]> {
  const trace = new PipelineTrace(config);
  await trace.open();
  // Text is what a file would hold; a mapping is an event, by whichever way it came.
  const outcomes = [input]
    .flat()
    .flatMap((item: unknown) =>
      typeof item === 'string'
        ? trace.trace(chunkOf(item.replace(/\n?$/, '\n')))
        : trace.traceEvents(chunkOf(`${JSON.stringify(item)}\n`)),
    )
    .concat(trace.end());
  const faults: string[] = [];
  const { events = 1, ...wanted } = expect;
  if (outcomes.length !== events) faults.push(`expected ${events} events, found ${outcomes.length}`);
  for (const [i, outcome] of outcomes.entries()) {
    const prefix = outcomes.length > 1 ? `event ${i + 1}: ` : '';
    faults.push(...faultsOf(outcome, wanted).map((fault) => prefix + fault));
  }
  return faults;
}

function faultsOf(traced: Traced, wanted: Omit<ExpectedOutcome, 'events'>): string[] {
  const found = foundOf(traced);
  // What a test says nothing of may be anything, but not that an event is lost on the way.
  const expected = { dropped: false, quarantined: false, ...wanted };
  return Object.entries(expected).flatMap(([key, value]) => {
    const actual = found[key as keyof typeof found];
    const isSame = isDeepStrictEqual(key === 'to' ? [value].flat() : value, actual);
    // `quarantined: true` is any reason.
    if (isSame || (value === true && typeof actual === 'string')) return [];
    const said = actual === undefined ? 'nothing' : JSON.stringify(actual);
    const why = traced.outcome === 'quarantined' ? ` (${traced.detail})` : '';
    return [`${key}: expected ${JSON.stringify(value)}, found ${said}${why}`];
  });
}

function foundOf(traced: Traced) {
  if (traced.outcome === 'quarantined') return { dropped: false, quarantined: traced.reason };
  const event: unknown = JSON.parse(traced.event.toString());
  if (traced.outcome === 'dropped') return { dropped: true, quarantined: false, tag: traced.tag, event };
  const { tag, to } = traced;
  const [only, ...others] = to;
  const path = only && others.length === 0 ? { path: only.at } : {};
  return { dropped: false, quarantined: false, tag, to: to.map(({ sink }) => sink), ...path, event };
}

function chunkOf(text: string): Chunk {
  const file = 'tests';
  const readAtMs = Date.now();
  return { kind: 'chunk', data: Buffer.from(text), path: file, file, offset: 0, readAtMs, quarantined: [] };
}
