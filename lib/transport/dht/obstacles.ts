import type { NodeKey } from '../../structs/mesh.js';
import type { NatReport } from '../network.js';

// Why a member could not be reached, in words that lead somewhere.

/** One way that was tried, and how it ended. */
export interface Failure {
  readonly way: string;
  /** A code of hyperdht, or words of our own. */
  readonly why: string;
}

const WORDS: Readonly<Record<string, string>> = {
  PEER_NOT_FOUND: 'nobody announces it there',
  PEER_CONNECTION_FAILED: 'it does not answer: it is off, or does not admit this key',
  HOLEPUNCH_ABORTED: 'the NATs between let nothing through',
  REMOTE_ABORTED: 'the NATs between let nothing through',
  HOLEPUNCH_DOUBLE_RANDOMIZED_NATS: 'both NATs give every destination another port',
  REMOTE_NOT_HOLEPUNCHABLE: 'its NAT cannot be passed',
  REMOTE_NOT_HOLEPUNCHING: 'it did not try to pass its NAT',
  CANNOT_HOLEPUNCH: 'its NAT cannot be passed',
  HOLEPUNCH_PROBE_TIMEOUT: 'the kind of a NAT stayed unknown: that takes four DHT nodes that answer',
  RELAY_ABORTED: 'the relay did not bring the two together',
  SUSPENDED: 'the machine sleeps',
};

/** What hyperdht said of a failed connection, short. */
export function reasonOf(error: unknown): string {
  const { code, message } = (error ?? {}) as { code?: string; message?: string };
  return code ?? message ?? 'closed without a word';
}

function inWords(why: string): string {
  return WORDS[why] ?? why;
}

/** The text of an E_TIMEOUT: what was tried, and what stood in the way. */
export function unreachable(
  key: NodeKey,
  failures: readonly Failure[],
  context: { report: NatReport; relays: number; seconds: number },
): string {
  const tried = [...new Map(failures.map(({ way, why }) => [way, `${way}: ${inWords(why)}`])).values()];
  const how = tried.length > 0 ? tried.join('; ') : 'no address is known, and there is no DHT to ask';
  return `${key.slice(0, 8)} cannot be reached (${context.seconds.toFixed(1)} s): ${how}${advice(context)}`;
}

function advice({ report, relays }: { report: NatReport; relays: number }): string {
  if (!report.hasIpv4)
    return '. This machine has no IPv4 address, and members are linked over IPv4 only: give it one, or a CLAT where the network has NAT64';
  if (report.nat === 'blocked')
    return '. UDP to the internet is blocked here: only members on the local network can be reached; ask for UDP to be let out';
  if (report.dht === 'silent') return '. The DHT does not answer: only the local network and known addresses are left';
  if (report.nat === 'random' && relays === 0)
    return ". This node's NAT gives every destination another port: a member that others can reach would have to relay";
  return '';
}
