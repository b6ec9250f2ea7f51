import t from 'tap';
import { GroupTallies, groupKey } from '../../lib/server/group-tallies.js';
import { Turns } from '../../lib/util/turns.js';
import { mockGroup, mockJob, mockResources, mockTask } from '../scheduler/mock.js';
import { createTestWorld, type TestWorld } from './world.js';

const COUNT = 450;
const KEY = groupKey({ Namespace: 'default', JobID: 'web', TaskGroup: 'web' });

async function rollOut(): Promise<{ world: TestWorld; nodes: Awaited<ReturnType<TestWorld['addNode']>>[] }> {
  const world = createTestWorld();
  const nodes = [];
  for (let i = 0; i < 5; i++) nodes.push(await world.addNode(i));
  const Tasks = [mockTask({ Resources: mockResources({ CPU: 10, MemoryMB: 10 }) })];
  const Update = { MaxParallel: 1, HealthCheck: 'task_states', MinHealthyTime: 0, HealthyDeadline: 3e11 };
  const Rest = { Stagger: 0, ProgressDeadline: 6e11, AutoRevert: false, AutoPromote: false, Canary: 0 };
  const group = mockGroup({ Name: 'web', Count: COUNT, Tasks, Update: { ...Update, ...Rest } });
  await world.call('Job.Register', { Job: mockJob({ ID: 'web', Name: 'web', TaskGroups: [group] }) });
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
  const leaving = Object.fromEntries(
    world
      .allocs()
      .slice(0, 7)
      .map(({ ID }) => [ID, { Migrate: true }]),
  );
  await world.call('Alloc.UpdateDesiredTransition', { Allocs: leaving });
  t.equal(tallies.of(KEY), recount(world), 'some are asked to leave');
  await world.time.advance(0);
  await world.obey(first, () => ({ ClientStatus: 'failed' }));
  await world.time.advance(0);
  t.equal(tallies.of(KEY), recount(world), 'some have ended');
  await tallies.count(world.allocs());
  t.equal(tallies.of(KEY), recount(world), 'what is known is not counted again');
  tallies.clear();
  t.equal(tallies.of(KEY), undefined);
});
