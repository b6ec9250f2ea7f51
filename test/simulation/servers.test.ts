import t from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import { webJob } from '../server/world.js';
import { type Asked, ServersWorld } from './servers/world.js';

const codeOf = (error: Error | null): string => (error instanceof MeshError ? error.code : String(error));

/** A mesh of so many servers, of which as many vote as should. */
async function grown(seed: number, count: number): Promise<ServersWorld> {
  const world = new ServersWorld({ seed, count });
  await world.found();
  for (const { id } of world.servers.slice(1)) await world.start(id);
  const voters = count >= 5 ? 5 : count >= 3 ? 3 : 1;
  const done = await world.time.run(60_000, () => world.voters.length === voters);
  if (!done) throw new Error(`${world.voters} vote, not ${voters}\n${world.tail()}`);
  return world;
}

/** Somebody who registers jobs all the time, at one server after the other. */
class Writer {
  readonly acknowledged: string[] = [];
  readonly unknown: string[] = [];
  readonly waitsMs: number[] = [];
  #count = 0;
  #asked: { id: string; asked: Asked<unknown> } | null = null;
  readonly #world: ServersWorld;

  constructor(world: ServersWorld) {
    this.#world = world;
  }

  turn(): void {
    if (this.#asked?.asked.endedMs === null) return;
    if (this.#asked) {
      const { id, asked } = this.#asked;
      if (asked.error === null) this.acknowledged.push(id);
      else if (codeOf(asked.error) === 'E_TIMEOUT') this.unknown.push(id);
      this.waitsMs.push((asked.endedMs ?? 0) - asked.beganMs);
    }
    const alive = this.#world.servers.filter(({ running }) => running !== null);
    const server = alive[this.#count % alive.length];
    const id = `job-${this.#count++}`;
    if (server)
      this.#asked = { id, asked: this.#world.ask(server.id, 'Job.Register', { Job: webJob({ ID: id, count: 0 }) }) };
  }

  async write(ms: number): Promise<void> {
    const end = this.#world.time.nowMs + ms;
    while (this.#world.time.nowMs < end) {
      this.turn();
      await this.#world.time.run(200);
    }
  }

  /** Acknowledged writes that a server lacks. */
  missingAt(id: string): string[] {
    const state = this.#world.get(id).running?.store.snapshot();
    return this.acknowledged.filter((job) => !state?.jobById('default', job));
  }
}

t.test('a mesh grows from one server to five voters by itself, while it is written to at every server', async (t) => {
  const world = new ServersWorld({ seed: 1, count: 6 });
  await world.found();
  const writer = new Writer(world);
  for (const { id } of world.servers.slice(1)) {
    await world.start(id);
    await writer.write(4_000);
  }
  await writer.write(20_000);
  t.equal(world.voters.length, 5, world.tail());
  t.equal(writer.unknown.length, 0);
  t.ok(writer.acknowledged.length > 150, `${writer.acknowledged.length} writes`);
  for (const { id } of world.servers) t.same(writer.missingAt(id), [], `${id} has them all`);
  const servers = new Set(world.servers.map(({ id }) => id));
  t.ok(world.voters.every((id) => servers.has(id)));
});

t.test(
  'when leaders die one after the other, writes go on, acknowledged ones stay, and three vote again',
  async (t) => {
    const world = await grown(2, 5);
    world.ask(world.leader?.id ?? '', 'Operator.AutopilotSetConfiguration', { Config: { MaxVoters: 3 } });
    await world.time.run(10_000, () => world.voters.length === 3);
    const writer = new Writer(world);
    for (let round = 0; round < 2; round++) {
      await writer.write(2_000);
      const dead = world.leader?.id ?? '';
      world.kill(dead);
      await writer.write(16_000);
      t.equal(world.voters.length, 3, `round ${round}\n${world.tail()}`);
      t.notOk(world.voters.includes(dead), 'the dead one was replaced');
      await world.start(dead);
      await writer.write(4_000);
    }
    for (const { id } of world.servers) t.same(writer.missingAt(id), [], `${id} has all that was acknowledged`);
    t.ok(writer.unknown.length <= 2 * 2, `${writer.unknown.length} writes with an unknown outcome`);
    const longest = Math.max(...writer.waitsMs);
    t.ok(longest < 8_000, `the longest wait was ${Math.round(longest)} ms`);
    t.ok(writer.acknowledged.length > 150);
  },
);

t.test('1 → 3 → 5 → 3 → 1 voters on one life of the mesh, with every acknowledged write', async (t) => {
  const world = await grown(3, 5);
  const writer = new Writer(world);
  await writer.write(3_000);
  for (const [MaxVoters, voters] of [
    [3, 3],
    [1, 1],
    [5, 5],
  ] as const) {
    world.ask(world.leader?.id ?? '', 'Operator.AutopilotSetConfiguration', { Config: { MaxVoters } });
    await writer.write(20_000);
    t.equal(world.voters.length, voters, world.tail());
  }
  for (const { id } of world.servers) t.same(writer.missingAt(id), []);
  t.equal(writer.unknown.length, 0);
});

t.test('a follower answers consistent reads, and from itself what may be stale; what each costs', async (t) => {
  const world = await grown(4, 3);
  const leader = world.leader?.id ?? '';
  const follower = world.voters.find((id) => id !== leader) ?? '';
  const writer = new Writer(world);
  await writer.write(500);
  const measure = async (act: () => Asked<unknown>): Promise<number> => {
    const waits: number[] = [];
    for (let i = 0; i < 60; i++) {
      const asked = act();
      await world.time.run(5_000, () => asked.endedMs !== null);
      if (asked.error) throw asked.error;
      waits.push((asked.endedMs ?? 0) - asked.beganMs);
      await world.time.run(7);
    }
    return waits.sort((a, b) => a - b)[30] ?? 0;
  };
  const read =
    (args: object): (() => Asked<unknown>) =>
    () =>
      world.ask(follower, 'Job.List', args);
  const forwarded = await measure(read({}));
  const stale = await measure(read({ AllowStale: true }));
  // What a blocking query begins with: everything committed until now is applied here.
  const here = { MinQueryIndex: 1, MaxQueryTimeMs: 1 };
  const readIndex = await measure(read(here));
  const afterWrite = async (args: object): Promise<number> =>
    measure(() => {
      world.ask(leader, 'Job.Register', { Job: webJob({ ID: 'busy', count: 0 }) });
      return world.ask(follower, 'Job.List', args);
    });
  const [busyForwarded, busyReadIndex] = [await afterWrite({}), await afterWrite(here)];
  const ms = (value: number): string => `${value.toFixed(1)} ms`;
  t.comment(`median: stale ${ms(stale)}, forwarded ${ms(forwarded)}, read index ${ms(readIndex)}`);
  t.comment(`while it is written: forwarded ${ms(busyForwarded)}, read index ${ms(busyReadIndex)}`);
  t.ok(stale < forwarded);
  t.ok(Math.max(forwarded, readIndex, busyForwarded, busyReadIndex) < 15);
});
