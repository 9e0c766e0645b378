// What the sink does with every answer that a server can give, and with those that it does not give. Each test ends with
// the same question: is each event there once, or in the quarantine, and nothing else.
import t from 'tap';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import { numberedLine } from '../../helpers/audit-lines.js';
import { TestSink } from '../../helpers/elasticsearch-sink.js';
import { FakeElasticsearch, reactions } from '../../helpers/fake-elasticsearch.js';
import type { Exchange, Reaction } from '../../helpers/fake-elasticsearch.js';
import { temporaryDirectory } from '../../helpers/temporary.js';
import { until } from '../../helpers/until.js';

const lines = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, i) => numberedLine(from + i, 1_795_253_471_000).line);

const ADDED = /^\{"@timestamp":.*?"headgate":\{"pipeline":"p","tag":"tag"\},/;
/** The lines that documents were made of. */
const linesOf = (fake: FakeElasticsearch, name = 'audit'): string[] =>
  fake.documents(name).map(({ source }) => source.replace(ADDED, '{'));

/** Sends lines while the server reacts so to its first requests; ends when all are settled. */
async function deliver(
  t: Test,
  given: readonly string[],
  first: readonly Reaction[],
  options: Record<string, unknown> = {},
): Promise<{ fake: FakeElasticsearch; test: TestSink }> {
  const fake = await FakeElasticsearch.start(t);
  fake.reactions.push(...first);
  const test = await TestSink.open(t, fake.url, options);
  await test.settle();
  await test.write(given);
  await test.settle();
  return { fake, test };
}

function isEachThereOnce(t: Test, fake: FakeElasticsearch, given: readonly string[], name = 'audit'): void {
  t.strictSame(linesOf(fake, name).sort(), [...given].sort());
}

t.test('an event is its own bytes and what Headgate knows of it', async (t) => {
  const line =
    '{"stage":"x", "big":12345678901234567890,"t":"\\u003c","stageTimestamp":"2026-11-21T09:31:11.543895Z"}';
  const { fake } = await deliver(t, [line], []);
  const [document] = fake.documents('audit');
  t.match(document?.id, /^[\w-]{43}$/);
  const ingested = /"ingested":"([^"]+)"/.exec(document?.source ?? '')?.[1] ?? '';
  t.ok(Math.abs(Date.parse(ingested) - Date.now()) < 3_600_000);
  t.equal(
    document?.source,
    `{"@timestamp":"2026-11-21T09:31:11.543895Z","event":{"ingested":"${ingested}"},"host":{"name":"node-1"},` +
      '"log":{"file":{"path":"/var/log/audit.log"},"offset":0},"headgate":{"pipeline":"p","tag":"tag"},' +
      line.slice(1),
  );
});

t.test('equal lines are one document, different ones never', async (t) => {
  const [a = '', b = ''] = lines(2);
  const { fake } = await deliver(t, [a, b, a], []);
  isEachThereOnce(t, fake, [a, b]);
});

t.test('of items that have to wait only those are sent again', async (t) => {
  const given = lines(4);
  const seen: number[] = [];
  const { fake } = await deliver(t, given, [
    ({ items, create, answer }) => {
      seen.push(items.length);
      const [first, second, third, fourth] = items;
      const done = create([first, third].filter((item) => item !== undefined));
      const busy = { create: { status: 429, error: { type: 'es_rejected_execution_exception' } } };
      const down = { create: { status: 503, error: { type: 'unavailable_shards_exception' } } };
      t.ok(second && fourth);
      answer(200, { errors: true, items: [done[0], busy, done[1], down] });
    },
    ({ items, create, answer }) => {
      seen.push(items.length);
      answer(200, { items: create() });
    },
  ]);
  t.strictSame(seen, [4, 2]);
  isEachThereOnce(t, fake, given);
});

