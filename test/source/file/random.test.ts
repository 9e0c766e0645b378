// Whatever a writer and an operator do, and whenever the collector is killed: each byte is returned exactly once, and in
// order as long as the names of backups tell the order: a clock that was set back leaves it open. Bytes returned after the last commit are taken back by a crash, as the sinks do.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import type { SourcePosition } from '../../../src/position/position.js';
import { nodeFileSystem } from '../../../src/file-system.js';
import type { FileSystem } from '../../../src/file-system.js';
import { Reading } from '../../helpers/file-source.js';
import { systemError, wrapFileSystem } from '../../helpers/file-system.js';
import { Lumberjack } from '../../helpers/lumberjack.js';

type Step =
  | { do: 'write'; lines: number }
  | { do: 'write part'; bytes: number }
  | { do: 'rotate' | 'rename' | 'create' | 'clock back' | 'commit' | 'crash' | 'look' }
  | { do: 'compress' | 'begin to compress' | 'prune'; which: number }
  | { do: 'read'; chunks: number };

const simple = (word: 'rotate' | 'rename' | 'create' | 'clock back' | 'commit' | 'crash' | 'look') =>
  fc.constant<Step>({ do: word });
/** `pruneWeight`: how often a backup is deleted. */
const step = (pruneWeight: number): fc.Arbitrary<Step> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.nat(12).map((lines): Step => ({ do: 'write', lines })) },
    { weight: 1, arbitrary: fc.nat(30).map((bytes): Step => ({ do: 'write part', bytes })) },
    { weight: 5, arbitrary: fc.nat(9).map((chunks): Step => ({ do: 'read', chunks })) },
    { weight: 3, arbitrary: simple('rotate') },
    { weight: 1, arbitrary: simple('rename') },
    { weight: 1, arbitrary: simple('create') },
    { weight: 1, arbitrary: simple('clock back') },
    { weight: 2, arbitrary: simple('commit') },
    { weight: 2, arbitrary: simple('crash') },
    { weight: 1, arbitrary: simple('look') },
    { weight: 2, arbitrary: fc.nat(5).map((which): Step => ({ do: 'compress', which })) },
    { weight: 1, arbitrary: fc.nat(5).map((which): Step => ({ do: 'begin to compress', which })) },
    { weight: pruneWeight, arbitrary: fc.nat(5).map((which): Step => ({ do: 'prune', which })) },
  );

/** The file system that backups are retained with; undefined where they are not. */
type RetainMode = FileSystem | undefined;

class World {
  readonly #directory: string;
  readonly #path: string;
  readonly #writer: Lumberjack;
  #nowMs = Date.UTC(2026, 10, 21);
  #serial = 0;
  #isOrdered = true;
  #written = '';
  #compressing: { name: string; finish: () => void } | undefined;
  #reading: Reading | undefined;
  /** As of the last commit. */
  #position: SourcePosition | undefined;
  #committed = '';
  #read = '';
  readonly #retain: RetainMode;
  readonly #retainDirectory: string;
  /** Stems of backups that were there at the last look. */
  #seen: string[] = [];

