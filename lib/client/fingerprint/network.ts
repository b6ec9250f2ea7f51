import { BlockList, isIPv6 } from 'node:net';
import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os';
import type { HostNetworkInfo, NodeNetworkResource } from '../../structs/node.js';
import type { ClientConfig } from '../config.js';
import type { Facts, Fingerprint } from './fact.js';
import { readNumber, readText } from './read.js';

const DEFAULT_SPEED_MBITS = 1000;
/** The name of the node's own network, beside those that its configuration names. */
const DEFAULT_NETWORK = 'default';

/** The addresses on which tasks' ports are given out: the node's own, and those of its host networks. */
export const networkFingerprint: Fingerprint = {
  name: 'network',
  // Three files and a system call: a laptop that changes its network is noticed soon.
  periodMs: 5_000,
  onReload: true,
  async run({ config }): Promise<Facts> {
    const interfaces = networkInterfaces();
    const routed = defaultRouteInterface(
      (await readText('/proc/net/route')) ?? '',
      (await readText('/proc/net/ipv6_route')) ?? '',
    );
    const chosen = chooseInterface(interfaces, {
      asked: config.networkInterface,
      routed,
      // Loopback is of use only to an agent that keeps nothing and talks to nobody else.
      loopback: config.stateDir === null,
      family: config.preferredFamily,
    });
    const given = {
      reserved: config.reserved.ports,
      hostNetworks: config.hostNetworks,
      family: config.preferredFamily,
    };
    const speeds = await Promise.all(
      Object.keys(interfaces).map(async (name) => [name, await linkSpeed(name, config.networkSpeedMbits)] as const),
    );
    const nodeNetworks = hostAddresses(interfaces, chosen, { ...given, speeds: new Map(speeds) });
    if (!chosen) return { attributes: { 'unique.network.reason': whyNone(config.networkInterface) }, nodeNetworks };
    const main = chosen.addresses[0] as NetworkInterfaceInfo;
    return {
      attributes: {
        'unique.network.ip-address': main.address,
        'unique.network.interface': chosen.name,
        'unique.network.reason': chosen.why,
      },
      networks: [
        {
          Mode: 'host',
          Device: chosen.name,
          CIDR: `${main.address}/${isIPv6(main.address) ? 128 : 32}`,
          IP: main.address,
          Hostname: '',
          MBits: new Map(speeds).get(chosen.name) ?? DEFAULT_SPEED_MBITS,
          DNS: null,
          ReservedPorts: null,
          DynamicPorts: null,
          CNI: null,
        },
      ],
      nodeNetworks,
    };
  },
};

/** Why there is no address to give ports out on. */
function whyNone(asked: string | null): string {
  if (asked === null) return 'no interface has an address but loopback';
  return `network_interface "${asked}" is not there, or has no address`;
}

type AddressFamily = ClientConfig['preferredFamily'];
type Interfaces = Readonly<Record<string, NetworkInterfaceInfo[] | undefined>>;

/** The interface that is the node's own, and in words why. */
export interface ChosenInterface {
  name: string;
  addresses: NetworkInterfaceInfo[];
  why: string;
}

/**
 * Chooses an interface, with its usable addresses, those of the preferred family first: the configured one, that of the default route, the
 * first with an address. Null when there is none.
 */
export function chooseInterface(
  interfaces: Interfaces,
  wish: { asked: string | null; routed: string | null; loopback: boolean; family: AddressFamily },
): ChosenInterface | null {
  const at = (name: string, why: string): ChosenInterface | null => {
    const addresses = usable(interfaces[name] ?? [], wish.family);
    return addresses.length > 0 ? { name, addresses, why } : null;
  };
  if (wish.asked !== null) return at(wish.asked, 'it is configured as network_interface');
  const isInner = (name: string): boolean => interfaces[name]?.some((address) => address.internal) ?? false;
  const routed =
    wish.routed === null || isInner(wish.routed) ? null : at(wish.routed, 'the default route leads through it');
  if (routed) return routed;
  const names = Object.keys(interfaces);
  for (const name of names.filter((one) => !isInner(one))) {
    const found = at(name, 'it is the first with an address, and there is no default route');
    if (found) return found;
  }
  const inner = wish.loopback ? names.find(isInner) : undefined;
  return inner === undefined ? null : at(inner, 'there is no other, and this agent keeps nothing');
}

