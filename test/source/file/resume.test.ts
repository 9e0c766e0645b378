import t from 'tap';
import type { PathPosition } from '../../../src/position/position.js';
import { planResume } from '../../../src/source/file/resume.js';
import type { FileFacts, ResumePlan } from '../../../src/source/file/resume.js';

const HEAD = { length: 10, hash: 'h' };

/** The file that was being read: `audit.log`, inode 7, 1000 bytes of it. */
function stored(current: Partial<NonNullable<PathPosition['current']>> | null = {}): PathPosition {
  return {
    path: '/log/audit.log',
    current: current && {
      name: 'audit.log',
      dev: 1,
      ino: 7,
      offset: 1000,
      head: HEAD,
      before: HEAD,
      ...current,
    },
    finishedThrough: null,
    finished: [],
    gaps: [],
    gapCount: 0,
  };
}
function backup(name: string, facts: Partial<FileFacts> = {}): FileFacts {
  const stem = name.replace(/\.gz$/, '');
  return { name, stem, dev: 1, ino: 100, size: 5000, isFinished: false, content: 'other', ...facts };
}
function live(facts: Partial<FileFacts> = {}): FileFacts {
  return {
    name: 'audit.log',
    stem: null,
    dev: 1,
    ino: 7,
    size: 5000,
    isFinished: false,
    content: 'other',
    ...facts,
  };
}
const done = { isFinished: true };
const same = { content: 'same' } as const;

interface Row {
  name: string;
  position?: PathPosition;
  files: FileFacts[];
  readFrom?: 'beginning' | 'end';
  plan: Partial<Omit<ResumePlan, 'gaps' | 'why'>>;
  gaps?: string[];
  why?: RegExp;
}

