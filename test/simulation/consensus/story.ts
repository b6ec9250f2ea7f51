import type { LogRecord } from '../../../lib/util/log.js';
import { randomInt } from '../../../lib/util/random.js';
import { FaultyDisk } from '../../storage/faulty-disk.js';
import { GOOD_NETWORK } from './network.js';
import { writeCommand } from './registers.js';
import type { SimServer } from './world.js';
import { World } from './world.js';

const IDS = ['a', 'b', 'c', 'd', 'e'];
const KEYS = ['x', 'y', 'z'];
const CHAOS_MS = 6000;
const STEP_MS = 25;
const HEAL_MS = 30_000;

/** What may go wrong in one story: each seed has some of it, for with everything at once little is ever committed. */
interface Troubles {
  readonly crashes: boolean;
  readonly cuts: boolean;
  readonly slowDisks: boolean;
  readonly failingDisks: boolean;
  readonly sleep: boolean;
  readonly changes: boolean;
  readonly transfers: boolean;
  readonly lostData: boolean;
}

export interface Told {
  readonly seen: World['watch']['seen'];
  readonly events: number;
}

/** Tells the story of a seed; throws where a promise of consensus is broken, or nothing moves after all has healed. */
export async function tellStory(seed: number): Promise<Told> {
  const world = new World({ seed, ids: IDS });
  const story = new Story(world);
  try {
    await story.tell();
  } catch (error) {
    const cause = world.watch.breach ?? (error as Error);
    throw new Error(`seed=${seed}: ${cause.message}${world.describe()}\n${world.latestLog(30)}`, { cause });
  }
  return { seen: world.watch.seen, events: world.time.events };
}

/** A breach is noted where it is found: the story ends with it at its next step. */
const noted = (): void => {};

class Story {
  readonly #world: World;
  readonly #voters: string[];
  readonly #troubles: Troubles;
  #written = 0;
  /** Servers whose data was lost or went back in time: fewer than what a majority can do without. */
  readonly #spoiled = new Set<string>();

