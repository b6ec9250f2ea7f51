import type { Driver } from '../plugin/sdk/driver.js';
import type { ClientDb } from '../storage/client-db.js';
import type { Node } from '../structs/node.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import type { ClientConfig } from './config.js';
import type { TaskHook } from './hooks/hook.js';
import type { Timers } from './timers.js';

/** What the parts of a client share. */
export interface ClientContext {
  /** Replaced as a whole by a reload. */
  config: () => ClientConfig;
  node: () => Node;
  drivers: Readonly<Record<string, Driver>>;
  hooks: readonly TaskHook[];
  db: ClientDb;
  timers: Timers;
  random: Random;
  log: Log;
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
