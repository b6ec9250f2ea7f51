import type { CertificateClaims, MeshInfo, MeshRole, NodeKey, Tombstone } from '../../lib/structs/mesh.js';
import {
  createMemoryNetwork,
  type MemoryNetwork,
  type MemoryNetworkOptions,
} from '../../lib/transport/memory-network.js';
import { createAddressBook } from '../../lib/transport/mesh/address-book.js';
import type { PeersOptions, VerifyChain } from '../../lib/transport/mesh/options.js';
import { createPeers } from '../../lib/transport/mesh/peers.js';
import type { ConnectAs, Network } from '../../lib/transport/network.js';
import type { OwnCertificate, Peers, Roster } from '../../lib/transport/peers.js';
import { createLog, type Log } from '../../lib/util/log.js';
import { type Random, seededRandom } from '../../lib/util/random.js';
import { err, ok } from '../../lib/util/result.js';
import { createSimulatedClock, type SimulatedClock } from './simulated-clock.js';

// A mesh of any size in one process: real link managers over a network in memory, with certificates that are only JSON.

const ROOT: NodeKey = 'f'.repeat(64);
const YEAR_MS = 365 * 24 * 3600 * 1000;

type Standing = NonNullable<ReturnType<Roster['find']>>;

/** A roster that a test writes; shared by all members unless a test wants them to disagree. */
export class TestRoster implements Roster {
  readonly mesh = ROOT;
  readonly #standings = new Map<NodeKey, Standing>();
  readonly #invites = new Set<NodeKey>();
  readonly #listeners: (() => void)[] = [];
  readonly #tombstones: Tombstone[] = [];

  constructor(from?: TestRoster) {
    if (from) for (const [key, standing] of from.#standings) this.#standings.set(key, standing);
  }

  set(key: NodeKey, standing: Standing): void {
    this.#standings.set(key, standing);
    this.changed();
  }

  setStatus(key: NodeKey, status: Standing['status']): void {
    const standing = this.#standings.get(key);
    if (standing) this.set(key, { ...standing, status });
  }

  invite(key: NodeKey): void {
    this.#invites.add(key);
    this.changed();
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }

  find(key: NodeKey): Standing | undefined {
    return this.#standings.get(key);
  }

  isInvite(key: NodeKey): boolean {
    return this.#invites.has(key);
  }

  members(): readonly NodeKey[] {
    return [...this.#standings].flatMap(([key, { status }]) => (status === 'admitted' ? [key] : []));
  }

  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  tombstones(): readonly Tombstone[] {
    return this.#tombstones;
  }

  bury(tombstones: readonly Tombstone[]): boolean {
    this.#tombstones.push(...tombstones);
    for (const { Key } of tombstones) this.setStatus(Key, 'revoked');
    return true;
  }

  info(): MeshInfo {
    return {
      Root: ROOT,
      Name: 'test',
      CreatedAt: 0,
      DiscoveryEpoch: 1,
      DiscoverySecrets: ['00'.repeat(32)],
      SealedRoot: '',
      NextSerial: 1000,
      CreateIndex: 1,
      ModifyIndex: 1,
    };
  }
}

/** Certificates of tests: the claims as JSON. */
export const verifyTestChain: VerifyChain = (key, [leaf = '']) => {
  try {
    const claims = JSON.parse(leaf) as CertificateClaims;
    if (claims.Mesh !== ROOT) return err(new Error('it is for another mesh'));
    return claims.Key === key ? ok({ claims }) : err(new Error('it is for another key'));
  } catch {
    return err(new Error('it is no certificate'));
  }
};

export function testCertificate(claims: Partial<CertificateClaims> & { Key: NodeKey }): OwnCertificate {
  const whole: CertificateClaims = {
    Version: 1,
    Mesh: ROOT,
    Name: claims.Key.slice(-4),
    Role: 'server',
    Tags: {},
    Serial: 1,
    NotBefore: 0,
    NotAfter: 1_800_000_000_000 + YEAR_MS,
    Issuer: false,
    By: ROOT,
    ...claims,
  };
  return { claims: whole, chain: [JSON.stringify(whole)] };
}

/** The n-th key: small numbers are small keys. */
export function testKey(n: number): ConnectAs {
  const publicKey = n.toString(16).padStart(64, '0');
  return { publicKey, seed: Buffer.from(publicKey, 'hex') };
}

export interface MeshNode {
  readonly key: NodeKey;
  readonly role: MeshRole;
  readonly peers: Peers;
  readonly network: Network;
  readonly roster: TestRoster;
  readonly logged: string[];
  certificate: OwnCertificate;
}

export interface MemoryMesh {
  readonly clock: SimulatedClock;
  readonly net: MemoryNetwork;
  readonly roster: TestRoster;
  readonly nodes: MeshNode[];
  /** Adds a member; one whose key was there before is the same machine, started again. Not started yet. */
  add(n: number, role: MeshRole, options?: Partial<PeersOptions> & { ownRoster?: TestRoster }): MeshNode;
  close(): Promise<void>;
}

/** Members 1…n with these roles, started. Time is simulated: nothing happens but in clock.advance() and clock.until(). */
export async function createMemoryMesh(
  roles: readonly MeshRole[],
  options: Partial<MemoryNetworkOptions> & { peers?: (n: number) => Partial<PeersOptions>; seed?: number } = {},
): Promise<MemoryMesh> {
  const clock = createSimulatedClock();
  const random = seededRandom(options.seed ?? 1);
  const { peers, seed: _, ...network } = options;
  const mesh = emptyMesh(clock, random, createMemoryNetwork({ clock, random, delayMs: 5, ...network }));
  for (const [i, role] of roles.entries()) mesh.add(i + 1, role, peers?.(i + 1));
  await Promise.all(mesh.nodes.map((node) => node.peers.start()));
  return mesh;
}

function emptyMesh(clock: SimulatedClock, random: Random, net: MemoryNetwork): MemoryMesh {
  const roster = new TestRoster();
  const nodes: MeshNode[] = [];
  return {
    clock,
    net,
    roster,
    nodes,
    add(n, role, { ownRoster, ...own } = {}) {
      const as = testKey(n);
      if (!roster.find(as.publicKey)) roster.set(as.publicKey, { name: `n${n}`, role, status: 'admitted' });
      const network = net.join(as);
      const logged: string[] = [];
      const node: MeshNode = {
        key: as.publicKey,
        role,
        network,
        roster: ownRoster ?? roster,
        logged,
        certificate: testCertificate({ Key: as.publicKey, Role: role, Name: `n${n}` }),
        peers: createPeers({
          network,
          roster: ownRoster ?? roster,
          certificate: () => node.certificate,
          verify: verifyTestChain,
          handlers: {},
          streamHandlers: {},
          relay: false,
          addressBook: createAddressBook({ path: null, clock, log: noLog(logged) }),
          log: noLog(logged),
          clock,
          random,
          version: 'test',
          ...own,
        }),
      };
      const at = nodes.findIndex(({ key }) => key === node.key);
      if (at === -1) nodes.push(node);
      else nodes[at] = node;
      return node;
    },
    async close() {
      for (const node of nodes) await node.peers.close();
    },
  };
}

function noLog(lines: string[]): Log {
  return createLog(({ level, message, fields }) => {
    if (level !== 'debug' && level !== 'trace') lines.push(`${level} ${message} ${JSON.stringify(fields)}`);
  });
}
