// The address that a server listens on, as it is written in a pipeline file: `127.0.0.1:9443`, `[::1]:9443`. Addresses
// only: what a name leads to can change, and with it whether others can reach it. Pure.
import { BlockList, isIP } from 'node:net';
import type { Fault } from '../../event/fault.js';

export interface ListenAddress {
  /** Without brackets. */
  host: string;
  /** 0: one that is free. */
  port: number;
}

const EXAMPLE = 'write for example `127.0.0.1:9443`, `0.0.0.0:9443` or `[::]:9443`';

const loopback = new BlockList();
loopback.addSubnet('127.0.0.0', 8, 'ipv4');
loopback.addAddress('::1', 'ipv6');

/** Reads an address with its port, or says what is wrong with it. */
export function parseAddress(text: string): ListenAddress | { fault: Fault } {
  const fault = (message: string): { fault: Fault } => ({
    fault: { code: 'CONFIG_VALUE', message, hint: EXAMPLE },
  });
  const match = /^(?:\[([^\]]*)\]|([^:]*)):(\d{1,5})$/.exec(text);
  if (!match) return fault('must be an address with a port');
  const [, bracketed, plain = '', port] = match;
  const host = bracketed ?? plain;
  if (isIP(host) !== (bracketed === undefined ? 4 : 6)) return fault('must be an IP address with a port');
  if (Number(port) > 65_535) return fault('a port is at most 65535');
  return { host, port: Number(port) };
}

/** Whether only programs of the same machine can reach it. */
export function isLoopback({ host }: ListenAddress): boolean {
  return loopback.check(host, isIP(host) === 6 ? 'ipv6' : 'ipv4');
}

/** Whether two servers can't listen on both: the same port, on the same address or one that stands for all. */
export function areShared(a: ListenAddress, b: ListenAddress): boolean {
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || [a.host, b.host].some((host) => host === '0.0.0.0' || host === '::');
}

/** As it is written. */
export function addressText({ host, port }: ListenAddress): string {
  return isIP(host) === 6 ? `[${host}]:${String(port)}` : `${host}:${String(port)}`;
}
