import t from 'tap';
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { nodeFileSystem } from '../../../src/file-system.js';
import { Catalog } from '../../../src/sink/files/catalog.js';
import { gatedFileSystem, systemError } from '../../helpers/file-system.js';

function fileIn(directory: string, name: string, group: string, bytes = 10) {
  const path = join(directory, name);
  writeFileSync(path, 'x'.repeat(bytes));
  return { path, group, bytes, ino: statSync(path).ino, closedAtMs: 0 };
}

async function open(directory: string, isNewestOnly = false, fs = nodeFileSystem): Promise<Catalog> {
  const catalog = new Catalog(fs, join(directory, 'closed.jsonl'), isNewestOnly);
  await catalog.open();
  return catalog;
}

const pathsOf = (catalog: Catalog) => [...catalog.files].map(({ path }) => path);

t.test('a line that could not be written is written when it is tried again', async (t) => {
  const directory = t.testdir();
  let isBroken = false;
  const fs = gatedFileSystem((operation) => {
    if (operation === 'write' && isBroken) throw systemError('ENOSPC');
  });
  const catalog = await open(directory, false, fs);
  const file = fileIn(directory, 'a', 'a');
  isBroken = true;
  await t.rejects(catalog.add(file), { code: 'ENOSPC' });
  isBroken = false;
  await catalog.add(file);
  t.same(pathsOf(await open(directory)), [file.path]);
});

t.test('what is pruned or taken away is no longer counted', async (t) => {
  const directory = t.testdir();
  const catalog = await open(directory);
  const files = ['a1', 'a2', 'b1'].map((name, i) => fileIn(directory, name, name.charAt(0), 10 * (i + 1)));
  for (const file of files) await catalog.add(file);
  t.equal(catalog.totalBytes, 60);
  const [first, second, third] = files;
  if (!first || !second || !third) throw new Error('impossible: there are three');
  await catalog.prune(first);
  t.equal(catalog.totalBytes, 50);
  rmSync(second.path);
  const next = await open(directory);
  t.equal(next.totalBytes, 30);
  t.same([...next.groups.keys()], ['b']);
});

t.test('where only groups count, one file of each is remembered, the newest that is there', async (t) => {
  const directory = t.testdir();
  const catalog = await open(directory, true);
  const files = ['a1', 'a2', 'b1', 'a3'].map((name) => fileIn(directory, name, name.charAt(0)));
  for (const file of files) await catalog.add(file);
  const names = (each: Catalog) => pathsOf(each).map((path) => path.slice(-2));
  t.same(names(catalog), ['b1', 'a3']);
  t.same(names(await open(directory, true)), ['b1', 'a3']);
  rmSync(files[3]?.path ?? '');
  t.same([...(await open(directory, true)).groups.keys()], ['b'], 'none of its older ones were kept in mind');
});