  constructor(directory: string, retain: RetainMode) {
    this.#directory = join(directory, 'log');
    fs.mkdirSync(this.#directory);
    this.#retain = retain;
    this.#retainDirectory = join(directory, 'retained');
    this.#path = join(this.#directory, 'audit.log');
    this.#writer = new Lumberjack(this.#path, { now: () => (this.#nowMs += 1_000) });
  }

  async take(step: Step): Promise<void> {
    switch (step.do) {
      case 'write':
        for (let i = 0; i < step.lines; i++)
          this.#append(`{"auditID":"${String(++this.#serial).padStart(130, '0')}"}\n`);
        return;
      case 'write part':
        this.#append(`<${String(++this.#serial)}>`.padEnd(step.bytes, '.'));
        return;
      case 'rotate':
        this.#writer.rotate();
        return;
      case 'rename':
        this.#writer.rename();
        return;
      case 'create':
        if (!fs.existsSync(this.#path)) this.#writer.create();
        return;
      case 'clock back':
        // By less than a day, so that no name is used twice.
        this.#nowMs -= 7_300_333;
        this.#isOrdered = false;
        return;
      case 'compress':
      case 'begin to compress':
        this.#compress(step.which, step.do === 'compress');
        return;
      case 'prune':
        this.#prune(step.which);
        return;
      case 'look':
        await this.#start();
        return;
      case 'read': {
        const reading = await this.#start();
        for (let i = 0; i < step.chunks; i++) if (!(await this.#next(reading))) return;
        return;
      }
      case 'commit':
        this.#position = this.#reading?.commit() ?? this.#position;
        this.#committed = this.#read;
        return;
      case 'crash':
        await this.#reading?.stop();
        this.#reading = undefined;
        this.#read = this.#committed;
        return;
    }
  }

  /** Reads everything and compares. */
  async finish(): Promise<void> {
    this.#compressing?.finish();
    // The last line of the last file is given out when the next file is there.
    this.#writer.rotate();
    this.#append('{}\n');
    const reading = await this.#start();
    let idle = 0;
    while (idle < 3) idle = (await this.#next(reading)) ? 0 : idle + 1;
    assert.deepEqual(parts(this.#read).sort(), parts(this.#written).sort());
    assert.equal(reading.metrics.gaps, 0);
  }

  /** Once everything is read and committed nothing is retained any more. */
  async checkNothingIsLeft(): Promise<void> {
    const reading = await this.#start();
    reading.commit();
    await reading.stop();
    this.#reading = undefined;
    if (!fs.existsSync(this.#retainDirectory)) return;
    const left = fs.readdirSync(this.#retainDirectory, { recursive: true });
    assert.ok(left.length <= 1, `left: ${left.join(', ')}`);
  }

  async close(): Promise<void> {
    this.#writer.close();
    await this.#reading?.stop();
  }

  #append(text: string): void {
    this.#writer.append(text);
    this.#written += text;
  }

  async #start(): Promise<Reading> {
    if (!this.#reading) this.#seen = this.#stems();
    this.#reading ??= await Reading.start(this.#path, {
      position: this.#position,
      maxLineBytes: 2_000,
      pollIntervalMs: 0,
      ...(this.#retain && { fs: this.#retain, retain: { directory: this.#retainDirectory } }),
    });
    return this.#reading;
  }

  async #next(reading: Reading): Promise<boolean> {
    // While nothing is at the path, the directory is listed only now and then.
    if (fs.existsSync(this.#path)) this.#seen = this.#stems();
    const chunk = await reading.next();
    this.#read += chunk?.data.toString() ?? '';
    if (this.#isOrdered) assert.equal(this.#read, this.#written.slice(0, this.#read.length));
    return chunk !== undefined;
  }

  #compress(which: number, isAtOnce: boolean): void {
    this.#compressing?.finish();
    this.#compressing = undefined;
    const plain = this.#writer.backups().filter((name) => !name.endsWith('.gz'));
    const name = plain[which % Math.max(1, plain.length)];
    if (name === undefined) return;
    const finish = this.#writer.beginCompress(name);
    if (isAtOnce) finish();
    else this.#compressing = { name, finish };
  }

  #stems(): string[] {
    return this.#writer.backups().map((name) => name.replace(/\.gz$/, ''));
  }

  /** Deletes a backup that a crash does not need any more, or that is retained. */
  #prune(which: number): void {
    const finished = this.#retain
      ? this.#seen
      : (this.#position?.paths ?? []).flatMap((path) => path.finished.map((backup) => backup.stem));
    const names = this.#writer.backups().filter((name) => finished.includes(name.replace(/\.gz$/, '')));
    const name = names[which % Math.max(1, names.length)];
    if (name === undefined || name.startsWith(this.#compressing?.name ?? 'none')) return;
    fs.unlinkSync(join(this.#directory, name));
  }
}

/** What was written by one call each. */
function parts(text: string): string[] {
  return text.split(/(?=[{<])/);
}

// A file system without reflinks, or across mounts: whole copies at once stand for the ones that need no time.
const copying = wrapFileSystem(async (name, args, run) => {
  if (name === 'link' && String(args[1]).includes('retained')) throw systemError('EXDEV');
  if (name !== 'reflink') return run(args);
  return fs.promises.copyFile(String(args[0]), String(args[1]), fs.constants.COPYFILE_EXCL);
});

const worlds: Record<string, RetainMode> = {
  'each byte is returned exactly once and in order': undefined,
  'and also when backups are pruned as soon as they were seen, and linked': nodeFileSystem,
  'and also when backups are pruned as soon as they were seen, and copied': copying,
};

for (const [name, retain] of Object.entries(worlds)) {
  t.test(name, { timeout: 300_000 }, async (t) => {
    const root = t.testdir();
    let runs = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step(retain ? 5 : 1), { minLength: 1, maxLength: 60 }), async (steps) => {
        const directory = join(root, String(++runs));
        fs.mkdirSync(directory);
        const world = new World(directory, retain);
        try {
          for (const each of steps) await world.take(each);
          await world.finish();
          if (retain) await world.checkNothingIsLeft();
        } finally {
          await world.close();
        }
      }),
      { numRuns: Number(process.env['HEADGATE_RANDOM_RUNS'] ?? (retain ? 75 : 150)) },
    );
    t.ok(runs >= 1);
  });
}
