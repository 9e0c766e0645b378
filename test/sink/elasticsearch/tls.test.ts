// Over https: what is trusted, and what is not. Nothing reaches a server that is not.
import t from 'tap';
import type { Test } from 'tap';
import { X509Certificate } from 'node:crypto';
import { copyFileSync } from 'node:fs';
import type { TLSSocket } from 'node:tls';
import { join } from 'node:path';
import { numberedLine } from '../../helpers/audit-lines.js';
import { Authority, withoutOpenssl } from '../../helpers/certificates.js';
import type { Certified } from '../../helpers/certificates.js';
import { TestSink } from '../../helpers/elasticsearch-sink.js';
import { FakeElasticsearch } from '../../helpers/fake-elasticsearch.js';
import { temporaryDirectory } from '../../helpers/temporary.js';
import { until } from '../../helpers/until.js';

const LINES = [0, 1, 2].map((i) => numberedLine(i, 1_795_253_471_000).line);

t.test('over https', { skip: withoutOpenssl }, async (t) => {
  const directory = temporaryDirectory(t);
  const ca = new Authority(directory, 'ca');
  const other = new Authority(directory, 'other', 'ca');
  const server = ca.sign('server');
  const fingerprint = new X509Certificate(ca.cert).fingerprint256;
  const chain = ({ cert, key }: Certified, ...more: Certified[]) => ({
    cert: [cert, ...more.map((each) => each.cert)].join(''),
    key,
  });

  const isDelivered = async (t: Test, fake: FakeElasticsearch, tls: object): Promise<void> => {
    const test = await TestSink.open(t, fake.url, { tls });
    await test.write(LINES);
    await test.settle();
    t.equal(fake.documents('audit').length, LINES.length);
  };
  /** Nothing comes that was not there before; the reason is what the log says. */
  const isRefused = async (t: Test, fake: FakeElasticsearch, tls: object, why: RegExp): Promise<void> => {
    const before = fake.requests.length;
    const test = await TestSink.open(t, fake.url, { tls });
    await test.write(LINES);
    const settled = t.rejects(test.settle(), /the test ends|aborted/);
    await until('it says that it waits', () => test.logs.some(({ code }) => code === 'SINK_WAITING'));
    t.match(test.logs[0]?.['cause'], why);
    t.equal(fake.requests.length, before);
    await test.kill();
    await settled;
  };

  t.test('a server whose authority is in ca_file is trusted', async (t) => {
    const fake = await FakeElasticsearch.start(t, chain(server));
    await isDelivered(t, fake, { ca_file: ca.certPath });
  });

  t.test('a server that no authority is known for is not trusted', async (t) => {
    const fake = await FakeElasticsearch.start(t, chain(server, ca));
    await isRefused(t, fake, {}, /self-signed/);
  });

  t.test('a server of another authority is not trusted, nor one with another name', async (t) => {
    const tls = { ca_file: ca.certPath };
    const foreign = await FakeElasticsearch.start(t, chain(other.sign('server'), other));
    await isRefused(t, foreign, tls, /certificate|self-signed/);
    const misnamed = await FakeElasticsearch.start(t, chain(ca.sign('misnamed', 'IP:127.0.0.9')));
    await isRefused(t, misnamed, tls, /does not match/);
  });

  t.test('a renewed ca_file is used without a restart', async (t) => {
    const file = join(directory, 'current.crt');
    copyFileSync(other.certPath, file);
    const fake = await FakeElasticsearch.start(t, chain(server));
    const test = await TestSink.open(t, fake.url, { tls: { ca_file: file } });
    await test.write(LINES);
    const settled = test.settle();
    await until('it says that it waits', () => test.logs.some(({ code }) => code === 'SINK_WAITING'));
    copyFileSync(ca.certPath, file);
    await settled;
    t.equal(fake.documents('audit').length, LINES.length);
  });

  t.test('ca_fingerprint takes the place of ca_file', async (t) => {
    const fake = await FakeElasticsearch.start(t, chain(server, ca));
    await isDelivered(t, fake, { ca_fingerprint: fingerprint });
    const lower = await FakeElasticsearch.start(t, chain(server, ca));
    await isDelivered(t, lower, { ca_fingerprint: fingerprint.replaceAll(':', '').toLowerCase() });
  });

  t.test('an authority that has not that fingerprint is not trusted', async (t) => {
    const fake = await FakeElasticsearch.start(t, chain(other.sign('server'), other));
    await isRefused(t, fake, { ca_fingerprint: fingerprint }, /not the one of `ca_fingerprint`/);
  });

  t.test('a server that only shows the certificate of the fingerprint is not trusted', async (t) => {
    // It says that this authority signed its certificate, and another one of the same name did.
    const fake = await FakeElasticsearch.start(t, chain(other.sign('impostor'), ca));
    await isRefused(
      t,
      fake,
      { ca_fingerprint: fingerprint },
      /signature failure|not the one of `ca_fingerprint`/,
    );
    const misnamed = await FakeElasticsearch.start(t, chain(ca.sign('misnamed', 'IP:127.0.0.9'), ca));
    await isRefused(t, misnamed, { ca_fingerprint: fingerprint }, /does not match/);
  });

  t.test('a client certificate is shown', async (t) => {
    const client = ca.sign('client');
    const fake = await FakeElasticsearch.start(t, {
      ...chain(server),
      ca: ca.cert,
      requestCert: true,
      rejectUnauthorized: true,
    });
    const seen = new Set<unknown>();
    fake.guard = (request) => {
      seen.add((request.socket as TLSSocket).getPeerCertificate().subject.CN);
      return false;
    };
    const tls = { ca_file: ca.certPath, cert_file: client.certPath, key_file: client.keyPath };
    await isDelivered(t, fake, tls);
    t.strictSame([...seen], ['client']);
    await isRefused(t, fake, { ca_file: ca.certPath }, /./);
  });
});
