import { isIP } from 'node:net';
import type { AllocNetworkStatus } from '../../structs/allocation.js';
import type { AllocatedPort } from '../../structs/resources.js';
import { err, ok, type Result } from '../../util/result.js';
import { isObject, type NetworkList } from './conflist.js';

// What CNI plugins are told and say, in the terms of an allocation. Pure.

/** A result of ADD as the plugins hand it on; only what is read here is known. */
export type CniResult = Record<string, unknown>;

/** The bridge of the plugin `bridge` when its configuration names none. */
const DEFAULT_BRIDGE = 'cni0';

/** A port as the `portMappings` capability has it. */
export interface PortMapping {
  hostPort: number;
  containerPort: number;
  protocol: 'tcp' | 'udp';
  hostIP?: string;
}

/** What is mapped for an allocation: every port for TCP and UDP; `anyAddress`: on all addresses of the node, not on the port's own. */
export function portMappings(ports: readonly AllocatedPort[], anyAddress: boolean): PortMapping[] {
  return ports.flatMap(({ Value, To, HostIP }) =>
    (['tcp', 'udp'] as const).map((protocol) => ({
      hostPort: Value,
      containerPort: To > 0 ? To : Value,
      protocol,
      ...(anyAddress || HostIP === '' ? {} : { hostIP: HostIP }),
    })),
  );
}

interface Interface {
  name: string;
  sandbox: string;
}

/** What the servers are told of a result: the first interface inside the namespace that has an address. */
export function networkStatus(result: CniResult): Result<AllocNetworkStatus, string> {
  const interfaces = list(result['interfaces']).map(readInterface);
  const addresses = list(result['ips']).flatMap(readAddress);
  const inside = addresses.filter(({ on }) => on !== null && (interfaces[on]?.sandbox ?? '') !== '');
  const usable = (inside.length > 0 ? inside : addresses).filter(({ ip }) => ip !== '127.0.0.1' && ip !== '::1');
  const v4 = usable.find(({ ip }) => !ip.includes(':'));
  const v6 = usable.find(({ ip }) => ip.includes(':'));
  const first = v4 ?? v6;
  if (!first) return err('no interface with an address came out of the CNI plugins');
  return ok({
    InterfaceName: (first.on === null ? undefined : interfaces[first.on]?.name) ?? '',
    Address: first.ip,
    AddressIPv6: v6?.ip ?? '',
    DNS: readDns(result['dns']),
  });
}

/** Which ports lead nowhere, in words: plugins map one only to an address of the kind that the node is reached at. */
export function unmappedPorts(ports: readonly AllocatedPort[], { Address, AddressIPv6 }: AllocNetworkStatus): string[] {
  const has = { 4: isIP(Address) === 4, 6: AddressIPv6 !== '' };
  return ports.flatMap(({ Label, Value, HostIP }) => {
    const kind = isIP(HostIP) as 0 | 4 | 6;
    if (kind === 0 || has[kind]) return [];
    return `port ${Value} ("${Label}") of ${HostIP} leads nowhere: the group's network has no IPv${kind} address`;
  });
}

/** The addresses of a result, with their prefixes. */
export function givenAddresses(result: CniResult): string[] {
  return list(result['ips']).flatMap((value) =>
    isObject(value) && typeof value['address'] === 'string' ? value['address'] : [],
  );
}

/** The hardware address of the interface inside the namespace that `networkStatus` tells; '' = none is known. */
export function givenMac(result: CniResult): string {
  const status = networkStatus(result);
  if (!status.ok) return '';
  const { InterfaceName } = status.value;
  const found = list(result['interfaces']).find((value) => {
    const { name, sandbox } = readInterface(value);
    return sandbox !== '' && name === InterfaceName;
  });
  return isObject(found) && typeof found['mac'] === 'string' ? found['mac'] : '';
}

/** What an allocation has on the host's side. */
export interface HostSide {
  /** The host's ends of its cables, and the bridge. */
  interfaces: readonly string[];
  /** '' = none. */
  bridge: string;
  /** The bridge's own addresses, to which tasks send what is for others. */
  gateways: readonly string[];
}

/** What the plugins of a network made on the host's side. */
export function hostSide({ plugins }: NetworkList, result: CniResult): HostSide {
  const interfaces = list(result['interfaces'])
    .map(readInterface)
    .flatMap(({ name, sandbox }) => (sandbox === '' && name !== '' ? name : []));
  const plugin = plugins.find(({ type }) => type === 'bridge');
  if (!plugin) return { interfaces, bridge: '', gateways: [] };
  const { bridge = DEFAULT_BRIDGE, isGateway, isDefaultGateway } = plugin;
  const hasAddress = isGateway === true || isDefaultGateway === true;
  const gateways = list(result['ips']).flatMap((value) =>
    isObject(value) && typeof value['gateway'] === 'string' ? value['gateway'] : [],
  );
  return { interfaces, bridge: String(bridge), gateways: hasAddress ? gateways : [] };
}

function readInterface(value: unknown): Interface {
  if (!isObject(value)) return { name: '', sandbox: '' };
  const { name, sandbox } = value;
  return { name: typeof name === 'string' ? name : '', sandbox: typeof sandbox === 'string' ? sandbox : '' };
}

function readAddress(value: unknown): { ip: string; on: number | null }[] {
  if (!isObject(value)) return [];
  const { address, interface: on } = value;
  const ip = typeof address === 'string' ? address.split('/')[0] : '';
  return ip !== undefined && isIP(ip) !== 0 ? [{ ip, on: typeof on === 'number' ? on : null }] : [];
}

function readDns(value: unknown): AllocNetworkStatus['DNS'] {
  if (!isObject(value)) return null;
  const texts = (key: string): string[] => list(value[key]).filter((one) => typeof one === 'string');
  const [Servers, Searches, Options] = [texts('nameservers'), texts('search'), texts('options')];
  return Servers.length + Searches.length + Options.length === 0 ? null : { Servers, Searches, Options };
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}
