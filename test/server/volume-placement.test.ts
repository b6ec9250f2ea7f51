import t from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import { MeshError } from '../../lib/structs/errors.js';
import type { Job } from '../../lib/structs/job.js';
import type { VolumeRequest } from '../../lib/structs/volume.js';
import { mockGroup, mockJob, mockTask } from '../scheduler/mock.js';
import {
  controllerInfo,
  createVolumeWorld,
  csiInfo,
  type FakeNode,
  nodeInfo,
  type VolumeWorld,
} from './volume-world.js';

type Request = Partial<VolumeRequest>;

async function submit(world: VolumeWorld, id: string, volume: Request, changes: { count?: number; job?: object } = {}) {
  const { EvalID } = await world.call('Job.Register', { Job: jobWith(id, volume, changes) });
  await world.time.advance(200);
  return EvalID;
}

function jobWith(id: string, volume: Request, changes: { count?: number; groups?: string[]; job?: object } = {}): Job {
  const request = {
    Name: 'data',
    Type: 'csi',
    Source: 'db',
    ReadOnly: false,
    Sticky: false,
    AccessMode: 'single-node-writer',
    AttachmentMode: 'file-system',
    MountOptions: null,
    PerAlloc: false,
    ...volume,
  } as VolumeRequest;
  const groups = (changes.groups ?? ['web']).map((Name) =>
    mockGroup({ Name, Count: changes.count ?? 1, Volumes: { data: request }, Tasks: [mockTask()] }),
  );
  return mockJob({ ID: id, TaskGroups: groups, ...changes.job }) as Job;
}

/** Why the group of an evaluation was not placed. */
function reasons(world: VolumeWorld, evalId: string): Record<string, number> {
  const evaluation = world.store.snapshot().evalById(evalId);
  return Object.values(evaluation?.FailedTGAllocs ?? {})[0]?.ConstraintFiltered ?? {};
}

const live = (world: VolumeWorld, id: string): Allocation[] =>
  world.allocs(id).filter(({ DesiredStatus, ClientStatus }) => DesiredStatus === 'run' && ClientStatus !== 'lost');

async function register(world: VolumeWorld, ID: string, changes: object = {}): Promise<void> {
  await world.call('CSIVolume.Register', {
    Volumes: [
      {
        ID,
        ExternalID: `ext-${ID}`,
        PluginID: 'nfs',
        RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }],
        ...changes,
      },
    ],
  });
  await world.time.advance(200);
}

t.test('a job waits for its volume, its plugin and the one who holds it, says so, and goes on by itself', async (t) => {
  const world = createVolumeWorld();
  const plain = await world.addFakeNode(1, { changes: { CSINodePlugins: null } });
  const evalId = await submit(world, 'web', {});
  t.strictSame(reasons(world, evalId), { 'missing CSI Volume db': 1 });

  const sick = await world.addFakeNode(2, { changes: { CSINodePlugins: { nfs: csiInfo({ Healthy: false }) } } });
  await register(world, 'db');
  t.equal(live(world, 'web').length, 0);
  const why = await world.call('Job.Why', { JobID: 'web' });
  t.match(JSON.stringify(why.Why), /CSI plugin nfs is unhealthy on client/);
  t.match(JSON.stringify(why.Why), /CSI plugin nfs is missing from client/);

  const healed = { ...sick.node, CSINodePlugins: { nfs: csiInfo({ NodeInfo: nodeInfo('ext-2') }) } };
  await world.call('Node.Register', { Node: healed });
  await world.time.advance(200);
  t.match(live(world, 'web'), [{ NodeID: sick.node.ID }]);
  t.not(sick.node.ID, plain.node.ID);
  const [first] = live(world, 'web');
  await world.claim(sick, first?.ID ?? '');

  const second = await submit(world, 'other', {});
  t.match(reasons(world, second), { 'CSI volume db has exhausted its available writer claims': 1 });
  await world.call('Job.Deregister', { JobID: 'web', Purge: true });
  await world.time.advance(200);
  await world.obey(sick.node);
  await world.time.advance(5_000);
  t.equal(live(world, 'other').length, 1, 'freed, it goes to who waited');
});

