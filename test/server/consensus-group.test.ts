import t from 'tap';
import { tickMsFor, ticksPassed } from '../../lib/server/consensus-clock.js';
import type { MeshError } from '../../lib/structs/errors.js';
import { writeCommand } from '../simulation/consensus/registers.js';
import type { SimServer } from '../simulation/consensus/world.js';
import { World } from '../simulation/consensus/world.js';
import { FaultyDisk } from '../storage/faulty-disk.js';

// Facts about a group of servers, each in a world that is simulated but for consensus and storage themselves.

const THREE = ['a', 'b', 'c'];

async function group(seed: number, ids: readonly string[] = THREE, voters: readonly string[] = ids): Promise<World> {
  const world = new World({ seed, ids });
  await world.found(voters);
  await world.startAll(ids.filter((id) => !voters.includes(id)));
  await world.time.run(1000);
  return world;
}

function leading(world: World): SimServer {
  const { leader } = world;
  if (leader === undefined) throw new Error(`no leader${world.describe()}`);
  return leader.server;
}

function others(world: World): SimServer[] {
  return [...world.servers.values()].filter((server) => server !== leading(world));
}

/** How a promise ends, as something that can be waited for in simulated time. */
function outcome<T>(promise: Promise<T>): { value?: T; error?: MeshError; done: boolean } {
  const end: { value?: T; error?: MeshError; done: boolean } = { done: false };
  promise.then(
    (value) => Object.assign(end, { done: true, value }),
    (error: MeshError) => Object.assign(end, { done: true, error }),
  );
  return end;
}

async function settled<T>(world: World, promise: Promise<T>, limitMs = 20_000) {
  const end = outcome(promise);
  await world.time.run(limitMs, () => end.done);
  return end;
}

function write(server: SimServer, value: string): Promise<{ index: number; result: unknown }> {
  return server.consensus?.propose(writeCommand('x', value)) ?? Promise.reject(new Error('it is down'));
}

function cutOff(world: World, id: string): void {
  for (const other of world.servers.keys()) world.network.cut.add(`${id}>${other}`).add(`${other}>${id}`);
}

t.test('a server that founds nothing waits until it is added, learns, and then votes', async (t) => {
  const world = await group(1, THREE, ['a']);
  const c = world.server('c');
  t.match(c.consensus?.stats(), { state: 'running', admitted: false, term: 0, voters: [] });
  t.match(await settled(world, write(c, 'early')), { error: { code: 'E_NO_LEADER' } });
  for (let i = 0; i < 60; i++) await settled(world, write(leading(world), `${i}${'x'.repeat(80)}`));
  const added = await settled(
    world,
    world.leader?.consensus.change({ type: 'addLearner', id: 'c' }) as Promise<unknown>,
  );
  t.match(added, { done: true, value: { index: Number } });
  await world.time.run(2000, () => c.state.index === leading(world).state.index);
  t.same([...c.state.values], [...leading(world).state.values]);
  t.match(c.consensus?.stats(), { admitted: true, voters: ['a'] });
  t.equal(c.consensus?.leader, 'a');
  const follower = world.leader?.consensus.followers()[0];
  t.match(follower, { id: 'c', voter: false, receivingSnapshot: false });
  world.promote('c');
  await world.time.run(2000, () => c.consensus?.membership().voters.length === 2);
  world.promote('c');
  await world.time.run(2000, () => c.consensus?.membership().voters.length === 2);
  t.same(c.consensus?.membership(), { voters: ['a', 'c'], learners: [] });
});

t.test('whoever is alone needs no time to pass', async (t) => {
  const world = await group(2, ['a'], ['a']);
  const before = world.time.events;
  await world.time.run(60_000);
  t.equal(world.time.events, before);
});

t.test('a follower answers linearizable reads, and without a leader says so', async (t) => {
  const world = await group(3);
  const [follower] = others(world) as [SimServer];
  const { value } = await settled(world, write(leading(world), 'new'));
  const read = await settled(world, follower.consensus?.readIndex() as Promise<number>);
  t.ok((read.value ?? 0) >= (value?.index ?? Number.POSITIVE_INFINITY));
  t.equal(follower.state.values.get('x'), 'new');
  t.ok((follower.consensus?.lastContactMs() ?? 9999) <= 250);
  cutOff(world, follower.id);
  await world.time.run(3000);
  t.equal(follower.consensus?.leader, '');
  t.ok((follower.consensus?.lastContactMs() ?? 0) >= 2500);
  t.match(await settled(world, follower.consensus?.readIndex() as Promise<number>), { error: { code: 'E_NO_LEADER' } });
});

t.test('a read that waits for a leader is answered by the next one', async (t) => {
  const world = await group(4);
  const [follower] = others(world) as [SimServer];
  world.crash(leading(world));
  const read = await settled(world, follower.consensus?.readIndex() as Promise<number>, 4000);
  t.ok(read.value !== undefined, String(read.error?.message));
});

