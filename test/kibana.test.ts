// Kibana's saved objects hang together, are what they are made of, and speak of fields that documents have. Their queries
// are run against a real server in test/elasticsearch.
import t from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ndjson, savedObjects, usedOf } from '../examples/kibana/objects.mjs';
import { mappingsOf } from '../src/sink/elasticsearch/mappings.js';
import { isMapped } from './helpers/elasticsearch.js';

const directory = join(import.meta.dirname, '../examples/kibana');

for (const [format, file] of [
  ['native', 'headgate.ndjson'],
  ['ecs', 'headgate-ecs.ndjson'],
] as const) {
  t.test(`examples/kibana/${file} is what objects.mjs makes`, async (t) => {
    t.equal(readFileSync(join(directory, file), 'utf8'), ndjson(format), 'run npm run generate');
  });

  t.test(`each reference in ${file} leads to an object in it, behind which it stands`, async (t) => {
    const lines = readFileSync(join(directory, file), 'utf8').trimEnd().split('\n');
    const known = new Set<string>();
    for (const line of lines) {
      const { type, id, references } = JSON.parse(line) as ReturnType<typeof savedObjects>[number];
      for (const each of references) t.ok(known.has(`${each.type} ${each.id}`), `${id}: ${each.name}`);
      t.notOk(known.has(`${type} ${id}`), 'no id is there twice');
      known.add(`${type} ${id}`);
    }
  });

  t.test(`each panel of the dashboard in ${file} has its object, and none lies on another`, async (t) => {
    const dashboard = savedObjects(format).find(({ type }) => type === 'dashboard');
    interface Panel {
      panelIndex: string;
      panelRefName: string;
      gridData: { x: number; y: number; w: number; h: number };
    }
    const panels = JSON.parse(String(dashboard?.attributes['panelsJSON'])) as Panel[];
    t.strictSame(
      panels.map(({ panelIndex, panelRefName }) => `${panelIndex}:${panelRefName}`),
      dashboard?.references.map(({ name }) => name),
    );
    const cells = panels.flatMap(({ gridData: { x, y, w, h } }) => {
      t.ok(x + w <= 48);
      return Array.from({ length: w * h }, (_, i) => `${x + (i % w)},${y + Math.floor(i / w)}`);
    });
    t.equal(new Set(cells).size, cells.length);
  });

  t.test(`each field in ${file} is in the mappings`, async (t) => {
    const mappings = mappingsOf({ format, bodies: 'flattened', flavor: 'elasticsearch' });
    const { fields, queries } = usedOf(format);
    const asked = Object.values(queries).flatMap((query) =>
      [...query.matchAll(/([\w./]+) (?::|>=)/g)].map((match) => match[1] ?? ''),
    );
    t.ok(asked.length > 5);
    for (const field of new Set([...fields, ...asked])) t.ok(isMapped(mappings, field), field);
    t.notOk(isMapped(mappings, 'user.nonsense'));
  });
}
