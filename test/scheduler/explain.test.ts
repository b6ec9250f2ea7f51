import t from 'tap';
import { explainAlloc, explainJob } from '../../lib/scheduler/explain/explain.js';
import type { Job } from '../../lib/structs/job.js';
import type { Why } from '../../lib/structs/why.js';
import { createTestWorld, type TestWorld, webJob } from '../server/world.js';
import { atOnce } from './at-once.js';

const memory = (MemoryMB: number) => {
  const job = webJob();
  const [group] = job.TaskGroups ?? [];
  const [task] = group?.Tasks ?? [];
  if (!group || !task) throw new Error('webJob has a task');
  const Tasks = [{ ...task, Resources: { ...task.Resources, MemoryMB } }];
  return { ...job, TaskGroups: [{ ...group, Tasks, Count: 3 }] };
};

async function register(world: TestWorld, job: Partial<Job>): Promise<void> {
  await world.call('Job.Register', { Job: job });
  await world.time.advance(0);
}

const whyOf = async (world: TestWorld): Promise<Why> => {
  const { Why } = await world.call('Job.Why', { JobID: 'web' });
  if (!Why) throw new Error('the job is known');
  return Why;
};

t.test('nodes that lack memory are told with how much, and what would help', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  await world.addNode(2);
  await register(world, memory(6000));
  const why = await whyOf(world);
  t.equal(why.Summary, 'Job "web" is short of one allocation.');
  const [group] = why.Groups;
  t.match(group, { Wanted: 3, Placed: 2, Nodes: 2, NodesWithRoom: 0 });
  t.strictSame(group?.Refusals, [
    {
      Rule: 'memory',
      Nodes: 2,
      NodeNames: ['n1', 'n2'],
      Sentence: '2 of 2 nodes lack 3808 MiB of free memory',
      Change: 'free 3808 MiB on one of them, lower resources.memory from 6000 to 2192 MiB in all, or add a node',
    },
  ]);
  t.ok(
    why.Story.some(({ Text }) => /looked at for job-register: placed 2; 1 of web found no node/.test(Text)),
    JSON.stringify(why.Story),
  );
  // The proof of the advice: what it says is enough is.
  await register(world, memory(2192));
  t.equal((await whyOf(world)).Groups[0]?.Placed, 3);
});

t.test('a secret needs a node that has its plugin', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  const job = webJob();
  const Secrets = [{ Name: 's', Provider: 'keeper', Path: 'p', Config: null, Env: null }];
  const groups = (job.TaskGroups ?? []).map((group) => ({
    ...group,
    Count: 1,
    Tasks: group.Tasks.map((task) => ({ ...task, Secrets })),
  }));
  await register(world, { ...job, TaskGroups: groups });
  t.match((await whyOf(world)).Groups[0]?.Refusals, [
    { Rule: 'missing secrets provider', Nodes: 1, Change: /^put the plugin into common_plugin_dir\/secrets/ },
  ]);
  await world.addNode(2, {
    Attributes: { 'kernel.name': 'linux', 'driver.mock_driver': '1', 'plugins.secrets.keeper.version': '1' },
  });
  await world.time.advance(10_000);
  t.equal((await whyOf(world)).Groups[0]?.Placed, 1);
});

t.test('each node counts once, under the first rule that refuses it', async (t) => {
  const world = createTestWorld();
  await world.addNode(1, { Datacenter: 'far' });
  await world.addNode(2, { Attributes: { 'kernel.name': 'plan9', 'driver.mock_driver': '1' } });
  const ready = await world.addNode(3);
  await world.call('Node.UpdateEligibility', { NodeID: ready.ID, Eligibility: 'ineligible' });
  await register(
    world,
    webJob({
      Datacenters: ['dc1'],
      Constraints: [{ LTarget: '${attr.kernel.name}', RTarget: 'linux', Operand: '=' }],
    }),
  );
  const sentences = (await whyOf(world)).Groups[0]?.Refusals.map(({ Sentence }) => Sentence);
  t.strictSame(sentences?.sort(), [
    '1 of 3 nodes does not meet: ${attr.kernel.name} = linux (it has plan9)',
    '1 of 3 nodes is ineligible',
    '1 of 3 nodes is not in datacenters dc1 (it is in far)',
  ]);
});

t.test('without any node the answer says so', async (t) => {
  const world = createTestWorld();
  await register(world, webJob());
  t.match((await whyOf(world)).Groups[0]?.Summary, /there is no node: start an agent with a client/);
});

t.test('an allocation tells how its node was chosen and what became of it', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await register(world, webJob({ count: 1 }));
  await world.obey(node);
  const [alloc] = world.allocs();
  if (!alloc) throw new Error('nothing was placed');
  const { Why } = await world.call('Alloc.Why', { AllocID: alloc.ID });
  t.equal(Why?.Summary, 'Allocation web.web[0] runs on node n1.');
  t.match(Why?.Choice[0], /1 of 1 nodes were looked at/);
  t.match(Why?.Choice[1], /compared by spread, for there are fewer than 5 nodes/);
  t.match(Why?.Choice[2], /n1 \(chosen\): score/);
  t.equal(Why?.Story[0]?.Text, 'placed on n1');
  await world.call('Job.Deregister', { JobID: 'web' });
  await world.time.advance(0);
  const after = await world.call('Alloc.Why', { AllocID: alloc.ID });
  t.match(after.Why?.Summary, /is to be stopped on node n1.*its node has not said yet/);
});

