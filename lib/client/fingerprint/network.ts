import { isIPv6 } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { Facts, Fingerprint } from './fact.js';
import { readNumber, readText } from './read.js';

const DEFAULT_SPEED_MBITS = 1000;

/** The interface whose address tasks' ports are bound to: the configured one, that of the default route, the first with an address. */
export const networkFingerprint: Fingerprint = {
  name: 'network',
  periodMs: 60_000,
  async run({ config }): Promise<Facts> {
    const interfaces = networkInterfaces();
    const routed = defaultRouteInterface((await readText('/proc/net/route')) ?? '');
    // Loopback is of use only to an agent that keeps nothing and talks to nobody else.
    const found = chooseInterface(interfaces, {
      asked: config.networkInterface,
      routed,
      loopback: config.stateDir === null,
    });
    if (!found) return { attributes: {} };
    const { name, addresses } = found;
    const main = addresses[0] as NetworkInterfaceInfo;
    const kernelSpeed = await readNumber(`/sys/class/net/${name}/speed`);
    const speed =
      config.networkSpeedMbits ?? (kernelSpeed !== null && kernelSpeed > 0 ? kernelSpeed : DEFAULT_SPEED_MBITS);
    return {
      attributes: { 'unique.network.ip-address': main.address },
      networks: [
        {
          Mode: 'host',
          Device: name,
          CIDR: `${main.address}/${isIPv6(main.address) ? 128 : 32}`,
          IP: main.address,
          Hostname: '',
          MBits: speed,
          DNS: null,
          ReservedPorts: null,
          DynamicPorts: null,
          CNI: null,
        },
      ],
      nodeNetworks: [
        {
          Mode: 'host',
          Device: name,
          MacAddress: main.mac,
          Speed: speed,
          Addresses: addresses.map((address) => ({
            Family: address.family === 'IPv6' ? 'ipv6' : 'ipv4',
            Alias: 'default',
            Address: address.address,
            Gateway: '',
            ReservedPorts: config.reserved.ports,
          })),
        },
      ],
    };
  },
};

type Interfaces = Readonly<Record<string, NetworkInterfaceInfo[] | undefined>>;

/** Chooses an interface, with its usable addresses, IPv4 before IPv6; null when there is none. */
export function chooseInterface(
  interfaces: Interfaces,
  wish: { asked: string | null; routed: string | null; loopback: boolean },
): { name: string; addresses: NetworkInterfaceInfo[] } | null {
  const names = wish.asked !== null ? [wish.asked] : [wish.routed, ...Object.keys(interfaces)];
  const inner = (name: string): boolean => interfaces[name]?.some((address) => address.internal) ?? false;
  for (const allowLoopback of wish.asked !== null ? [true] : [false, true]) {
    if (allowLoopback && wish.asked === null && !wish.loopback) break;
    for (const name of names) {
      if (name === null || (inner(name) && !allowLoopback)) continue;
      const addresses = usable(interfaces[name] ?? []);
      if (addresses.length > 0) return { name, addresses };
    }
  }
  return null;
}

/** Link-local addresses reach nobody without a zone. */
function usable(addresses: readonly NetworkInterfaceInfo[]): NetworkInterfaceInfo[] {
  const reachable = addresses.filter(({ address }) => !/^fe80:|^169\.254\./i.test(address));
  return [
    ...reachable.filter(({ family }) => family === 'IPv4'),
    ...reachable.filter(({ family }) => family === 'IPv6'),
  ];
}

/** The interface of the default route with the least metric, from the text of /proc/net/route. */
export function defaultRouteInterface(text: string): string | null {
  let best: { name: string; metric: number } | null = null;
  for (const line of text.split('\n').slice(1)) {
    const [name, destination, , flags, , , metric, mask] = line.trim().split(/\s+/);
    if (!name || destination !== '00000000' || mask !== '00000000') continue;
    // RTF_UP.
    if ((Number.parseInt(flags ?? '0', 16) & 1) === 0) continue;
    const cost = Number(metric ?? 0);
    if (!best || cost < best.metric) best = { name, metric: cost };
  }
  return best?.name ?? null;
}
