import t from 'tap';
import { fingerprint } from '../../../src/position/fingerprint.js';
import { FinishedBackups, MAX_FINISHED } from '../../../src/source/file/finished.js';

const entry = (stem: string, content: string) => ({ stem, ino: 1, head: fingerprint(Buffer.from(content)) });
const stemOf = (i: number): string => `audit-${String(i).padStart(6, '0')}.log`;

t.test('a backup is finished by name and content together', async (t) => {
  const finished = new FinishedBackups();
  finished.add(entry('b', 'content'), undefined);
  t.ok(finished.has('b', Buffer.from('content')));
  t.notOk(finished.has('b', Buffer.from('other')), 'the name was used twice');
  t.notOk(finished.has('c', Buffer.from('content')), 'another name');
  t.notOk(finished.has('a', Buffer.from('content')), 'also an older one: the clock may have been set back');
  t.ok(finished.has('b', undefined), 'what can not be read any more is known by name');
});

t.test('the same backup is remembered once, two of one name are both remembered', async (t) => {
  const finished = new FinishedBackups();
  finished.add(entry('b', 'one'), undefined);
  finished.add({ ...entry('b', 'one'), ino: 2 }, undefined);
  finished.add(entry('b', 'two'), undefined);
  t.same(
    finished.entries.map((e) => e.ino),
    [2, 1],
  );
});

t.test('beyond the bound the oldest are remembered by the highest name alone', async (t) => {
  const finished = new FinishedBackups();
  for (let i = 0; i < MAX_FINISHED; i++) finished.add(entry(stemOf(i), String(i)), undefined);
  t.equal(finished.through, null);
  finished.add(entry(stemOf(MAX_FINISHED), 'x'), undefined);
  t.equal(finished.entries.length, MAX_FINISHED);
  t.equal(finished.through, stemOf(0));
  t.ok(finished.has(stemOf(0), Buffer.from('whatever')));
  const restored = new FinishedBackups(finished.entries, finished.through);
  t.same(restored.entries, finished.entries);
  restored.add(entry(stemOf(0), 'again'), undefined);
  t.equal(restored.entries.length, MAX_FINISHED, 'nothing below is added again');
});

t.test('an unread backup with an old name is never covered by a newer finished one', async (t) => {
  const finished = new FinishedBackups();
  for (let i = 0; i < MAX_FINISHED + 10; i++) finished.add(entry(stemOf(i), String(i)), stemOf(5));
  t.equal(finished.through, stemOf(4));
  t.notOk(finished.isThrough(stemOf(5)));
});
