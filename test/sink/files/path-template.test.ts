import t from 'tap';
import { parsePathTemplate, renderPath, sliceOf } from '../../../src/sink/files/path-template.js';
import type { PathTemplate } from '../../../src/sink/files/path-template.js';

function parsed(text: string): PathTemplate {
  const result = parsePathTemplate(text);
  if ('faults' in result) throw new Error(JSON.stringify(result.faults));
  return result.template;
}

function render(text: string, values: string[], time = '2026-02-03T04:05:06.789Z') {
  const template = parsed(text);
  return renderPath(template, sliceOf(template.unit, Date.parse(time)), values);
}

t.test('values and the event time make the path; the group is the path without the time', async (t) => {
  t.same(render('{{ tag }}.%Y%m%d%H.log', ['audit.a/b']), {
    key: 'audit.a%2Fb.2026020304.log',
    group: 'audit.a%2Fb..log',
  });
  t.same(render('kube-audit-{{ user.username ?? "none" }}/audit', ['..']), {
    key: 'kube-audit-%2E./audit',
    group: 'kube-audit-%2E./audit',
  });
  t.same(render('%Y/%j/%H-%M-%S%%.log', []).key, '2026/034/04-05-06%.log');
});

t.test('the path of the overflow file has the same word for each value, and the time', async (t) => {
  const template = parsed('{{ tag }}/{{ tag }}.%Y.log');
  t.same(renderPath(template, sliceOf(template.unit, 0), undefined), {
    key: '%~overflow/%~overflow.1970.log',
    group: '%~overflow/%~overflow..log',
  });
});

t.test('letters in a value are never taken for a time', async (t) => {
  t.equal(render('{{ tag }}.log', ['%Y%H']).key, '%25Y%25H.log');
});

t.test('a slice is as long as the finest unit of time in the path', async (t) => {
  const at = Date.parse('2026-02-03T04:05:06.789Z');
  const slice = (text: string) => {
    const { startMs, endMs } = sliceOf(parsed(text).unit, at);
    return [new Date(startMs).toISOString(), new Date(endMs).toISOString()];
  };
  t.same(slice('%Y'), ['2026-01-01T00:00:00.000Z', '2027-01-01T00:00:00.000Z']);
  t.same(slice('%Y%m'), ['2026-02-01T00:00:00.000Z', '2026-03-01T00:00:00.000Z']);
  t.same(slice('%Y%j'), ['2026-02-03T00:00:00.000Z', '2026-02-04T00:00:00.000Z']);
  t.same(slice('%H/%Y%m%d'), ['2026-02-03T04:00:00.000Z', '2026-02-03T05:00:00.000Z']);
  t.same(slice('%M'), ['2026-02-03T04:05:00.000Z', '2026-02-03T04:06:00.000Z']);
  t.same(slice('%S'), ['2026-02-03T04:05:06.000Z', '2026-02-03T04:05:07.000Z']);
  t.equal(sliceOf(parsed('x.log').unit, at).endMs, Infinity);
});

t.test('only the text of the template makes an extension', async (t) => {
  const table: [string, string][] = [
    ['{{ tag }}.log', '.log'],
    ['{{ tag }}', ''],
    ['a.b/{{ tag }}', ''],
    ['audit', ''],
    ['.hidden', ''],
    ['audit.json.log', '.log'],
    ['{{ tag }}.%Y', ''],
  ];
  for (const [text, ext] of table) t.equal(parsed(text).ext, ext, text);
});

t.test('what could leave base_dir, collide, or become too long is a fault', async (t) => {
  const table: [string, RegExp][] = [
    ['/var/log/x', /absolute/],
    ['../x', /`\.\.`/],
    ['a/../x', /`\.\.`/],
    ['a//x', /empty/],
    ['a/', /empty/],
    ['./x', /empty/],
    ['', /empty/],
    ['x~1', /`~`/],
    ['%Q.log', /%Q is no part of a time/],
    ['{{ tag }}.log.gz', /ends in `\.gz`/],
    ['x%', /is no part of a time/],
    ['x'.repeat(250), /longer than 255/],
    ['{{ tag }}{{ tag }}{{ tag }}{{ tag }}', /longer than 255/],
    ['{{ tag', /./],
    ['{{ user.username }}', /./],
  ];
  for (const [text, message] of table) {
    const result = parsePathTemplate(text);
    t.match(
      'faults' in result ? result.faults.map((fault) => fault.message).join(' ') : 'no fault',
      message,
      text,
    );
  }
});

t.test('every file name with all its suffixes fits into 255 bytes', async (t) => {
  for (const text of ['{{ tag }}.%Y%m%d%H.log', 'a/{{ tag }}/b', '{{ tag }}-{{ tag }}.log']) {
    for (const value of ['/'.repeat(5000), 'x'.repeat(5000), 'x'.repeat(230)]) {
      const { key } = render(text, [value, value]);
      const names = key.split('/');
      const last = names.pop() ?? '';
      t.ok(`${last}~123456789.gz~gz`.length <= 255, `${last.length}`);
      for (const name of names) t.ok(name.length <= 255);
    }
  }
});
