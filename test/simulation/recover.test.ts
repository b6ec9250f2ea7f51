import t from 'tap';
import { webJob } from '../server/world.js';
import { type Asked, ServersWorld } from './servers/world.js';

async function threeVoters(seed: number): Promise<ServersWorld> {
  const world = new ServersWorld({ seed, count: 3 });
  await world.found();
  for (const id of ['s1', 's2']) await world.start(id);
  await world.time.run(60_000, () => world.voters.length === 3);
  t.equal(world.voters.length, 3, world.tail());
  await world.time.run(2_000);
  return world;
}

async function settled<T>(world: ServersWorld, asked: Asked<T>, ms = 20_000): Promise<Asked<T>> {
  await world.time.run(ms, () => asked.endedMs !== null);
  return asked;
}

const has = (world: ServersWorld, id: string, job: string): boolean =>
  world.get(id).running?.store.snapshot().jobById('default', job) !== undefined;

t.test(
  'after the loss of two of three one goes on, and those who come back join it instead of going on beside it',
  async (t) => {
    const world = await threeVoters(7);
    const leader = world.leader?.id ?? '';
    const [survivor = '', other = ''] = world.voters.filter((id) => id !== leader);
    // The survivor is cut off, and misses a write that the two others keep.
    for (const id of [leader, other])
      for (const cut of [`${id}>${survivor}`, `${survivor}>${id}`]) world.network.cut.add(cut);
    await settled(world, world.ask(leader, 'Job.Register', { Job: webJob({ ID: 'missed', count: 0 }) }));
    t.ok(has(world, leader, 'missed'));
    for (const id of [leader, other]) world.kill(id);
    world.network.cut.clear();
    await world.time.run(5_000);
    const held = await settled(world, world.ask(survivor, 'Job.Register', { Job: webJob({ ID: 'refused' }) }));
    t.match(held.error, { code: 'E_NO_LEADER' });

    const view = await settled(world, world.ask(survivor, 'Operator.RecoveryView', {}));
    t.match(view.value, {
      HasLeader: false,
      Self: { ID: survivor, Epoch: 1, Voters: { length: 3 } },
      Others: { length: 2 },
    });
    t.match(view.value?.Others[0], { Stats: null, Why: /lost|no answer/ });
    const recovered = await settled(world, world.ask(survivor, 'Operator.Recover', {}));
    t.match(recovered.value, { Epoch: 2 }, String(recovered.error));
    await world.time.run(5_000, () => world.leader?.id === survivor);
    t.same(world.voters, [survivor]);
    const wrote = await settled(world, world.ask(survivor, 'Job.Register', { Job: webJob({ ID: 'after', count: 0 }) }));
    t.equal(wrote.error, null);

    // Both come back, with a log that has more than the survivor's, and together they are a majority of the old group.
    for (const id of [leader, other]) await world.start(id);
    await world.time.run(10_000);
    t.same(
      world.servers.filter(({ running }) => running?.consensus.isLeader).map(({ id }) => id),
      [survivor],
      'one leads, and it is the survivor',
    );
    for (const id of [leader, other]) {
      t.ok(world.abandoned.includes(id), `${id} knows that it was left behind\n${world.tail()}`);
      world.kill(id);
      await world.start(id);
    }
    await world.time.run(60_000, () => world.voters.length === 3);
    t.equal(world.voters.length, 3, world.tail());
    for (const id of [survivor, leader, other]) {
      t.ok(has(world, id, 'after'), `${id} has what was written since`);
      t.notOk(has(world, id, 'missed'), 'and not what only the dead had');
    }
    t.ok(
      world
        .get(leader)
        .disk.paths()
        .some((path) => path.includes('raft-of-epoch-1')),
      `the old data is kept aside: ${world.get(leader).disk.paths()}`,
    );
  },
);

t.test('a server that is restarted stays in the epoch of its group', async (t) => {
  const world = await threeVoters(8);
  for (const id of ['s1', 's2']) world.kill(id);
  await world.time.run(5_000);
  t.match((await settled(world, world.ask('s0', 'Operator.Recover', {}))).value, { Epoch: 2 });
  t.equal(world.get('s0').running?.consensus.isJustRecovered(), true);
  world.kill('s0');
  await world.start('s0');
  await world.time.run(10_000, () => world.leader !== undefined);
  t.same(world.voters, ['s0']);
  t.equal(world.get('s0').running?.consensus.epoch(), 2);
  t.equal(world.get('s0').running?.consensus.isJustRecovered(), false);
});

t.test('nothing is recovered while there is a leader', async (t) => {
  const world = await threeVoters(9);
  const asked = await settled(world, world.ask('s1', 'Operator.Recover', {}));
  t.match(asked.error, { code: 'E_CONFLICT', message: /nothing to recover/ });
  t.equal(world.voters.length, 3);
});
