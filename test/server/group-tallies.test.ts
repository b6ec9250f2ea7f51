import t from 'tap';
import { GroupTallies, groupKey } from '../../lib/server/group-tallies.js';
import { Turns } from '../../lib/util/turns.js';
import { createTestWorld, type TestWorld, webJob } from './world.js';

const COUNT = 450;
const KEY = groupKey({ Namespace: 'default', JobID: 'web', TaskGroup: 'web' });

async function rollOut(): Promise<{ world: TestWorld; nodes: Awaited<ReturnType<TestWorld['addNode']>>[] }> {
  const world = createTestWorld();
  const nodes = [];
  for (let i = 0; i < 5; i++) nodes.push(await world.addNode(i));
  await world.call('Job.Register', { Job: webJob({ count: COUNT, cpu: 10 }) });
  await world.time.advance(0);
  t.equal(world.allocs().length, COUNT);
  return { world, nodes };
}

const recount = (world: TestWorld): number =>
  world
    .allocs()
    .filter(({ DesiredStatus, DesiredTransition }) => DesiredStatus === 'run' && DesiredTransition.Migrate !== true)
    .filter(({ ClientStatus, DeploymentStatus }) => ClientStatus === 'running' && DeploymentStatus?.Healthy).length;

t.test('what changes while a group is counted is in the tally, and so is all that changes later', async (t) => {
  const { world, nodes } = await rollOut();
  const [first, second, ...others] = nodes;
  if (!first || !second) throw new Error('no nodes');
  await world.obey(first);
  const due: (() => void)[] = [];
  const turns = new Turns((fn) => due.push(fn));
  const tallies = new GroupTallies(world.store, turns);
  world.store.onCommit(({ changes }) => {
    for (const change of changes) tallies.saw(change);
  });
  turns.take(1_000);
  let counted = false;
  const counting = tallies.count(world.allocs()).then(() => {
    counted = true;
  });
  await world.time.advance(0);
  t.notOk(counted, 'it waits for its turn in the middle');
  t.equal(tallies.of(KEY), undefined, 'half a count is none');
  await world.obey(second);
  for (; !counted; await world.time.advance(0)) for (const fn of due.splice(0)) fn();
  await counting;
  t.equal(tallies.of(KEY), recount(world));
  t.ok(recount(world) > 0);

  for (const node of others) await world.obey(node);
  t.equal(tallies.of(KEY), recount(world), 'more became healthy');
  const wish = { Migrate: true, Reschedule: null, ForceReschedule: null, NoShutdownDelay: null };
  const leaving = world.allocs().slice(0, 7);
  await world.call('Alloc.UpdateDesiredTransition', {
    Allocs: Object.fromEntries(leaving.map(({ ID }) => [ID, wish])),
  });
  t.equal(tallies.of(KEY), recount(world), 'some are asked to leave');
  await world.time.advance(0);
  for (const node of nodes) await world.obey(node);
  await world.time.advance(0);
  t.equal(tallies.of(KEY), recount(world), 'some have ended');
  await tallies.count(world.allocs());
  t.equal(tallies.of(KEY), recount(world), 'what is known is not counted again');
  tallies.clear();
  t.equal(tallies.of(KEY), undefined);
});