t.test('a leader that is cut off fails its proposals, and what the others decide stands', async (t) => {
  const world = await group(5);
  const old = leading(world);
  cutOff(world, old.id);
  const lost = outcome(write(old, 'lost'));
  await world.time.run(4000, () => lost.done && world.leader !== undefined && world.leader.server !== old);
  t.match(lost.error, { code: 'E_TIMEOUT', message: /unknown/ });
  t.equal(old.consensus?.isLeader, false);
  await settled(world, write(leading(world), 'kept'));
  world.network.cut.clear();
  await world.time.run(3000, () => old.state.values.get('x') === 'kept');
  t.equal(old.state.values.get('x'), 'kept');
  t.equal(old.consensus?.leader, leading(world).id);
});

t.test('when the leader dies another leads after one to two seconds', async (t) => {
  const times: number[] = [];
  for (let seed = 1; seed <= 40; seed++) {
    const world = await group(seed);
    await world.time.run(world.random.next() * 400);
    world.crash(leading(world));
    const began = world.time.nowMs;
    await world.time.run(10_000, () => world.leader !== undefined);
    times.push(world.time.nowMs - began);
  }
  times.sort((a, b) => a - b);
  const median = times[20] ?? 0;
  t.ok(median > 700 && median < 1400, `median ${median}`);
  t.ok((times.at(-3) ?? 0) < 2000, `${times.at(-3)}; the slowest: ${times.at(-1)}`);
});

t.test('who slept does not disturb the others', async (t) => {
  for (let seed = 10; seed < 20; seed++) {
    const world = await group(seed);
    const term = leading(world).consensus?.term();
    const [sleeper] = others(world) as [SimServer];
    world.suspend(sleeper, 30_000);
    await world.time.run(40_000);
    t.equal(leading(world).consensus?.term(), term);
    t.equal(sleeper.consensus?.term(), term);
  }
});

t.test('a leader that slept finds another in its place and follows it', async (t) => {
  const world = await group(21);
  const old = leading(world);
  world.suspend(old, 10_000);
  const stale = outcome(write(old, 'stale'));
  await world.time.run(15_000);
  t.not(leading(world), old);
  t.equal(old.consensus?.leader, leading(world).id);
  t.match(stale.error, { code: 'E_TIMEOUT' }, 'what it took in its sleep is not what now stands at that index');
});

t.test('far away servers get the time they need', async (t) => {
  const world = await group(22);
  world.network.faults = { loss: 0, duplicate: 0, delayMinMs: 350, delayMaxMs: 400 };
  await world.time.run(20_000);
  const term = leading(world).consensus?.term();
  const [follower] = leading(world).consensus?.followers() ?? [];
  t.ok((follower?.rttMs ?? 0) > 650, `${follower?.rttMs} ms`);
  await world.time.run(60_000);
  t.equal(leading(world).consensus?.term(), term);
  const old = leading(world);
  world.crash(old);
  const began = world.time.nowMs;
  await world.time.run(60_000, () => world.leader !== undefined);
  t.ok(world.time.nowMs - began > 4000, 'its followers wait longer, too');
});

t.test('a slow disk costs a leader its speed, not its place', async (t) => {
  const world = await group(23);
  const leader = leading(world);
  const term = leader.consensus?.term();
  leader.speed.syncMs = () => 3000;
  for (let i = 0; i < 5; i++) {
    const { value } = await settled(world, write(leader, String(i)));
    t.ok(value, 'the others have written it long before');
  }
  t.equal(leading(world).consensus?.term(), term);
  t.ok((leader.consensus?.syncMs() ?? 0) > 0);
});

t.test('a leader whose disk fails hands over at once', async (t) => {
  const world = await group(24);
  // As a link does: in the order in which it was sent.
  world.network.faults = { loss: 0, duplicate: 0, delayMinMs: 0.5, delayMaxMs: 0.5 };
  const old = leading(world);
  old.disk.failing = true;
  const lost = outcome(write(old, 'refused'));
  const began = world.time.nowMs;
  await world.time.run(5000, () => world.leader !== undefined && world.leader.server !== old);
  t.ok(world.time.nowMs - began < 200, `${world.time.nowMs - began} ms`);
  t.match(lost.error, { code: 'E_STORAGE' });
  await settled(world, write(leading(world), 'taken'));
  old.disk.failing = false;
  await world.time.run(15_000, () => old.state.values.get('x') === 'taken');
  t.equal(old.state.values.get('x'), 'taken', 'and comes back when it is well again');
});

t.test('leadership can be handed over, and stays when the other cannot take it', async (t) => {
  const world = await group(25);
  const old = leading(world);
  const [next, third] = others(world) as [SimServer, SimServer];
  t.match(await settled(world, old.consensus?.transferLeadership(next.id) as Promise<void>), {
    done: true,
    error: undefined,
  });
  await world.time.run(1000, () => world.leader?.server === next);
  t.equal(leading(world), next);
  cutOff(world, third.id);
  const failed = await settled(world, next.consensus?.transferLeadership(third.id) as Promise<void>);
  t.match(failed.error, { code: 'E_TIMEOUT' });
  t.equal(leading(world), next);
  await settled(world, write(next, 'still here'));
  const nobody = await settled(world, next.consensus?.transferLeadership('z') as Promise<void>);
  t.match(nobody.error, { code: 'E_BAD_REQUEST' });
});

