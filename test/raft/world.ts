import type { Entry, Membership, Message, RaftOptions, Ready, SnapshotMeta } from '../../lib/raft/index.js';
import { encodeMembership, Raft } from '../../lib/raft/index.js';
import type { Random } from '../../lib/util/random.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { Clients } from './clients.js';
import { SimDisk } from './disk.js';

const ELECTION_TICKS = 10;
const HEARTBEAT_TICKS = 2;

/** Chances per message or per step; all 0 is a perfect world. */
export interface Faults {
  loss: number;
  duplicate: number;
  /** A message takes 1 to this many steps, so they overtake each other. */
  delayMax: number;
  /** Chance per step that a write under way is done. */
  diskDone: number;
}

export const CALM: Faults = { loss: 0, duplicate: 0, delayMax: 1, diskDone: 1 };

interface SimState {
  readonly digest: number;
  readonly register: string;
}

/** A server: its disk survives a crash, the rest does not. */
export class SimServer {
  readonly id: string;
  readonly disk = new SimDisk();
  raft: Raft | null = null;
  underWay: Ready | null = null;
  applied = 0;
  digest = 0;
  /** The last value written: the whole state of this state machine. */
  register = '';
  /** What snapshots hold that arrived but are not installed yet. */
  staged = new Map<number, SimState>();

  constructor(id: string) {
    this.id = id;
  }
}

function mix(digest: number, entry: Entry): number {
  let h = digest ^ Math.imul(entry.index, 0x9e3779b1) ^ Math.imul(entry.term, 0x85ebca6b);
  for (const byte of entry.data) h = Math.imul(h ^ byte, 0x01000193);
  return h >>> 0;
}

const TYPE_BYTE = { command: 1, noop: 2, config: 3 } as const;

/** A whole cluster from one seed, which watches over Raft's promises at each step and throws when one is broken. */
export class World {
  readonly random: Random;
  readonly servers = new Map<string, SimServer>();
  readonly cut = new Set<string>();
  faults: Faults = CALM;
  now = 0;
  /** Messages on their way. */
  #flying: { at: number; message: Message; state: SimState }[] = [];
  #leaders = new Map<number, string>();
  #identity = new Map<string, number>();
  #digests = new Map<number, number>();
  #committed: number[] = [];
  #reads = new Map<string, number>();
  #context = 0;
  readonly clients = new Clients();
  /** How often something happened: a simulation in which nothing happens proves nothing. */
  readonly seen = { elections: 0, commits: 0, snapshots: 0, reads: 0, crashes: 0, changes: 0 };

  constructor(seed: number, ids: readonly string[], voters: readonly string[]) {
    this.random = seededRandom(seed);
    for (const id of ids) {
      const server = new SimServer(id);
      if (voters.includes(id)) {
        server.disk.append([{ index: 1, term: 1, type: 'config', data: encodeMembership({ voters, learners: [] }) }]);
        server.disk.hardState = { term: 1, vote: '', commit: 1 };
      }
      this.servers.set(id, server);
      this.start(server);
    }
  }

  server(id: string): SimServer {
    const server = this.servers.get(id);
    if (server === undefined) throw new Error(`no server ${id}`);
    return server;
  }

  raft(id: string): Raft {
    const { raft } = this.server(id);
    if (raft === null) throw new Error(`${id} is down`);
    return raft;
  }

  get up(): { server: SimServer; raft: Raft }[] {
    return [...this.servers.values()].flatMap((server) =>
      server.raft === null ? [] : [{ server, raft: server.raft }],
    );
  }

  /** The leader with the highest term, if any. */
  get leader(): Raft | undefined {
    const leaders = this.up.filter(({ raft }) => raft.role === 'leader').map(({ raft }) => raft);
    return leaders.sort((a, b) => b.term - a.term)[0];
  }

  get committed(): number {
    return this.#committed.length - 1;
  }

  chance(probability: number): boolean {
    return this.random.next() < probability;
  }

  start(server: SimServer, options: Partial<RaftOptions> = {}): void {
    const { disk } = server;
    server.applied = disk.snapshot?.meta.index ?? 0;
    server.digest = disk.snapshot?.digest ?? 0;
    server.register = disk.snapshot?.register ?? '';
    server.staged.clear();
    server.underWay = null;
    server.raft = new Raft({
      id: server.id,
      electionTicks: ELECTION_TICKS,
      heartbeatTicks: HEARTBEAT_TICKS,
      random: seededRandom(randomInt(this.random, 2 ** 31)),
      log: disk,
      snapshots: disk,
      hardState: disk.hardState,
      applied: server.applied,
      ...options,
    });
  }

