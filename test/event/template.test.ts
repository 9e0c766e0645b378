import t from 'tap';
import fc from 'fast-check';
import { toText } from '../../src/event/byte-string.js';
import { FieldRegistry } from '../../src/event/fields.js';
import { compileAlternatives, compileTemplate, parseTemplate } from '../../src/event/template.js';
import type { Template } from '../../src/event/template.js';
import { batchOfEvent, decode } from '../helpers/decode.js';
import { comparable, objectText, parseFirstWins } from '../helpers/json.js';
import type { Json } from '../helpers/json.js';

function parsed(text: string): Template {
  const result = parseTemplate(text);
  if ('faults' in result) throw new Error(JSON.stringify(result.faults));
  return result.template;
}

/** The byte string that a template renders for an event. */
function render(text: string, event: unknown, tag = 'old'): string {
  const fields = new FieldRegistry();
  const compiled = compileTemplate(parsed(text), fields);
  const batch = batchOfEvent(event, fields, { readAtMs: 0 });
  batch.tags[0] = tag;
  const first = compiled(batch, 0);
  if (compiled(batch, 0) !== first) throw new Error('another result out of the cache');
  return first;
}

t.test('a template is taken apart into text and alternatives', async (t) => {
  t.same(parsed('a.{{ verb ?? objectRef.name??"no \\"x\\" \\\\" }}.é{{tag}}'), [
    { kind: 'literal', text: 'a.', offset: 0 },
    {
      kind: 'alternatives',
      offset: 2,
      list: [
        { kind: 'field', path: ['verb'] },
        { kind: 'field', path: ['objectRef', 'name'] },
        { kind: 'text', text: 'no "x" \\' },
      ],
    },
    { kind: 'literal', text: '.\xc3\xa9', offset: 45 },
    { kind: 'alternatives', offset: 47, list: [{ kind: 'field', path: ['tag'] }] },
  ]);
  t.same(parsed(''), []);
  t.same(parsed('{ a } }{'), [{ kind: 'literal', text: '{ a } }{', offset: 0 }]);
});

t.test('broken templates say where they break', async (t) => {
  const table: [text: string, code: string, offset: number][] = [
    ['{{ objectRef.namespace }}', 'CONFIG_TEMPLATE_ABSENT', 3],
    ['{{ verb ?? latency_ms }}', 'CONFIG_TEMPLATE_ABSENT', 11],
    ['x {{ verb', 'CONFIG_TEMPLATE', 2],
    ['x {{', 'CONFIG_TEMPLATE', 2],
    ['x {{ }}', 'CONFIG_TEMPLATE', 5],
    ['{{ verb ?? }}', 'CONFIG_TEMPLATE', 11],
    ['{{ ?? "x" }}', 'CONFIG_TEMPLATE', 3],
    ['{{ verb ? "x" }}', 'CONFIG_TEMPLATE', 8],
    ['{{ verb "x" }}', 'CONFIG_TEMPLATE', 8],
    ['{{ "x }}', 'CONFIG_TEMPLATE', 3],
    ['{{ "\\x" }}', 'CONFIG_TEMPLATE', 3],
    ["{{ verb ?? 'x' }}", 'CONFIG_TEMPLATE', 11],
    ['a }} b', 'CONFIG_TEMPLATE', 2],
    ['{{ tag }} }}', 'CONFIG_TEMPLATE', 10],
    ['{{ vreb ?? "x" }}', 'CONFIG_FIELD', 3],
    ['{{ objectRef.nam ?? "x" }}', 'CONFIG_FIELD', 13],
    ['{{ annotations["x ?? "x" }}', 'CONFIG_FIELD', 14],
  ];
  for (const [text, code, offset] of table) {
    const result = parseTemplate(text);
    t.match(result, { faults: [{ code, offset, message: String, hint: String }] }, text);
    t.equal('faults' in result && result.faults.length, 1);
  }
});

t.test('all faults of a template are told', async (t) => {
  t.match(parseTemplate('{{ vreb ?? "x" }} }} {{ verb }}{{'), {
    faults: [
      { code: 'CONFIG_FIELD', offset: 3 },
      { code: 'CONFIG_TEMPLATE', offset: 18 },
      { code: 'CONFIG_TEMPLATE_ABSENT', offset: 24 },
      { code: 'CONFIG_TEMPLATE', offset: 31 },
    ],
  });
});

t.test('the first alternative that is there is taken', async (t) => {
  const text = '{{ objectRef.namespace ?? verb ?? "none" }}';
  t.equal(render(text, { objectRef: { namespace: 'a' }, verb: 'get' }), 'a');
  t.equal(render(text, { objectRef: { name: 'x' }, verb: 'get' }), 'get');
  t.equal(render(text, { objectRef: null, verb: 'get' }), 'get');
  t.equal(render(text, { objectRef: { namespace: null }, verb: 'get' }), 'get', 'null is absent');
  t.equal(render(text, { objectRef: { namespace: '' }, verb: 'get' }), '', 'an empty text is present');
  t.equal(render(text, { objectRef: 'x' }), 'none');
  t.equal(render(text, {}), 'none');
});