const rows: Row[] = [
  {
    name: 'first start: all backups, then the live file',
    files: [backup('a'), backup('b.gz'), live()],
    plan: { queue: ['a', 'b.gz', 'audit.log'] },
    why: /first start/,
  },
  { name: 'first start without any file', files: [], plan: {} },
  {
    name: 'first start at the end: every backup is finished',
    files: [backup('a'), backup('b.gz'), live()],
    readFrom: 'end',
    plan: { finish: ['a', 'b.gz'] },
  },
  {
    name: 'read_from does not count once something is stored',
    position: stored(null),
    files: [backup('a', done), backup('b'), live()],
    readFrom: 'end',
    plan: { queue: ['b', 'audit.log'] },
  },
  {
    name: 'nothing was read of the file at offset 0: unread backups, then the live file',
    position: stored({ offset: 0 }),
    files: [backup('a', done), backup('b'), live(same)],
    plan: { queue: ['b', 'audit.log'], isComplete: false },
  },
  {
    name: 'the live file is still the one',
    position: stored(),
    files: [backup('a', done), live(same)],
    plan: { start: { name: 'audit.log', offset: 1000 } },
    why: /live file is the one/,
  },
  {
    name: 'the live file is still the one, so an unknown backup is older, or a copy',
    position: stored(),
    files: [backup('a', done), backup('z'), live(same)],
    plan: { start: { name: 'audit.log', offset: 1000 }, finish: ['z'] },
  },
  {
    name: 'rotated once',
    position: stored(),
    files: [backup('a', done), backup('b', { ino: 7, ...same }), live({ ino: 8 })],
    plan: { start: { name: 'b', offset: 1000 }, queue: ['audit.log'] },
    why: /rotated to b/,
  },
  {
    name: 'rotated several times',
    position: stored(),
    files: [backup('b', { ino: 7, ...same }), backup('c'), backup('d.gz'), live({ ino: 8 })],
    plan: { start: { name: 'b', offset: 1000 }, queue: ['c', 'd.gz', 'audit.log'] },
  },
  {
    name: 'rotated and no live file yet',
    position: stored(),
    files: [backup('b', { ino: 7, ...same })],
    plan: { start: { name: 'b', offset: 1000 } },
  },
  {
    name: 'rotated and compressed: another inode, the same content',
    position: stored(),
    files: [backup('b.gz', { ino: 55, ...same }), backup('c'), live({ ino: 8 })],
    plan: { start: { name: 'b.gz', offset: 1000 }, queue: ['c', 'audit.log'] },
  },
  {
    name: 'compressed, and the new live file got the old inode',
    position: stored(),
    files: [backup('b.gz', { ino: 55, ...same }), live({ ino: 7 })],
    plan: { start: { name: 'b.gz', offset: 1000 }, queue: ['audit.log'] },
  },
  {
    name: 'compressed, and another backup got the old inode',
    position: stored(),
    files: [backup('b.gz', { ino: 55, ...same }), backup('c', { ino: 7 }), live({ ino: 8 })],
    plan: { start: { name: 'b.gz', offset: 1000 }, queue: ['c', 'audit.log'] },
  },
  {
    name: 'a snapshot was restored: every inode is another one',
    position: stored(),
    files: [backup('a', { ...done, ino: 90 }), live({ ino: 91, dev: 3, ...same })],
    plan: { start: { name: 'audit.log', offset: 1000 } },
  },
  {
    name: 'a backup was being read',
    position: stored({ name: 'b', ino: 5 }),
    files: [backup('a', done), backup('b', { ino: 5, ...same }), backup('c'), live()],
    plan: { start: { name: 'b', offset: 1000 }, queue: ['c', 'audit.log'] },
  },
  {
    name: 'of two files with the content, the one with the inode',
    position: stored(),
    files: [backup('b', { ino: 3, ...same }), backup('c', { ino: 7, ...same }), live({ ino: 8 })],
    plan: { start: { name: 'c', offset: 1000 }, queue: ['b', 'audit.log'] },
  },
  {
    name: 'of two files with the content and other inodes, the older: rather twice than not at all',
    position: stored(),
    files: [backup('b', { ino: 3, ...same }), live({ ino: 8, ...same })],
    plan: { start: { name: 'b', offset: 1000 }, queue: ['audit.log'] },
  },
  {
    name: 'the same inode on another device is another file',
    position: stored(),
    files: [backup('b', { ino: 7, dev: 2, ...same }), backup('c', { ino: 7, ...same }), live({ ino: 8 })],
    plan: { start: { name: 'c', offset: 1000 }, queue: ['b', 'audit.log'] },
  },
  {
    name: 'copied, then truncated: the copy goes on, then the live file from its beginning',
    position: stored(),
    files: [backup('b', { ino: 60, ...same }), live({ ino: 7, size: 10 })],
    plan: { start: { name: 'b', offset: 1000 }, queue: ['audit.log'] },
  },
  {
    name: 'a finished backup is never gone on with',
    position: stored(),
    files: [backup('b', { ...done, ...same }), live({ ino: 8 })],
    plan: { queue: ['audit.log'] },
    gaps: ['pruned audit.log 1000'],
  },
  {
    name: 'the clock was set back: a lower name that is not finished was rotated later',
    position: stored(),
    files: [backup('a'), backup('b', { ino: 7, ...same }), backup('c', done), live({ ino: 8 })],
    plan: { start: { name: 'b', offset: 1000 }, queue: ['a', 'audit.log'] },
  },
  {
    name: 'pruned: the oldest unread backup is next',
    position: stored(),
    files: [backup('a', done), backup('d'), backup('e'), live({ ino: 8 })],
    plan: { queue: ['d', 'e', 'audit.log'] },
    gaps: ['pruned audit.log 1000'],
    why: /goes on with d$/,
  },
  {
    name: 'pruned, and nothing else there',
    position: stored({ name: 'b' }),
    files: [],
    plan: {},
    gaps: ['pruned b 1000'],
    why: /the next file$/,
  },
  {
    name: 'pruned, and its inode belongs to the live file now',
    position: stored(),
    files: [live({ ino: 7, size: 5000 })],
    plan: { queue: ['audit.log'] },
    gaps: ['pruned audit.log 1000'],
  },
  {
    name: 'truncated',
    position: stored(),
    files: [backup('a', done), live({ ino: 7, size: 999 })],
    plan: { queue: ['audit.log'] },
    gaps: ['truncated audit.log 1000'],
    why: /shrank to 999/,
  },
  {
    name: 'truncated to a beginning that is the same',
    position: stored(),
    files: [live({ ino: 7, size: 500, content: 'short' })],
    plan: { queue: ['audit.log'] },
    gaps: ['truncated audit.log 1000'],
  },
  {
    name: 'a gzip file that breaks off before the offset holds nothing new',
    position: stored({ name: 'b' }),
    files: [backup('b.gz', { content: 'short' }), backup('c'), live({ ino: 8 })],
    plan: { queue: ['c', 'audit.log'], finish: ['b.gz'] },
    gaps: ['damaged b 1000'],
    why: /b\.gz ends before/,
  },
  {
    name: 'a backup that was seen and is gone is a gap, also where reading goes on before it',
    position: { ...stored(), unread: ['b', 'c', 'd'].map((stem) => ({ stem, bytes: 9 })) },
    files: [backup('b', { ino: 7, ...same }), backup('d.gz'), live({ ino: 8 })],
    plan: { start: { name: 'b', offset: 1000 }, queue: ['d.gz', 'audit.log'] },
    gaps: ['pruned c 0'],
  },
  {
    name: 'the backup that was to be read next is gone',
    position: { ...stored({ name: 'b', offset: 0 }), unread: [{ stem: 'b', bytes: 9 }] },
    files: [backup('c'), live({ ino: 8 })],
    plan: { queue: ['c', 'audit.log'] },
    gaps: ['pruned b 0'],
  },
  {
    name: 'the backup that was being read is gone: one gap',
    position: { ...stored({ name: 'b.gz' }), unread: [{ stem: 'b', bytes: 9 }] },
    files: [live({ ino: 8 })],
    plan: { queue: ['audit.log'] },
    gaps: ['pruned b.gz 1000'],
  },
  {
    name: 'an empty live file that is still there, or was rotated, leaves no doubt',
    position: stored({ offset: 0 }),
    files: [backup('a', done), backup('b', { ino: 7 }), live({ ino: 8 })],
    plan: { queue: ['b', 'audit.log'] },
  },
  {
    name: 'what became of an empty live file can not be told: nothing that was written may be cut',
    position: stored({ offset: 0 }),
    files: [backup('b.gz', { ino: 55 }), live({ ino: 8 })],
    plan: { queue: ['b.gz', 'audit.log'], isComplete: false },
  },
  {
    name: 'the inode of an empty live file alone does not say that it is the same',
    position: stored({ offset: 0 }),
    files: [backup('b', { ino: 8 }), live({ ino: 7 })],
    plan: { queue: ['b', 'audit.log'], isComplete: false },
  },
];

for (const row of rows) {
  t.test(row.name, async (t) => {
    const { gaps, why, ...plan } = planResume(row.position, row.files, row.readFrom ?? 'beginning');
    const isComplete = row.gaps === undefined;
    t.same(plan, { start: null, queue: [], finish: [], isComplete, ...row.plan });
    t.same(
      gaps.map((gap) => `${gap.reason} ${gap.file} ${String(gap.offset)}`),
      row.gaps ?? [],
    );
    t.match(why, row.why ?? /./);
  });
}
