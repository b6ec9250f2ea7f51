import { openConsensus, type RunningConsensus } from '../../../lib/server/consensus.js';
import type { ServerPeers } from '../../../lib/server/ports.js';
import { createServer, type Server } from '../../../lib/server/server.js';
import { createStateMachine } from '../../../lib/state/fsm.js';
import { createStore, type Store } from '../../../lib/state/store.js';
import type { Disk } from '../../../lib/storage/index.js';
import { MeshError } from '../../../lib/structs/errors.js';
import type { RpcMethods } from '../../../lib/structs/rpc.js';
import type { RpcCaller, RpcMethod } from '../../../lib/transport/rpc.js';
import { createLog, type LogRecord } from '../../../lib/util/log.js';
import { type Random, randomInt, seededRandom } from '../../../lib/util/random.js';
import { meshCommands } from '../../server/mesh-state.js';
import { FaultyDisk } from '../../storage/faulty-disk.js';
import { mountDisk } from '../consensus/disk.js';
import { SimNetwork } from '../consensus/network.js';
import { SimProcess, SimTime } from '../consensus/time.js';

/** One server: its disk stays, its program comes and goes. */
export interface SimServer {
  readonly id: string;
  readonly disk: FaultyDisk;
  running: { process: SimProcess; consensus: RunningConsensus; server: Server; store: Store } | null;
}

const START_MS = Date.UTC(2026, 0, 1);
/** How long a link takes to be given up when the other side is gone. */
const LINK_LOST_MS = 400;

/** Whole servers in one process, over simulated network, disks and time: endpoints, forwarding, autopilot, consensus. */
export class ServersWorld {
  readonly time = new SimTime();
  readonly random: Random;
  readonly network: SimNetwork;
  readonly servers: SimServer[];
  /** Servers that heard that their group was recovered without them. */
  readonly abandoned: string[] = [];
  readonly records: { at: number; id: string; record: LogRecord }[] = [];

  constructor(options: { seed: number; count: number }) {
    this.random = seededRandom(options.seed);
    this.network = new SimNetwork(this.time, seededRandom(options.seed + 1));
    this.servers = Array.from({ length: options.count }, (_, i) => ({
      id: `s${i}`,
      disk: new FaultyDisk(),
      running: null,
    }));
  }

  get(id: string): SimServer {
    const found = this.servers.find((server) => server.id === id);
    if (!found) throw new Error(`no server ${id}`);
    return found;
  }

  /** Whoever leads with the highest term. */
  get leader(): SimServer | undefined {
    const leading = this.servers.filter(({ running }) => running?.consensus.isLeader);
    return leading.sort((a, b) => (b.running?.consensus.term() ?? 0) - (a.running?.consensus.term() ?? 0))[0];
  }
  get voters(): string[] {
    return [...(this.leader?.running?.consensus.membership().voters ?? [])].sort();
  }

  /** The first server founds the mesh; all that there are belong to it from the start. */
  async found(): Promise<void> {
    await this.start('s0', true);
    await this.time.run(5_000, () => this.leader !== undefined);
    const others = this.servers.slice(1).map(({ id }) => ({ Key: id }));
    for (const command of meshCommands('s0', others)) {
      let kept = false;
      void this.leader?.running?.consensus.propose(command).then(() => {
        kept = true;
      });
      await this.time.run(5_000, () => kept);
    }
  }

  async start(id: string, found = false): Promise<void> {
    const own = this.get(id);
    const process = new SimProcess(this.time);
    const store = createStore();
    const log = createLog((record) => this.records.push({ at: this.time.nowMs, id, record }));
    const opened = openConsensus({
      dataDir: '/data',
      id,
      found,
      transport: this.network.attach(id, process),
      fsm: createStateMachine(store),
      timers: process.timers,
      now: () => this.time.nowMs,
      random: seededRandom(randomInt(this.random, 2 ** 31)),
      log,
      // Small, so that a follower sometimes needs a snapshot, and copying a simulated disk costs little.
      limits: { snapshotBytes: 200_000, segmentBytes: 16_384 },
      onAbandoned: () => this.abandoned.push(id),
      disk: withFolders(mountDisk(own.disk, process, { syncMs: () => 0.5 }), own.disk),
    });
    let consensus: RunningConsensus | undefined;
    opened.then(
      (value) => {
        consensus = value;
      },
      (error: Error) =>
        this.records.push({
          at: this.time.nowMs,
          id,
          record: { level: 'error', name: 'start', message: error.message, fields: {} },
        }),
    );
    // While all others are down nothing else happens: a start takes many turns, and needs something that gives it these.
    const goOn = (): void => {
      if (consensus === undefined && !process.dead) this.time.after(1, goOn);
    };
    goOn();
    await this.time.run(5_000, () => consensus !== undefined);
    if (!consensus) {
      process.dead = true;
      throw new Error(`${id} did not start: ${this.tail()}`);
    }
    const server = createServer({
      consensus,
      group: consensus,
      peers: this.#peersOf(id, process),
      store,
      now: () => START_MS + this.time.nowMs,
      random: seededRandom(randomInt(this.random, 2 ** 31)),
      log,
      timers: process.timers,
      config: { region: 'global', servers: () => this.servers.map((one) => one.id) },
    });
    own.running = { process, consensus, server, store };
    server.start();
    consensus.start();
  }

