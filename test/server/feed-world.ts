import { join } from 'node:path';
import type { RunningConsensus } from '../../lib/server/consensus.js';
import { openConsensus } from '../../lib/server/consensus.js';
import { FeedPart } from '../../lib/server/feed/part.js';
import type { RaftTransport } from '../../lib/server/ports.js';
import { systemTimers } from '../../lib/server/timers.js';
import type { Cores } from '../../lib/storage/index.js';
import { EntryChain, openCores } from '../../lib/storage/index.js';
import { localCaller } from '../../lib/transport/local.js';
import type { LogRecord } from '../../lib/util/log.js';
import { createLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { Registers } from '../simulation/consensus/registers.js';

type Received = Parameters<RaftTransport['onSnapshot']>[0];

/** A server with its consensus, its feed and its disk. What it applies it applies in order and once, or it throws. */
export class FeedServer {
  readonly id: string;
  readonly folder: string;
  readonly #world: FeedWorld;
  readonly records: LogRecord[] = [];
  fsm!: Registers;
  chain!: EntryChain;
  part!: FeedPart;
  consensus!: RunningConsensus;
  onMessage: (from: string, message: Uint8Array) => void = () => {};
  onSnapshot: Received = async () => {};
  #cores: Promise<Cores> | undefined;
  #coresFolder = '';

  constructor(world: FeedWorld, id: string, folder: string) {
    this.#world = world;
    this.id = id;
    this.folder = folder;
  }

  async start(found: boolean): Promise<this> {
    const log = createLog((record) => this.records.push(record));
    const now = (): number => performance.now();
    this.fsm = new Registers(() => {});
    this.chain = new EntryChain();
    this.#cores = undefined;
    this.#coresFolder = join(this.folder, 'cores');
    this.part = new FeedPart({
      folder: join(this.folder, 'feed'),
      id: this.id,
      fsm: this.fsm,
      chain: this.chain,
      cores: () => {
        this.#cores ??= openCores(this.#coresFolder, { log });
        return this.#cores;
      },
      condemnCores: async () => {
        const damaged = await this.#cores;
        this.#cores = undefined;
        this.#coresFolder = (await damaged?.condemn()) ?? this.#coresFolder;
      },
      peers: { serverCaller: (id) => this.#world.callerOf(id) },
      servers: () => [...this.#world.servers.keys()],
      timers: systemTimers,
      now,
      log,
      limits: { lookMs: 100, silenceMs: 1500, unaskedMs: 1500 },
    });
    this.consensus = await openConsensus({
      dataDir: this.folder,
      id: this.id,
      found,
      transport: this.#world.transportOf(this),
      fsm: this.fsm,
      chain: this.chain,
      replica: this.part,
      timers: systemTimers,
      now,
      random: seededRandom(this.id.charCodeAt(0)),
      log,
    });
    await this.part.start(this.consensus);
    this.consensus.start();
    this.#world.servers.set(this.id, this);
    return this;
  }

  said(message: string): number {
    return this.records.filter((record) => record.message.includes(message)).length;
  }

  async close(): Promise<void> {
    this.#world.servers.delete(this.id);
    await this.consensus.close();
    await this.part.close();
    await (await this.#cores)?.close();
  }
}

/** Servers in one process that hear each other at once. */
export class FeedWorld {
  readonly servers = new Map<string, FeedServer>();
  /** The timers of servers do not keep a process alive: a test that waits for them must. */
  readonly #alive = setInterval(() => {}, 1000);

  callerOf(id: string) {
    const { part } = this.servers.get(id) ?? {};
    return localCaller(part?.handlers ?? {}, part?.streamHandlers ?? {});
  }

  transportOf(server: FeedServer): RaftTransport {
    const from = server.id;
    return {
      send: (to, message) => void setImmediate(() => this.servers.get(to)?.onMessage(from, message)),
      onMessage: (listener) => {
        server.onMessage = listener;
      },
      sendSnapshot: async (to, snapshot) => {
        const receiver = this.servers.get(to);
        if (receiver === undefined) throw new Error(`${to} is down`);
        await receiver.onSnapshot(from, snapshot);
      },
      onSnapshot: (receive) => {
        server.onSnapshot = receive;
      },
    };
  }

  async closeAll(): Promise<void> {
    for (const server of [...this.servers.values()]) await server.close();
    clearInterval(this.#alive);
  }
}
