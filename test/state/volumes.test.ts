import t from 'tap';
import { grantClaim, nextClaimAction, stepClaim } from '../../lib/state/claims.js';
import { createStore } from '../../lib/state/store.js';
import type { CsiVolumeSeed } from '../../lib/state/volume-commands.js';
import type { CsiAccessMode, CsiClaim, StoredCsiVolume } from '../../lib/structs/csi.js';
import { claimsInTheWay } from '../../lib/structs/csi-access.js';
import type { Job } from '../../lib/structs/job.js';
import { mockGroup, mockJob, mockNode } from '../scheduler/mock.js';
import { NOW, placement, planResults, report, World } from './world.js';

const MS = 1_700_000_000_000;

function seedVolume(changes: Partial<CsiVolumeSeed> = {}): CsiVolumeSeed {
  return {
    ID: 'db',
    Name: 'database',
    Namespace: 'default',
    ExternalID: 'vol-1',
    PluginID: 'nfs',
    RequestedTopologies: null,
    Topologies: null,
    MountOptions: null,
    Secrets: null,
    Parameters: null,
    Context: null,
    Capacity: 0,
    RequestedCapacityMin: 0,
    RequestedCapacityMax: 0,
    RequestedCapabilities: [],
    CloneID: '',
    SnapshotID: '',
    ...changes,
  };
}

function volumeWith(claims: Partial<CsiClaim>[], changes: Partial<StoredCsiVolume> = {}): StoredCsiVolume {
  let volume: StoredCsiVolume = {
    ...seedVolume(),
    AccessMode: '',
    AttachmentMode: '',
    Claims: {},
    PastClaims: [],
    CreateIndex: 1,
    ModifyIndex: 1,
    CreateTime: 0,
    ModifyTime: 0,
    ...changes,
  };
  for (const [i, claim] of claims.entries()) {
    const granted = grantClaim(volume, wanted(claim), { index: 10 + i, time: MS });
    if (!granted.ok) throw granted.error;
    volume = granted.value.volume;
  }
  return volume;
}

function wanted(changes: Partial<CsiClaim> = {}) {
  return {
    AllocationID: 'a1',
    NodeID: 'n1',
    ExternalNodeID: 'x1',
    Mode: 'write' as const,
    AccessMode: 'single-node-writer' as CsiAccessMode,
    AttachmentMode: 'file-system' as const,
    ControllerRequired: false,
    ...changes,
  };
}

t.test('who is in the way of whom, mode by mode', async (t) => {
  const cases: [CsiAccessMode, first: 'read' | 'write', second: 'read' | 'write', sameNode: boolean, free: boolean][] =
    [
      ['single-node-writer', 'write', 'write', true, false],
      ['single-node-writer', 'write', 'read', true, false],
      ['single-node-writer', 'read', 'write', true, false],
      ['single-node-reader-only', 'read', 'read', true, true],
      ['single-node-reader-only', 'read', 'read', false, false],
      ['multi-node-reader-only', 'read', 'read', false, true],
      ['multi-node-single-writer', 'write', 'read', false, true],
      ['multi-node-single-writer', 'read', 'write', false, true],
      ['multi-node-single-writer', 'write', 'write', false, false],
      ['multi-node-multi-writer', 'write', 'write', false, true],
    ];
  for (const [AccessMode, first, second, sameNode, free] of cases) {
    const volume = volumeWith([{ AccessMode, Mode: first }]);
    const next = wanted({ AllocationID: 'a2', NodeID: sameNode ? 'n1' : 'n2', AccessMode, Mode: second });
    t.equal(claimsInTheWay(volume, next).length === 0, free, `${AccessMode}: ${first}, then ${second}, ${sameNode}`);
  }
});

t.test('a claim of another mode of access, or as a block device, waits for the ones there are', async (t) => {
  const volume = volumeWith([{ AccessMode: 'multi-node-multi-writer' }]);
  const as = (changes: Partial<CsiClaim>) => claimsInTheWay(volume, wanted({ AllocationID: 'a2', ...changes })).length;
  t.equal(as({ AccessMode: 'multi-node-single-writer' }), 1);
  t.equal(as({ AccessMode: 'multi-node-multi-writer', AttachmentMode: 'block-device' }), 1);
  t.equal(as({ AccessMode: 'multi-node-multi-writer' }), 0);
});

