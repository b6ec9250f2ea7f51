import { join } from 'node:path';
import { FeedPart } from '../server/feed/part.js';
import type { StateMachine } from '../server/ports.js';
import { systemTimers } from '../server/timers.js';
import type { Cores } from '../storage/index.js';
import { EntryChain, openCores } from '../storage/index.js';
import type { Log } from '../util/log.js';
import type { AgentMesh } from './mesh/agent-mesh.js';

export interface AgentFeed {
  readonly part: FeedPart;
  readonly chain: EntryChain;
  /** Closes the cores of this process as well. */
  close(): Promise<void>;
}

/** The part in the feed of an agent that is a server of a mesh. Its cores lie in `dataDir`/cores, and are opened when needed. */
export function createAgentFeed(options: {
  dataDir: string;
  id: string;
  mesh: AgentMesh;
  fsm: StateMachine;
  log: Log;
}): AgentFeed {
  const { dataDir, id, mesh, fsm, log } = options;
  const chain = new EntryChain();
  let folder = join(dataDir, 'cores');
  let cores: Promise<Cores> | undefined;
  const part = new FeedPart({
    folder: join(dataDir, 'server', 'feed'),
    id,
    fsm,
    chain,
    cores: () => {
      const opening = cores ?? openCores(folder, { log });
      cores = opening;
      // A disk that was full or unwell may be better at the next look.
      opening.catch(() => {
        if (cores === opening) cores = undefined;
      });
      return opening;
    },
    async condemnCores() {
      const damaged = await cores?.catch(() => undefined);
      cores = undefined;
      folder = (await damaged?.condemn()) ?? folder;
    },
    peers: mesh.serverPeers,
    servers: () => mesh.member.servers(),
    timers: systemTimers,
    now: () => performance.now(),
    log,
  });
  return {
    part,
    chain,
    async close() {
      await part.close();
      const opened = await cores?.catch(() => undefined);
      await opened?.close();
    },
  };
}
