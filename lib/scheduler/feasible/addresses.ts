import type { Node } from '../../structs/node.js';
import { type PortRange, parsePortRanges } from '../../structs/port-ranges.js';

/** Dynamic ports come from this range when a node does not say otherwise (reference: Nomad's client defaults). */
export const DYNAMIC_PORT_MIN = 20_000;
export const DYNAMIC_PORT_MAX = 32_000;

/** The host network a port is on when its job does not say. */
export const DEFAULT_NETWORK = 'default';

/** An address of a node on which ports can be given out. */
export interface HostAddress {
  /** Name of the host network, `default` for the node's own. */
  readonly network: string;
  readonly ip: string;
  readonly device: string;
  /** Index of `ip` in NodeAddresses.ips: two networks may share one address, and then share its ports. */
  readonly slot: number;
}

/** A range of ports that the node's owner keeps for the machine itself; slot −1 means every address. */
interface ReservedRange extends PortRange {
  readonly slot: number;
}

/** What port placement needs to know of a node: made once for each node object. */
export interface NodeAddresses {
  readonly addresses: readonly HostAddress[];
  readonly ips: readonly string[];
  readonly reserved: readonly ReservedRange[];
  readonly dynamicMin: number;
  readonly dynamicMax: number;
}

// Nodes are immutable once stored, so what is derived from one is as good as the object itself.
const known = new WeakMap<Node, NodeAddresses>();

/** The addresses and reserved ports of a node. */
export function addressesOf(node: Node): NodeAddresses {
  let addresses = known.get(node);
  if (!addresses) {
    addresses = readAddresses(node);
    known.set(node, addresses);
  }
  return addresses;
}

/** Whether a port is kept for the machine itself. */
export function isReservedPort(addresses: NodeAddresses, slot: number, port: number): boolean {
  for (const range of addresses.reserved) {
    if ((range.slot === -1 || range.slot === slot) && port >= range.from && port <= range.to) return true;
  }
  return false;
}

// What is no port is left out: a node's report is not worth failing a placement.
function reservedRanges(slot: number, text: string): ReservedRange[] {
  return parsePortRanges(text).flatMap((range) => (range ? { slot, ...range } : []));
}

function readAddresses(node: Node): NodeAddresses {
  const resources = node.NodeResources;
  const addresses: HostAddress[] = [];
  const ips: string[] = [];
  const reserved: ReservedRange[] = [];
  const add = (network: string, ip: string, device: string, reservedPorts: string): void => {
    let slot = ips.indexOf(ip);
    if (slot < 0) slot = ips.push(ip) - 1;
    addresses.push({ network, ip, device, slot });
    reserved.push(...reservedRanges(slot, reservedPorts));
  };
  for (const network of resources.NodeNetworks ?? []) {
    for (const { Alias, Address, ReservedPorts } of network.Addresses) {
      add(Alias === '' ? DEFAULT_NETWORK : Alias, Address, network.Device, ReservedPorts);
    }
  }
  if (addresses.length === 0) {
    for (const network of resources.Networks ?? []) {
      if (network.IP !== '') add(DEFAULT_NETWORK, network.IP, network.Device, '');
    }
  }
  reserved.push(...reservedRanges(-1, node.ReservedResources.Networks.ReservedHostPorts));
  return {
    addresses,
    ips,
    reserved,
    dynamicMin: resources.MinDynamicPort > 0 ? resources.MinDynamicPort : DYNAMIC_PORT_MIN,
    dynamicMax: resources.MaxDynamicPort > 0 ? resources.MaxDynamicPort : DYNAMIC_PORT_MAX,
  };
}