t.test('the same state gives the same explanation', async (t) => {
  const world = createTestWorld();
  await world.addNode(1);
  await register(world, memory(6000));
  const state = world.store.snapshot();
  const job = state.jobById('default', 'web');
  const [alloc] = world.allocs();
  if (!job || !alloc) throw new Error('nothing was placed');
  const input = { state, evals: state.evalsByJob('default', 'web'), deployments: [] };
  t.strictSame(atOnce(explainJob(job, input)), atOnce(explainJob(job, input)));
  t.strictSame(atOnce(explainAlloc(alloc, input)), atOnce(explainAlloc(alloc, input)));
});

t.test(
  'what a roll-out waits for is told first: health, promotion, a person, or the delay after a failure',
  async (t) => {
    const world = createTestWorld();
    const node = await world.addNode(1);
    const update = {
      Stagger: 30e9,
      MaxParallel: 1,
      HealthCheck: 'checks' as const,
      MinHealthyTime: 10e9,
      HealthyDeadline: 300e9,
    };
    const Update = {
      ...update,
      HealthyDeadline: 300e9,
      ProgressDeadline: 600e9,
      AutoRevert: false,
      AutoPromote: false,
      Canary: 1,
    };
    const version = (V: string) => {
      const job = webJob({ count: 2 });
      const TaskGroups = job.TaskGroups?.map((group) => ({
        ...group,
        Update,
        Tasks: group.Tasks.map((task) => ({ ...task, Env: { V } })),
      }));
      return { ...job, TaskGroups: TaskGroups ?? [] };
    };
    const summary = async () => (await whyOf(world)).Summary;
    await register(world, version('one'));
    await world.time.advance(20);
    for (let round = 0; round < 3; round++) await world.obey(node);
    t.equal(await summary(), 'Job "web" has all that it asks for.');
    await register(world, version('two'));
    await world.time.advance(20);
    t.match(
      await summary(),
      /as it asks for\. The roll-out of version 1 goes on, with 0 of 2 of "web" healthy: its canaries/,
    );
    await world.obey(node);
    t.match(await summary(), /its canaries are healthy and wait for "meshnomad job promote web"\.$/);
    const id = (await world.call('Job.LatestDeployment', { JobID: 'web' })).Deployment?.ID ?? '';
    await world.call('Deployment.Pause', { DeploymentID: id, Pause: true });
    t.match(
      await summary(),
      new RegExp(`is paused with 1 of 2 .*"meshnomad deployment resume ${id.slice(0, 8)}" lets it`),
    );
    await world.call('Deployment.Fail', { DeploymentID: id });
    t.match(
      await summary(),
      /roll-out of version 1 failed with 1 of 2 of "web" healthy: Deployment marked as failed\.$/,
    );
    await register(world, version('one'));
    await world.time.advance(20);
    for (let round = 0; round < 3; round++) await world.obey(node);
    const sick = world.allocs().find(({ DesiredStatus }) => DesiredStatus === 'run');
    const { ID = '', ClientDescription = '', TaskStates = null, AllocStates = null, NetworkStatus = null } = sick ?? {};
    const report = { ID, ClientDescription, TaskStates, AllocStates, NetworkStatus, DeploymentStatus: null };
    const Alloc = [{ ...report, ClientStatus: 'failed' as const }];
    await world.call('Node.UpdateAlloc', { NodeID: node.ID, SecretID: node.SecretID, Alloc });
    await world.time.advance(20);
    t.match(
      (await whyOf(world)).Groups[0]?.Summary,
      /1 not placed yet: the delay of its reschedule block after a failure ends at 2026-.*Z, and 1 of 1 nodes would take one/,
    );
  },
);

t.test('what is out of reach is told with its node, what becomes of it, and until when', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const job = webJob();
  const Disconnect = { LostAfter: 600e9, StopOnClientAfter: null, Replace: false, Reconcile: 'best_score' as const };
  await register(world, {
    ...job,
    TaskGroups: (job.TaskGroups ?? []).map((group) => ({ ...group, Count: 1, Disconnect })),
  });
  await world.obey(node);
  await world.call('Node.UpdateStatus', { NodeID: node.ID, SecretID: node.SecretID, Status: 'disconnected' });
  await world.time.advance(0);
  const { Groups, Story } = await whyOf(world);
  t.match(
    Groups[0]?.Summary,
    /^Group "web": 0 of 1 running\. Out of reach, where they may still run: 1 on n1; "replace = false" lets nothing take their place; what is not back is given up from \S+ on \(disconnect\.lost_after\)\.$/,
  );
  t.ok(
    Story.some(({ Text }) => Text.endsWith('was unknown to the servers')),
    JSON.stringify(Story),
  );
});