t.test('a volume is used only as it is registered, and written only where that is allowed', async (t) => {
  const volume = volumeWith([], {
    RequestedCapabilities: [{ AccessMode: 'multi-node-reader-only', AttachmentMode: 'file-system' }],
  });
  const refused = grantClaim(volume, wanted(), { index: 1, time: MS });
  t.match(refused, {
    ok: false,
    error: { code: 'E_BAD_REQUEST', message: /registered for multi-node-reader-only as file/ },
  });
  const writing = wanted({ AccessMode: 'multi-node-reader-only' });
  t.match(grantClaim(volume, writing, { index: 1, time: MS }), { ok: false, error: { message: /for reading only/ } });
});

t.test('a claim asked for twice is granted once, and not while it is being released', async (t) => {
  const volume = volumeWith([{}]);
  const again = grantClaim(volume, wanted(), { index: 99, time: MS + 5 });
  t.ok(again.ok && again.value.volume === volume && again.value.claim.Fence === 10);
  const releasing = stepClaim(volume, { allocId: 'a1', fence: 10 }, { kind: 'release' }, MS);
  t.match(grantClaim(releasing, wanted(), { index: 99, time: MS }), { ok: false, error: { code: 'E_CONFLICT' } });
});

t.test('a claim is released step by step, and every step is taken once', async (t) => {
  const which = { allocId: 'a1', fence: 10 };
  const held = volumeWith([{ ControllerRequired: true }]);
  const other = { ...which, fence: 9 };
  t.equal(stepClaim(held, other, { kind: 'release' }, MS), held, 'an older fence says nothing');
  t.equal(stepClaim(held, which, { kind: 'controller-detached' }, MS), held, 'no step is left out');
  const releasing = stepClaim(held, which, { kind: 'release' }, MS + 1);
  t.match(releasing.Claims.a1, { State: 'unpublishing', ReleasedAt: MS + 1 });
  t.equal(stepClaim(releasing, which, { kind: 'release' }, MS + 2), releasing);
  const waiting = stepClaim(releasing, which, { kind: 'waits', what: 'node n1' }, MS + 3);
  t.match(waiting.Claims.a1, { WaitsFor: 'node n1', WaitsSince: MS + 3 });
  const stillWaiting = stepClaim(waiting, which, { kind: 'waits', what: 'something else' }, MS + 9);
  t.match(stillWaiting.Claims.a1, { WaitsFor: 'something else', WaitsSince: MS + 3 }, 'it waits since then');
  const detached = stepClaim(waiting, which, { kind: 'node-detached', proof: 'node' }, MS + 4);
  t.match(detached.Claims.a1, { State: 'node-detached', Proof: 'node', WaitsFor: '' });
  t.equal(stepClaim(detached, which, { kind: 'node-detached', proof: 'lease' }, MS + 5), detached);
  const free = stepClaim(detached, which, { kind: 'controller-detached' }, MS + 6);
  t.strictSame(free.Claims, {});
  t.match(free, {
    AccessMode: '',
    AttachmentMode: '',
    PastClaims: [{ AllocationID: 'a1', Proof: 'node', FreedAt: MS + 6 }],
  });
});

t.test('the controller follows the last claim on a node, and nobody gets in between', async (t) => {
  const shared = { AccessMode: 'multi-node-multi-writer', ControllerRequired: true } as const;
  const volume = volumeWith([
    shared,
    { ...shared, AllocationID: 'a2' },
    { ...shared, AllocationID: 'a3', NodeID: 'n2' },
  ]);
  const detached = { kind: 'node-detached', proof: 'node' } as const;
  const first = stepClaim(volume, { allocId: 'a1', fence: 10 }, detached, MS);
  t.notOk(first.Claims.a1, 'the volume stays attached for the other one');
  const last = stepClaim(first, { allocId: 'a2', fence: 11 }, detached, MS);
  t.equal(last.Claims.a2?.State, 'node-detached');
  const next = wanted({ ...shared, AllocationID: 'a4' });
  t.equal(claimsInTheWay(last, next).length, 1, 'not on this node, from which it is about to be detached');
  t.equal(claimsInTheWay(last, { ...next, NodeID: 'n2' }).length, 0);
});