t.test('values are put in as they are', async (t) => {
  const table: [raw: string, expected: string][] = [
    ['"a/b c"', 'a/b c'],
    ['"\\u003cb\\u003e \\"q\\" \\\\ \\/ \\n"', '<b> "q" \\ / \n'],
    ['"日本"', '日本'],
    ['"\\u65e5\\u672c \\ud83d\\ude00"', '日本 😀'],
    ['"\\ud800\\udc00\\uDBFF\\uDFFF"', '\u{10000}\u{10ffff}'],
    ['"\\u0000\\u007f\\u0080\\u07ff\\u0800\\uffff"', '\0\x7f\x80\u07ff\u0800\uffff'],
    ['9007199254740993', '9007199254740993'],
    ['1.50', '1.50'],
    ['false', 'false'],
    ['[1, "a"]', '[1, "a"]'],
    ['{"b":1}', '{"b":1}'],
  ];
  for (const [raw, expected] of table) {
    t.equal(toText(render('{{ requestObject ?? "none" }}', `{"requestObject":${raw}}`)), expected, raw);
  }
  t.equal(
    render('{{ verb ?? "" }}', '{"verb":"\\ud800x\\udc00"}'),
    '\xed\xa0\x80x\xed\xb0\x80',
    'lone surrogates',
  );
});

t.test('a path goes through arrays to the first value that is there', async (t) => {
  const text = '{{ requestObject.spec.containers.image ?? "none" }}';
  const of = (containers: unknown): string => render(text, { requestObject: { spec: { containers } } });
  t.equal(of([{ name: 'a' }, { image: null }, { image: 'x' }, { image: 'y' }]), 'x');
  t.equal(of([[], [[{ image: 'deep' }]]]), 'deep');
  t.equal(of([]), 'none');
  t.equal(of([1, 'image', null]), 'none');
});

t.test('computed fields render', async (t) => {
  const event = {
    requestReceivedTimestamp: '2026-11-21T09:31:11.000000Z',
    stageTimestamp: '2026-11-21T10:31:12.000250+01:00',
  };
  t.equal(render('{{ tag }}.new', event), 'old.new');
  t.equal(render('{{ time }}', event), '2026-11-21T09:31:12.000Z');
  t.equal(
    render('{{ time }}', {}),
    '1970-01-01T00:00:00.000Z',
    'of an event without a timestamp: when it was read',
  );
  t.equal(render('{{ latency_ms ?? "none" }}', event), '1000.25');
  t.equal(render('{{ latency_ms ?? "none" }}', {}), 'none');
});

t.test('text and several values are joined in order', async (t) => {
  const text = '<{{ verb ?? "-" }}|{{ stage ?? "-" }}{{ tag }}>{{ "{{" }}';
  t.equal(render(text, { verb: 'get', stage: 'Panic' }), '<get|Panicold>{{');
  t.equal(render(text, { stage: 'x'.repeat(2000) }), `<-|${'x'.repeat(2000)}old>{{`);
  t.equal(render('only text', {}), 'only text');
  t.equal(render('', {}), '');
});

t.test('more distinct values than the caches hold are still rendered right', async (t) => {
  const fields = new FieldRegistry();
  const both = compileTemplate(parsed('{{ verb ?? "" }}/{{ user.username ?? "" }}'), fields);
  const count = 20_000;
  const lines = Array.from(
    { length: count },
    (_, i) => `{"verb":"v${i % 7}","user":{"username":"user ${i}"}}\n`,
  );
  const { batch } = decode(lines.join(''), fields);
  for (const round of [1, 2]) {
    const wrong = lines.findIndex((_, i) => both(batch, i) !== `v${i % 7}/user ${i}`);
    t.equal(wrong, -1, `round ${round}`);
  }
});

t.test('a transformation is applied to each value, whichever alternative it comes from', async (t) => {
  const fields = new FieldRegistry();
  const [part] = parsed('{{ verb ?? "none" }}');
  if (part?.kind !== 'alternatives') throw new Error('not alternatives');
  let calls = 0;
  const compiled = compileAlternatives(part, fields, (value) => {
    calls++;
    return value.toUpperCase();
  });
  const { batch } = decode('{"verb":"get"}\n{"verb":"get"}\n{}\n', fields);
  t.same(
    [0, 1, 2].map((i) => compiled(batch, i)),
    ['GET', 'GET', 'NONE'],
  );
  t.equal(calls, 2, 'once per distinct value');
});

t.test('any value renders to the bytes that it stands for', async () => {
  const fields = new FieldRegistry();
  const compiled = compileTemplate(parsed('{{ requestObject.a ?? "(absent)" }}'), fields);
  fc.assert(
    fc.property(objectText, (object) => {
      const line = `{"requestObject":${object}}`;
      const value = (parseFirstWins(object) as Map<string, Json>).get('a');
      const rendered = compiled(decode(Buffer.from(line, 'latin1'), fields).batch, 0);
      if (value === undefined || value === null) return rendered === '(absent)';
      if (typeof value === 'string') return rendered === value;
      return comparable(parseFirstWins(rendered)) === comparable(value);
    }),
    { numRuns: 1000 },
  );
});