t.test('what is run again is placed at once, and waits for its predecessor on the node', async (t) => {
  const world = createVolumeWorld();
  const a = await world.addFakeNode(1);
  await register(world, 'db');
  await submit(world, 'mysql', {});
  const [first] = live(world, 'mysql');
  await world.claim(a, first?.ID ?? '');
  a.answers['ClientCSI.NodeDetach'] = () => new Promise(() => {}) as never;
  await world.call('Job.Deregister', { JobID: 'mysql', Purge: true });
  await world.time.advance(200);
  await world.obey(a.node);
  await submit(world, 'mysql', {});
  const [again] = live(world, 'mysql');
  t.ok(again && again.ID !== first?.ID);
  await t.rejects(world.claim(a, again?.ID ?? ''), { code: 'E_CONFLICT', message: /is being released/ });
});

t.test('per_alloc gives each allocation a volume of its own', async (t) => {
  const world = createVolumeWorld();
  await world.addFakeNode(1);
  await register(world, 'db[0]');
  await register(world, 'db[2]');
  const evalId = await submit(world, 'web', { PerAlloc: true }, { count: 3 });
  t.strictSame(
    live(world, 'web')
      .map(({ Name }) => Name)
      .sort(),
    ['web.web[0]', 'web.web[2]'],
  );
  t.strictSame(reasons(world, evalId), { 'missing CSI Volume db[1]': 1 });
  await register(world, 'db[1]');
  t.equal(live(world, 'web').length, 3);
});

t.test('of a volume for one writer, a group of two gets one', async (t) => {
  const world = createVolumeWorld();
  await world.addFakeNode(1);
  await world.addFakeNode(2);
  await register(world, 'db');
  const evalId = await submit(world, 'web', {}, { count: 2 });
  t.equal(live(world, 'web').length, 1);
  t.match(reasons(world, evalId), { 'CSI volume db has exhausted its available writer claims': 2 });
});

t.test(
  'of two jobs that come at once for one volume, one is placed and the other says what it waits for',
  async (t) => {
    const world = createVolumeWorld();
    for (const number of [1, 2, 3]) await world.addFakeNode(number);
    await register(world, 'db');
    const ids = ['one', 'two', 'three'];
    const evals = await Promise.all(ids.map((id) => world.call('Job.Register', { Job: jobWith(id, {}) })));
    await world.time.advance(200);
    const placed = ids.filter((id) => live(world, id).length > 0);
    t.equal(placed.length, 1, 'though nobody has claimed it yet');
    const waiting = ids.filter((id) => !placed.includes(id));
    for (const id of waiting) {
      t.strictSame(reasons(world, evals[ids.indexOf(id)]?.EvalID ?? ''), {
        'CSI volume db has exhausted its available writer claims': 3,
      });
      t.equal(
        world.store
          .snapshot()
          .evalsByJob('default', id)
          .filter(({ Status }) => Status === 'blocked').length,
        1,
      );
    }
    await world.call('Job.Deregister', { JobID: placed[0] ?? '', Purge: true });
    await world.time.advance(200);
    t.equal(waiting.filter((id) => live(world, id).length > 0).length, 1, 'never claimed, it goes to one who waits');
  },
);

t.test('of two groups of a job for one volume, one gets it, unless both only read', async (t) => {
  const world = createVolumeWorld();
  await world.addFakeNode(1);
  const modes = ['single-node-writer', 'multi-node-single-writer'] as const;
  await register(world, 'db', {
    RequestedCapabilities: modes.map((AccessMode) => ({ AccessMode, AttachmentMode: 'file-system' })),
  });
  await world.call('Job.Register', { Job: jobWith('both', {}, { groups: ['a', 'b'] }) });
  await world.time.advance(200);
  t.equal(live(world, 'both').length, 1);
  await world.call('Job.Deregister', { JobID: 'both', Purge: true });
  await world.time.advance(200);
  const reading = { AccessMode: 'multi-node-single-writer', ReadOnly: true };
  await world.call('Job.Register', { Job: jobWith('readers', reading, { groups: ['a', 'b'] }) });
  await world.time.advance(200);
  t.equal(live(world, 'readers').length, 2);
  const other = await submit(world, 'writer', { AccessMode: 'single-node-writer' });
  t.match(reasons(world, other), { 'CSI volume db has exhausted its available writer claims': 1 });
  await submit(world, 'fits', { AccessMode: 'multi-node-single-writer' });
  t.equal(live(world, 'fits').length, 1, 'one writer goes with readers');
});