  /** Power off: of a write under way any prefix may have reached the disk, term and vote first. */
  crash(server: SimServer): void {
    const { underWay } = server;
    this.seen.crashes++;
    if (underWay !== null && underWay.snapshot === null && this.chance(0.7)) {
      if (underWay.hardState !== null) server.disk.hardState = underWay.hardState;
      this.#write(server, underWay.entries.slice(0, randomInt(this.random, underWay.entries.length + 1)));
    }
    server.raft = null;
    server.underWay = null;
    this.clients.lost(server.id);
  }

  /** One step: everybody's time passes, disks work, messages arrive. */
  step(): void {
    this.now++;
    for (const { raft } of this.up) if (this.chance(0.95)) raft.tick();
    this.#deliver();
    for (const { server } of this.up) this.#work(server);
    for (const { server, raft } of this.up) this.#watch(server, raft);
  }

  run(steps: number, until: () => boolean = () => false): boolean {
    for (let i = 0; i < steps; i++) {
      this.step();
      if (until()) return true;
    }
    return until();
  }

  #deliver(): void {
    const due = this.#flying.filter(({ at }) => at <= this.now);
    this.#flying = this.#flying.filter(({ at }) => at > this.now);
    for (const { message, state } of due) {
      const to = this.servers.get(message.to);
      const arrives = to?.raft && !this.cut.has(`${message.from}>${message.to}`) && !this.chance(this.faults.loss);
      if (message.type === 'snapshot') this.#report(message, arrives === true);
      if (!arrives) continue;
      if (message.type === 'snapshot') to.staged.set(message.snapshot.index, state);
      to.raft?.step(message);
    }
  }

  #report(message: Message, arrived: boolean): void {
    this.servers.get(message.from)?.raft?.reportSnapshot(message.to, arrived);
  }

  #send(server: SimServer, messages: readonly Message[]): void {
    for (const message of messages) {
      const copies = this.chance(this.faults.duplicate) ? 2 : 1;
      for (let i = 0; i < copies; i++) {
        const at = this.now + 1 + randomInt(this.random, this.faults.delayMax);
        const { digest = 0, register = '' } = server.disk.snapshot ?? {};
        this.#flying.push({ at, message, state: { digest, register } });
      }
    }
  }

  #work(server: SimServer): void {
    const { raft } = server;
    // A server gets through several rounds in a step when its disk is quick.
    for (let i = 0; raft !== null && i < 4; i++) {
      if (server.underWay === null) {
        if (!raft.hasReady()) return;
        const ready = raft.ready();
        server.underWay = ready;
        this.#send(server, ready.messages);
        this.#apply(server, ready.committed);
        this.#answerReads(server, ready);
        this.clients.answerReads(server);
      }
      if (!this.chance(this.faults.diskDone)) return;
      const ready = server.underWay;
      if (ready.snapshot !== null) this.#install(server, ready.snapshot);
      if (ready.hardState !== null) server.disk.hardState = ready.hardState;
      this.#write(server, ready.entries);
      this.#send(server, ready.messagesAfterPersist);
      server.underWay = null;
      raft.advance();
    }
  }

  /** Log matching: an entry is what its index and term say, and so is the one before it. */
  #write(server: SimServer, entries: readonly Entry[]): void {
    server.disk.append(entries);
    for (const entry of entries) {
      const identity = mix(TYPE_BYTE[entry.type] + 16 * (server.disk.term(entry.index - 1) ?? 0), entry);
      const key = `${entry.index}/${entry.term}`;
      const known = this.#identity.get(key) ?? identity;
      if (known !== identity) throw new Error(`log matching: ${server.id} holds another entry ${key}`);
      this.#identity.set(key, identity);
    }
  }

  #apply(server: SimServer, entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.index !== server.applied + 1) throw new Error(`${server.id} applies ${entry.index} out of order`);
      server.applied = entry.index;
      server.digest = mix(server.digest, entry);
      if (entry.type === 'command') server.register = new TextDecoder().decode(entry.data);
      this.clients.applied(server, entry);
      const known = this.#digests.get(entry.index) ?? server.digest;
      if (known !== server.digest) throw new Error(`state machine safety: ${server.id} differs at ${entry.index}`);
      this.#digests.set(entry.index, server.digest);
      this.#commit(entry.index, entry.term);
    }
  }

  #commit(index: number, term: number): void {
    for (let i = this.#committed.length; i < index; i++) this.#committed[i] ??= -1;
    if ((this.#committed[index] ?? -1) === -1) this.seen.commits++;
    this.#committed[index] = term;
  }

  #install(server: SimServer, meta: SnapshotMeta): void {
    const state = server.staged.get(meta.index);
    if (state === undefined) throw new Error(`${server.id} installs a snapshot that it does not hold`);
    const known = this.#digests.get(meta.index);
    if (known !== undefined && known !== state.digest) throw new Error(`snapshot at ${meta.index} differs`);
    this.seen.snapshots++;
    server.disk.snapshot = { meta, ...state };
    server.disk.reset(meta);
    server.applied = meta.index;
    Object.assign(server, state);
  }

  /** Takes a snapshot of what is applied and forgets the log up to a little before it. */
  takeSnapshot(server: SimServer, keep: number): void {
    const { raft, disk, applied } = server;
    const term = disk.term(applied);
    if (raft === null || server.underWay !== null || term === undefined) return;
    if (applied <= (disk.snapshot?.meta.index ?? 0)) return;
    const { digest, register } = server;
    disk.snapshot = { meta: { index: applied, term, membership: raft.membershipAt(applied) }, digest, register };
    disk.compact(Math.max(0, applied - keep));
    raft.compacted(applied);
  }

  /** A read that begins now must see everything that is committed now. */
  read(raft: Raft): void {
    this.#context++;
    const floor = Math.max(...this.up.map(({ raft: other }) => other.committed));
    if (!raft.readIndex(this.#context).ok) return;
    this.#reads.set(`${raft.id}/${this.#context}`, floor);
    this.clients.beganRead(raft.id, this.#context);
  }

  /** A client writes a value of its own through this server; null when it does not take it. */
  write(raft: Raft): number | null {
    const value = this.clients.nextValue();
    const { term } = raft;
    const proposed = raft.propose(new TextEncoder().encode(value));
    if (!proposed.ok) return null;
    this.clients.beganWrite(raft.id, value, { index: proposed.value, term });
    return proposed.value;
  }

  #answerReads(server: SimServer, ready: Ready): void {
    for (const { context, index } of ready.reads) {
      const floor = this.#reads.get(`${server.id}/${context}`);
      if (floor === undefined) continue;
      this.seen.reads++;
      if (index < floor) throw new Error(`stale read: ${server.id} got ${index}, ${floor} was committed`);
      this.clients.mayRead(context, index);
    }
  }

  #watch(server: SimServer, raft: Raft): void {
    // A leader whose term is not on disk yet has told nobody: a crash undoes it.
    if (raft.role !== 'leader' || server.disk.hardState.term < raft.term) return;
    const known = this.#leaders.get(raft.term);
    if (known === server.id) return;
    if (known !== undefined) throw new Error(`election safety: ${known} and ${server.id} lead term ${raft.term}`);
    this.#leaders.set(raft.term, server.id);
    this.seen.elections++;
    // Leader completeness: a new leader has everything that is committed.
    for (let index = server.disk.firstIndex(); index < this.#committed.length; index++) {
      const term = this.#committed[index] ?? -1;
      if (term === -1 || term >= raft.term) continue;
      const own = index <= server.disk.lastIndex() ? server.disk.term(index) : undefined;
      const unwritten = index > server.disk.lastIndex() && index <= raft.lastIndex;
      if (own !== term && !unwritten) {
        throw new Error(`leader completeness: ${server.id} lacks ${index} in term ${raft.term}`);
      }
    }
  }

  /** Splits the servers in two groups that cannot hear each other, or cuts single directions. */
  partition(): void {
    this.cut.clear();
    const ids = [...this.servers.keys()];
    const side = new Set(ids.filter(() => this.chance(0.5)));
    const oneWay = this.chance(0.3);
    for (const a of ids) {
      for (const b of ids) if (side.has(a) && !side.has(b)) this.cut.add(`${a}>${b}`).add(oneWay ? '' : `${b}>${a}`);
    }
  }

  heal(): void {
    this.cut.clear();
    this.faults = CALM;
    for (const server of this.servers.values()) if (server.raft === null) this.start(server);
  }

  /** One line per server, for the report of a failed seed. */
  describe(): string {
    return this.up
      .map(({ server, raft }) => {
        const { voters, learners } = raft.membership;
        const log = `${server.disk.firstIndex()}..${raft.committed}..${raft.lastIndex}`;
        return `\n${raft.id} ${raft.role} term ${raft.term} log ${log} voters ${voters} learners ${learners} follows ${raft.leader}`;
      })
      .join('');
  }

  membership(): Membership | undefined {
    return this.leader?.membership;
  }
}
