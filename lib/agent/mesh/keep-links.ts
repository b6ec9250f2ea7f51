import type { MeshRole, NodeKey } from '../../structs/mesh.js';
import type { Peer } from '../../transport/peers.js';

/** Servers that a member without a state of its own stays linked to: one to ask, and two in case. */
const SERVERS_KEPT = 3;

/**
 * Whom to stay linked with: servers with every other server, everybody else with three of them. Those linked already are kept
 * on, the nearest first, so that nothing moves without need; others are taken by their distance from the own key, so that a
 * thousand clients do not all choose the same three.
 */
export function keptLinks(options: {
  own: NodeKey;
  role: MeshRole;
  servers: readonly NodeKey[];
  linked: readonly Pick<Peer, 'key' | 'report'>[];
}): NodeKey[] {
  const { own, role, servers, linked } = options;
  if (role === 'server') return [...servers];
  const rtt = new Map(linked.map(({ key, report }) => [key, report.RttMs]));
  const cost = (key: NodeKey): number => rtt.get(key) ?? 1e9;
  return [...servers]
    .sort((a, b) => cost(a) - cost(b) || (distance(own, a) < distance(own, b) ? -1 : 1))
    .slice(0, SERVERS_KEPT);
}

const distance = (a: NodeKey, b: NodeKey): bigint => BigInt(`0x${a}`) ^ BigInt(`0x${b}`);
