import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import t from 'tap';
import { referenceCommand, schemaCommand } from '../../src/command/schema.js';

t.test('schema/pipeline.schema.json is what the command prints: run `npm run generate`', async (t) => {
  const stdout = new PassThrough();
  schemaCommand({ stdout });
  const file = join(import.meta.dirname, '../../schema/pipeline.schema.json');
  t.equal(String(stdout.read()), readFileSync(file, 'utf8'));
});

t.test('docs/reference.md is what the command prints: run `npm run generate`', async (t) => {
  const stdout = new PassThrough({ highWaterMark: 2 ** 20 });
  referenceCommand({ stdout });
  const file = join(import.meta.dirname, '../../docs/reference.md');
  t.equal(String(stdout.read()), readFileSync(file, 'utf8'));
});