t.test('what is done next about a claim', async (t) => {
  const at = (State: CsiClaim['State'], facts: object) =>
    nextClaimAction(
      { ...(volumeWith([{}]).Claims.a1 as CsiClaim), State },
      {
        now: MS,
        alloc: 'live',
        node: 'up',
        leaseEndsMs: MS + 1,
        ...facts,
      },
    );
  t.match(at('taken', {}), { kind: 'none' });
  t.match(at('taken', { node: 'away' }), { kind: 'none' }, 'an allocation that is only out of reach keeps it');
  t.match(at('taken', { alloc: 'ended' }), { kind: 'step', step: { kind: 'release' } });
  t.match(at('taken', { alloc: 'gone' }), { kind: 'step', step: { kind: 'release' } });
  t.match(at('unpublishing', { alloc: 'ended' }), { kind: 'ask-node' });
  t.match(at('unpublishing', { node: 'away' }), { kind: 'wait', untilMs: MS + 1 });
  t.match(at('unpublishing', { node: 'away', leaseEndsMs: MS }), { kind: 'step', step: { proof: 'lease' } });
  t.match(at('node-detached', { node: 'away' }), { kind: 'ask-controller' });
});

function placed(world: World): { job: Job; alloc: string } {
  world.apply({ type: 'node-register', node: { ...mockNode(1), ID: 'n1' }, event: null, evals: [] });
  const seed = mockJob({ ID: 'web', TaskGroups: [mockGroup()] });
  world.apply({ type: 'job-register', job: seed, eval: null, submission: null });
  const job = world.job();
  const one = placement(job, { NodeID: 'n1' });
  world.apply(planResults(job, [one]));
  return { job, alloc: one.ID };
}

t.test('the log grants claims to allocations that are to run there, and to no others', async (t) => {
  const world = new World();
  const { alloc } = placed(world);
  t.match(world.apply({ type: 'csi-volume-upsert', volumes: [seedVolume()], time: MS }), { ok: true });
  const claim = (changes: Partial<CsiClaim>, volumeId = 'db') =>
    world.apply({
      type: 'csi-claim',
      namespace: 'default',
      volumeId,
      request: wanted({ AllocationID: alloc, ...changes }),
      time: MS,
    });
  t.match(claim({}, 'nope'), { ok: false, error: { code: 'E_NOT_FOUND' } });
  t.match(claim({ AllocationID: 'who' }), { ok: false, error: { code: 'E_NOT_FOUND' } });
  t.match(claim({ NodeID: 'n2' }), { ok: false, error: { code: 'E_NOT_FOUND' } });
  t.match(claim({}), { ok: true, value: { claim: { State: 'taken' } } });
  const volume = world.now.csiVolumeById('default', 'db');
  t.equal(volume?.AccessMode, 'single-node-writer');
  t.equal(world.now.claimedCsiVolumes().length, 1);
  const gone = world.apply({ type: 'csi-volume-deregister', namespace: 'default', ids: ['db'], force: false });
  t.match(gone, { ok: false, error: { code: 'E_CONFLICT', message: /is held by allocation/ } });
  world.apply({
    type: 'allocs-client-update',
    allocs: [report({ ID: alloc }, { ClientStatus: 'complete' })],
    evals: [],
    time: NOW,
  });
  t.match(claim({}), { ok: false, error: { code: 'E_NOT_FOUND' } }, 'what has ended claims nothing');
  t.equal(world.now.claimedCsiVolumes().length, 1, 'and yet holds what it held until that is released');
});

