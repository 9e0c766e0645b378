// Edits by splicing against the same done on parsed objects.
import t from 'tap';
import fc from 'fast-check';
import { JsonEdits } from '../../src/event/json-edit.js';
import { membersNamed, membersOf, PathMembers, readMembers } from '../../src/event/json-members.js';
import { JsonReader } from '../../src/event/json-reader.js';
import { jsonString, newValueTree, setMembers } from '../../src/event/json-set.js';
import { buildKeyTrie } from '../../src/event/key-trie.js';
import { comparable, objectText, parseFirstWins } from '../helpers/json.js';
import type { Json } from '../helpers/json.js';
import { randomRuns } from '../helpers/random-runs.js';

const numRuns = randomRuns(1000);
const keys = fc.constantFrom('a', 'b', 'c', 'user', 'objectRef', '', 'é').map(bytesOf);
const paths = fc.array(keys, { minLength: 1, maxLength: 3 });

function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}

/** The text of an object after an edit, as a byte string. */
function edited(text: string, edit: (reader: JsonReader, edits: JsonEdits) => void): string {
  const data = Buffer.from(`x${text}\n`, 'latin1');
  const reader = new JsonReader();
  reader.load(data);
  const edits = new JsonEdits();
  edit(reader, edits);
  return edits.apply(data, 1, data.length - 1).toString('latin1');
}

function cutAll(reader: JsonReader, edits: JsonEdits, all: readonly string[][]): void {
  for (const path of all)
    new PathMembers(path).each(reader, 1, ({ keyStart, valueEnd }) => {
      edits.cutMember(keyStart, valueEnd);
    });
}

function without(value: Json, path: readonly string[]): Json {
  if (Array.isArray(value)) return value.map((element) => without(element, path));
  if (!(value instanceof Map)) return value;
  const [key = '', ...rest] = path;
  return new Map(
    [...value].flatMap(([name, inner]): [string, Json][] => {
      if (name !== key) return [[name, inner]];
      return rest.length === 0 ? [] : [[name, without(inner, rest)]];
    }),
  );
}

function withoutNamed(value: Json, key: string): Json {
  if (Array.isArray(value)) return value.map((element) => withoutNamed(element, key));
  if (!(value instanceof Map)) return value;
  return new Map(
    [...value].flatMap(([name, inner]): [string, Json][] =>
      name === key ? [] : [[name, withoutNamed(inner, key)]],
    ),
  );
}

function withSet(value: Json | undefined, path: readonly string[], wanted: string): Json {
  const [key, ...rest] = path;
  if (key === undefined) return wanted;
  const object = value instanceof Map ? new Map(value) : new Map<string, Json>();
  object.set(key, withSet(object.get(key), rest, wanted));
  return object;
}

t.test('members that are cut are gone, all equal ones, and nothing else is', async (t) => {
  const property = fc.property(objectText, fc.array(paths, { minLength: 1, maxLength: 4 }), (text, cut) => {
    const result = edited(text, (reader, edits) => {
      cutAll(reader, edits, cut);
    });
    const wanted = cut.reduce<Json>(without, parseFirstWins(text));
    JSON.parse(Buffer.from(result, 'latin1').toString());
    return comparable(parseFirstWins(result)) === comparable(wanted);
  });
  fc.assert(property, { numRuns });
  t.pass();
});

t.test('members are read of what is an object, whole and valid, and of nothing else', async (t) => {
  // Whole ones, and such of which a byte was taken out or put in.
  const texts = fc
    .tuple(
      objectText,
      fc.nat(200),
      fc.nat(1),
      fc.constantFrom('', '"', '}', '{', ',', ':', '\\', ' ', '1', '\n'),
    )
    .map(([text, at, cut, put]) => text.slice(0, at) + put + text.slice(at + cut));
  const property = fc.property(texts, (text) => {
    const reader = new JsonReader();
    reader.load(Buffer.from(`x${text}\n`, 'latin1'));
    const end = text.startsWith('{') ? reader.value(1) : -1;
    const read = readMembers(reader, 1);
    if (!read) return end === -1;
    return read.end === end && JSON.stringify(read.members) === JSON.stringify(membersOf(reader, 1));
  });
  fc.assert(property, { numRuns });
  t.pass();
});

t.test('members of one name are found at any depth', async (t) => {
  const property = fc.property(objectText, keys, (text, key) => {
    const result = edited(text, (reader, edits) => {
      for (const { keyStart, valueEnd } of membersNamed(reader, 1, reader.value(1), buildKeyTrie([[key]])))
        edits.cutMember(keyStart, valueEnd);
    });
    return comparable(parseFirstWins(result)) === comparable(withoutNamed(parseFirstWins(text), key));
  });
  fc.assert(property, { numRuns });
  t.pass();
});

t.test('a member that is set has its value, and no other changes', async (t) => {
  const property = fc.property(
    objectText,
    paths,
    fc.string({ unit: 'binary' }).map(bytesOf),
    (text, path, value) => {
      const result = edited(text, (reader, edits) => {
        const tree = newValueTree([{ path, value: jsonString(value) }]);
        setMembers(reader, 1, tree, edits);
      });
      JSON.parse(Buffer.from(result, 'latin1').toString());
      return comparable(parseFirstWins(result)) === comparable(withSet(parseFirstWins(text), path, value));
    },
  );
  fc.assert(property, { numRuns });
  t.pass();
});

t.test('what no edit names stays byte for byte', async (t) => {
  const cut = (text: string, ...all: string[][]): string =>
    edited(text, (reader, edits) => {
      cutAll(reader, edits, all);
    });
  t.equal(
    cut('{ "a" : 1.50 , "b": [ {"c":1 , "d":2e1} ],"e":9007199254740993 }', ['b', 'c']),
    '{ "a" : 1.50 , "b": [ {"d":2e1} ],"e":9007199254740993 }',
  );
  t.equal(cut('{"a":1,"b":2,"c":3}', ['a'], ['c']), '{"b":2}');
  t.equal(cut('{"a":1,"b":2,"c":3}', ['b'], ['c']), '{"a":1}');
  t.equal(cut('{"a":1,"b":2,"c":3}', ['a'], ['b'], ['c']), '{}');
  t.equal(cut('{"a":{"b":1},"c":3}', ['a', 'b'], ['a']), '{"c":3}');
  t.equal(cut('{"a":1,"\\u0061":2,"c":3}', ['a']), '{"c":3}');
});
