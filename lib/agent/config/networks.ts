import { isIPv4, isIPv6 } from 'node:net';
import { parsePortRanges } from '../../structs/port-ranges.js';
import type { ClientSection } from './config.js';
import type { Problem } from './problems.js';

/** The kernel's limit of an interface's name, without its NUL. */
const INTERFACE_NAME_MAX = 15;

/** What is wrong with the client's networks. */
export function* networkProblems({ bridge, hostNetworks }: ClientSection): Generator<Problem> {
  const { name, subnet, subnetIpv6 } = bridge;
  if (name !== null && (name.length > INTERFACE_NAME_MAX || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)))
    yield {
      key: 'client.bridge_network_name',
      message: `client.bridge_network_name "${name}" is no name of an interface: at most ${INTERFACE_NAME_MAX} letters, digits, "_", "." and "-".`,
    };
  if (subnet !== null && blockKind(subnet) !== 4)
    yield {
      key: 'client.bridge_network_subnet',
      message: `client.bridge_network_subnet "${subnet}" is no IPv4 network: write it as "172.26.64.0/20".`,
    };
  if (subnetIpv6 !== null && subnetIpv6 !== '' && blockKind(subnetIpv6) !== 6)
    yield {
      key: 'client.bridge_network_subnet_ipv6',
      message: `client.bridge_network_subnet_ipv6 "${subnetIpv6}" is no IPv6 network: write it as "fd00:a110:c8::/64".`,
    };
  for (const [label, network] of Object.entries(hostNetworks)) {
    const key = `client.host_network "${label}"`;
    for (const fault of faultsOf(label, network)) yield { key, message: `host_network "${label}"${fault}` };
  }
}

function* faultsOf(
  label: string,
  { cidr, interface: device, reservedPorts }: ClientSection['hostNetworks'][string],
): Generator<string> {
  const bad = cidr.split(',').find((block) => cidr !== '' && blockKind(block.trim()) === null);
  if (bad !== undefined) yield `: cidr "${bad}" is no network: write it as "10.0.0.0/8".`;
  if (cidr === '' && device === '') yield ' needs a cidr or an interface.';
  if (label === 'default') yield " is the node's own: give it another name.";
  if (parsePortRanges(reservedPorts).includes(null))
    yield `: reserved_ports "${reservedPorts}" is no list of ports: write it as "22,80,8500-8600".`;
}

/** 4 or 6 for a block of addresses such as "10.0.0.0/8", null for what is none. */
function blockKind(text: string): 4 | 6 | null {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const [, address = '', prefix = ''] = match ?? [];
  if (isIPv4(address) && Number(prefix) <= 32) return 4;
  return isIPv6(address) && Number(prefix) <= 128 ? 6 : null;
}
