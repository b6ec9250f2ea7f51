import type { Disk } from '../storage/index.js';
import { EntryChain } from '../storage/index.js';
import type { MeshError } from '../structs/errors.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import { RaftHost } from './consensus-host.js';
import { Snapshotter } from './consensus-snapshots.js';
import {
  checkStores,
  checkVersions,
  foundGroup,
  openLife,
  openStores,
  restoreSnapshot,
  storedMembership,
} from './consensus-stores.js';
import type { Consensus, ConsensusGroup, RaftTransport, Replica, StateMachine } from './ports.js';
import type { Timers } from './timers.js';

// The host of raft: it carries out what ready() asks for, and nothing is acknowledged before that.
//
//     propose ─▶ raft ─▶ one write and one sync for all that came in one turn, or during the sync before ─▶ advance
//     others ──▶  ▲ │                                                                                        │
//                 │ └─▶ messages that promise nothing go out at once, the others when the write is done ◀────┤
//                 └──── the next round: its write is under way while what was committed is applied ◀─────────┘
//
// When the disk refuses, the machine is thrown away as a crash would, proposals fail with E_STORAGE, and the host goes
// on from what is durable as soon as the disk takes writes again; the others elect another leader meanwhile.

/**
 * Commands between two snapshots, unpacked: little, for all of them are applied again at the next start. On the disk they take
 * about a tenth.
 */
const SNAPSHOT_BYTES = 16 * 1024 * 1024;

export interface ConsensusOptions {
  /** Where it keeps its files, in a folder `raft`; null keeps everything in memory. */
  readonly dataDir: string | null;
  /** This server's id. */
  readonly id: string;
  /** Where nothing is stored yet: begin a group of one voter. Else this server waits until a leader adds it to its group. */
  readonly found: boolean;
  /** How others are reached; without it this server stays alone in its group. */
  readonly transport?: RaftTransport;
  readonly fsm: StateMachine;
  readonly timers: Timers;
  /** Milliseconds that never go back. */
  readonly now: () => number;
  readonly random: Random;
  readonly log: Log;
  /** Is kept up to date with what is applied here. */
  readonly chain?: EntryChain;
  /** Keeps the state of this server while it is outside of the group. */
  readonly replica?: Replica;
  readonly limits?: { readonly snapshotBytes?: number; readonly segmentBytes?: number };
  /** The group was recovered without this server: nothing more comes of it before it is started again. */
  readonly onAbandoned?: (why: MeshError) => void;
  /** In place of the real file system. */
  readonly disk?: Disk;
}

/** What an operator may want to know. */
export interface ConsensusStats {
  readonly state: 'opened' | 'running' | 'broken' | 'halted' | 'closed';
  /** Whether the group has taken this server's data in; one that waits for that neither votes nor follows. */
  readonly admitted: boolean;
  readonly term: number;
  readonly lastIndex: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly snapshotIndex: number;
  readonly voters: readonly string[];
}

export interface RunningConsensus extends Consensus, ConsensusGroup {
  /** Nobody counts on this server: its state comes from elsewhere, if from anywhere. */
  readonly isOutside: boolean;
  /** The group has put this server out, which is never said to whoever is out: from now on it is outside. */
  expel(): void;
  /** Begins: a sole voter leads a few milliseconds later. Listeners should be registered before. */
  start(): void;
  /** Finishes what is under way and frees the data directory. */
  close(): Promise<void>;
  stats(): ConsensusStats;
}

/**
 * Opens the log, restores the newest snapshot into the state machine, and returns consensus, not yet started. Rejects
 * with MeshError: E_CONFLICT (the directory is in use, or another server's), E_NOT_SUPPORTED (another version wrote it),
 * E_STORAGE (damaged, or not writable).
 */
export async function openConsensus(options: ConsensusOptions): Promise<RunningConsensus> {
  const { dataDir, disk, limits, log, fsm, id, random, chain = new EntryChain() } = options;
  const segmentBytes = limits?.segmentBytes;
  const stores = await openStores({ dataDir, log, ...(disk && { disk }), ...(segmentBytes && { segmentBytes }) });
  try {
    if (options.found && !stores.isAnew) await foundGroup(stores, id);
    const latest = await restoreSnapshot(stores, fsm, log);
    checkStores(stores);
    checkVersions(stores);
    const membership = storedMembership(stores, latest);
    const life = await openLife(stores, { id, membership, random, log });
    const everyBytes = limits?.snapshotBytes ?? SNAPSHOT_BYTES;
    if (latest !== null) chain.restored(latest);
    const snapshotter = new Snapshotter({ stores, fsm, log, chain, everyBytes, latest });
    return new RaftHost(options, { stores, snapshotter, life, chain });
  } catch (error) {
    await stores.log.close();
    stores.lock.release();
    throw error;
  }
}