t.test('topology, modes, controllers and the number of volumes on a node decide', async (t) => {
  const world = createVolumeWorld();
  const at = (zone: string, MaxVolumes = 0) => ({
    CSINodePlugins: {
      nfs: csiInfo({ NodeInfo: { ...nodeInfo(zone), MaxVolumes, AccessibleTopology: { Segments: { zone } } } }),
    },
  });
  await world.addFakeNode(1, { changes: at('a') });
  const b = await world.addFakeNode(2, { changes: at('b', 1) });
  await register(world, 'db', { Topologies: [{ Segments: { zone: 'b' } }] });
  await register(world, 'more', { Topologies: [{ Segments: { zone: 'b' } }] });
  await submit(world, 'web', {});
  t.match(live(world, 'web'), [{ NodeID: b.node.ID }]);
  await world.claim(b, live(world, 'web')[0]?.ID ?? '');
  const full = await submit(world, 'more', { Source: 'more' });
  t.match(reasons(world, full), {
    'did not meet topology requirement': 1,
    'CSI plugin nfs has the maximum number of volumes on client': 1,
  });
  const mode = await submit(world, 'mode', { Source: 'more', AccessMode: 'multi-node-multi-writer' });
  t.match(reasons(world, mode), { 'CSI volume more cannot be used as multi-node-multi-writer (file-system)': 2 });

  const lonely = createVolumeWorld();
  const needs = { nfs: csiInfo({ NodeInfo: nodeInfo('x'), RequiresControllerPlugin: true }) };
  await lonely.addFakeNode(1, { changes: { CSINodePlugins: needs } });
  await register(lonely, 'db');
  const waits = await submit(lonely, 'web', {});
  t.match(reasons(lonely, waits), { 'CSI plugin nfs has no healthy controller': 1 });
  await lonely.addNode(2, { CSIControllerPlugins: { nfs: controllerInfo() } });
  await lonely.time.advance(200);
  t.equal(live(lonely, 'web').length, 1, 'placed as soon as there is a controller, on whatever node');
});

async function hostVolume(world: VolumeWorld, node: FakeNode, name: string, AccessMode = 'single-node-writer') {
  let id = '';
  node.answers['ClientHostVolume.Create'] = (args) => {
    id = args.ID;
    return { HostPath: `/srv/${args.ID}`, CapacityBytes: 0 };
  };
  await world.call('HostVolume.Create', {
    Volume: {
      Name: name,
      NodeID: node.node.ID,
      RequestedCapabilities: [{ AccessMode: AccessMode as 'single-node-writer', AttachmentMode: 'file-system' }],
    },
  });
  const HostVolumes = { ...node.node.HostVolumes, [name]: { Name: name, Path: `/srv/${id}`, ReadOnly: false, ID: id } };
  Object.assign(node.node, { HostVolumes });
  await world.call('Node.Register', { Node: node.node });
  await world.time.advance(200);
  return id;
}

t.test('a host volume made through the API is waited for, and its modes are kept', async (t) => {
  const world = createVolumeWorld();
  const a = await world.addFakeNode(1);
  const alone = { Type: 'host', Source: 'data', AccessMode: 'single-node-single-writer', AttachmentMode: '' } as const;
  const evalId = await submit(world, 'web', alone);
  t.strictSame(reasons(world, evalId), { 'missing compatible host volumes': 1 });
  await hostVolume(world, a, 'data', 'single-node-single-writer');
  t.equal(live(world, 'web').length, 1);
  const second = await submit(world, 'second', alone);
  t.match(reasons(world, second), { 'host volume "data" has exhausted its available writer claims': 1 });
  const wrong = await submit(world, 'wrong', { ...alone, AccessMode: 'single-node-multi-writer' });
  t.match(reasons(world, wrong), { 'host volume "data" cannot be used as single-node-multi-writer': 1 });
});

t.test('a node that is down is not waited for when a volume on it is deleted', async (t) => {
  const world = createVolumeWorld();
  const a = await world.addFakeNode(1);
  const VolumeID = await hostVolume(world, a, 'data');
  a.answers['ClientHostVolume.Delete'] = () => {
    throw new MeshError('E_TIMEOUT', 'no link');
  };
  const remove = (more: object) => world.call('HostVolume.Delete', { VolumeID, ...more });
  const waited = () => a.asked.findLast(({ method }) => method === 'ClientHostVolume.Delete')?.timeoutMs ?? 0;
  await t.rejects(remove({}), { message: 'no link' });
  t.ok(waited() > 60_000, 'its plugin has a minute');
  const { ID: NodeID, SecretID } = a.node;
  await world.call('Node.UpdateStatus', { NodeID, SecretID, Status: 'down' });
  await t.rejects(remove({}), { code: 'E_TIMEOUT', message: /not there: .* -force and a -reason \(no link\)/ });
  t.ok(waited() < 10_000);
  await remove({ Force: true, Reason: 'its disk is gone' });
  t.equal(world.store.snapshot().hostVolumeById(VolumeID), undefined);
});

