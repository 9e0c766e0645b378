// The small pure decisions of the files sink: names, encoding, closing, pruning.
import t from 'tap';
import fc from 'fast-check';
import { encodeValue, OVERFLOW } from '../../../src/sink/files/encode.js';
import {
  highestSequences,
  numberedPath,
  outputName,
  sequenceKey,
} from '../../../src/sink/files/segment-name.js';
import { filesOverTotal, filesToPrune, isLimited } from '../../../src/sink/files/retention.js';
import { isDue } from '../../../src/sink/files/rotate.js';
import { createOutput, Segment } from '../../../src/sink/files/segment.js';
import { fromText } from '../../../src/event/byte-string.js';

t.test('values become harmless parts of one path segment', async (t) => {
  const table: [string, string][] = [
    ['kube-system', 'kube-system'],
    ['system:node:a', 'system:node:a'],
    ['', '%'],
    ['.', '%2E'],
    ['..', '%2E.'],
    ['.hidden', '%2Ehidden'],
    ['../../etc/cron.d/x', '%2E.%2F..%2Fetc%2Fcron.d%2Fx'],
    ['a/b', 'a%2Fb'],
    ['%2F', '%252F'],
    ['a\0b\n', 'a%00b%0A'],
    ['x~000001', 'x%7E000001'],
    ['日本', '%E6%97%A5%E6%9C%AC'],
    ['a b', 'a%20b'],
  ];
  for (const [value, expected] of table) t.equal(encodeValue(fromText(value), 200), expected);
});

t.test(
  'a value that is too long keeps a prefix and gets its digest, and no escape is cut in two',
  async (t) => {
    const a = encodeValue('a'.repeat(4096), 100);
    t.match(a, /^a{34}%~[0-9a-f]{64}$/);
    t.not(a, encodeValue('a'.repeat(4095), 100));
    for (let i = 0; i < 8; i++) {
      t.match(encodeValue('a'.repeat(30 + i) + '/'.repeat(100), 100), /^a+(%2F)*%~[0-9a-f]{64}$/);
    }
  },
);

t.test('different values never share a name, and no name leaves its directory', async (t) => {
  const value = fc
    .oneof(
      fc.string({ unit: 'binary', maxLength: 12 }),
      fc.stringMatching(/^[.%~/2EF0a]{0,12}$/),
      fc
        .array(fc.integer({ min: 0, max: 255 }), { maxLength: 100 })
        .map((bytes) => String.fromCharCode(...bytes)),
    )
    .map((text) => Buffer.from(text, 'latin1').toString('latin1'));
  fc.assert(
    fc.property(value, value, (a, b) => {
      const x = encodeValue(a, 80);
      if (a !== b && x === encodeValue(b, 80)) return false;
      return (
        x.length > 0 &&
        x.length <= 80 &&
        !x.includes('/') &&
        !x.startsWith('.') &&
        (!x.includes('~') || x.includes('%~'))
      );
    }),
    { numRuns: 5000 },
  );
  t.pass('held for all runs');
});

t.test('a segment name is the stem, a sequence and the extension', async (t) => {
  const name = outputName('d/audit.a.2026112110.log', '.log');
  t.same(name, { key: 'd/audit.a.2026112110.log', directory: 'd', stem: 'audit.a.2026112110', ext: '.log' });
  t.equal(numberedPath(name, 1), 'd/audit.a.2026112110~000001.log');
  t.equal(numberedPath(outputName('audit', ''), 1234567), 'audit~1234567');
});

t.test('the highest sequence counts every form of an output, and nothing else', async (t) => {
  const highest = highestSequences([
    'audit.log',
    'audit~000003.log.gz',
    'audit~000012.log',
    'audit~000013.log~gz',
    'audit~7.log',
    'audit~000099.log.bak',
    'auditor~000050.log',
    'plain~000002',
    'plain~000004.gz',
  ]);
  t.equal(highest.get(sequenceKey('audit', '.log')), 13);
  t.equal(highest.get(sequenceKey('auditor', '.log')), 50);
  t.equal(highest.get(sequenceKey('plain', '')), 4);
  t.equal(highest.get(sequenceKey('other', '')), undefined);
});

const hour = 3_600_000;
const end = 10 * hour;
const options = { maxAgeMs: Infinity, graceMs: 300_000 };
function outputWith(sliceEndMs: number, openedAtMs: number, lastAppendMs: number) {
  const output = createOutput(outputName('x', ''), 'x', sliceEndMs);
  output.active = new Segment(1, output, openedAtMs);
  output.active.lastAppendMs = lastAppendMs;
  return output;
}