/** Every address that has a name: `default` for those of the chosen interface, and what host networks match. */
export function hostAddresses(
  interfaces: Interfaces,
  chosen: Pick<ChosenInterface, 'name'> | null,
  given: {
    reserved: string;
    hostNetworks: Record<string, HostNetworkInfo>;
    speeds: ReadonlyMap<string, number>;
    family: AddressFamily;
  },
): NodeNetworkResource[] {
  const matchers = Object.values(given.hostNetworks).map((network) => ({
    network,
    holds: hostNetworkMatcher(network),
  }));
  return Object.entries(interfaces).flatMap(([name, all]) => {
    const addresses = usable(all ?? [], given.family).flatMap((address): NodeNetworkResource['Addresses'] => {
      const Family = address.family === 'IPv6' ? 'ipv6' : 'ipv4';
      const entry = (Alias: string, ReservedPorts: string) =>
        ({ Family, Alias, Address: address.address, Gateway: '', ReservedPorts }) as const;
      const named = matchers.filter(({ holds }) => holds(name, address));
      return [
        ...named.map(({ network }) => entry(network.Name, network.ReservedPorts)),
        ...(name === chosen?.name ? [entry(DEFAULT_NETWORK, given.reserved)] : []),
      ];
    });
    if (addresses.length === 0) return [];
    const MacAddress = all?.[0]?.mac ?? '';
    return [
      {
        Mode: 'host',
        Device: name,
        MacAddress,
        Speed: given.speeds.get(name) ?? DEFAULT_SPEED_MBITS,
        Addresses: addresses,
      },
    ];
  });
}

/** Whether an address belongs to a host network: it lies in one of its blocks, and on its interface, as far as these are given. */
function hostNetworkMatcher({
  CIDR,
  Interface,
}: HostNetworkInfo): (name: string, address: NetworkInterfaceInfo) => boolean {
  const blocks = new BlockList();
  for (const block of CIDR.split(',').filter((one) => one.trim() !== '')) {
    const [network = '', prefix = ''] = block.trim().split('/');
    blocks.addSubnet(network, Number(prefix), isIPv6(network) ? 'ipv6' : 'ipv4');
  }
  return (name, { address, family }) =>
    (Interface === '' || Interface === name) &&
    (CIDR === '' || blocks.check(address, family === 'IPv6' ? 'ipv6' : 'ipv4'));
}

/** Link-local addresses reach nobody without a zone. */
function usable(addresses: readonly NetworkInterfaceInfo[], family: AddressFamily): NetworkInterfaceInfo[] {
  const reachable = addresses.filter(({ address }) => !/^fe80:|^169\.254\./i.test(address));
  const isPreferred = (one: NetworkInterfaceInfo): boolean => one.family.toLowerCase() === family;
  return [...reachable.filter(isPreferred), ...reachable.filter((one) => !isPreferred(one))];
}

async function linkSpeed(name: string, configured: number | null): Promise<number> {
  // A link that is down, or has no speed (a tunnel, Wi-Fi), says −1 or refuses to be read.
  const kernel = await readNumber(`/sys/class/net/${name}/speed`);
  return configured ?? (kernel !== null && kernel > 0 ? kernel : DEFAULT_SPEED_MBITS);
}

/** The interface of the default route with the least metric, from the texts of /proc/net/route and /proc/net/ipv6_route; IPv4 first. */
export function defaultRouteInterface(v4: string, v6 = ''): string | null {
  const routes4 = v4
    .split('\n')
    .slice(1)
    .flatMap((line) => {
      const [name, destination, , flags, , , metric, mask] = line.trim().split(/\s+/);
      return destination === '00000000' && mask === '00000000' ? { name, flags, metric: Number(metric ?? 0) } : [];
    });
  const routes6 = v6.split('\n').flatMap((line) => {
    const [destination, prefix, , , , metric, , , flags, name] = line.trim().split(/\s+/);
    const isDefault = /^0{32}$/.test(destination ?? '') && prefix === '00' && name !== 'lo';
    return isDefault ? { name, flags, metric: Number.parseInt(metric ?? '0', 16) } : [];
  });
  for (const routes of [routes4, routes6]) {
    // RTF_UP.
    const up = routes.filter(({ flags }) => (Number.parseInt(flags ?? '0', 16) & 1) === 1);
    const best = up.sort((a, b) => a.metric - b.metric)[0];
    if (best?.name) return best.name;
  }
  return null;
}
