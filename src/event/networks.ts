// IP networks of a condition (`sourceIPs|cidr: 10.0.0.0/8`) and the addresses of events held against them. An IPv4
// address that is written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address. What is no address is in no network.
import { BlockList, isIP, isIPv4 } from 'node:net';

/** A network as it was written. */
export interface Network {
  readonly address: string;
  readonly bits: number;
  readonly family: 'ipv4' | 'ipv6';
}

/** Longer texts are no addresses, even with a zone. */
export const MAX_ADDRESS_BYTES = 64;
/** Bound of what is remembered of addresses: at so many it begins anew. */
const MAX_REMEMBERED = 4096;
/** The prefix of IPv4 addresses in IPv6: a longer one is a network of IPv4. */
const MAPPED_BITS = 96;

/** The network that a text stands for, an address alone being one of itself; undefined where it is none. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', length] = /^([0-9A-Fa-f:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const version = isIP(address);
  if (version === 0) return undefined;
  const most = version === 4 ? 32 : 128;
  const bits = length === undefined ? most : Number(length);
  return bits > most ? undefined : { address, bits, family: version === 4 ? 'ipv4' : 'ipv6' };
}

/** Some networks. */
export class Networks {
  readonly #networks = new BlockList();
  /** Networks of IPv6 that IPv4 addresses are not looked for in: for a `BlockList` all of IPv4 is in `::/0`. */
  readonly #wide = new BlockList();
  // A `BlockList` takes 3 µs for an address, and most events come from few.
  readonly #known = new Map<string, boolean>();

  constructor(networks: readonly Network[]) {
    for (const { address, bits, family } of networks) {
      const list = family === 'ipv6' && bits < MAPPED_BITS ? this.#wide : this.#networks;
      list.addSubnet(address, bits, family);
    }
  }

  /** Whether an address is in one of the networks. */
  has(address: string): boolean {
    let result = this.#known.get(address);
    if (result === undefined) {
      if (this.#known.size >= MAX_REMEMBERED) this.#known.clear();
      result = this.#find(address);
      this.#known.set(address, result);
    }
    return result;
  }

  #find(address: string): boolean {
    if (isIPv4(address)) return this.#networks.check(address, 'ipv4');
    // A zone (`fe80::1%eth0`) is no part of the address.
    const [ipv6 = ''] = address.split('%', 1);
    return isIP(ipv6) === 6 && (this.#networks.check(ipv6, 'ipv6') || this.#wide.check(ipv6, 'ipv6'));
  }
}
