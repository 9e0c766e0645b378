import t from 'tap';
import { recoverSegment } from '../../../src/sink/files/recover.js';
import type { RecoveryFacts, SegmentFacts, Verdict } from '../../../src/sink/files/recover.js';
import type { SegmentRecord } from '../../../src/position/position.js';

const base: SegmentRecord = { id: 1, sink: 's', path: '/o/x', key: 'x', length: 100, ino: 7, openedAtMs: 0 };
const nothing: SegmentFacts = { at: undefined, old: undefined, isCompressed: false };
const crash: RecoveryFacts = { isReread: true, isClean: false };

interface Row {
  name: string;
  record?: Partial<SegmentRecord>;
  facts?: Partial<SegmentFacts>;
  recovery?: Partial<RecoveryFacts>;
  verdict: Verdict;
}

const touched = (detail: string): Verdict => ({ kind: 'touched', detail });
const keep: Verdict = { kind: 'keep', isRename: false, length: 100 };

const rows: Row[] = [
  { name: 'as committed: goes on', facts: { at: { ino: 7, size: 100 } }, verdict: keep },
  { name: 'longer than its receipt: cut back', facts: { at: { ino: 7, size: 150 } }, verdict: keep },
  {
    name: 'longer, and what is behind the receipt will not be read again: kept and closed',
    facts: { at: { ino: 7, size: 150 } },
    recovery: { isReread: false },
    verdict: { kind: 'seal', isRename: false },
  },
  {
    name: 'longer after a clean stop: a stranger wrote there, so nothing is cut',
    facts: { at: { ino: 7, size: 150 } },
    recovery: { isClean: true },
    verdict: touched('something was appended to it'),
  },
  {
    name: 'closed and longer: a stranger wrote there',
    record: { closed: true },
    facts: { at: { ino: 7, size: 150 } },
    verdict: touched('something was appended to it'),
  },
  {
    name: 'shorter than its receipt: an error, never silent',
    facts: { at: { ino: 7, size: 99 } },
    verdict: touched('it became shorter than what was committed'),
  },
  {
    name: 'another file under its name: left alone',
    facts: { at: { ino: 8, size: 100 } },
    verdict: touched('another file is in its place'),
  },
  { name: 'missing: an error', verdict: touched('it was taken away') },
  {
    name: 'closed and missing: someone took it, which is fine',
    record: { closed: true },
    verdict: { kind: 'forget' },
  },
  {
    name: 'closed and compressed already: only the entry is left to do',
    record: { closed: true },
    facts: { isCompressed: true },
    verdict: { kind: 'forget' },
  },
  {
    name: 'closed, not yet compressed: goes on closed',
    record: { closed: true },
    facts: { at: { ino: 7, size: 100 } },
    verdict: keep,
  },
  {
    name: 'begun and never committed: removed',
    record: { length: 0, ino: 0 },
    facts: { at: { ino: 9, size: 50 } },
    verdict: { kind: 'remove', path: '/o/x' },
  },
  {
    name: 'begun and never created: only the entry goes',
    record: { length: 0, ino: 0 },
    verdict: { kind: 'remove', path: undefined },
  },
  {
    name: 'begun, never committed, and not to be read again: kept and closed',
    record: { length: 0, ino: 0 },
    facts: { at: { ino: 9, size: 50 } },
    recovery: { isReread: false },
    verdict: { kind: 'seal', isRename: false },
  },
  {
    name: 'a rename was announced and did not happen: it is completed',
    record: { path: '/o/x~000001', from: '/o/x' },
    facts: { old: { ino: 7, size: 120 } },
    verdict: { kind: 'keep', isRename: true, length: 100 },
  },
  {
    name: 'a rename was announced and happened: nothing is renamed again, whatever has the old name now',
    record: { path: '/o/x~000001', from: '/o/x' },
    facts: { at: { ino: 7, size: 100 }, old: { ino: 8, size: 5 } },
    verdict: keep,
  },
  {
    name: 'a rename was announced, and a stranger has the new name: it is not replaced',
    record: { path: '/o/x~000001', from: '/o/x' },
    facts: { at: { ino: 8, size: 1 }, old: { ino: 7, size: 100 } },
    verdict: touched('another file is in its place'),
  },
  {
    name: 'never committed and renamed on paper only: the old name goes',
    record: { path: '/o/x~000001', from: '/o/x', length: 0, ino: 0 },
    facts: { old: { ino: 9, size: 50 } },
    verdict: { kind: 'remove', path: '/o/x' },
  },
  {
    name: 'never committed and renamed on disk: the new name goes, the old one is the next segment',
    record: { path: '/o/x~000001', from: '/o/x', length: 0, ino: 0 },
    facts: { at: { ino: 9, size: 50 }, old: { ino: 10, size: 5 } },
    verdict: { kind: 'remove', path: '/o/x~000001' },
  },
];

for (const { name, record, facts, recovery, verdict } of rows) {
  t.test(name, async (t) => {
    t.same(
      recoverSegment({ ...base, ...record }, { ...nothing, ...facts }, { ...crash, ...recovery }),
      verdict,
    );
  });
}
