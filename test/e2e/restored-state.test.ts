// A state directory that is lost, or restored from an older snapshot, beside outputs that went on: evidence is written
// again rather than cut.
import { cpSync, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { numberedLine } from '../helpers/audit-lines.js';
import { complaints, headgate, startHeadgate } from '../helpers/headgate.js';
import { Lumberjack } from '../helpers/lumberjack.js';
import { linesOf, readOutputs } from '../helpers/outputs.js';
import { temporaryDirectory } from '../helpers/temporary.js';
import { until } from '../helpers/until.js';

class Place {
  readonly root: string;
  readonly writer: Lumberjack;
  readonly args: string[];
  readonly lines: string[] = [];

  constructor(t: { teardown(run: () => void): unknown }, rotate = '') {
    this.root = temporaryDirectory(t);
    this.writer = new Lumberjack(join(this.root, 'audit.log'));
    const pipeline = join(this.root, 'p.yaml');
    writeFileSync(
      pipeline,
      `source: { type: file, paths: ['${this.root}/audit.log'] }
routes: [{ to: files }]
commit_interval: 30ms
sinks:
  files: { type: files, base_dir: '${this.root}/out', path: audit.log${rotate} }
`,
    );
    this.args = ['run', '--state-dir', this.path('state'), pipeline];
  }

  path(name: string): string {
    return join(this.root, name);
  }

  write(count: number): void {
    for (let i = 0; i < count; i++) {
      const { line } = numberedLine(this.lines.length, Date.now());
      this.lines.push(line);
      this.writer.write(line);
    }
  }

  /** Keeps the state directory as it is now. */
  snapshot(): void {
    const filter = (from: string): boolean => !/\.(sock|tmp)$/.test(from);
    cpSync(this.path('state'), this.path('snapshot'), { recursive: true, filter });
  }

  restore(): void {
    rmSync(this.path('state'), { recursive: true });
    cpSync(this.path('snapshot'), this.path('state'), { recursive: true });
  }

  outputs(): Map<string, Buffer> {
    return readOutputs(this.path('out'));
  }

  /** Delivers what exists. */
  async runOnce(): Promise<ReturnType<typeof headgate>> {
    const run = await headgate([...this.args, '--once']);
    if (run.exitCode !== 0) throw new Error(complaints(run));
    return run;
  }

  /** Every line's number of occurrences. */
  counts(): Map<string, number> {
    const counts = new Map<string, number>(this.lines.map((line) => [line, 0]));
    for (const line of [...this.outputs().values()].flatMap(linesOf))
      counts.set(line, (counts.get(line) ?? 0) + 1);
    return counts;
  }
}

t.test('after the state directory is lost, everything is written again into new files', async (t) => {
  const place = new Place(t, ', rotate: { max_bytes: 20KiB }');
  place.write(200);
  await place.runOnce();
  const before = place.outputs();
  rmSync(place.path('state'), { recursive: true });
  place.write(10);
  await place.runOnce();
  const after = place.outputs();
  const content = [...after.values()].map((data) => data.toString('latin1'));
  for (const [name, data] of before) t.ok(content.includes(data.toString('latin1')), `${name} is whole`);
  const counts = [...place.counts().values()];
  t.same(counts, [...Array<number>(200).fill(2), ...Array<number>(10).fill(1)]);
});

t.test(
  'a snapshot of a stopped state, restored: no newer output is cut, and nothing is missing',
  async (t) => {
    const place = new Place(t);
    place.write(50);
    await place.runOnce();
    place.snapshot();
    place.write(50);
    await place.runOnce();
    const before = place.outputs();
    place.restore();
    place.write(5);
    const run = await place.runOnce();
    t.match(run.stderr, /OUTPUT_TOUCHED/);
    for (const [name, data] of before) t.same(place.outputs().get(name), data, `${name} is as it was`);
    const counts = [...place.counts().values()];
    t.same(counts, [...Array<number>(50).fill(1), ...Array<number>(50).fill(2), ...Array<number>(5).fill(1)]);
  },
);

/** Runs until so many lines are committed, takes a snapshot, then delivers more and stops. */
async function snapshotWhileRunning(place: Place): Promise<void> {
  place.write(50);
  const running = startHeadgate(place.args);
  const position = place.path('state/p.position.json');
  const size = Buffer.byteLength(`${place.lines.join('\n')}\n`);
  await until(
    'all lines are committed',
    () => existsSync(position) && readFileSync(position, 'utf8').includes(`"length": ${size}`),
  );
  place.snapshot();
  place.write(50);
  const all = Buffer.byteLength(`${place.lines.join('\n')}\n`);
  await until('more is committed', () => readFileSync(position, 'utf8').includes(`"length": ${all}`));
  running.child.kill('SIGTERM');
  await running.exit;
}

t.test('a snapshot of a running state, restored while the log is there: exactly once', async (t) => {
  const place = new Place(t);
  await snapshotWhileRunning(place);
  place.restore();
  place.writer.rotate();
  place.write(5);
  await place.runOnce();
  t.same([...new Set(place.counts().values())], [1]);
});

t.test('a snapshot of a running state, restored after the log was pruned: nothing is cut', async (t) => {
  const place = new Place(t);
  await snapshotWhileRunning(place);
  const before = place.outputs().get('audit.log') ?? Buffer.alloc(0);
  place.restore();
  rmSync(place.path(place.writer.rotate()));
  place.write(5);
  const run = await place.runOnce();
  t.match(run.stderr, /SOURCE_GAP/);
  const found = [...place.outputs().values()].map((data) => data.toString('latin1'));
  t.ok(found.some((text) => text.startsWith(before.toString('latin1'))));
  t.same([...new Set(place.counts().values())], [1]);
});

t.test('a snapshot from before an output was rotated, restored: neither file is harmed', async (t) => {
  const place = new Place(t, ', rotate: { max_bytes: 80KiB }, compress: on_rotate');
  await snapshotWhileRunning(place);
  place.write(200);
  await place.runOnce();
  const before = place.outputs();
  t.ok(before.size > 2, `${before.size} files`);
  place.restore();
  place.write(5);
  await place.runOnce();
  const found = [...place.outputs().values()].map((data) => data.toString('latin1')).join('');
  for (const [name, data] of before) t.ok(found.includes(data.toString('latin1')) || name === 'audit.log');
  t.ok(Math.min(...place.counts().values()) >= 1, 'nothing is missing');
});