t.test('a slice closes after its grace when idle; a late event puts it off', async (t) => {
  const moment = { newestMs: 0, isEnd: false };
  const at = (nowMs: number, lastAppendMs: number) =>
    isDue(outputWith(end, 0, lastAppendMs), options, { ...moment, nowMs });
  t.equal(at(end + 299_999, 0), false);
  t.equal(at(end + 300_000, end), true);
  t.equal(at(end + 300_000, end + 200_000), false);
  t.equal(at(end + 500_000, end + 200_000), true);
});

t.test('old logs: the newest event closes a slice once it is idle for some seconds', async (t) => {
  const now = 1000 * hour;
  const at = (newestMs: number, idleMs: number) =>
    isDue(outputWith(end, now, now - idleMs), options, { nowMs: now, newestMs, isEnd: false });
  t.equal(at(end + 300_000, 5_000), true);
  t.equal(at(end + 300_000, 4_999), false);
  t.equal(at(end + 299_999, 5_000), false);
});

t.test('an event from the future closes nothing', async (t) => {
  const nowMs = end - hour;
  t.equal(isDue(outputWith(end, 0, 0), options, { nowMs, newestMs: 1e15, isEnd: false }), false);
});

t.test('at the end of a run what is due closes without being idle, what is not stays open', async (t) => {
  const at = (nowMs: number) =>
    isDue(outputWith(end, nowMs, nowMs), options, { nowMs, newestMs: nowMs, isEnd: true });
  t.equal(at(end + 300_000), true);
  t.equal(at(end), false);
});

t.test('max_age closes a file however busy it is; a path without time closes by nothing else', async (t) => {
  const byAge = { ...options, maxAgeMs: hour };
  t.equal(isDue(outputWith(Infinity, 0, hour), byAge, { nowMs: hour, newestMs: 0, isEnd: false }), true);
  t.equal(isDue(outputWith(Infinity, 0, 0), options, { nowMs: 1e15, newestMs: 1e15, isEnd: true }), false);
});

t.test('an output without open segment is never due', async (t) => {
  const output = createOutput(outputName('x', ''), 'x', 0);
  t.equal(isDue(output, { ...options, maxAgeMs: 0 }, { nowMs: 1e15, newestMs: 1e15, isEnd: true }), false);
});

const files = [1, 2, 3, 4].map((n) => ({
  path: `/f${n}`,
  group: 'g',
  bytes: 10,
  ino: n,
  closedAtMs: n * 1000,
}));
const unlimited = { keep: Infinity, keepBytes: Infinity, keepAgeMs: Infinity, keepTotalBytes: Infinity };
const pruned = (limits: Partial<typeof unlimited>, nowMs = 5000) =>
  filesToPrune(files, { ...unlimited, ...limits }, nowMs).map(({ path }) => path);

t.test('the oldest files are pruned until count, bytes and age are within their limits', async (t) => {
  t.same(pruned({}), []);
  t.same(pruned({ keep: 3 }), ['/f1']);
  t.same(pruned({ keep: 0 }), ['/f1', '/f2', '/f3', '/f4']);
  t.same(pruned({ keepBytes: 25 }), ['/f1', '/f2']);
  t.same(pruned({ keepAgeMs: 2500 }), ['/f1', '/f2']);
  t.same(pruned({ keep: 3, keepBytes: 20 }), ['/f1', '/f2']);
});

t.test('the oldest files of the whole sink are pruned until their bytes are within the limit', async (t) => {
  const over = (keepTotalBytes: number) =>
    filesOverTotal(files, 40, { ...unlimited, keepTotalBytes }).map(({ path }) => path);
  t.same(over(Infinity), []);
  t.same(over(40), []);
  t.same(over(39), ['/f1']);
  t.same(over(30), ['/f1']);
  t.same(over(11), ['/f1', '/f2', '/f3']);
  t.same(over(0), ['/f1', '/f2', '/f3', '/f4']);
});

t.test('any one limit is a limit', async (t) => {
  t.equal(isLimited(unlimited), false);
  for (const name of Object.keys(unlimited)) t.equal(isLimited({ ...unlimited, [name]: 5 }), true, name);
});

t.test('no value, and no row of values, contains what stands for a value in an overflow path', async (t) => {
  const value = fc.oneof(
    fc.constantFrom('', '%', '~', OVERFLOW, '%~', 'overflow', '~overflow', OVERFLOW.repeat(20)),
    fc.string({ unit: 'binary-ascii', maxLength: 100 }),
  );
  fc.assert(
    fc.property(fc.array(value, { maxLength: 4 }), (values) => {
      const path = values.map((each) => encodeValue(each, 80)).join('');
      return !path.includes(OVERFLOW);
    }),
    { numRuns: 5000 },
  );
  t.equal(encodeValue(OVERFLOW, 80), '%25%7Eoverflow');
});
