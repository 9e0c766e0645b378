import t from 'tap';
import { Networks, parseNetwork } from '../../src/event/networks.js';

function has(network: string, address: string): boolean {
  const parsed = parseNetwork(network);
  if (!parsed) throw new Error(`no network: ${network}`);
  return new Networks([parsed]).has(address);
}

t.test('an address is in the networks whose prefix it has', async (t) => {
  const rows: [network: string, address: string, expected: boolean][] = [
    ['10.0.0.0/8', '10.255.255.255', true],
    ['10.0.0.0/8', '11.0.0.0', false],
    ['10.1.2.3/8', '10.9.9.9', true],
    ['172.16.0.0/12', '172.31.255.255', true],
    ['172.16.0.0/12', '172.32.0.0', false],
    ['0.0.0.0/0', '255.255.255.255', true],
    ['10.0.0.1/32', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.1', true],
    ['10.0.0.1', '10.0.0.2', false],
    ['fd00::/8', 'fdff::1', true],
    ['fd00::/8', 'fe00::1', false],
    ['2001:db8::/33', '2001:0DB8:7fff:0:0:0:0:1', true],
    ['2001:db8::/33', '2001:db8:8000::', false],
    ['::1', '0:0:0:0:0:0:0:1', true],
    ['fe80::/10', 'fe80::1%eth0', true],
  ];
  for (const [network, address, expected] of rows) {
    t.equal(has(network, address), expected, `${address} in ${network}`);
  }
});

t.test(
  'an IPv4 address that is written as IPv6 is the IPv4 address, and no other is in networks of IPv6',
  async (t) => {
    t.equal(has('10.0.0.0/8', '::ffff:10.0.0.1'), true);
    t.equal(has('10.0.0.0/8', '::ffff:a00:1'), true);
    t.equal(has('10.0.0.0/8', '::ffff:11.0.0.1'), false);
    t.equal(has('10.0.0.0/8', '::10.0.0.1'), false);
    t.equal(has('::ffff:10.0.0.0/104', '10.0.0.1'), true);
    t.equal(has('::ffff:10.0.0.0/104', '11.0.0.1'), false);
    t.equal(has('::/0', '::2'), true);
    t.equal(has('::/0', '10.0.0.1'), false);
    t.equal(has('0.0.0.0/0', '::2'), false);
  },
);

t.test('what is no address is in no network', async (t) => {
  for (const text of [
    '',
    'localhost',
    '010.0.0.1',
    '10.0.0',
    '10.0.0.1:80',
    '[::1]',
    '%',
    '::1%',
    ' 10.0.0.1',
    '10.0.0.1\0',
  ]) {
    t.equal(has('0.0.0.0/0', text), false, text);
  }
});

t.test('more addresses than are remembered are still told apart', async (t) => {
  const networks = new Networks([{ address: '10.0.0.0', bits: 17, family: 'ipv4' }]);
  for (let n = 0; n < 10_000; n++) {
    const third = n % 256;
    if (networks.has(`10.0.${third}.${n >> 8}`) !== third < 128) t.fail(String(n));
  }
});

t.test('what is no network is told', async (t) => {
  for (const text of [
    '',
    '10.0.0.0/33',
    '::/129',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0/8',
    '10.*',
    'fe80::1%eth0/64',
    '10.0.0.0/8 ',
    '/8',
    'localhost',
  ]) {
    t.equal(parseNetwork(text), undefined, text);
  }
});