t.test('a server that asks to be left alone for a second is', async (t) => {
  const { fake, test } = await deliver(t, lines(2), [reactions.status(429, 'busy', { 'retry-after': '1' })]);
  const [first, second] = fake.requests.filter(({ path }) => path.startsWith('/_bulk'));
  t.ok((second?.atMs ?? 0) - (first?.atMs ?? 0) >= 950);
  t.match(test.logs, [
    { code: 'SINK_WAITING', component: 'sinks.out', cause: /429 busy/ },
    { code: 'SINK_WAITING' },
  ]);
  isEachThereOnce(t, fake, lines(2));
});

for (const [name, reaction] of Object.entries<Reaction>({
  'that answers 503': reactions.status(503),
  'that answers 502 with a page': ({ answer }) => {
    answer(502, '<html>bad gateway', { 'content-type': 'text/html' });
  },
  'that answers 200 with a page': ({ answer }) => {
    answer(200, '<html>hello', { 'content-type': 'text/html' });
  },
  'that answers 404': reactions.status(404),
  'that breaks the connection before it did anything': reactions.resetBefore,
  'that breaks the connection after it did everything': reactions.resetAfter,
  'that did everything and answers 504': ({ create, answer }) => {
    create();
    answer(504, {});
  },
  'that did everything and answers with half an answer': ({ create, response }) => {
    const answer = JSON.stringify({ items: create() });
    const headers = { 'x-elastic-product': 'Elasticsearch', 'content-type': 'application/json' };
    response.writeHead(200, { ...headers, 'content-length': String(answer.length) });
    response.write(answer.slice(0, 20), () => response.destroy());
  },
  'that did everything and answers with broken JSON': ({ create, answer }) => {
    answer(200, JSON.stringify({ items: create() }).slice(0, -3));
  },
  'that did everything and answers for some events only': ({ create, answer }) => {
    answer(200, { items: create().slice(1) });
  },
  'that did everything and answers nothing about them': ({ create, answer }) => {
    create();
    answer(200, { items: [{}, {}, {}, {}, {}] });
  },
  'that did everything and never answers': ({ create }) => {
    create();
  },
  'that did everything and answers with the wrong type of content': ({ create, answer }) => {
    answer(200, { items: create() }, { 'content-type': 'text/plain' });
  },
})) {
  t.test(`each event is there once after a rollover behind a server ${name}`, async (t) => {
    const given = lines(5);
    const fake = await FakeElasticsearch.start(t);
    fake.reactions.push(async (exchange) => {
      await reaction(exchange);
      fake.rollover('audit');
    });
    const test = await TestSink.open(t, fake.url, { request_timeout: '400ms' });
    await test.settle();
    await test.write(given);
    await test.settle();
    isEachThereOnce(t, fake, given);
    t.equal(test.context.rejections.length, 0);
    t.ok(
      fake.requests.some(({ path }) => path.startsWith('/audit/_refresh')),
      'it looked them up',
    );
    t.match(test.logs[0], { code: 'SINK_WAITING' });
  });
}

t.test('what was done before a rollover is not done again after it', async (t) => {
  const given = lines(5);
  const fake = await FakeElasticsearch.start(t);
  fake.reactions.push(({ items, create, response }) => {
    create(items.slice(0, 3));
    fake.rollover('audit');
    response.destroy();
  });
  const test = await TestSink.open(t, fake.url);
  await test.settle();
  await test.write(given);
  await test.settle();
  isEachThereOnce(t, fake, given);
});

t.test('what the last run may have sent is looked up, what came later is not', async (t) => {
  const given = lines(5);
  const fake = await FakeElasticsearch.start(t);
  const before = await TestSink.open(t, fake.url);
  await before.settle();
  await before.write(given.slice(0, 3));
  await before.settle();
  await before.kill();
  fake.rollover('audit');
  fake.requests.length = 0;

  const test = await TestSink.open(t, fake.url);
  await test.write(given);
  await test.settle(true);
  isEachThereOnce(t, fake, given);
  const lookups = fake.requests.filter(({ path }) => path.includes('/_search')).length;
  t.equal(lookups, 1);
  await test.write(lines(5, 100));
  await test.settle(true);
  t.equal(fake.requests.filter(({ path }) => path.includes('/_search')).length, lookups);
  isEachThereOnce(t, fake, [...given, ...lines(5, 100)]);
});