t.test('what of a volume can be changed, and when', async (t) => {
  const world = new World();
  const upsert = (changes: Partial<CsiVolumeSeed>) =>
    world.apply({ type: 'csi-volume-upsert', volumes: [seedVolume(changes)], time: MS });
  upsert({ RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' }] });
  for (const [key, value] of Object.entries({
    Name: 'x',
    PluginID: 'x',
    ExternalID: 'x',
    CloneID: 'x',
    SnapshotID: 'x',
  })) {
    t.match(upsert({ [key]: value }), { ok: false, error: { code: 'E_CONFLICT', message: new RegExp(key) } });
  }
  const Secrets = { Keys: ['key'], KeyID: 'k1', Data: 'sealed' };
  const MountOptions = { FSType: 'ext4', MountFlags: { KeyID: 'k1', Data: 'sealed too' } };
  t.match(upsert({ Secrets, MountOptions }), { ok: true });
  t.match(upsert({}), { ok: true });
  t.match(world.now.csiVolumeById('default', 'db'), { Secrets, MountOptions });
});

t.test('what is sealed of a volume is sealed anew, if it is still what it was, and changes nothing', async (t) => {
  const world = new World();
  const Secrets = { Keys: ['key'], KeyID: 'k1', Data: 'a' };
  const MountOptions = { FSType: 'ext4', MountFlags: { KeyID: 'k1', Data: 'b' } };
  world.apply({ type: 'csi-volume-upsert', volumes: [seedVolume({ Secrets, MountOptions })], time: MS });
  const before = world.now.csiVolumeById('default', 'db');
  const rekey = (from: string, Data: string, volumeId = 'db') =>
    world.apply({ type: 'csi-volume-rekey', namespace: 'default', volumeId, from, to: { KeyID: 'k2', Data } });
  for (const id of ['nope', 'db']) t.match(rekey('old', 'x', id), { ok: true });
  t.same(world.now.csiVolumeById('default', 'db'), before);
  rekey('a', 'c');
  rekey('b', 'd');
  t.same(world.now.csiVolumeById('default', 'db'), {
    ...before,
    Secrets: { Keys: ['key'], KeyID: 'k2', Data: 'c' },
    MountOptions: { FSType: 'ext4', MountFlags: { KeyID: 'k2', Data: 'd' } },
  });
});

t.test('a host volume is ready while its node shows it', async (t) => {
  const world = new World();
  const node = { ...mockNode(1), ID: 'n1' };
  const register = (HostVolumes: (typeof node)['HostVolumes']) =>
    world.apply({ type: 'node-register', node: { ...node, HostVolumes }, event: null, evals: [] });
  register(null);
  const volume = {
    Namespace: 'default',
    ID: 'h1',
    Name: 'data',
    PluginID: 'mkdir',
    NodePool: 'default',
    NodeID: 'n1',
    Constraints: null,
    RequestedCapacityMinBytes: 0,
    RequestedCapacityMaxBytes: 0,
    CapacityBytes: 0,
    RequestedCapabilities: [],
    Parameters: null,
    HostPath: '/srv/h1',
  };
  world.apply({ type: 'host-volume-upsert', volume, time: MS });
  const state = () => world.now.hostVolumeById('h1')?.State;
  t.equal(state(), 'pending');
  register({ data: { Name: 'data', Path: '/srv/h1', ReadOnly: false, ID: 'h1' } });
  t.equal(state(), 'ready');
  const twin = world.apply({ type: 'host-volume-upsert', volume: { ...volume, ID: 'h2' }, time: MS });
  t.match(twin, { ok: false, error: { code: 'E_CONFLICT' } });
  world.apply({ type: 'node-status', id: 'n1', status: 'down', updatedAt: 1, event: null, evals: [] });
  t.equal(state(), 'unavailable');
  world.apply({ type: 'node-status', id: 'n1', status: 'ready', updatedAt: 2, event: null, evals: [] });
  t.equal(state(), 'ready');
  world.apply({ type: 'node-deregister', ids: ['n1'], evals: [] });
  t.equal(state(), 'unavailable');
});

t.test('volumes and claims survive a snapshot', async (t) => {
  const world = new World();
  const { alloc } = placed(world);
  world.apply({ type: 'csi-volume-upsert', volumes: [seedVolume()], time: MS });
  const request = wanted({ AllocationID: alloc });
  world.apply({ type: 'csi-claim', namespace: 'default', volumeId: 'db', request, time: MS });
  const copy = createStore();
  await copy.restore(world.now.stream(), world.store.index);
  const volume = world.now.csiVolumeById('default', 'db');
  t.ok(volume);
  t.strictSame(copy.snapshot().csiVolumeById('default', 'db'), volume);
  t.equal(copy.snapshot().claimedCsiVolumes().length, 1);
});
