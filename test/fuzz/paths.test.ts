// Names of outputs for any values: apart from each other in every form that a file of theirs can have, and nowhere else.
import t from 'tap';
import fc from 'fast-check';
import { numberedPath, outputName, TEMPORARY_SUFFIX } from '../../src/sink/files/segment-name.js';
import { parsePathTemplate, renderPath, sliceOf } from '../../src/sink/files/path-template.js';
import type { PathTemplate } from '../../src/sink/files/path-template.js';
import { randomRuns } from '../helpers/random-runs.js';

const TEMPLATES = [
  '{{ tag }}',
  '{{ tag }}.log',
  'audit.{{ tag }}',
  '{{ tag }}/audit.log',
  '%Y/{{ tag }}.%m%d%H.log',
  '%Y%m%d.{{ tag }}',
  'a/{{ tag }}/{{ user.username ?? "none" }}.jsonl',
  `${'x'.repeat(120)}{{ tag }}.log`,
].map((text) => {
  const parsed = parsePathTemplate(text);
  if ('faults' in parsed) throw new Error(`${text}: ${JSON.stringify(parsed.faults)}`);
  return parsed.template;
});

/** Every name that a file of this output can ever have, relative to `base_dir`. */
function namesOf(template: PathTemplate, values: readonly string[]): string[] {
  const { key } = renderPath(template, sliceOf(template.unit, Date.UTC(2026, 10, 21)), values);
  const name = outputName(key, template.ext);
  const segments = [key, numberedPath(name, 1), numberedPath(name, 123), numberedPath(name, 999_999_999)];
  return segments.flatMap((path) => [path, `${path}.gz`, `${path}${TEMPORARY_SUFFIX}`]);
}

const value = fc.oneof(
  fc.constantFrom(
    '',
    '.',
    '..',
    '/',
    '\0',
    '%',
    '%2E',
    '~000001',
    'x',
    'x.gz',
    'x.log',
    '.gz',
    'x~000001',
    'x%2Egz',
  ),
  fc.stringMatching(/^[.%~/2EFaAgz\0]{0,8}$/),
  fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 40 }).map((bytes) => String.fromCharCode(...bytes)),
  fc
    .tuple(fc.constantFrom('a', '/', '.gz', '\xff'), fc.integer({ min: 50, max: 4096 }))
    .map(([unit, n]) => unit.repeat(n)),
);
const template = fc.constantFrom(...TEMPLATES);

t.test('no file of one value ever has a name that a file of another value can have', async (t) => {
  fc.assert(
    fc.property(template, value, value, value, (template, a, b, second) => {
      if (a === b) return true;
      const others = new Set(namesOf(template, [b, second]));
      return namesOf(template, [a, second]).every((name) => !others.has(name));
    }),
    { numRuns: randomRuns(5_000) },
  );
  t.pass('for all runs');
});

t.test(
  'every part of every name is a plain name of at most 255 bytes, as deep as the template',
  async (t) => {
    fc.assert(
      fc.property(template, value, value, (template, a, b) => {
        const depth = 1 + template.parts.filter((part) => part.kind === 'text' && part.text === '/').length;
        return namesOf(template, [a, b]).every((path) => {
          const parts = path.split('/');
          return (
            parts.length === depth &&
            parts.every((part) => /^[\x21-\x7e]+$/.test(part) && part.length <= 255 && !part.startsWith('.'))
          );
        });
      }),
      { numRuns: randomRuns(5_000) },
    );
    t.pass('for all runs');
  },
);

t.test('a value that ends in .gz is never taken for the compressed file of another value', async (t) => {
  const [template] = TEMPLATES;
  if (!template) throw new Error('impossible: no template');
  t.notOk(namesOf(template, ['x']).includes(namesOf(template, ['x.gz'])[0] ?? ''));
});