/** Rejects the events for which it holds, with or without bodies. */
function rejecting(fake: FakeElasticsearch, isBad: (source: string) => boolean): void {
  const error = {
    type: 'document_parsing_exception',
    reason: 'failed to parse',
    caused_by: { reason: 'dots' },
  };
  fake.guard = (_, exchange) => {
    if (!exchange) return false;
    const items = exchange.items.map((item) =>
      isBad(item.source) ? { create: { status: 400, error } } : exchange.create([item])[0],
    );
    exchange.answer(200, { items });
    return true;
  };
}

t.test('an event that will never be taken is rejected with its line, the others are delivered', async (t) => {
  const given = lines(4);
  const fake = await FakeElasticsearch.start(t);
  rejecting(fake, (source) => source.includes('"auditID":"0"'));
  const test = await TestSink.open(t, fake.url);
  await test.settle();
  await test.write(given);
  await test.settle();
  isEachThereOnce(t, fake, given.slice(1));
  const [rejection] = test.context.rejections;
  t.equal(test.context.rejections.length, 1);
  t.match(rejection, {
    event: 0,
    entry: {
      reason: 'rejected',
      sink: 'out',
      path: '/var/log/audit.log',
      offset: 0,
      detail: '400 document_parsing_exception: failed to parse; dots',
    },
  });
  t.equal(rejection?.entry.raw.toString(), given[0]);
  t.equal(rejection?.entry.length, given[0]?.length);
  const [told] = test.logs.filter(({ code }) => code === 'SINK_REJECTED');
  t.match(told, { cause: '400 document_parsing_exception', index: 'audit' });
  t.notMatch(JSON.stringify(told), /failed to parse/, 'the log quotes nothing that may be of an event');
});

t.test('an event that is rejected for its body can be found without it, also after a crash', async (t) => {
  const [good = '', bad = ''] = lines(2).map((line, i) =>
    line.replace(/"data":"x*"/, i === 1 ? '"a":1,"a":2' : '"a":1'),
  );
  const fake = await FakeElasticsearch.start(t);
  rejecting(fake, (source) => source.includes('"a":1,"a":2'));
  for (let life = 0; life < 2; life++) {
    const test = await TestSink.open(t, fake.url);
    await test.write([good, bad]);
    await test.settle();
    t.strictSame(
      test.context.rejections.map(({ entry }) => [entry.raw.toString(), entry.detail]),
      [[bad, '400 document_parsing_exception: failed to parse; dots; sent without its bodies']],
      'whoever crashed before it was in the quarantine puts it there',
    );
    fake.rollover('audit');
  }
  const documents = linesOf(fake).map((line) => JSON.parse(line) as object);
  t.equal(documents.length, 2);
  t.match(documents, [
    { auditID: '0', requestObject: { a: 1 } },
    { auditID: '1', requestObject: { 'headgate.io/truncated': { bytes: 13 } }, verb: 'get' },
  ]);
});

for (const [status, type] of [
  [403, 'cluster_block_exception'],
  [403, 'security_exception'],
  [404, 'index_not_found_exception'],
  [400, 'index_closed_exception'],
  [400, 'validation_exception'],
  [429, 'cluster_block_exception'],
  [500, 'null_pointer_exception'],
] as const) {
  t.test(`events wait while the answer for each is ${status} ${type}`, async (t) => {
    const given = lines(3);
    const { fake, test } = await deliver(t, given, [
      reactions.allItems(status, type),
      reactions.allItems(status, type),
    ]);
    t.equal(fake.bulkRequests, 3);
    t.equal(test.context.rejections.length, 0);
    isEachThereOnce(t, fake, given);
    t.match(test.logs[0], { code: 'SINK_WAITING', cause: new RegExp(`${status} ${type}`) });
  });
}

