import { isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Address } from '../tcp.js';

// Addresses of this machine and of others. IPv4 only: the DHT announces nothing else.

/** As often as it is looked whether they have changed. */
const RECENT_MS = 2_000;

/** One of this machine's own addresses, with its network. */
export interface LocalAddress {
  readonly host: string;
  readonly prefix: number;
}

export function formatAddress({ host, port }: Address): string {
  return `${host}:${port}`;
}

let latest: { readonly hosts: readonly LocalAddress[]; readonly atMs: number } | undefined;

/** This machine's addresses, those of its loopback left out. */
export function localHosts(): LocalAddress[] {
  const found: LocalAddress[] = [];
  for (const list of Object.values(networkInterfaces())) {
    for (const { family, internal, address, cidr } of list ?? []) {
      if (family === 'IPv4' && !internal) found.push({ host: address, prefix: Number(cidr?.split('/')[1] ?? 32) });
    }
  }
  latest = { hosts: found, atMs: performance.now() };
  return found;
}

/** As somebody found them at most two seconds ago: for what is asked often, for the system is slow to tell. */
export function recentHosts(): readonly LocalAddress[] {
  return latest !== undefined && performance.now() - latest.atMs < RECENT_MS ? latest.hosts : localHosts();
}

/** Whether `host` lies in one of these networks, or is this machine. */
export function isLocal(host: string, locals: readonly LocalAddress[]): boolean {
  const asked = toNumber(host);
  if (asked === undefined) return false;
  if (asked >>> 24 === 127) return true;
  return locals.some(({ host: own, prefix }) => {
    const number = toNumber(own);
    if (number === undefined) return false;
    const mask = prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
    return (number & mask) >>> 0 === (asked & mask) >>> 0;
  });
}

/** Whether an address that somebody told can be sent to at all. */
export function isUsable({ host, port }: Address): boolean {
  const number = toNumber(host);
  if (number === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return false;
  const first = number >>> 24;
  return first !== 0 && first < 224;
}

/** The same addresses, each once, in order. */
export function distinct(addresses: Iterable<Address>): Address[] {
  const byText = new Map<string, Address>();
  for (const address of addresses) {
    const text = formatAddress(address);
    if (!byText.has(text)) byText.set(text, { host: address.host, port: address.port });
  }
  return [...byText.values()];
}

function toNumber(host: string): number | undefined {
  if (!isIPv4(host)) return undefined;
  return host.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
