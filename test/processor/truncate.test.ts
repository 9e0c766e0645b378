import { createHash } from 'node:crypto';
import t from 'tap';
import { truncateProcessor } from '../../src/processor/truncate.js';
import { process, textsOf } from '../helpers/processor.js';

t.test('a large body becomes its size and its hash, and the event names the field', async (t) => {
  const body = `{"data":"${'x'.repeat(300)}"}`;
  const sha256 = createHash('sha256').update(body).digest('hex');
  const batch = process(
    [[truncateProcessor, { max_bytes: '256B' }]],
    [
      `{"requestObject":${body},"responseObject":{"small":1.0},"annotations":{"a":"b"}}`,
      `{"requestObject":[],"responseObject":${body}}`,
      '{"requestObject":{"small":1}}',
    ],
  );
  const marker = `{"headgate.io/truncated":{"bytes":311,"sha256":"${sha256}"}}`;
  t.same(textsOf(batch), [
    `{"requestObject":${marker},"responseObject":{"small":1.0},"annotations":{"a":"b","headgate.io/truncated":"requestObject"}}`,
    `{"requestObject":[],"responseObject":${marker},"annotations":{"headgate.io/truncated":"responseObject"}}`,
    '{"requestObject":{"small":1}}',
  ]);
});

t.test('of a large text the beginning stays, and no character is cut apart', async (t) => {
  for (const unit of ['x', 'é', '日', '\\u003c', '\\ud83d\\ude00', '\\n', '😀'])
    for (const offset of ['', 'a', 'ab', 'abc']) {
      const text = `${offset}${unit.repeat(300)}`;
      const batch = process(
        [[truncateProcessor, { max_bytes: '256B', fields: ['userAgent'] }]],
        [`{"userAgent":"${text}"}`],
      );
      const event = JSON.parse(textsOf(batch)[0] ?? '') as { userAgent: string; annotations: object };
      const whole = JSON.parse(`"${text}"`) as string;
      t.ok(event.userAgent.endsWith('…') && whole.startsWith(event.userAgent.slice(0, -1)), unit);
      t.notMatch(event.userAgent, /\p{Surrogate}/u);
      const raw = /"userAgent":("[^"]*")/.exec(textsOf(batch)[0] ?? '')?.[1] ?? '';
      const bytes = Buffer.byteLength(raw);
      t.ok(bytes <= 256 && bytes > 256 - 16, `${bytes} bytes`);
      t.same(event.annotations, { 'headgate.io/truncated': 'userAgent' });
    }
});

t.test('only events that match are looked at', async (t) => {
  const event = `{"verb":"get","userAgent":"${'x'.repeat(300)}"}`;
  const options = { max_bytes: '256B', fields: ['userAgent'], when: { verb: 'list' } };
  t.same(textsOf(process([[truncateProcessor, options]], [event])), [event]);
});
