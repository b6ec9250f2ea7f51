import { MeshError } from '../../../lib/structs/errors.js';
import type { RpcMethods } from '../../../lib/structs/rpc.js';
import { randomInt } from '../../../lib/util/random.js';
import { webJob } from '../../server/world.js';
import { checkRegisters, type RegisterInput, type RegisterOperation } from '../../support/register-history.js';
import { type Asked, ServersWorld, type SimServer } from './world.js';

const SERVERS = 3;
const CLIENTS = 4;
const KEYS = ['x', 'y', 'z'];
const CHAOS_MS = 8_000;
const STEP_MS = 50;
const HEAL_MS = 60_000;
/** A client asks something else after so long; an answer counts whenever it comes. */
const PATIENCE_MS = 1_500;
const ROOM_BYTES = 2_000;

type Read = RpcMethods['Job.GetJob']['reply'];
type Written = RpcMethods['Job.Register']['reply'];

/** Something a client asked; what came of it is looked at in the end. */
interface Deed {
  readonly client: string;
  readonly input: RegisterInput;
  readonly asked: Asked<Read> | Asked<Written>;
}

/** How often something happened: a story in which nothing happens proves nothing. */
export interface Seen {
  done: number;
  unknown: number;
  refused: number;
  crashes: number;
  cuts: number;
  sleeps: number;
  fullDisks: number;
  failingDisks: number;
  failingReads: number;
  flippedBits: number;
}

/**
 * Tells a story of whole servers (endpoints, forwarding, autopilot, consensus, log, state) whose disks, links and power fail while
 * clients use jobs as registers; throws where the history of the clients is not linearizable, or nothing moves after all has healed.
 */
export async function tellServersStory(seed: number): Promise<Seen> {
  const world = new ServersWorld({ seed, count: SERVERS });
  try {
    return await new Story(world).tell();
  } catch (error) {
    throw new Error(`seed=${seed}: ${(error as Error).message}\n${world.describe()}\n${world.tail(30)}`, {
      cause: error,
    });
  }
}

