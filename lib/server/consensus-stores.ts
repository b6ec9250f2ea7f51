import { join } from 'node:path';
import type { LogStore, SnapshotMeta, SnapshotStore, StableStore } from '../raft/index.js';
import { encodeMembership } from '../raft/index.js';
import type { Disk, Lock } from '../storage/index.js';
import {
  acquireLock,
  memoryRaftLog,
  memorySnapshots,
  memoryStable,
  nodeDisk,
  openRaftLog,
  openSnapshots,
  openStable,
} from '../storage/index.js';
import { MeshError } from '../structs/errors.js';
import type { Log } from '../util/log.js';
import type { StateMachine } from './ports.js';

/** What consensus keeps: on disk, or in memory for an agent without state. */
export interface Stores {
  readonly log: LogStore;
  readonly stable: StableStore;
  readonly snapshots: SnapshotStore;
  readonly lock: Lock;
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
    return { log: memoryRaftLog(), stable: memoryStable(), snapshots: memorySnapshots(), lock };
  }
  const folder = join(options.dataDir, 'raft');
  const { disk = nodeDisk, segmentBytes, log } = options;
  const lock = acquireLock(folder);
  try {
    const stable = openStable(folder, { disk });
    const onDamaged = (error: MeshError): void => log.warn('a snapshot is passed over', { error: error.message });
    const snapshots = openSnapshots(join(folder, 'snapshots'), { disk, onDamaged });
    const raftLog = await openRaftLog(join(folder, 'log'), { disk, ...(segmentBytes && { segmentBytes }) });
    return { log: raftLog, stable, snapshots, lock };
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** Founds a group of one voter where nothing is stored yet, if asked; else checks that what is stored belongs together. */
export async function prepareStores(stores: Stores, options: { id: string; found: boolean }): Promise<void> {
  const { id, found } = options;
  const { log, stable, snapshots } = stores;
  const snapshot = snapshots.latest();
  const state = stable.load();
  if (log.lastIndex() === 0 && snapshot === null && state.commit === 0) {
    if (!found) return;
    // The term first: a crash between the two writes leaves an empty log, which is founded again.
    await stable.save({ term: Math.max(1, state.term), vote: state.vote, commit: 0 });
    const data = encodeMembership({ voters: [id], learners: [] });
    await log.append([{ term: 1, index: 1, type: 'config', data }]);
    return;
  }
  if (snapshot !== null && log.lastIndex() < snapshot.index) await log.reset(snapshot);
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
 * Throws E_STORAGE when what it misses is nowhere.
 */
export async function restoreSnapshot(stores: Stores, fsm: StateMachine, log: Log): Promise<SnapshotMeta | null> {
  const first = stores.log.firstIndex();
  for (const meta of stores.snapshots.list()) {
    if (meta.index + 1 < first) break;
    try {
      await fsm.restore(stores.snapshots.open(meta), meta.index);
      log.info('restored from a snapshot', { index: meta.index, term: meta.term });
      return meta;
    } catch (error) {
      if (!(error instanceof MeshError) || error.code !== 'E_STORAGE') throw error;
      log.warn('a snapshot is passed over, the one before it is tried', { error: error.message });
    }
  }
  if (first > 1) throw lost(`entries before ${first} are in no snapshot that can be read`);
  return null;
}

function lost(what: string): MeshError {
  return new MeshError(
    'E_STORAGE',
    `${what}: acknowledged writes are missing, so this server does not start with what is left; ` +
      'restore the data directory from a backup, or let this server join anew',
  );
}
