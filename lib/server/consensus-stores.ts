import { dirname, join } from 'node:path';
import type { LogStore, Membership, SnapshotMeta, SnapshotStore, StableStore } from '../raft/index.js';
import { decodeMembership, encodeMembership, NO_MEMBERS, Raft } from '../raft/index.js';
import { tooNew, versionOfEncoded } from '../state/command-codec.js';
import { COMMANDS_VERSION } from '../state/commands.js';
import type { Disk, Instance, InstanceStore, Lock } from '../storage/index.js';
import {
  acquireLock,
  FIRST_EPOCH,
  memoryInstance,
  memoryRaftLog,
  memorySnapshots,
  memoryStable,
  nodeDisk,
  openInstance,
  openRaftLog,
  openSnapshots,
  openStable,
} from '../storage/index.js';
import { MeshError } from '../structs/errors.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import { randomInt } from '../util/random.js';
import { ELECTION_TICKS, HEARTBEAT_TICKS } from './consensus-clock.js';
import type { StateMachine } from './ports.js';

/** What consensus keeps: on disk, or in memory for an agent without state. */
export interface Stores {
  readonly log: LogStore;
  readonly stable: StableStore;
  readonly snapshots: SnapshotStore;
  readonly instance: InstanceStore;
  readonly lock: Lock;
  /** Older data was put aside just now: this server waits to be taken in by others, and founds nothing. */
  readonly isAnew: boolean;
}

