// What the documents name exists: files, tests, codes; and their examples are valid.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import t from 'tap';
import { globSync } from 'tinyglobby';
import { CHANGES, TESTS } from '../src/event/modifiers.js';
import { headgate } from './helpers/headgate.js';

const root = resolve(import.meta.dirname, '..');
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs')).map((name) => `docs/${name}`),
];

function matches(text: string, pattern: RegExp): string[] {
  return [...text.matchAll(pattern)].map((match) => match[1] ?? '');
}

t.test('docs/conditions.md has every modifier', async (t) => {
  const text = readFileSync(join(root, 'docs/conditions.md'), 'utf8');
  const described = matches(text.slice(0, text.indexOf('## Arrays')), /`\\\|([a-z]+)`/g);
  t.strictSame([...new Set(described)].sort(), [...Object.keys(TESTS), ...Object.keys(CHANGES)].sort());
});

for (const document of documents) {
  const text = readFileSync(join(root, document), 'utf8');

  t.test(`every file that ${document} names exists`, (t) => {
    for (const link of matches(text, /\]\(([^)#:]+)\)/g)) {
      t.ok(existsSync(resolve(root, dirname(document), link)), link);
    }
    for (const path of matches(text, /`(?:npx tap )?((?:test|src|examples|systemd|pipelines)\/[^` ]+)`/g)) {
      t.ok(globSync(path, { cwd: root }).length > 0, path);
    }
    t.end();
  });

  // Its examples are components, which `components.test.ts` holds against their declarations.
  if (document === 'docs/reference.md') continue;

  t.test(`every pipeline in ${document} is valid`, async (t) => {
    for (const [i, yaml] of matches(text, /^```yaml\n(.*?)^```$/gms).entries()) {
      const file = join(t.testdir(), `example-${i}.yaml`);
      writeFileSync(file, yaml);
      const { exitCode, stderr } = await headgate(['check', file]);
      t.equal(exitCode, 0, stderr);
    }
  });
}

t.test('docs/operations.md tells what each code that a running Headgate logs means', (t) => {
  const declared = /export type RuntimeCode =([^;]+);/.exec(
    readFileSync(join(root, 'src/errors.ts'), 'utf8'),
  )?.[1];
  const text = readFileSync(join(root, 'docs/operations.md'), 'utf8');
  const codes = matches(declared ?? '', /'(\w+)'/g).filter((code) => code !== 'USAGE');
  t.ok(codes.length > 10);
  for (const code of codes) t.ok(text.includes(`\`${code}\``), code);
  t.end();
});