class Story {
  readonly #world: ServersWorld;
  readonly #deeds: Deed[] = [];
  readonly #latest = new Map<string, { asked: Asked<unknown>; sinceMs: number; next: (() => void) | null }>();
  readonly #seen: Seen = {
    ...{ done: 0, unknown: 0, refused: 0, crashes: 0, cuts: 0, sleeps: 0 },
    ...{ fullDisks: 0, failingDisks: 0, failingReads: 0, flippedBits: 0 },
  };
  /** The one server whose medium may rot: the others are a majority. */
  readonly #rotting: SimServer;
  readonly #troubles: ReadonlySet<string>;
  #next = 1;

  constructor(world: ServersWorld) {
    this.#world = world;
    this.#rotting = this.#pick(world.servers);
    const all = ['crashes', 'cuts', 'sleeps', 'fullDisks', 'failingDisks', 'failingReads', 'flippedBits'];
    this.#troubles = new Set(all.filter(() => this.#chance(0.5)));
  }

  #chance(probability: number): boolean {
    return this.#world.random.next() < probability;
  }

  #pick<T>(from: readonly T[]): T {
    return from[randomInt(this.#world.random, from.length)] as T;
  }

  async tell(): Promise<Seen> {
    const world = this.#world;
    await world.found();
    for (const { id } of world.servers.slice(1)) await world.start(id);
    if (!(await world.time.run(HEAL_MS, () => world.voters.length === SERVERS))) throw new Error('no three voters');
    // A change counts from when it is written down, and stays when a majority has it.
    await world.time.run(2_000);
    const end = world.time.nowMs + CHAOS_MS;
    while (world.time.nowMs < end) {
      await this.#disturb();
      this.#work();
      await world.time.run(STEP_MS);
    }
    await this.#heal();
    this.#check();
    return this.#seen;
  }

  /** Each client asks whichever server runs. */
  #work(): void {
    for (let i = 0; i < CLIENTS; i++) {
      const client = `client-${i}`;
      const latest = this.#latest.get(client);
      if (latest && latest.asked.endedMs === null && this.#world.time.nowMs - latest.sinceMs < PATIENCE_MS) continue;
      const next = latest?.next ?? null;
      if (latest) latest.next = null;
      if (next && latest?.asked.endedMs !== null) next();
      else this.#act(client);
    }
  }

  #act(client: string): void {
    const key = this.#pick(KEYS);
    const kind = randomInt(this.#world.random, 10);
    if (kind >= 5 && kind < 8) {
      this.#write(client, { key, type: 'write', value: String(this.#next++) }, {});
      return;
    }
    const asked = this.#read(client, key);
    const latest = this.#latest.get(client);
    // Writes over what it has just read, unless another was there first.
    if (asked && latest && kind >= 8) latest.next = () => this.#swap(client, key, asked);
  }

  #swap(client: string, key: string, asked: Asked<Read>): void {
    if (asked.value === null) return;
    const { Job: job } = asked.value;
    const input: RegisterInput = { key, type: 'swap', from: job?.Meta?.['value'] ?? '', to: String(this.#next++) };
    this.#write(client, input, { EnforceIndex: true, JobModifyIndex: job?.JobModifyIndex ?? 0 });
  }

  #server(): string | undefined {
    const up = this.#world.servers.filter(({ running }) => running !== null);
    return up.length === 0 ? undefined : this.#pick(up).id;
  }

  #read(client: string, key: string, at = this.#server()): Asked<Read> | undefined {
    if (at === undefined) return undefined;
    const asked = this.#world.ask(at, 'Job.GetJob', { JobID: key });
    this.#note({ client, input: { key, type: 'read' }, asked });
    return asked;
  }

  #write(client: string, input: RegisterInput, how: { EnforceIndex?: boolean; JobModifyIndex?: number }): void {
    const at = this.#server();
    if (at === undefined || input.type === 'read') return;
    const value = input.type === 'swap' ? input.to : input.value;
    const Job = webJob({ ID: input.key, count: 0, Meta: { value } });
    this.#note({ client, input, asked: this.#world.ask(at, 'Job.Register', { Job, ...how }) });
  }

  #note(deed: Deed): void {
    this.#deeds.push(deed);
    this.#latest.set(deed.client, { asked: deed.asked, sinceMs: this.#world.time.nowMs, next: null });
  }

  async #disturb(): Promise<void> {
    const world = this.#world;
    const victim = this.#pick(world.servers);
    if (this.#strikes('crashes', 0.02)) world.kill(victim.id);
    if (this.#strikes('cuts', 0.03)) this.#cut();
    else if (this.#chance(0.03)) world.network.cut.clear();
    if (this.#strikes('sleeps', 0.01) && victim.running)
      victim.running.process.suspendedUntilMs = world.time.nowMs + this.#pick([300, 2500]);
    if (this.#strikes('fullDisks', 0.02))
      victim.disk.capacity = victim.disk.usedBytes + randomInt(world.random, ROOM_BYTES);
    if (this.#strikes('failingDisks', 0.02)) {
      if (this.#chance(0.5)) victim.disk.failNextSync = true;
      else victim.disk.failing = true;
    }
    if (this.#strikes('failingReads', 0.02)) victim.disk.failingReads = true;
    if (this.#strikes('flippedBits', 0.01)) this.#flipBit();
    if (this.#chance(0.1)) repair(this.#pick(world.servers));
    for (const { id, running } of world.servers) if (running === null && this.#chance(0.05)) await this.#start(id);
  }

  #strikes(trouble: keyof Seen, probability: number): boolean {
    const strikes = this.#troubles.has(trouble) && this.#chance(probability);
    if (strikes) this.#seen[trouble]++;
    return strikes;
  }

  #cut(): void {
    const { network, servers } = this.#world;
    network.cut.clear();
    const alone = this.#pick(servers).id;
    const way = this.#pick(['in', 'out', 'both']);
    for (const { id } of servers) {
      if (id === alone) continue;
      if (way !== 'out') network.cut.add(`${id}>${alone}`);
      if (way !== 'in') network.cut.add(`${alone}>${id}`);
    }
  }

  /** The power fails, and when it comes back one bit on the medium is another. */
  #flipBit(): void {
    const { id, disk } = this.#rotting;
    this.#world.kill(id);
    const path = this.#pick(disk.paths());
    const bytes = disk.bytes(path);
    if (bytes.length === 0) return;
    const at = randomInt(this.#world.random, bytes.length);
    bytes[at] = (bytes[at] as number) ^ (1 << randomInt(this.#world.random, 8));
  }

  /** A disk that cannot be read refuses; what only fails for now starts later. */
  async #start(id: string): Promise<void> {
    await this.#world.start(id).catch(() => {});
  }

  async #heal(): Promise<void> {
    const world = this.#world;
    world.network.cut.clear();
    for (const server of world.servers) {
      repair(server);
      if (server.running) server.running.process.suspendedUntilMs = 0;
      else await this.#start(server.id);
    }
    const [down] = world.servers.filter(({ running }) => running === null);
    if (down && (down !== this.#rotting || this.#seen.flippedBits === 0)) throw new Error(`${down.id} does not start`);
    for (const { id, running } of world.servers) {
      for (const key of running ? KEYS : []) await this.#readAtLast(id, key);
    }
    this.#write('last', { key: 'x', type: 'write', value: 'last' }, {});
    const { asked } = this.#deeds.at(-1) as Deed;
    if (!(await world.time.run(HEAL_MS, () => asked.endedMs !== null)) || asked.error)
      throw new Error(`no write after healing: ${asked.error?.message}`);
  }

  async #readAtLast(id: string, key: string): Promise<void> {
    const end = this.#world.time.nowMs + HEAL_MS;
    while (this.#world.time.nowMs < end) {
      const asked = this.#read('last', key, id);
      await this.#world.time.run(HEAL_MS, () => asked?.endedMs !== null);
      if (asked?.value) return;
      await this.#world.time.run(100);
    }
    throw new Error(`${id} does not answer after healing`);
  }

  #check(): void {
    const history: RegisterOperation[] = this.#deeds.map(({ client, input, asked }) => {
      const outcome = outcomeOf(input, asked);
      this.#seen[({ done: 'done', failed: 'refused', unknown: 'unknown' } as const)[outcome.kind]]++;
      return { client, input, beganAt: asked.beganMs, outcome };
    });
    const verdict = checkRegisters(history);
    if (verdict.kind === 'linearizable') return;
    const culprits = verdict.kind === 'violated' ? verdict.culprits.map((one) => JSON.stringify(one)).join('\n') : '';
    throw new Error(`the history is ${verdict.kind}\n${culprits}`);
  }
}

function repair({ disk }: SimServer): void {
  disk.failing = false;
  disk.failNextSync = false;
  disk.failingReads = false;
  disk.capacity = Number.POSITIVE_INFINITY;
}

/** Only what says that nothing was done is taken to have done nothing. */
function outcomeOf(input: RegisterInput, { endedMs, value, error }: Deed['asked']): RegisterOperation['outcome'] {
  if (endedMs === null) return { kind: 'unknown' };
  if (error instanceof MeshError && error.code === 'E_NO_LEADER') return { kind: 'failed' };
  if (input.type === 'swap' && /job modify index|already exists|does not exist/i.test(error?.message ?? ''))
    return { kind: 'done', endedAt: endedMs, output: 'no' };
  if (value === null) return { kind: 'unknown' };
  if (input.type === 'swap') return { kind: 'done', endedAt: endedMs, output: 'yes' };
  const output = input.type === 'read' ? ((value as Read).Job?.Meta?.['value'] ?? '') : '';
  return { kind: 'done', endedAt: endedMs, output };
}