/** Opens everything below `dataDir`/raft, or memory when it is null. Throws MeshError with what to do. */
export async function openStores(options: {
  dataDir: string | null;
  disk?: Disk;
  segmentBytes?: number;
  log: Log;
}): Promise<Stores> {
  if (options.dataDir === null) {
    const lock = { release() {} };
    const snapshots = memorySnapshots();
    return { log: memoryRaftLog(), stable: memoryStable(), snapshots, instance: memoryInstance(), lock, isAnew: false };
  }
  const folder = join(options.dataDir, 'raft');
  const { disk = nodeDisk, segmentBytes, log } = options;
  let lock = disk.lock?.(folder) ?? acquireLock(folder);
  try {
    const kept = openInstance(folder, { disk }).load();
    const isAnew = kept?.abandoned === true;
    if (isAnew) {
      await putAside(folder, kept.epoch, disk, log);
      // The lock went away with the folder.
      lock = disk.lock?.(folder) ?? acquireLock(folder);
    }
    const instance = openInstance(folder, { disk });
    const stable = openStable(folder, { disk });
    const onDamaged = (error: MeshError): void => log.warn('a snapshot is passed over', { error: error.message });
    const snapshots = openSnapshots(join(folder, 'snapshots'), { disk, onDamaged });
    const raftLog = await openRaftLog(join(folder, 'log'), { disk, ...(segmentBytes && { segmentBytes }) });
    return { log: raftLog, stable, snapshots, instance, lock, isAnew };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Data that a recovery left behind is kept, under another name, for whoever misses a write; this server begins anew. */
async function putAside(folder: string, epoch: number, disk: Disk, log: Log): Promise<void> {
  const parent = dirname(folder);
  const taken = new Set(disk.list(parent));
  let name = `raft-of-epoch-${epoch}`;
  for (let i = 2; taken.has(name); i++) name = `raft-of-epoch-${epoch}-${i}`;
  disk.rename(folder, join(parent, name));
  await disk.syncDir(parent);
  log.warn('the data of a group that is no more was put aside', { folder: join(parent, name) });
}

/** Founds a group of one voter where nothing is stored yet. */
export async function foundGroup(stores: Stores, id: string): Promise<void> {
  const { log, stable, snapshots } = stores;
  const state = stable.load();
  if (log.lastIndex() > 0 || snapshots.latest() !== null || state.commit > 0) return;
  // The term first: a crash between the two writes leaves an empty log, which is founded again.
  await stable.save({ term: Math.max(1, state.term), vote: state.vote, commit: 0 });
  const data = encodeMembership({ voters: [id], learners: [] });
  await log.append([{ term: 1, index: 1, type: 'config', data }]);
}

/** Checks that what is stored belongs together. Throws E_STORAGE when something is missing that others count on. */
export function checkStores({ log, stable }: Stores): void {
  const state = stable.load();
  const last = log.lastIndex();
  if (last < state.commit) {
    throw lost(`the raft log ends at entry ${last}, though ${state.commit} were committed`);
  }
  const lastTerm = log.term(last) ?? 0;
  if (lastTerm > state.term) {
    throw lost(`the raft log is of term ${lastTerm}, but term and vote are of term ${state.term} or missing`);
  }
}

/**
 * Restores the newest snapshot that is whole, and returns it: null when the log holds everything from its beginning.
 * A log that does not reach the snapshot, or disagrees with it, begins anew after it. Throws E_STORAGE when what is
 * missing is nowhere.
 */
export async function restoreSnapshot(stores: Stores, fsm: StateMachine, log: Log): Promise<SnapshotMeta | null> {
  const first = stores.log.firstIndex();
  for (const meta of stores.snapshots.list()) {
    if (meta.index + 1 < first) break;
    try {
      await fsm.restore(stores.snapshots.open(meta), meta.index);
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'E_STORAGE') throw error;
      log.warn('a snapshot is passed over, the one before it is tried', { error: error.message });
      continue;
    }
    log.info('restored from a snapshot', { index: meta.index, term: meta.term });
    await beginLogAfter(stores, meta);
    return meta;
  }
  if (first > 1) throw lost(`entries before ${first} are in no snapshot that can be read`);
  return null;
}

/**
 * Begins the log anew after a snapshot, unless it goes through it: what then follows in it may be acknowledged, and is counted
 * on. A log that disagrees at the snapshot holds nothing beyond it that could be committed.
 */
async function beginLogAfter({ log, stable }: Stores, meta: SnapshotMeta): Promise<void> {
  if (log.term(meta.index) === meta.term) return;
  const state = stable.load();
  // The term first: a log of a term that the vote is not of would not be started from.
  if (state.term < meta.term) await stable.save({ term: meta.term, vote: '', commit: state.commit });
  await log.reset(meta);
}

/** Entries that are looked at together. */
const LOOK_BYTES = 1024 * 1024;

/** Throws E_NOT_SUPPORTED when the log holds what only a newer program can apply: better now than in the middle of it. */
export function checkVersions({ log }: Stores): void {
  const last = log.lastIndex();
  for (let from = log.firstIndex(); from <= last; ) {
    const entries = log.entries(from, last, LOOK_BYTES);
    for (const { type, data } of entries) {
      const version = type === 'command' ? versionOfEncoded(data) : 0;
      if (version > COMMANDS_VERSION) throw tooNew(version);
    }
    from += Math.max(1, entries.length);
  }
}

/** The newest membership that is stored, committed or not. */
export function storedMembership({ log }: Stores, snapshot: SnapshotMeta | null): Membership {
  const at = log.configIndexes().at(-1) ?? 0;
  const entry = at > (snapshot?.index ?? 0) ? log.entries(at, at, 0)[0] : undefined;
  if (entry !== undefined) return decodeMembership(entry.data);
  return snapshot?.membership ?? NO_MEMBERS;
}

/**
 * Notes that the data is opened once more. Data without an owner that holds anything is this server's, from a version that
 * kept no instance. A copy of the data becomes another instance, which its group must admit; one that is alone in its
 * group has nobody who counts on what the original promised. Throws E_CONFLICT for another server's data.
 */
export async function openLife(
  stores: Stores,
  options: { id: string; membership: Membership; random: Random; log: Log },
): Promise<Instance> {
  const { id, membership, random, log } = options;
  const { voters, learners } = membership;
  const kept = stores.instance.load();
  const owner = kept?.id ?? (voters.length === 0 || [...voters, ...learners].includes(id) ? id : voters.join(', '));
  if (owner !== id) {
    throw new MeshError(
      'E_CONFLICT',
      `this data directory belongs to server ${owner}, this is ${id}: ` +
        'use another data directory, or bring back the identity that belongs to this one',
    );
  }
  const alone = voters.length === 1 && voters[0] === id;
  let life: Instance;
  if (kept === null) {
    life = {
      id,
      instance: newInstance(random),
      starts: 1,
      admitted: voters.length > 0,
      epoch: FIRST_EPOCH,
      abandoned: false,
    };
  } else if (stores.instance.moved) {
    log.warn(
      alone
        ? 'the data was moved or restored: it is this group’s now'
        : 'the data was moved or restored: this server takes part again once the leader has admitted it anew',
    );
    life = { ...kept, instance: newInstance(random), starts: 1, admitted: alone };
  } else {
    life = { ...kept, starts: kept.starts + 1 };
  }
  await stores.instance.save(life);
  return life;
}

/** A raft machine as it is after a crash: it knows what is durable. */
export function machineFrom(
  { log, stable }: Stores,
  server: { id: string; random: Random; latest: () => SnapshotMeta | null; applied: number },
): Raft {
  const { id, random, latest, applied } = server;
  return new Raft({
    id,
    electionTicks: ELECTION_TICKS,
    heartbeatTicks: HEARTBEAT_TICKS,
    random,
    log,
    snapshots: { latest },
    hardState: stable.load(),
    applied,
  });
}

/** A name for data that has none yet. */
export function newInstance(random: Random): string {
  const half = (): string =>
    randomInt(random, 2 ** 32)
      .toString(16)
      .padStart(8, '0');
  // All zeros stand for nobody.
  return `1${half().slice(1)}${half()}`;
}

function lost(what: string): MeshError {
  return new MeshError(
    'E_STORAGE',
    `${what}: acknowledged writes are missing, so this server does not start with what is left; ` +
      'restore the data directory from a backup, or let this server join anew',
  );
}