  /** The power fails. */
  kill(id: string): void {
    const own = this.get(id);
    if (!own.running) return;
    own.running.process.dead = true;
    own.running = null;
    own.disk.crash(this.random);
  }

  #peersOf(from: string, process: SimProcess): ServerPeers {
    return {
      serverCaller: (id) => this.caller(from, id, process),
      health: (id) => (this.get(id).running ? 'alive' : 'dead'),
      onHealth() {},
      link: () => null,
      self: () => ({
        Name: from,
        Version: '0.0.0',
        NeverVotes: false,
        Wired: true,
        Mains: true,
        ServerLinks: 1,
        RelayedLinks: 0,
      }),
    };
  }

  /** Calls of one server to another; a dead one, or a cut, shows after a while. `process` null: a person's own machine. */
  caller(from: string, to: string, process: SimProcess | null): RpcCaller {
    const after = (ms: number, fn: () => void): void => {
      this.time.after(ms, () => (process ? process.enter(fn) : fn()));
    };
    const delayMs = (): number => 0.2 + this.random.next();
    const isCut = (): boolean => this.network.cut.has(`${from}>${to}`) || this.network.cut.has(`${to}>${from}`);
    return {
      call: (method, args, { signal, timeoutMs } = {}) =>
        new Promise((resolve, reject) => {
          const fail = (why: string): void => reject(new MeshError('E_TIMEOUT', why));
          if (timeoutMs !== undefined) after(timeoutMs, () => fail(`no answer to ${method} within ${timeoutMs} ms`));
          signal?.addEventListener('abort', () => fail('given up'), { once: true });
          this.time.after(delayMs(), () => {
            const target = this.get(to).running;
            if (!target || isCut()) {
              after(LINK_LOST_MS, () => fail(`the link to ${to} was lost`));
              return;
            }
            const watch = (): void => {
              if (target.process.dead || isCut()) after(LINK_LOST_MS, () => fail(`the link to ${to} was lost`));
              else this.time.after(100, watch);
            };
            this.time.after(100, watch);
            target.process.enter(() => {
              const answer = (error: Error | null, value?: unknown): void => {
                if (target.process.dead || isCut()) return;
                after(delayMs(), () => (error ? reject(error) : resolve(value as never)));
              };
              const handler = target.server.handlers[method] as (a: object, c: object) => Promise<unknown>;
              handler(args, { signal: signal ?? new AbortController().signal }).then(
                (value) => answer(null, value),
                (error: Error) => answer(error),
              );
            });
          });
        }),
      stream() {
        throw new Error('no streams here');
      },
    };
  }

  /** Asks a server from outside; what comes of it, and when. */
  ask<M extends RpcMethod>(id: string, method: M, args: RpcMethods[M]['args']): Asked<RpcMethods[M]['reply']> {
    const asked: Asked<RpcMethods[M]['reply']> = { beganMs: this.time.nowMs, endedMs: null, value: null, error: null };
    this.caller('person', id, null)
      .call(method, args)
      .then(
        (value) => {
          asked.value = value;
          asked.endedMs = this.time.nowMs;
        },
        (error: Error) => {
          asked.error = error;
          asked.endedMs = this.time.nowMs;
        },
      );
    return asked;
  }

  /** One line per server, for the report of a failed seed. */
  describe(): string {
    return this.servers
      .map(({ id, running }) => {
        if (running === null) return `${id} down`;
        const { consensus } = running;
        const { state, admitted, term, lastIndex, commitIndex, appliedIndex } = consensus.stats();
        const { voters, learners } = consensus.membership();
        const log = `applied ${appliedIndex} commit ${commitIndex} last ${lastIndex}`;
        return `${id} ${state}${admitted ? '' : ' stranger'}${consensus.isLeader ? ' leads' : ''} term ${term} ${log} voters ${voters} learners ${learners} follows ${consensus.leader}`;
      })
      .join('\n');
  }

  /** What the servers said last. */
  tail(count = 25): string {
    return this.records
      .filter(({ record }) => record.level !== 'debug')
      .slice(-count)
      .map(
        ({ at, id, record }) =>
          `${Math.round(at)} ${id} ${record.name} ${record.message} ${JSON.stringify(record.fields)}`,
      )
      .join('\n');
  }
}

/** The simulated disk knows files only: a folder that is renamed is all files below it. */
function withFolders(disk: Disk, files: FaultyDisk): Disk {
  return {
    ...disk,
    rename(from, to) {
      const inside = files.paths().filter((path) => path.startsWith(`${from}/`));
      if (inside.length === 0) disk.rename(from, to);
      for (const path of inside) disk.rename(path, `${to}${path.slice(from.length)}`);
    },
  };
}

export interface Asked<T> {
  readonly beganMs: number;
  endedMs: number | null;
  value: T | null;
  error: Error | null;
}
