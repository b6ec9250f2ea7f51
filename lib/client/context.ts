import type { Driver } from '../plugin/sdk/driver.js';
import type { ClientDb } from '../storage/client-db.js';
import type { Node } from '../structs/node.js';
import type { RpcCaller } from '../transport/rpc.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import type { AllocHook } from './alloc-hooks/hook.js';
import type { ClientConfig } from './config.js';
import type { ClientCsi } from './csi/client-csi.js';
import type { Devices } from './devices.js';
import type { TaskHook } from './hooks/hook.js';
import type { HostVolumes } from './host-volumes/host-volumes.js';
import type { Timers } from './timers.js';
import type { VolumeLease } from './volume-lease.js';

/** What is kept of the servers' answers holds once none was linked for so long: work that can begin does not wait for a link. */
export const OFFLINE_MS = 1_000;

/** What the parts of a client share. */
export interface ClientContext {
  /** Replaced as a whole by a reload. */
  config: () => ClientConfig;
  node: () => Node;
  /** The only way to the servers. */
  rpc: RpcCaller;
  drivers: Readonly<Record<string, Driver>>;
  devices: Pick<Devices, 'reserve'>;
  csi: ClientCsi;
  hostVolumes: HostVolumes;
  allocHooks: readonly AllocHook[];
  hooks: readonly TaskHook[];
  db: ClientDb;
  /** Of the claims on volumes of this node. */
  lease: VolumeLease;
  timers: Timers;
  random: Random;
  log: Log;
}

/** What a hook keeps over restarts of the agent: one JSON value. */
export interface HookState {
  /** Null when nothing is kept. */
  get(): unknown;
  /** Null forgets it. */
  put(state: unknown): void;
}

/** The place of one hook in the client's memory. */
export function hookState(context: Pick<ClientContext, 'db' | 'log'>, allocId: string, key: string): HookState {
  return {
    get: () => context.db.allocs.get(allocId)?.hooks[key] ?? null,
    put: (state) => persist(context, (db) => db.putHook(allocId, key, state)),
  };
}

/** Writes to the client's memory; what the disk refuses is told, and made up for by a later write. */
export function persist(context: Pick<ClientContext, 'db' | 'log'>, write: (db: ClientDb) => void): void {
  try {
    write(context.db);
  } catch (error) {
    context.log.error('client state is not on disk: a restart of the agent now would forget it', {
      error: error instanceof Error ? error.message : String(error),
    });
  }
}
