import type { Millis } from '../util/clock.js';

/** The figures of the machine. The reasons stand beside them; memberlist's are in its documentation under the same names. */
export interface GossipConfig {
  /** Between the starts of two probes by one member, while it thinks itself well; grows in meshes of more than some thirty. */
  readonly probeIntervalMs: Millis;
  /** The least time for a direct answer; a member known to be far gets three times its round trip, up to `probeTimeoutMaxMs`. */
  readonly probeTimeoutMs: Millis;
  readonly probeTimeoutMaxMs: Millis;
  /** The least time for an answer by any way, direct or through others. */
  readonly probeDeadlineMs: Millis;
  /** How many others are asked to try when there was no direct answer. */
  readonly indirectProbes: number;
  /**
   * How many members, on average, try for themselves when they hear a suspicion: the suspect learns of it at once and may
   * refute, and whoever finds it silent too confirms. This is what lets the time of a suspicion be short.
   */
  readonly verifiers: number;
  /** The least time of a suspicion, for ten members or fewer; grows with log10 of their number. */
  readonly suspicionMinMs: Millis;
  /** How much longer it is while nobody confirms. */
  readonly suspicionMaxFactor: number;
  /** Between two rounds of spreading news; none take place without news. */
  readonly gossipIntervalMs: Millis;
  /** To how many members each round goes. */
  readonly gossipFanout: number;
  /** One piece of news is sent this many times ceil(log10(n + 1)) by each member. */
  readonly retransmitFactor: number;
  /** Beyond what fits one packet, a round sends up to so many to each: mass joins. */
  readonly packetsPerRoundMax: number;
  /** A datagram of more bytes is fragmented on many a path; exchanges of state and tombstones may be larger. */
  readonly packetBytesMax: number;
  /** Between two comparisons of all that is known with one random member, while they find nothing. */
  readonly syncIntervalMs: Millis;
  /** The same at the start, and after one that found something: it doubles with each that does not. */
  readonly syncIntervalMinMs: Millis;
  /** Bytes of one part of such an exchange. */
  readonly syncBytesMax: number;
  /** The dead hear news for so long: the falsely accused must learn of it. */
  readonly gossipToTheDeadMs: Millis;
  /** Between two tries to reach one of the dead: so the halves of a mesh find together again. */
  readonly reconnectIntervalMs: Millis;
  /** The dead and those who left are remembered for so long. */
  readonly forgetMs: Millis;
  /** A tick that comes later than this means that this process was asleep, not that others fell silent. */
  readonly lateMs: Millis;
  /** One unsteadiness of a member (a refuted suspicion, a return from the dead) counts for so long. */
  readonly unsteadyMs: Millis;
}

export const GOSSIP_CONFIG: GossipConfig = {
  probeIntervalMs: 900,
  probeTimeoutMs: 300,
  probeTimeoutMaxMs: 2_000,
  probeDeadlineMs: 1_000,
  indirectProbes: 3,
  verifiers: 8,
  suspicionMinMs: 1_200,
  suspicionMaxFactor: 8,
  gossipIntervalMs: 100,
  gossipFanout: 3,
  retransmitFactor: 4,
  packetsPerRoundMax: 4,
  packetBytesMax: 1_200,
  syncIntervalMs: 20_000,
  syncIntervalMinMs: 1_000,
  syncBytesMax: 16_384,
  gossipToTheDeadMs: 30_000,
  reconnectIntervalMs: 10_000,
  forgetMs: 24 * 3_600_000,
  lateMs: 250,
  unsteadyMs: 300_000,
};