t.test('members change one at a time, by the leader, and only if it makes sense', async (t) => {
  const world = await group(26, ['a', 'b', 'c', 'd'], THREE);
  const leader = leading(world);
  const change = (type: 'addVoter' | 'addLearner' | 'remove', id: string) =>
    outcome(leader.consensus?.change({ type, id }) as Promise<unknown>);
  const first = change('addLearner', 'd');
  const second = change('remove', 'd');
  await world.time.run(2000);
  t.match([first, second], [{ value: { index: Number } }, { error: { code: 'E_CONFLICT' } }]);
  const senseless = change('remove', 'z');
  await world.time.run(1000);
  t.match(senseless.error, { code: 'E_BAD_REQUEST', message: /no member/ });
  const [follower] = others(world) as [SimServer];
  const elsewhere = await settled(world, follower.consensus?.change({ type: 'remove', id: 'd' }) as Promise<unknown>);
  t.match(elsewhere.error, { code: 'E_NO_LEADER' });
  const itself = change('remove', leader.id);
  await world.time.run(5000, () => world.leader !== undefined && world.leader.server !== leader);
  t.match(itself, { value: { index: Number } }, 'a leader may go itself, and is told when it is done');
  t.notOk(leading(world).consensus?.membership().voters.includes(leader.id));
});

for (const [what, lose] of [
  ['was lost', () => new FaultyDisk()],
  ['was restored from a backup elsewhere', (backup: FaultyDisk) => backup],
] as const) {
  t.test(`a server whose data ${what} is counted on only after it was let in again`, async (t) => {
    const world = await group(27);
    const [victim] = others(world) as [SimServer];
    const backup = victim.disk.copy('elsewhere');
    for (let i = 0; i < 5; i++) await settled(world, write(leading(world), String(i)));
    world.crash(victim);
    victim.disk = lose(backup);
    // Nobody else is there who could lead: a vote of the victim would be one without memory.
    const old = leading(world);
    world.crash(old);
    await world.startAll([victim.id]);
    await world.time.run(10_000);
    t.equal(world.leader, undefined);
    t.equal(victim.consensus?.stats().admitted, false);
    await world.startAll([old.id]);
    await world.time.run(10_000, () => world.leader?.consensus.membership().voters.length === 2);
    t.notOk(leading(world).consensus?.membership().voters.includes(victim.id), 'the leader puts it out');
    t.equal(victim.consensus?.stats().admitted, false);
    for (let i = 0; i < 100; i++) {
      world.promote(victim.id);
      await world.time.run(100);
    }
    t.ok(leading(world).consensus?.membership().voters.includes(victim.id), 'it comes in again');
    t.equal(victim.consensus?.stats().admitted, true);
    t.equal(victim.state.hash, leading(world).state.hash);
    world.crash(leading(world));
    await world.time.run(10_000, () => world.leader !== undefined);
    t.ok(world.leader, 'and its vote counts');
  });
}

t.test('a disk that went back in time is found out by the others', async (t) => {
  const world = await group(28);
  const [victim] = others(world) as [SimServer];
  const backup = victim.disk.copy('here');
  for (let i = 0; i < 2; i++) {
    world.crash(victim);
    await world.startAll([victim.id]);
    await settled(world, write(leading(world), String(i)));
    await world.time.run(2000);
  }
  t.equal(victim.consensus?.stats().admitted, true);
  world.crash(victim);
  victim.disk = backup;
  await world.startAll([victim.id]);
  await world.time.run(3000);
  t.equal(victim.consensus?.stats().admitted, false);
  t.ok(world.records.some(({ id, record }) => id === victim.id && /newer data/.test(record.message)));
});

t.test('what a newer version says is complained about once, and nothing else happens', async (t) => {
  const world = await group(29);
  const [follower] = others(world) as [SimServer];
  const term = leading(world).consensus?.term();
  const transport = world.network.attach('z', leading(world).process as NonNullable<SimServer['process']>);
  world.network.onSend = () => {};
  for (let i = 0; i < 10; i++) transport.send(follower.id, new Uint8Array([2, 2, 9, 9, 9, i]));
  await world.time.run(1000);
  const complaints = world.records.filter(({ record }) => record.message === 'a server cannot be understood');
  t.equal(complaints.length, 1);
  t.match(complaints[0]?.record.fields, { from: 'z', why: /version 2/ });
  t.equal(leading(world).consensus?.term(), term);
});

t.test('time is counted in ticks; a long gap is sleep', async (t) => {
  t.same(
    [0, 49, 50, 99, 100, 249, 549, 550, 10_000].map((ms) => ticksPassed(ms, 50)),
    [0, 0, 1, 1, 2, 4, 10, 1, 1],
  );
  t.same(
    [0, 1, 100, 101, 400, 5000].map((ms) => tickMsFor(ms)),
    [50, 50, 50, 51, 200, 500],
  );
});
