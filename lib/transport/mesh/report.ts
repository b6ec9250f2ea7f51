import type { LinkReport, NetReport, NodeKey } from '../../structs/mesh.js';
import type { NatReport } from '../network.js';
import { formatAddress } from './hello.js';
import type { LiveLink } from './live-link.js';

/** Clocks further apart make certificates, logs and leases hard to read; less may be a busy machine that read the other's late. */
const SKEW_MAX_MS = 2_000;

export interface Linked {
  readonly control: LiveLink;
  readonly bulk: LiveLink | undefined;
}

/** One row of the link matrix. */
export function linkReport(from: NodeKey, { control, bulk }: Linked, nowMs: number): LinkReport {
  return {
    From: from,
    To: control.key,
    Path: control.path,
    RttMs: Math.round(control.rttMs * 1000) / 1000,
    SinceMs: Math.round(nowMs - control.sinceMs),
    SentBytes: control.link.sentBytes + (bulk?.link.sentBytes ?? 0),
    ReceivedBytes: control.link.receivedBytes + (bulk?.link.receivedBytes ?? 0),
  };
}

/** What this agent knows of its own network, and what is wrong with it. */
export function netReport(options: {
  key: NodeKey;
  nat: NatReport;
  relays: boolean;
  linked: readonly Linked[];
  nowMs: number;
  /** What the link manager itself has noticed. */
  noticed: readonly string[];
}): NetReport {
  const { key, nat, relays, linked, nowMs, noticed } = options;
  return {
    Key: key,
    Nat: nat.nat,
    PublicAddress: nat.publicAddress ? formatAddress(nat.publicAddress) : '',
    LocalAddresses: nat.localAddresses.map(formatAddress),
    Dht: nat.dht,
    Relays: relays,
    Links: linked.map((one) => linkReport(key, one, nowMs)),
    Problems: [
      ...natProblems(nat),
      ...linked.flatMap(({ control }) => [...skewProblem(control), ...pathProblems(control, nat)]),
      ...noticed,
    ],
  };
}

function natProblems({ nat, dht, localAddresses, hasIpv4 }: NatReport): string[] {
  if (!hasIpv4) {
    return [
      'this machine has no IPv4 address, and members are linked over IPv4 only: give it one (a private one will do), or have a CLAT (464XLAT) translate where the network has NAT64',
    ];
  }
  if (nat === 'blocked') {
    return [
      'UDP towards the internet is blocked: only members on this network can be reached; allow outgoing UDP in the firewall, or let another member here relay',
    ];
  }
  const problems =
    dht === 'silent' ? ['the DHT does not answer: members are found on this network and at known addresses only'] : [];
  // 100.64.0.0/10 is what providers number their own customers' networks with (RFC 6598).
  const carrier = localAddresses.find(({ host }) => /^100\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(host));
  if (nat === 'random' && carrier) {
    problems.push(
      `the provider puts a second NAT before this network (${carrier.host}): links go through relays where both sides have one`,
    );
  }
  return problems;
}

function skewProblem({ claims, skewMs }: LiveLink): string[] {
  if (Math.abs(skewMs) <= SKEW_MAX_MS) return [];
  return [
    `the clock of ${claims.Name} is ${timeText(Math.abs(skewMs))} ${skewMs > 0 ? 'ahead of' : 'behind'} this one: set both by NTP`,
  ];
}

/** In the largest unit that there are two of. */
function timeText(ms: number): string {
  const units: [string, number][] = [
    ['days', 86_400_000],
    ['hours', 3_600_000],
    ['minutes', 60_000],
  ];
  const found = units.find(([, length]) => ms >= 2 * length);
  return found ? `${Math.round(ms / found[1])} ${found[0]}` : `${(ms / 1000).toFixed(1)} s`;
}

function pathProblems({ claims, path, hello, carried }: LiveLink, nat: NatReport): string[] {
  if (carried) {
    return [
      `${claims.Name} is reached through a member that carries the bytes (${path.Address}): there is no way of its own; allow outgoing UDP in the firewalls, or forward a UDP port to one side`,
    ];
  }
  if (path.Kind === 'relayed') {
    const whose = nat.nat === 'random' ? "this machine's NAT" : 'its NAT';
    return [
      `${claims.Name} is reached through a relay (${path.Address}): ${whose} gives every destination another port, and no way past it has been found yet; a UDP port that is forwarded to one of the two makes sure of one`,
    ];
  }
  const ours = nat.publicAddress?.host;
  const shared = ours !== undefined && hello.addresses.some(({ host }) => host === ours);
  if (path.Kind === 'direct' && shared) {
    return [
      `${claims.Name} has this machine's public address and another network: there are two NATs in a row between them`,
    ];
  }
  return [];
}