t.test('a new version without a place is told, though its old allocations run', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await register(world, webJob({ count: 1 }));
  await world.obey(node);
  await register(world, memory(99_000));
  const { Groups } = await whyOf(world);
  t.match(Groups[0], { Placed: 1, Running: 1, NodesWithRoom: 0, Refusals: [{ Rule: 'memory in all' }] });
  await register(world, {
    ...memory(99_000),
    TaskGroups: memory(99_000).TaskGroups.map((group) => ({ ...group, Count: 1 })),
  });
  const [group] = (await whyOf(world)).Groups;
  t.match(group, { Wanted: 1, Placed: 1, Unplaced: 1, NodesWithRoom: 0, Refusals: [{ Rule: 'memory in all' }] });
  t.equal(
    group?.Summary,
    'Group "web": 1 of 1 running, 1 of them in an older version until there is a place for version 2: none of 1 nodes takes one.',
  );
});

t.test('what failed for good is told with what tries it again', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const job = webJob({ count: 1 });
  const ReschedulePolicy = {
    Attempts: 0,
    Interval: 0,
    Delay: 5e9,
    DelayFunction: 'constant' as const,
    MaxDelay: 0,
    Unlimited: false,
  };
  await register(world, {
    ...job,
    TaskGroups: (job.TaskGroups ?? []).map((group) => ({ ...group, ReschedulePolicy })),
  });
  await world.obey(node, () => ({ ClientStatus: 'failed' }));
  await world.time.advance(20);
  t.match(
    (await whyOf(world)).Groups[0]?.Summary,
    /0 of 1 running; 1 failed and is not tried again: the reschedule block allows no more\. .*job eval -force-reschedule web/,
  );
});

async function preempting(world: TestWorld): Promise<void> {
  const { SchedulerConfig } = await world.call('Operator.SchedulerGetConfiguration', {});
  const PreemptionConfig = { ...SchedulerConfig.PreemptionConfig, ServiceSchedulerEnabled: true };
  await world.call('Operator.SchedulerSetConfiguration', { Config: { ...SchedulerConfig, PreemptionConfig } });
}

t.test('a job that had to make room is told for whom, and what would have to change', async (t) => {
  const world = createTestWorld();
  await preempting(world);
  const node = await world.addNode(1);
  const web = { ...memory(5000), Priority: 50 };
  const [group] = web.TaskGroups;
  await register(world, { ...web, TaskGroups: [{ ...group, Count: 1 }] as Job['TaskGroups'] });
  await world.obey(node);
  const db = { ...memory(6000), ID: 'db', Name: 'db', Priority: 70 };
  await register(world, { ...db, TaskGroups: [{ ...db.TaskGroups[0], Count: 1 }] as Job['TaskGroups'] });
  await world.obey(node);
  const why = await whyOf(world);
  t.equal(why.Summary, 'Job "web" is short of one allocation.');
  t.equal(
    why.Groups[0]?.Summary,
    'Group "web": 0 of 1 running; 1 not placed, for the only node will not take one. One had to make room for job "db" (priority 70): stop "db" or give it less, or add a node; with a priority of 61 or more instead of 50 this job would not have had to.',
  );
  const state = world.store.snapshot();
  const [gone] = world.allocs().filter(({ PreemptedByAllocation }) => PreemptedByAllocation !== '');
  if (!gone) throw new Error('web was preempted');
  const told = atOnce(explainAlloc(gone, { state, evals: [], deployments: [] })).Summary;
  t.match(told, /^Allocation web\.web\[0\] ran on node n1 and was stopped: .* \(job "db", priority 70\)\.$/);
  // The proof of the advice: with room elsewhere it runs, and nothing is told of it any more.
  await world.obey(await world.addNode(2));
  t.equal((await whyOf(world)).Groups[0]?.Summary, 'Group "web": 1 of 1 running.');
});

t.test('a node whose drain is under way is told as such, and how to end the drain', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await register(world, webJob({ count: 1 }));
  await world.obey(node);
  const strategy = { Deadline: 3_600e9, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' };
  await world.call('Node.UpdateDrain', { NodeID: node.ID, DrainStrategy: strategy });
  await register(world, webJob({ count: 2 }));
  t.ok(world.store.snapshot().nodeById(node.ID)?.DrainStrategy, 'it is not done: what is on it has nowhere to go');
  t.strictSame((await whyOf(world)).Groups[0]?.Refusals, [
    {
      Rule: 'draining',
      Nodes: 1,
      NodeNames: ['n1'],
      Sentence: '1 of 1 node is draining',
      Change: 'end the drain: meshnomad node drain -disable <node>',
    },
  ]);
  await world.call('Node.UpdateDrain', { NodeID: node.ID, DrainStrategy: null, MarkEligible: true });
  await world.time.advance(20);
  t.equal((await whyOf(world)).Groups[0]?.Placed, 2);
});
