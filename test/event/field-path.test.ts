import t from 'tap';
import { formatFieldPath, parseFieldPath, readFieldPath } from '../../src/event/field-path.js';
import { fromText } from '../../src/event/byte-string.js';

t.test('names of fields become their keys', async (t) => {
  const table: [text: string, path: string[]][] = [
    ['stage', ['stage']],
    ['objectRef.namespace', ['objectRef', 'namespace']],
    ['annotations["authorization.k8s.io/decision"]', ['annotations', 'authorization.k8s.io/decision']],
    ['annotations.plain', ['annotations', 'plain']],
    ['user.extra["a.b/c"]', ['user', 'extra', 'a.b/c']],
    ['impersonatedUser.username', ['impersonatedUser', 'username']],
    [
      'requestObject.metadata.labels["app.kubernetes.io/name"].x',
      ['requestObject', 'metadata', 'labels', 'app.kubernetes.io/name', 'x'],
    ],
    ['requestObject["a\\"b\\\\c"]', ['requestObject', 'a"b\\c']],
    ['requestObject[""]', ['requestObject', '']],
    ['requestObject.日本', ['requestObject', fromText('日本')]],
    ['responseStatus.details.causes.reason', ['responseStatus', 'details', 'causes', 'reason']],
    ['metadata.creationTimestamp', ['metadata', 'creationTimestamp']],
    ['timestamp', ['timestamp']],
    ['tag', ['tag']],
    ['time', ['time']],
    ['latency_ms', ['latency_ms']],
  ];
  for (const [text, path] of table) {
    t.same(parseFieldPath(text), { path }, text);
    t.same(parseFieldPath(formatFieldPath(path)), { path }, 'and back');
  }
});

t.test('fields that no event has are faults with a hint', async (t) => {
  const table: [text: string, offset: number, message: RegExp, hint: RegExp][] = [
    ['stag', 0, /no field `stag`/, /`stage`/],
    ['objectref.namespace', 0, /no field `objectref`/, /`objectRef`/],
    ['namespace', 0, /no field `namespace`/, /`objectRef.namespace`/],
    ['code', 0, /no field/, /`responseStatus.code`/],
    ['xyzzy', 0, /no field/, /the fields are .*objectRef/],
    ['objectRef.namespaces', 10, /`objectRef` has no field `namespaces`/, /`objectRef.namespace`/],
    ['user.xyzzy', 5, /`user` has no field/, /it has username, uid/],
    ['verb.x', 5, /`verb` has no fields/, /write `verb`/],
    ['tag.x', 4, /`tag` has no fields/, /write `tag`/],
    ['annotations.authorization.k8s.io/decision', 26, /has no fields/, /annotations\["authorization\.k8s/],
    ['constructor', 0, /no field/, /fields/],
  ];
  for (const [text, offset, message, hint] of table) {
    t.match(parseFieldPath(text), { fault: { code: 'CONFIG_FIELD', offset, message, hint } }, text);
  }
});

t.test('texts that are no field say where they break', async (t) => {
  const table: [text: string, offset: number, hint: RegExp][] = [
    ['', 0, /quoted as a whole/],
    ['["authorization.k8s.io/decision"]', 0, /quoted as a whole/],
    ['[ authorization.k8s.io/decision ]', 0, /quoted as a whole/],
    ['objectRef.', 10, /written/],
    ['objectRef..name', 10, /written/],
    ['.objectRef', 0, /written/],
    ['verb get', 4, /written/],
    ['verb|contains', 4, /written/],
    ['annotations[x]', 11, /double quotes/],
    ['annotations["x]', 11, /double quotes/],
    ['annotations["x"', 11, /double quotes/],
    ['annotations["x"]y', 16, /written/],
  ];
  for (const [text, offset, hint] of table) {
    t.match(parseFieldPath(text), { fault: { code: 'CONFIG_FIELD', offset, hint } }, text);
  }
});

t.test('a field inside a longer text ends where it can not go on', async (t) => {
  t.same(readFieldPath('{{ verb ?? "x" }}', 3), { path: ['verb'], end: 7 });
  t.same(readFieldPath('annotations["a.b"]|contains', 0), { path: ['annotations', 'a.b'], end: 18 });
});