  constructor(world: World) {
    this.#world = world;
    world.onLog = (server, record) => this.#heard(server, record);
    this.#voters = IDS.slice(0, world.pick([1, 3, 3, 3, 5]));
    const some = (): boolean => world.chance(0.4);
    this.#troubles = {
      crashes: some(),
      cuts: some(),
      slowDisks: some(),
      failingDisks: some(),
      sleep: some(),
      changes: some(),
      transfers: some(),
      lostData: world.chance(0.2),
    };
  }

  async tell(): Promise<void> {
    const world = this.#world;
    await world.found(this.#voters);
    await world.startAll(IDS.filter((id) => !this.#voters.includes(id)));
    const messy = world.chance(0.6);
    world.network.faults = {
      loss: messy ? 0.1 * world.random.next() : 0,
      duplicate: messy ? 0.05 : 0,
      delayMinMs: 0.2,
      delayMaxMs: world.pick([2, 20, 150]),
    };
    const end = world.time.nowMs + CHAOS_MS;
    while (world.time.nowMs < end) {
      this.#disturb();
      this.#work();
      await world.time.run(STEP_MS);
      world.watch.assertSound();
    }
    await this.#heal();
  }

  /** Clients write and read, at whichever server. */
  #work(): void {
    const { leader, up } = this.#world;
    for (let i = 0; i < 2; i++) if (leader !== undefined && this.#world.chance(0.5)) this.#write(leader.server);
    if (up.length > 0 && this.#world.chance(0.3)) this.#read(this.#world.pick(up).server);
  }

  #write(server: SimServer): void {
    const { watch, random } = this.#world;
    const { consensus, process } = server;
    if (consensus === null || process === null) return;
    const filler = 'v'.repeat(randomInt(random, 60));
    const value = `${this.#written++}${filler}`;
    const command = writeCommand(this.#world.pick(KEYS), value);
    process.enter(() => {
      const term = consensus.term();
      consensus
        .propose(command)
        .then(
          ({ index, result }) => watch.acknowledged({ index, term, result, value }),
          (error) => watch.expected(error),
        )
        .catch(noted);
    });
  }

  #read(server: SimServer): void {
    const { watch } = this.#world;
    const { consensus, process } = server;
    if (consensus === null || process === null) return;
    process.enter(() => {
      const { floor } = watch;
      consensus
        .readIndex()
        .then(
          () => watch.read(server.id, { floor, index: consensus.appliedIndex() }),
          (error) => watch.expected(error),
        )
        .catch(noted);
    });
  }

  #disturb(): void {
    const world = this.#world;
    const { crashes, cuts, slowDisks, failingDisks, sleep, changes, transfers, lostData } = this.#troubles;
    const any = world.pick([...world.servers.values()]);
    if (crashes && world.chance(0.02)) world.crash(any);
    if (crashes && world.chance(0.02)) this.#crashSoon(any, 40);
    if (cuts && world.chance(0.03)) this.#cut();
    if (cuts && world.chance(0.02)) world.network.cut.clear();
    if (slowDisks && world.chance(0.02)) slow(world, any, world.pick([5, 50, 700]));
    if (failingDisks && world.chance(0.02)) this.#failDisk(any);
    if (failingDisks && world.chance(0.1)) any.disk.failing = false;
    if (sleep && world.chance(0.01)) world.suspend(any, world.pick([300, 3000]));
    if (transfers && world.chance(0.03)) this.#transfer(any.id);
    if (changes && world.chance(0.05)) this.#change(any.id);
    if (lostData && world.chance(0.01)) this.#loseData(any);
    for (const server of world.servers.values()) {
      if (server.process === null && world.chance(0.05)) void world.start(server);
    }
    // Somebody must bring back those who left because of their data.
    if (lostData && !changes) for (const id of this.#voters) world.promote(id);
  }

  /** The power fails within so many operations of the disk: between any two of them something may be half done. */
  #crashSoon(server: SimServer, operationsMax: number): void {
    const { process } = server;
    if (process === null) return;
    server.disk.operationsLeft = randomInt(this.#world.random, operationsMax);
    this.#world.time.after(STEP_MS, () => {
      if (server.process === process) this.#world.crash(server);
      server.disk.operationsLeft = Number.POSITIVE_INFINITY;
    });
  }

  /** Taking a snapshot over has many steps: a power failure likes them best. */
  #heard(server: SimServer, { message }: LogRecord): void {
    if (message === 'took over the state of the leader') this.#world.watch.seen.installs++;
    if (message !== 'received a snapshot' || !this.#troubles.crashes || !this.#world.chance(0.3)) return;
    this.#crashSoon(server, 12);
  }

  #cut(): void {
    const { network } = this.#world;
    network.cut.clear();
    const side = new Set(IDS.filter(() => this.#world.chance(0.5)));
    const oneWay = this.#world.chance(0.3);
    for (const a of side) {
      for (const b of IDS.filter((id) => !side.has(id))) {
        network.cut.add(`${a}>${b}`);
        if (!oneWay) network.cut.add(`${b}>${a}`);
      }
    }
  }

  #failDisk(server: SimServer): void {
    if (this.#world.chance(0.5)) server.disk.failNextSync = true;
    else server.disk.failing = true;
  }

  #transfer(to: string): void {
    const { leader, watch } = this.#world;
    if (leader === undefined || leader.server.id === to) return;
    leader.server.process?.enter(() => {
      leader.consensus.transferLeadership(to).then(
        () => {
          watch.seen.transfers++;
        },
        (error) => watch.expected(error),
      );
    });
  }

  #change(id: string): void {
    const members = this.#world.leader?.consensus.membership();
    if (members === undefined) return;
    // Below three voters the loss of one would stop everything, and nobody would learn anything from it.
    if (members.voters.includes(id) && members.voters.length <= 3) return;
    // Nor would anybody if those who lost their data were then half of the voters.
    const rest = members.voters.filter((other) => other !== id);
    if (rest.filter((other) => !this.#spoiled.has(other)).length <= rest.length / 2) return;
    const type = members.voters.includes(id) ? this.#world.pick(['remove', 'addLearner'] as const) : 'addVoter';
    if (type === 'addVoter') this.#world.promote(id);
    else this.#world.change({ type, id });
  }

  /** A disk is replaced by an empty one, or by a backup: without its server a majority must still be whole. */
  #loseData(server: SimServer): void {
    const world = this.#world;
    const voters = world.leader?.consensus.membership().voters ?? [];
    if (voters.length < 3 || !voters.includes(server.id)) return;
    const able = voters.filter((id) => !this.#spoiled.has(id) && id !== server.id).length;
    if (able < Math.floor(voters.length / 2) + 1) return;
    this.#spoiled.add(server.id);
    // A disk that is set back in its place, and opened as often as before, cannot be told from the one that it was.
    const backup = server.disk.copy(`a copy of ${world.time.nowMs}`);
    const isBackup = world.chance(0.5);
    world.time.after(isBackup ? 1500 : 0, () => {
      world.crash(server);
      server.disk = isBackup ? backup : new FaultyDisk();
      world.watch.forgot(server.id);
    });
  }

  async #heal(): Promise<void> {
    const world = this.#world;
    world.network.cut.clear();
    world.network.faults = GOOD_NETWORK;
    for (const server of world.servers.values()) {
      server.disk.failing = false;
      server.disk.failNextSync = false;
      server.disk.operationsLeft = Number.POSITIVE_INFINITY;
      slow(world, server, 0.5);
      if (server.process !== null) server.process.suspendedUntilMs = 0;
    }
    const before = world.watch.floor;
    const end = world.time.nowMs + HEAL_MS;
    let moves = false;
    while (!moves && world.time.nowMs < end) {
      for (const server of world.servers.values()) if (server.process === null) void world.start(server);
      if (world.leader !== undefined) this.#write(world.leader.server);
      for (const { server } of world.up) this.#read(server);
      for (const id of this.#spoiled) world.promote(id);
      moves = await world.time.run(200, () => this.#isSettled(before));
    }
    world.watch.assertSound();
    if (!moves) throw new Error(`stuck after healing: entry ${before + 1} is not everywhere`);
  }

  /** Something new was acknowledged, and every member has it, and is what the others are. */
  #isSettled(before: number): boolean {
    const { leader, watch } = this.#world;
    if (leader === undefined || watch.floor <= before) return false;
    const { voters, learners } = leader.consensus.membership();
    return [...voters, ...learners].every((id) => {
      const { state, consensus } = this.#world.server(id);
      return consensus?.stats().admitted === true && state.index > before;
    });
  }
}

function slow(world: World, server: SimServer, ms: number): void {
  server.speed.syncMs = () => ms * (0.5 + world.random.next());
}