t.test('a request that is too large goes in parts, and later ones are smaller', async (t) => {
  const given = lines(40).map((line, i) => line.replace('"verb"', `"pad":"${'y'.repeat(3000)}${i}","verb"`));
  const fake = await FakeElasticsearch.start(t);
  const refused: number[] = [];
  fake.guard = (_, exchange) => {
    if (!exchange || exchange.bytes <= 50_000) return false;
    refused.push(exchange.bytes);
    exchange.answer(413, '');
    return true;
  };
  const test = await TestSink.open(t, fake.url);
  await test.settle();
  await test.write(given);
  await test.settle();
  isEachThereOnce(t, fake, given);
  t.equal(test.context.rejections.length, 0);
  const before = refused.length;
  await test.write(lines(1, 500));
  await test.write(given.map((line) => line.replace('"pad"', '"pod"')));
  await test.settle();
  t.ok(before > 0 && refused.length - before <= 4, `${before}, then ${refused.length - before} refused`);
});

/** How a server says that an event is too large: alone it is refused like this. */
const TOO_LARGE: Record<string, { refuse: (exchange: Exchange) => void; cause: string | RegExp }> = {
  'by 413': {
    refuse: ({ answer }) => {
      answer(413, '');
    },
    cause: 'the request was answered with 413 ; sent without its bodies',
  },
  'as it never has room for the request': {
    refuse: ({ answer, bytes }) => {
      const reason = `rejected execution of coordinating operation [coordinating_operation_bytes=${bytes}, max_coordinating_bytes=4000]`;
      answer(429, { error: { type: 'es_rejected_execution_exception', reason } });
    },
    cause: 'the request was answered with 429 es_rejected_execution_exception; sent without its bodies',
  },
  'as it never has room for the document': {
    refuse: ({ answer, bytes, items, create }) => {
      const reason = `rejected execution of primary operation [primary_operation_bytes=${bytes * 4}, max_primary_bytes=${4000 * 5}]`;
      const busy = { create: { status: 429, error: { type: 'es_rejected_execution_exception', reason } } };
      // The first is of another shard.
      const [first, ...others] = items;
      const done = items.length > 1 && first ? create([first]) : [];
      answer(200, { items: [...done, ...(done.length > 0 ? others : items).map(() => busy)] });
    },
    cause: /^429 es_rejected_execution_exception: rejected execution of primary .*; sent without its bodies$/,
  },
};
for (const [way, { refuse, cause }] of Object.entries(TOO_LARGE)) {
  t.test(
    `an event that is too large for the server, ${way}, is sent without its bodies, and kept whole`,
    async (t) => {
      const [small = '', other = ''] = lines(2);
      const large = small
        .replace('{"data":"', `{"data":"${'z'.repeat(5000)}`)
        .replace('"auditID":"0"', '"auditID":"L"');
      const fake = await FakeElasticsearch.start(t);
      fake.guard = (_, exchange) => {
        if (!exchange || exchange.bytes <= 4000) return false;
        refuse(exchange);
        return true;
      };
      const test = await TestSink.open(t, fake.url);
      await test.settle();
      await test.write([small, large, other]);
      await test.settle();
      const documents = linesOf(fake).map(
        (line) => JSON.parse(line) as { auditID: string; annotations?: object },
      );
      t.strictSame(documents.map(({ auditID }) => auditID).sort(), ['0', '1', 'L']);
      t.match(
        documents.find(({ auditID }) => auditID === 'L'),
        {
          requestObject: { 'headgate.io/truncated': { bytes: /^5/, sha256: /^[0-9a-f]{64}$/ } },
          annotations: { 'headgate.io/truncated': 'requestObject' },
          stageTimestamp: String,
        },
      );
      t.strictSame(
        test.context.rejections.map(({ entry, event }) => [event, entry.raw.toString()]),
        [[1, large]],
      );
      t.match(test.context.rejections[0]?.entry.detail, cause);
    },
  );
}

