import { isIPv4, isIPv6 } from 'node:net';
import type { ClientSection } from './config.js';

/** The kernel's limit of an interface's name, without its NUL. */
const INTERFACE_NAME_MAX = 15;

/** What is wrong with the client's networks. */
export function* networkProblems({ bridge, hostNetworks }: ClientSection): Generator<string> {
  const { name, subnet, subnetIpv6 } = bridge;
  if (name !== null && (name.length > INTERFACE_NAME_MAX || !/^[A-Za-z0-9][A-Za-z0-9_.-]*$/.test(name)))
    yield `client.bridge_network_name "${name}" is no name of an interface: at most ${INTERFACE_NAME_MAX} letters, digits, "_", "." and "-".`;
  if (subnet !== null && blockKind(subnet) !== 4)
    yield `client.bridge_network_subnet "${subnet}" is no IPv4 network: write it as "172.26.64.0/20".`;
  if (subnetIpv6 !== null && subnetIpv6 !== '' && blockKind(subnetIpv6) !== 6)
    yield `client.bridge_network_subnet_ipv6 "${subnetIpv6}" is no IPv6 network: write it as "fd00:a110:c8::/64".`;
  for (const [label, { cidr, interface: device, reservedPorts }] of Object.entries(hostNetworks)) {
    const bad = cidr.split(',').find((block) => cidr !== '' && blockKind(block.trim()) === null);
    if (bad !== undefined) yield `host_network "${label}": cidr "${bad}" is no network: write it as "10.0.0.0/8".`;
    if (cidr === '' && device === '') yield `host_network "${label}" needs a cidr or an interface.`;
    if (label === 'default') yield 'host_network "default" is the node\'s own: give it another name.';
    if (!isPortList(reservedPorts))
      yield `host_network "${label}": reserved_ports "${reservedPorts}" is no list of ports: write it as "22,80,8500-8600".`;
  }
}

/** Whether a text is a list of ports and ranges of them, such as "22,80,8500-8600"; '' is an empty one. */
export function isPortList(text: string): boolean {
  if (text.trim() === '') return true;
  return text.split(',').every((part) => {
    const [, from = '', to = from] = /^\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?$/.exec(part) ?? [];
    return from !== '' && Number(from) <= Number(to) && Number(to) <= 65_535;
  });
}

/** 4 or 6 for a block of addresses such as "10.0.0.0/8", null for what is none. */
function blockKind(text: string): 4 | 6 | null {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  const [, address = '', prefix = ''] = match ?? [];
  if (isIPv4(address) && Number(prefix) <= 32) return 4;
  return isIPv6(address) && Number(prefix) <= 128 ? 6 : null;
}