t.test('a sticky volume keeps its allocation, even when its node is gone for a while', async (t) => {
  const world = createVolumeWorld();
  const a = await world.addFakeNode(1);
  const b = await world.addFakeNode(2);
  await hostVolume(world, a, 'data');
  await hostVolume(world, b, 'data');
  const sticky = { Type: 'host', Source: 'data', AccessMode: '', AttachmentMode: '', Sticky: true } as const;
  await submit(world, 'web', sticky);
  const [first] = live(world, 'web');
  const home = first?.NodeID === a.node.ID ? a : b;
  const claims = async () => (await world.call('HostVolume.ClaimList', {})).Claims;
  t.match(await claims(), [{ AllocName: 'web.web[0]', JobID: 'web', VolumeName: 'data', AllocID: first?.ID }]);
  await world.call('Node.UpdateEligibility', { NodeID: home.node.ID, Eligibility: 'ineligible' });
  await world.call('Alloc.Stop', { AllocID: first?.ID ?? '' });
  await world.time.advance(200);
  t.equal(live(world, 'web').length, 0, 'rather nowhere than without its data');
  const why = await world.call('Job.Why', { JobID: 'web' });
  t.match(JSON.stringify(why.Why), /lies on another node/);
  await world.call('Node.UpdateEligibility', { NodeID: home.node.ID, Eligibility: 'eligible' });
  await world.time.advance(200);
  t.match(live(world, 'web'), [{ NodeID: home.node.ID }]);
  const [claim] = await claims();
  await world.call('HostVolume.ClaimDelete', { ClaimID: claim?.ID ?? '' });
  t.same(await claims(), []);
});

t.test('a canary of what one may use alone is refused at once', async (t) => {
  const world = createVolumeWorld();
  await world.addFakeNode(1);
  const group = {
    Name: 'data',
    Type: 'csi',
    Source: 'db',
    ReadOnly: false,
    Sticky: false,
    AccessMode: 'single-node-writer',
    AttachmentMode: 'file-system',
    MountOptions: null,
    PerAlloc: false,
  } as VolumeRequest;
  const Update = {
    Canary: 1,
    MaxParallel: 1,
    HealthCheck: 'task_states',
    MinHealthyTime: 1e9,
    HealthyDeadline: 2e9,
    ProgressDeadline: 3e9,
    AutoRevert: false,
    AutoPromote: false,
    Stagger: 30e9,
  } as const;
  const Job = mockJob({
    ID: 'web',
    TaskGroups: [mockGroup({ Volumes: { data: group }, Update, Tasks: [mockTask()] })],
  });
  await t.rejects(world.call('Job.Register', { Job }), {
    message: /canar.* volume .*single-node-writer|single-node-writer.*canar/,
  });
});

t.test('a new version takes the volume over from the old one, and a drained node hands it on', async (t) => {
  const world = createVolumeWorld();
  const nodes = [await world.addFakeNode(1), await world.addFakeNode(2)];
  await register(world, 'db');
  await submit(world, 'web', {});
  const [first] = live(world, 'web');
  const home = nodes.find(({ node }) => node.ID === first?.NodeID);
  t.ok(home);
  if (!home) return;
  await world.claim(home, first?.ID ?? '');
  await world.obey(home.node);
  await submit(world, 'web', {}, { job: { Meta: { changed: 'yes' } } });
  const [second] = live(world, 'web');
  t.ok(second && second.ID !== first?.ID, 'placed, though the old one has the volume still');
  await world.obey(home.node);
  await world.time.advance(5_000);
  const heir = nodes.find(({ node }) => node.ID === second?.NodeID);
  if (!heir) throw new Error('no node');
  await world.claim(heir, second?.ID ?? '');
  await world.obey(heir.node);
  const DrainStrategy = { Deadline: 3_600e9, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' };
  await world.call('Node.UpdateDrain', { NodeID: heir.node.ID, DrainStrategy });
  await world.time.advance(1_000);
  const third = live(world, 'web').find(({ ID }) => ID !== second?.ID);
  t.ok(third && third.NodeID !== heir.node.ID, 'the other node is to have it');
  await world.obey(heir.node);
  await world.time.advance(5_000);
  const other = nodes.find(({ node }) => node.ID === third?.NodeID);
  if (other) t.ok((await world.claim(other, third?.ID ?? '')).Fence > 0);
});
