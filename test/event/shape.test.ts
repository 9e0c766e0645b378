import t from 'tap';
import { KNOWN_FIELDS } from '../../src/event/audit.js';
import { parseFieldPath } from '../../src/event/field-path.js';
import type { FieldPath } from '../../src/event/field-path.js';
import type { Shape } from '../../src/event/shape.js';
import { withMade, withYetToBeMade } from '../../src/event/shape.js';

function pathsOf(names: readonly string[]): FieldPath[] {
  return names.map((name) => {
    const parsed = parseFieldPath(name, 'anything');
    if ('fault' in parsed) throw new Error(parsed.fault.message);
    return parsed.path;
  });
}

/** The shape behind one processor after the other, in front of one that makes `later`. */
function shapeBehind(made: readonly string[][], later: readonly string[] = []): Shape {
  const before = withYetToBeMade(KNOWN_FIELDS, pathsOf([...made.flat(), ...later]));
  return made.reduce((shape, names) => withMade(shape, pathsOf(names)), before);
}

function isKnown(name: string, shape: Shape): boolean {
  return 'path' in parseFieldPath(name, shape);
}

t.test('fields that were made are known, with all that is above them', async (t) => {
  const shape = shapeBehind([
    ['orchestrator.cluster.name', 'team'],
    ['orchestrator.cluster.id', 'labels["app.kubernetes.io/name"]', 'objectRef.cluster', 'größe'],
    ['__proto__.constructor', 'tag.colour'],
  ]);
  for (const name of [
    'orchestrator',
    'orchestrator.cluster',
    'orchestrator.cluster.name',
    'orchestrator.cluster.id',
    'team',
    'labels["app.kubernetes.io/name"]',
    'objectRef.cluster',
    'objectRef.namespace',
    'größe',
    '__proto__.constructor',
    'tag',
    'tag.colour',
    'verb',
    'annotations["x"]',
  ])
    t.ok(isKnown(name, shape), name);
  for (const name of ['toString', '__proto__.toString', 'labels.app', 'cluster'])
    t.notOk(isKnown(name, shape), name);
  t.notOk(isKnown('team', KNOWN_FIELDS), 'the shape before stays as it was');
});

t.test('beside and below what was made nothing is known', async (t) => {
  const shape = shapeBehind([['orchestrator.cluster.name', 'team', 'labels["a.b/c"]']]);
  const table: [name: string, offset: number, message: string, hint: string][] = [
    [
      'orchestrator.cluster.nmae',
      21,
      '`orchestrator.cluster` has no field `nmae`',
      'did you mean `orchestrator.cluster.name`?',
    ],
    [
      'orchestrator.name',
      13,
      '`orchestrator` has no field `name`',
      'did you mean `orchestrator.cluster.name`?',
    ],
    ['orchestrator.xyzzy', 13, '`orchestrator` has no field `xyzzy`', 'it has cluster'],
    ['cluster.name', 0, 'an audit event has no field `cluster`', 'did you mean `orchestrator.cluster`?'],
    ['taem', 0, 'an audit event has no field `taem`', 'did you mean `team`?'],
    ['team.name', 5, '`team` has no fields', 'write `team`'],
    ['labels["a.b/d"]', 6, '`labels` has no field `a.b/d`', 'did you mean `labels["a.b/c"]`?'],
  ];
  for (const [name, offset, message, hint] of table)
    t.same(parseFieldPath(name, shape), { fault: { code: 'CONFIG_FIELD', message, hint, offset } }, name);
  t.match(parseFieldPath('xyzzy', shape), {
    fault: { hint: /^the fields are kind, .*, latency_ms, orchestrator/ },
  });
});

t.test(
  'what is made where anything may stand, or in the place of a known field, takes nothing away',
  async (t) => {
    t.same(
      shapeBehind([
        ['annotations["a.b/c"]', 'user.extra.x', 'requestObject.metadata.labels.x'],
        ['user', 'objectRef.namespace', 'requestObject', 'verb'],
      ]),
      KNOWN_FIELDS,
    );
    t.equal(withMade('anything', pathsOf(['team'])), 'anything');
  },
);

t.test('below what was a text an object is known where one was put in its place', async (t) => {
  for (const made of [[['team'], ['team.name']], [['team.name'], ['team']], [['team', 'team.name']]]) {
    const shape = shapeBehind(made);
    t.ok(isKnown('team', shape));
    t.ok(isKnown('team.name', shape), JSON.stringify(made));
  }
  t.ok(isKnown('verb.name', shapeBehind([['verb.name']])));
});

t.test('what only a later processor makes is too early, and nobody is told to write it', async (t) => {
  const shape = shapeBehind(
    [['orchestrator.cluster.name']],
    ['team', 'orchestrator.cluster.id', 'labels["a.b"].c', 'verb.x'],
  );
  const rule = 'is not set yet: a processor knows what the processors before it set';
  const table: [name: string, offset: number, message: string, hint: string][] = [
    ['team', 0, 'an audit event has no field `team`', `\`team\` ${rule}`],
    [
      'orchestrator.cluster.id',
      21,
      '`orchestrator.cluster` has no field `id`',
      `\`orchestrator.cluster.id\` ${rule}`,
    ],
    ['labels["a.b"].c', 0, 'an audit event has no field `labels`', `\`labels\` ${rule}`],
    ['orchestrator.xyzzy', 13, '`orchestrator` has no field `xyzzy`', 'it has cluster'],
    ['orchestrator.cluster.xyzzy', 21, '`orchestrator.cluster` has no field `xyzzy`', 'it has name'],
    ['orchestrator.id', 13, '`orchestrator` has no field `id`', 'it has cluster'],
    ['verb.x', 5, '`verb` has no fields', 'write `verb`'],
  ];
  for (const [name, offset, message, hint] of table)
    t.same(parseFieldPath(name, shape), { fault: { code: 'CONFIG_FIELD', message, hint, offset } }, name);
  const listed = parseFieldPath('xyzzy', shape);
  t.match(listed, { fault: { hint: /latency_ms, orchestrator$/ } });
  t.ok(isKnown('verb', shape));
  t.ok(isKnown('orchestrator.cluster', shape));
});