t.test('max_document_bytes takes bodies out, and keeps the event whole in the quarantine', async (t) => {
  const [small = ''] = lines(1);
  const large = small.replace('{"data":"', `{"data":"${'z'.repeat(5000)}`);
  const hopeless = small.replace('"verb":"', `"verb":"${'v'.repeat(5000)}`);
  const { fake, test } = await deliver(t, [small, large, hopeless], [], { max_document_bytes: '4KiB' });
  t.equal(fake.documents('audit').length, 2);
  t.equal(fake.documents('audit').filter(({ source }) => source.includes('headgate.io/truncated')).length, 1);
  t.strictSame(
    test.context.rejections.map(({ entry, event }) => [event, entry.raw.toString(), entry.detail]),
    [
      [1, large, 'larger than max_document_bytes: sent without its bodies'],
      [2, hopeless, 'larger than max_document_bytes, not for its bodies'],
    ],
  );
});

t.test('a request that the server can not read is divided until the event is found', async (t) => {
  const given = lines(9);
  const fake = await FakeElasticsearch.start(t);
  fake.guard = (_, exchange) => {
    if (!exchange?.items.some(({ source }) => source.includes('"auditID":"5"'))) return false;
    exchange.answer(400, { error: { type: 'x_content_parse_exception' }, status: 400 });
    return true;
  };
  const test = await TestSink.open(t, fake.url);
  await test.settle();
  await test.write(given);
  await test.settle();
  isEachThereOnce(
    t,
    fake,
    given.filter((_, i) => i !== 5),
  );
  t.strictSame(
    test.context.rejections.map(({ entry }) => entry.raw.toString()),
    [given[5]],
  );
});

t.test('renewed credentials are used without a restart', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  const key = join(temporaryDirectory(t), 'key');
  writeFileSync(key, 'b2xk\n');
  const seen = new Set<string>();
  fake.guard = (request, _, response) => {
    seen.add(request.headers.authorization ?? '');
    if (request.headers.authorization === 'ApiKey bmV3') return false;
    response.writeHead(401, { 'content-type': 'application/json' });
    response.end('{"error":{"type":"security_exception","reason":"expired"},"status":401}');
    return true;
  };
  const test = await TestSink.open(t, fake.url, { auth: { api_key_file: key } });
  await test.settle();
  await test.write(lines(3));
  const settled = test.settle();
  await until('it says that it waits', () => test.logs.some(({ code }) => code === 'SINK_WAITING'));
  t.match(test.logs[0]?.['cause'], /401 security_exception: the credentials/);
  writeFileSync(key, 'bmV3\n');
  await settled;
  isEachThereOnce(t, fake, lines(3));
  t.strictSame([...seen], ['ApiKey b2xk', 'ApiKey bmV3']);
  t.notMatch(JSON.stringify(test.logs), /b2xk|bmV3/);
});

t.test('a password and a bearer token are sent as such', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  const secret = join(temporaryDirectory(t), 'secret');
  writeFileSync(secret, 's:ä\n');
  const seen: (string | undefined)[] = [];
  fake.guard = (request) => {
    seen.push(request.headers.authorization);
    return false;
  };
  process.env['TEST_BEARER'] = 'abc';
  for (const auth of [{ username: 'u', password_file: secret }, { bearer_token_env: 'TEST_BEARER' }]) {
    const test = await TestSink.open(t, fake.url, { auth });
    await test.settle();
    await test.write(lines(1));
    await test.settle();
  }
  t.strictSame(seen, [`Basic ${Buffer.from('u:s:ä').toString('base64')}`, 'Bearer abc']);
});

t.test('nothing is settled while the server is away', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  const test = await TestSink.open(t, fake.url);
  let isAway = true;
  fake.guard = (_, __, response) => {
    if (isAway) response.destroy();
    return isAway;
  };
  await test.write(lines(3));
  let isSettled = false;
  const settled = test.settle().then(() => (isSettled = true));
  await until('it has tried several times', () => fake.requests.length > 3);
  t.equal(isSettled, false);
  isAway = false;
  await settled;
  isEachThereOnce(t, fake, lines(3));
});

