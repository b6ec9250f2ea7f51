import type { NatReport } from '../network.js';
import type { Address } from '../tcp.js';
import { formatAddress } from './addresses.js';

/** This node as one other saw it. */
export interface Observation {
  readonly by: Address;
  readonly as: Address;
}

/** The kind of NAT in front of this node, by what several others saw, and the address they agree on. */
export function classifyNat(options: {
  /** Whether others reach this node without being asked. */
  open: boolean;
  seen: readonly Observation[];
}): Pick<NatReport, 'nat' | 'publicAddress'> {
  const votes = new Map<string, { as: Address; by: Set<string> }>();
  const observers = new Set<string>();
  for (const { by, as } of options.seen) {
    const vote = votes.get(formatAddress(as)) ?? { as, by: new Set() };
    votes.set(formatAddress(as), vote);
    vote.by.add(formatAddress(by));
    observers.add(formatAddress(by));
  }
  const [best] = [...votes.values()].sort((a, b) => b.by.size - a.by.size);
  if (!best) return { nat: 'unknown', publicAddress: null };
  if (options.open) return { nat: 'open', publicAddress: best.as };
  // One witness cannot tell; two that see the same port can.
  if (observers.size < 2) return { nat: 'unknown', publicAddress: best.as };
  return best.by.size >= 2 ? { nat: 'consistent', publicAddress: best.as } : { nat: 'random', publicAddress: null };
}
