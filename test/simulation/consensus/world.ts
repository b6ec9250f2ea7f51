import type { RunningConsensus } from '../../../lib/server/consensus.js';
import { openConsensus } from '../../../lib/server/consensus.js';
import { decodePacket } from '../../../lib/server/raft-packet.js';
import { MeshError } from '../../../lib/structs/errors.js';
import type { LogRecord } from '../../../lib/util/log.js';
import { createLog } from '../../../lib/util/log.js';
import type { Random } from '../../../lib/util/random.js';
import { randomInt, seededRandom } from '../../../lib/util/random.js';
import { FaultyDisk } from '../../storage/faulty-disk.js';
import type { DiskSpeed } from './disk.js';
import { mountDisk } from './disk.js';
import { SimNetwork } from './network.js';
import { Registers } from './registers.js';
import { SimProcess, SimTime } from './time.js';
import { Watch } from './watch.js';

export interface SimServer {
  readonly id: string;
  disk: FaultyDisk;
  speed: DiskSpeed;
  process: SimProcess | null;
  consensus: RunningConsensus | null;
  state: Registers;
}

export interface WorldOptions {
  readonly seed: number;
  readonly ids: readonly string[];
}

const FAST_DISK_MS = 0.5;

/** Servers in one process, on the production code of consensus and storage; network, disks and time are simulated. */
export class World {
  readonly time = new SimTime();
  readonly random: Random;
  readonly network: SimNetwork;
  readonly watch = new Watch();
  readonly servers = new Map<string, SimServer>();
  readonly records: { at: number; id: string; record: LogRecord }[] = [];
  /** Sees what the servers log, as it happens. */
  onLog: (server: SimServer, record: LogRecord) => void = () => {};
  /** Small, so that followers often need a snapshot. */
  readonly snapshotBytes: number;

