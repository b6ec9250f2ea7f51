import { encodeMembership } from '../raft/index.js';
import { FIRST_EPOCH } from '../storage/index.js';
import { MeshError } from '../structs/errors.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import type { HostState } from './consensus-state.js';
import { newInstance, openStores, type Stores, storedMembership } from './consensus-stores.js';

// After the loss of a majority nobody can decide anything, also not who the others are from now on. A person can: one server's
// log, with all that is in it, becomes the whole truth, and that server the only voter. What only others had is lost. The epoch
// keeps them from going on beside it: whoever meets a later one puts its own data aside.

/** Appends the membership of one to the log, in a term that nobody has seen. Rejects with E_BAD_REQUEST when there is no log. */
export async function becomeSoleVoter({ log, stable, snapshots }: Stores, id: string): Promise<void> {
  const last = log.lastIndex();
  if (last === 0 && snapshots.latest() === null) {
    throw new MeshError('E_BAD_REQUEST', 'this server has no log to go on from: recover one that votes, or stands by');
  }
  const state = stable.load();
  const term = Math.max(state.term, log.term(last) ?? 0) + 1;
  // The term first: a log of a term that the vote is not of would not be started from.
  await stable.save({ term, vote: id, commit: state.commit });
  const data = encodeMembership({ voters: [id], learners: [] });
  await log.append([{ term, index: last + 1, type: 'config', data }]);
}

/** Why a running server cannot be made the only voter, if so. */
export function refusalToRecover(host: { state: HostState; leader: string; isOutside: boolean }): MeshError | null {
  const { state, leader, isOutside } = host;
  if (leader !== '') return new MeshError('E_CONFLICT', `${leader} leads: there is a majority, and nothing to recover`);
  if (state.kind !== 'running') {
    return new MeshError('E_CONFLICT', 'this server does not take part at the moment: its log says why');
  }
  if (!isOutside) return null;
  return new MeshError('E_BAD_REQUEST', 'this server has no log to go on from: recover one that votes, or stands by');
}

export function abandonedError({ epoch, own }: { epoch: number; own: number }): MeshError {
  return new MeshError(
    'E_CONFLICT',
    `the other servers were recovered without this one (epoch ${epoch}, here ${own}): start this agent again, and it begins anew as one of them`,
  );
}

/** What lies in a data directory whose agent does not run. */
export interface StoredGroup {
  readonly id: string;
  readonly epoch: number;
  readonly term: number;
  readonly lastIndex: number;
  readonly voters: readonly string[];
  readonly learners: readonly string[];
}

interface Where {
  /** The server's own: `<data_dir>/server`. */
  readonly dataDir: string;
  readonly log: Log;
}

/** Looks at the data of a server that does not run. Rejects with E_CONFLICT when it does, E_STORAGE when it cannot be read. */
export function inspectStoredGroup(where: Where): Promise<StoredGroup> {
  return withStores(where, async (stores) => describe(stores));
}

/** Makes a server that does not run the only voter of a new epoch. Rejects as inspectStoredGroup does. */
export function recoverStoredGroup(where: Where & { id: string; random: Random }): Promise<StoredGroup> {
  return withStores(where, async (stores) => {
    const kept = stores.instance.load();
    if (kept && kept.id !== where.id) {
      throw new MeshError('E_CONFLICT', `this data belongs to server ${kept.id}, not to ${where.id}`);
    }
    await becomeSoleVoter(stores, where.id);
    await stores.instance.save({
      id: where.id,
      instance: newInstance(where.random),
      // It is opened for the first time when its agent starts.
      starts: 0,
      admitted: true,
      epoch: (kept?.epoch ?? FIRST_EPOCH) + 1,
      abandoned: false,
    });
    return describe(stores);
  });
}

async function withStores<T>({ dataDir, log }: Where, act: (stores: Stores) => Promise<T>): Promise<T> {
  const stores = await openStores({ dataDir, log });
  try {
    return await act(stores);
  } finally {
    await stores.log.close();
    stores.lock.release();
  }
}

function describe(stores: Stores): StoredGroup {
  const { log, stable, snapshots, instance } = stores;
  const { voters, learners } = storedMembership(stores, snapshots.latest());
  const kept = instance.load();
  return {
    id: kept?.id ?? '',
    epoch: kept?.epoch ?? FIRST_EPOCH,
    term: stable.load().term,
    lastIndex: log.lastIndex(),
    voters,
    learners,
  };
}
