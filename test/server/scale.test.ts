import t from 'tap';
import { keyFromSeed } from '../../lib/transport/signature.js';
import { createTestWorld, webJob } from './world.js';

t.test('a group is scaled, and what was done stands in its events', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 1 }) });
  await world.time.advance(20);
  await world.obey(node);
  await world.time.advance(20_000);
  const scaled = await world.call('Job.Scale', {
    JobID: 'web',
    Target: { Group: 'web' },
    Count: 3,
    Message: 'more people',
    Meta: { cpu: 90 },
  });
  await world.time.advance(20);
  t.equal(world.allocs().filter(({ DesiredStatus }) => DesiredStatus === 'run').length, 3);
  t.equal(world.store.snapshot().evalById(scaled.EvalID)?.TriggeredBy, 'job-scaling');
  const { JobScaleStatus: status } = await world.call('Job.ScaleStatus', { JobID: 'web' });
  t.same(status?.TaskGroups['web'] && [status.TaskGroups['web'].Desired, status.TaskGroups['web'].Placed], [3, 3]);
  const [event] = status?.TaskGroups['web']?.Events ?? [];
  t.same(
    [event?.Count, event?.PreviousCount, event?.Message, event?.EvalID, event?.Meta],
    [3, 1, 'more people', scaled.EvalID, { cpu: 90 }],
  );
});

t.test('an event without a count changes nothing but the events, of which the last twenty are kept', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: webJob({ count: 1 }) });
  for (let i = 0; i < 25; i++) {
    await world.call('Job.Scale', { JobID: 'web', Target: { Group: 'web' }, Message: `note ${i}`, Error: true });
  }
  const { JobScaleStatus: status } = await world.call('Job.ScaleStatus', { JobID: 'web' });
  t.equal(status?.TaskGroups['web']?.Events?.length, 20);
  t.equal(status?.TaskGroups['web']?.Events?.[0]?.Message, 'note 24');
  t.equal(world.store.snapshot().jobById('default', 'web')?.Version, 0);
});

t.test('what cannot be scaled is refused', async (t) => {
  const world = createTestWorld();
  await world.call('Job.Register', { Job: webJob({ count: 1 }) });
  const refuse = (args: object, message: RegExp) =>
    t.rejects(world.call('Job.Scale', { JobID: 'web', Target: { Group: 'web' }, ...args }), { message });
  await refuse({ Count: -1 }, /negative/);
  await refuse({ Count: 2, Error: true }, /should not contain count/);
  await refuse({ Count: 2, Target: { Group: 'db' } }, /does not exist/);
  await refuse({ Count: 2, Target: {} }, /missing task group name/);
  await refuse({ Count: 60_000 }, /at most 50000/);
  await refuse({ Count: 2, EnforceIndex: true, JobModifyIndex: 7 }, /Enforcing job modify index 7/);
});

t.test('a job that is being rolled out is not scaled', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 1 }) });
  await world.time.advance(20);
  const deployment = world.store.snapshot().latestDeploymentByJob('default', 'web');
  t.equal(deployment?.Status, 'running');
  const scale = () => world.call('Job.Scale', { JobID: 'web', Target: { Group: 'web' }, Count: 2 });
  await t.rejects(scale(), { message: /active deployment/ });
  await world.obey(node);
  await world.time.advance(20_000);
  t.ok((await scale()).EvalID);
});

t.test('node pools are made, changed, asked about, and kept while they are in use', async (t) => {
  const world = createTestWorld();
  await world.addNode(1, { NodePool: 'gpu' });
  const names = async () => (await world.call('NodePool.List', {})).NodePools.map(({ Name }) => Name);
  t.same(await names(), ['all', 'default', 'gpu'], 'a node brings its pool with it');
  const SchedulerConfiguration = { SchedulerAlgorithm: 'spread', MemoryOversubscriptionEnabled: null } as const;
  await world.call('NodePool.Upsert', { NodePool: { Name: 'gpu', Description: 'cards', SchedulerConfiguration } });
  const { NodePool } = await world.call('NodePool.GetNodePool', { Name: 'gpu' });
  t.same([NodePool?.Description, NodePool?.SchedulerConfiguration], ['cards', SchedulerConfiguration]);
  t.equal((await world.call('NodePool.ListNodes', { Name: 'gpu' })).Nodes.length, 1);
  t.equal((await world.call('NodePool.ListNodes', { Name: 'all' })).Nodes.length, 1);
  t.equal((await world.call('NodePool.ListNodes', { Name: 'default' })).Nodes.length, 0);
  await t.rejects(world.call('NodePool.Delete', { Name: 'gpu' }), { code: 'E_CONFLICT', message: /has nodes/ });
  await t.rejects(world.call('NodePool.Delete', { Name: 'default' }), { message: /not allowed/ });
  await t.rejects(world.call('NodePool.Upsert', { NodePool: { Name: 'all' } }), { message: /not allowed/ });
  await t.rejects(world.call('NodePool.Upsert', { NodePool: { Name: 'a b' } }), { message: /invalid node pool name/ });
  await world.call('NodePool.Upsert', { NodePool: { Name: 'empty' } });
  await world.call('NodePool.Delete', { Name: 'empty' });
  t.same(await names(), ['all', 'default', 'gpu']);
});