  constructor(options: WorldOptions) {
    this.random = seededRandom(options.seed);
    this.snapshotBytes = this.pick([1000, 4000]);
    this.network = new SimNetwork(this.time, seededRandom(randomInt(this.random, 2 ** 31)));
    this.network.onSend = (from, to, message) => this.#inspect(from, to, message);
    for (const id of options.ids) {
      const state = new Registers(() => {});
      const speed = { syncMs: () => FAST_DISK_MS * (0.5 + this.random.next()) };
      this.servers.set(id, { id, disk: new FaultyDisk(), speed, process: null, consensus: null, state });
    }
  }

  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[randomInt(this.random, from.length)] as T;
  }

  server(id: string): SimServer {
    const server = this.servers.get(id);
    if (server === undefined) throw new Error(`no server ${id}`);
    return server;
  }

  get up(): { server: SimServer; consensus: RunningConsensus }[] {
    return [...this.servers.values()].flatMap((server) =>
      server.consensus === null ? [] : [{ server, consensus: server.consensus }],
    );
  }

  /** Whoever leads with the highest term. */
  get leader(): { server: SimServer; consensus: RunningConsensus } | undefined {
    const leading = this.up.filter(({ consensus }) => consensus.isLeader);
    return leading.sort((a, b) => b.consensus.term() - a.consensus.term())[0];
  }

  /** Starts a server's program on its disk. A disk that refuses leaves it down. */
  async start(server: SimServer, options: { found?: boolean } = {}): Promise<void> {
    const process = new SimProcess(this.time);
    server.process = process;
    const { id } = server;
    server.state = new Registers((index, hash) => this.watch.applied(id, index, hash));
    const log = createLog((record) => {
      this.records.push({ at: this.time.nowMs, id, record });
      this.onLog(server, record);
    });
    try {
      const consensus = await openConsensus({
        dataDir: '/data',
        id,
        found: options.found ?? false,
        transport: this.network.attach(id, process),
        fsm: server.state,
        timers: process.timers,
        now: () => this.time.nowMs,
        random: seededRandom(randomInt(this.random, 2 ** 31)),
        log,
        limits: { snapshotBytes: this.snapshotBytes, segmentBytes: 4096 },
        disk: mountDisk(server.disk, process, server.speed),
      });
      if (process.dead) return;
      consensus.onLeadership((leads) => {
        if (leads) this.watch.leads(id, consensus.term(), consensus.appliedIndex());
      });
      server.consensus = consensus;
      consensus.start();
    } catch (error) {
      if (process.dead) return;
      if (!(error instanceof MeshError)) throw error;
      this.watch.refusedToStart(id, error);
      if (server.process === process) server.process = null;
      process.dead = true;
    }
  }

  /** The power fails: unsynced data is lost, or half of it. */
  crash(server: SimServer): void {
    if (server.process === null) return;
    this.watch.seen.crashes++;
    server.process.dead = true;
    server.process = null;
    server.consensus = null;
    server.disk.crash(this.random);
  }

  /** The program stands still, as its machine sleeps. */
  suspend(server: SimServer, ms: number): void {
    if (server.process !== null) server.process.suspendedUntilMs = this.time.nowMs + ms;
  }

  /** Founds a group on the first server, and has the others added one by one. */
  async found(voters: readonly string[]): Promise<void> {
    const [first, ...others] = voters;
    if (first === undefined) throw new Error('nobody to found with');
    await this.startAll([first], { found: true });
    await this.startAll(others);
    const has = (id: string): boolean => this.leader?.consensus.membership().voters.includes(id) ?? false;
    for (const id of others) {
      const added = await this.time.run(20_000, () => {
        this.promote(id);
        return has(id);
      });
      if (!added) throw new Error(`${id} did not become a voter${this.describe()}`);
    }
  }

  async startAll(ids: readonly string[], options: { found?: boolean } = {}): Promise<void> {
    for (const id of ids) void this.start(this.server(id), options);
    const all = await this.time.run(5000, () => ids.every((id) => this.server(id).consensus !== null));
    if (!all) throw new Error(`${ids} did not start${this.describe()}`);
  }

  #promotedAt = new Map<string, number>();

  /** What an autopilot does: adds a server as learner, and makes it a voter when it has caught up. */
  promote(id: string): void {
    const { leader } = this;
    const last = this.#promotedAt.get(id) ?? Number.NEGATIVE_INFINITY;
    if (leader === undefined || this.time.nowMs - last < 50) return;
    this.#promotedAt.set(id, this.time.nowMs);
    const { voters, learners } = leader.consensus.membership();
    if (voters.includes(id)) return;
    const follower = leader.consensus.followers().find((one) => one.id === id);
    const isCaughtUp = follower !== undefined && follower.matchIndex >= leader.consensus.lastIndex() - 5;
    if (!learners.includes(id)) this.change({ type: 'addLearner', id });
    else if (isCaughtUp && follower.matchIndex > 0) this.change({ type: 'addVoter', id });
  }

  change(change: { type: 'addVoter' | 'addLearner' | 'remove'; id: string }): void {
    const { leader } = this;
    if (leader === undefined) return;
    leader.server.process?.enter(() => {
      leader.consensus.change(change).then(
        () => {
          this.watch.seen.changes++;
        },
        (error) => this.watch.expected(error),
      );
    });
  }

  /** Nobody votes for two in one term, whatever it forgot (Raft §5.2). */
  #inspect(from: string, to: string, bytes: Uint8Array): void {
    const packet = decodePacket(bytes, { from, to });
    if (!packet.ok) throw new Error(`a packet that cannot be read: ${packet.error}`);
    this.watch.seen.packets++;
    for (const message of packet.value.messages) {
      if (message.type === 'voteResponse' && !message.pre && message.granted) {
        const kept = this.#keptVote(this.server(from));
        this.watch.voted({ voter: from, term: message.term, candidate: to, kept });
      }
    }
  }

  #keptVote(server: SimServer): { term: number; vote: string } {
    const text = server.disk.durableText('/data/raft/vote.json');
    return text === '' ? { term: 0, vote: '' } : (JSON.parse(text) as { term: number; vote: string });
  }

  /** One line per server, for the report of a failed seed. */
  describe(): string {
    const lines = [...this.servers.values()].map(({ id, consensus }) => {
      if (consensus === null) return `${id} down`;
      const { state, admitted, term, lastIndex, commitIndex, appliedIndex, snapshotIndex } = consensus.stats();
      const { voters, learners } = consensus.membership();
      const log = `snapshot ${snapshotIndex} applied ${appliedIndex} commit ${commitIndex} last ${lastIndex}`;
      return `${id} ${state}${admitted ? '' : ' stranger'}${consensus.isLeader ? ' leads' : ''} term ${term} ${log} voters ${voters} learners ${learners} follows ${consensus.leader}`;
    });
    return `\n${lines.join('\n')}`;
  }

  /** The latest lines of all logs. */
  latestLog(count: number): string {
    return this.records
      .slice(-count)
      .map(
        ({ at, id, record }) =>
          `${at.toFixed(1)} ${id} ${record.level} ${record.message} ${JSON.stringify(record.fields)}`,
      )
      .join('\n');
  }
}
