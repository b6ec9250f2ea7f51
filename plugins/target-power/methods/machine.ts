import type { ScalerCall, ScalerRpc } from '../../../lib/plugin/sdk/autoscaler.js';
import type { NodeListStub } from '../../../lib/structs/rpc.js';
import { nodeOf } from '../../target-nodes/node.js';

/** A machine as its methods need it. */
export interface Machine {
  node: NodeListStub;
  /** '' when it was never seen. */
  mac: string;
  meta: Record<string, string>;
  /** Nodes that may be on its local network, the likeliest first. */
  neighbours: readonly NodeListStub[];
}

/** What the servers know of a machine, and of who is near it. */
export async function machineOf(
  node: NodeListStub,
  { rpc, call }: { rpc: ScalerRpc; call: ScalerCall },
): Promise<Machine> {
  const networks = node.NodeResources?.NodeNetworks ?? [];
  const isReal = ({ MacAddress, Mode }: (typeof networks)[number]): boolean =>
    Mode === 'host' && !/^(00:)*00$|^$/.test(MacAddress);
  const address = hostOf(node);
  const own = networks.find((one) => isReal(one) && one.Addresses.some(({ Address }) => Address === address));
  const { Nodes } = await rpc.call('Node.List', { Resources: true }, call);
  const prefix = address.split('.').slice(0, 3).join('.');
  const others = Nodes.filter(({ ID, Status }) => ID !== node.ID && Status === 'ready');
  const near = (one: NodeListStub): number => (prefix !== '' && one.Address.startsWith(`${prefix}.`) ? 0 : 1);
  return {
    node,
    mac: (own ?? networks.find(isReal))?.MacAddress ?? '',
    meta: (await nodeOf(rpc, node, call))?.Meta ?? {},
    neighbours: others.sort((a, b) => near(a) - near(b)),
  };
}

/** The host of a node's address, which may have a port. */
export function hostOf({ Address }: Pick<NodeListStub, 'Address'>): string {
  const bracketed = /^\[(.+)\](?::\d+)?$/.exec(Address);
  if (bracketed) return bracketed[1] ?? '';
  return Address.split(':').length === 2 ? (Address.split(':')[0] ?? '') : Address;
}

/** Puts what is known of the machine in the place of `{name}` and the like. Throws an Error for what is not known of it. */
export function fillIn(text: string, machine: Machine, encode: (value: string) => string = (value) => value): string {
  const { node, mac, meta } = machine;
  return text.replace(/\{([\w.-]+)\}/g, (whole, key: string) => {
    const values: Record<string, string | undefined> = { name: node.Name, id: node.ID, mac, address: hostOf(node) };
    const value = key.startsWith('meta.') ? meta[key.slice('meta.'.length)] : values[key];
    if (value === undefined || value === '') throw new Error(`${whole} is not known of ${node.Name}`);
    return encode(value);
  });
}

/** An address for a program's command line: none that it would take for an option. */
export function fillInHost(text: string, machine: Machine, key: string): string {
  const host = fillIn(text, machine);
  if (!/^[A-Za-z0-9[][\w.:%[\]-]*$/.test(host)) throw new Error(`${key} is no host: "${host}"`);
  return host;
}
