import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { inspectStoredGroup, recoverStoredGroup, type StoredGroup } from '../server/consensus-recover.js';
import { acquireLock } from '../storage/index.js';
import { MeshError } from '../structs/errors.js';
import { ensureIdentity } from '../transport/identity.js';
import { silentLog } from '../util/log.js';

/** What a server that does not run has in its data directory. Throws MeshError when it runs, or is none. */
export function inspectDataDir(dataDir: string): Promise<StoredGroup> {
  return locked(dataDir, (serverDir) => inspectStoredGroup({ dataDir: serverDir, log: silentLog }));
}

/** Makes it the only voter of a new epoch; in force at its next start. */
export function recoverDataDir(dataDir: string): Promise<StoredGroup> {
  return locked(dataDir, (serverDir) =>
    recoverStoredGroup({
      dataDir: serverDir,
      id: ensureIdentity(resolve(dataDir)).publicKey,
      random: { next: Math.random },
      log: silentLog,
    }),
  );
}

/** An agent must not start meanwhile. */
async function locked<T>(dataDir: string, act: (serverDir: string) => Promise<T>): Promise<T> {
  const serverDir = join(resolve(dataDir), 'server');
  if (!existsSync(join(serverDir, 'raft'))) {
    throw new MeshError('E_NOT_FOUND', `${dataDir} holds no server: name the data_dir of one that voted, or stood by`);
  }
  const lock = acquireLock(resolve(dataDir));
  try {
    return await act(serverDir);
  } finally {
    lock.release();
  }
}