t.test('a sink that waits ends when its pipeline does', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  fake.guard = () => true; // Never answers.
  const test = await TestSink.open(t, fake.url, { max_in_flight: 1, batch: { max_bytes: '1KiB' } });
  const written = test.write(lines(20));
  const rejected = t.rejects(written, /the test ends/);
  await until('it has sent something', () => fake.requests.length > 0);
  await test.kill();
  await rejected;
});

t.test('a server that is not Elasticsearch is not taken for one', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  fake.isElasticsearch = false;
  const test = await TestSink.open(t, fake.url);
  await test.settle();
  await test.write(lines(2));
  const settled = test.settle();
  await until('it says so', () => test.logs.some(({ cause }) => /flavor: opensearch/.test(String(cause))));
  fake.isElasticsearch = true;
  await settled;

  const open = await FakeElasticsearch.start(t);
  open.isElasticsearch = false;
  const other = await TestSink.open(t, open.url, { flavor: 'opensearch' });
  await other.write(lines(2));
  await other.settle();
  isEachThereOnce(t, open, lines(2));
});

t.test('requests can be compressed', async (t) => {
  const encodings = new Set<string | undefined>();
  const { fake } = await deliver(
    t,
    lines(50),
    [
      ({ headers, create, answer }) => {
        encodings.add(headers['content-encoding']);
        answer(200, { items: create() });
      },
    ],
    { compression: 'gzip' },
  );
  t.strictSame([...encodings], ['gzip']);
  isEachThereOnce(t, fake, lines(50));
});

t.test('requests have at most so many bytes and events, and several are under way', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  const held: (() => void)[] = [];
  const sizes: [number, number][] = [];
  fake.guard = (_, exchange) => {
    if (!exchange) return false;
    sizes.push([exchange.items.length, exchange.bytes]);
    held.push(() => {
      exchange.answer(200, { items: exchange.create() });
    });
    return true;
  };
  const batch = { max_bytes: '8KiB', max_events: 5 };
  const test = await TestSink.open(t, fake.url, { batch, max_in_flight: 3 });
  await test.settle();
  const written = test.write(lines(100));
  await until('three are under way', () => held.length === 3);
  const answering = setInterval(() => held.splice(0).forEach((answer) => answer()), 5);
  await written;
  await test.settle();
  clearInterval(answering);
  isEachThereOnce(t, fake, lines(100));
  t.ok(sizes.every(([events, bytes]) => events <= 5 && bytes <= 8192));
});

t.test('an event is sent when it has waited for max_age', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  const test = await TestSink.open(t, fake.url, { batch: { max_age: '10ms' } });
  await test.write(lines(1));
  await until('it is there', () => fake.documents('audit').length === 1);
});

t.test('events of one line are told apart by their number', async (t) => {
  const fake = await FakeElasticsearch.start(t);
  const test = await TestSink.open(t, fake.url);
  // Two whole events on one line have ranges of their own; the same range for both is what a list has.
  await test.writeAsOneLine(lines(3));
  await test.settle();
  const ids = fake.documents('audit').map(({ id }) => id);
  t.equal(new Set(ids).size, 3);
  t.strictSame(
    ids.map((id) => id.slice(43)),
    ['', '-1', '-2'],
  );
  await test.writeAsOneLine(lines(3));
  await test.settle();
  t.equal(fake.documents('audit').length, 3);
});

t.test('a request for which there is never room goes in parts', async (t) => {
  const given = lines(40);
  const fake = await FakeElasticsearch.start(t);
  fake.guard = (_, exchange) => {
    if (!exchange || exchange.bytes <= 12_000) return false;
    exchange.answer(429, { error: { type: 'es_rejected_execution_exception' } });
    return true;
  };
  const test = await TestSink.open(t, fake.url);
  await test.settle();
  await test.write(given);
  await test.settle();
  isEachThereOnce(t, fake, given);
});