t.test('pools, launches and scaling events survive a snapshot', async (t) => {
  const world = createTestWorld();
  await world.addNode(1, { NodePool: 'gpu' });
  await world.call('Job.Register', { Job: webJob({ count: 0 }) });
  await world.call('Job.Scale', { JobID: 'web', Target: { Group: 'web' }, Message: 'note' });
  const before = world.store.snapshot();
  const events = before.scalingEvents('default', 'web');
  await world.store.restore(before.stream(), before.index);
  t.same(world.store.snapshot().scalingEvents('default', 'web'), events);
  t.equal(world.store.snapshot().nodePoolByName('gpu')?.Name, 'gpu');
});

t.test('counted anew, the summaries say the same', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  await world.call('Job.Register', { Job: webJob({ count: 2 }) });
  await world.time.advance(20);
  await world.obey(node);
  const before = world.store.snapshot().jobSummary('default', 'web')?.Summary;
  await world.call('System.ReconcileJobSummaries', {});
  t.same(world.store.snapshot().jobSummary('default', 'web')?.Summary, before);
});

t.test(
  'who registers a policy with a plugin that there is not is told so, unless another autoscaler has its own',
  async (t) => {
    const scalerProblem = (kind: string, name: string): string | undefined =>
      name === 'prometeus' ? `there is no ${kind} plugin "${name}"; did you mean "prometheus"?` : undefined;
    const world = createTestWorld({ config: { scalerProblem, identity: keyFromSeed(new Uint8Array(32).fill(7)) } });
    const strategy = [{ 'target-value': [{ target: 1 }] }];
    const checks = [
      { good: [{ source: 'prometheus', query: 'q', strategy }] },
      { bad: [{ source: 'prometeus', query: 'q', strategy }] },
    ];
    const job = webJob({ count: 1 });
    const group = job.TaskGroups?.[0];
    if (!group) throw new Error('a job without a group');
    const Scaling = {
      ID: '',
      Type: 'horizontal',
      Target: null,
      Min: 1,
      Max: 2,
      Enabled: true,
      Policy: { check: checks },
      CreateIndex: 0,
      ModifyIndex: 0,
    };
    const scaled = { ...job, TaskGroups: [{ ...group, Scaling }] };
    const warning =
      /policy of group "web": check "bad".source cannot be used: there is no apm plugin "prometeus"; did you mean "prometheus"\?/;
    for (const method of ['Job.Validate', 'Job.Plan', 'Job.Register'] as const) {
      const { Warnings } = await world.call(method, { Job: scaled });
      t.match(Warnings, warning, method);
      t.notMatch(Warnings, /"good"/);
    }
    await world.call('Variables.Put', { Path: 'nomad-autoscaler/lock', Items: { holder: 'desk' } });
    t.notMatch((await world.call('Job.Register', { Job: scaled })).Warnings, /prometeus/);
  },
);

t.test('fewer of a stable version are a stable version, more must prove themselves first', async (t) => {
  const world = createTestWorld();
  const node = await world.addNode(1);
  const scale = async (Count: number): Promise<(boolean | undefined)[]> => {
    await world.call('Job.Scale', { JobID: 'web', Target: { Group: 'web' }, Count });
    const atOnce = world.store.snapshot().jobById('default', 'web')?.Stable;
    await world.time.advance(20);
    for (let round = 0; round < 3; round++) await world.obey(node);
    return [atOnce, world.store.snapshot().jobById('default', 'web')?.Stable];
  };
  await world.call('Job.Register', { Job: webJob({ count: 2 }) });
  await world.time.advance(20);
  for (let round = 0; round < 2; round++) await world.obey(node);
  t.same(await scale(3), [false, true]);
  t.same(await scale(1), [true, true]);
});
