import t from 'tap';
import { compareAttributes, parseDeviceAttribute } from '../../lib/scheduler/feasible/device-attribute.js';
import { allocsFit } from '../../lib/scheduler/fit.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node, NodeDeviceResource } from '../../lib/structs/node.js';
import type { RequestedDevice } from '../../lib/structs/resources.js';
import { Harness } from './harness.js';
import { mockAlloc, mockAllocated, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const gpu = (Name: string, count: number, memoryMiB: number, unhealthy = 0): NodeDeviceResource => ({
  Vendor: 'nvidia',
  Type: 'gpu',
  Name,
  Instances: Array.from({ length: count }, (_, i) => ({
    ID: `${Name}-${i}`,
    Healthy: i >= unhealthy,
    HealthDescription: '',
    Locality: null,
  })),
  Attributes: { memory: { Int: memoryMiB, Unit: 'MiB' }, cuda: { String: '12.4' }, ecc: { Bool: true } },
});
const withDevices = (index: number, Devices: NodeDeviceResource[]): Node => {
  const node = mockNode(index);
  return { ...node, ComputedClass: `v1:${index}`, NodeResources: { ...node.NodeResources, Devices } };
};
const ask = (Name: string, Count = 1, changes: Partial<RequestedDevice> = {}): RequestedDevice => ({
  Name,
  Count,
  Constraints: null,
  Affinities: null,
  ...changes,
});
const asking = (Devices: RequestedDevice[], Count = 1, changes: Partial<Job> = {}): Job =>
  mockJob({
    TaskGroups: [mockGroup({ Count, Tasks: [mockTask({ Resources: mockResources({ CPU: 100, Devices }) })] })],
    ...changes,
  });
const given = (alloc: Allocation | undefined) => alloc?.AllocatedResources.Tasks['web']?.Devices;

t.test('attributes compare by value and unit', async (t) => {
  for (const [a, b, order] of [
    ['11 GiB', '11264MiB', 0],
    ['1 GB', '1 GiB', -1],
    ['2', '10', -1],
    ['1500 MHz', '1.5 GHz', 0],
    ['1 GiB', '1 GiB/s', undefined],
    ['1', '1 W', undefined],
    ['true', 'true', 0],
    ['abc', 'abd', -1],
    ['12 parsecs', '12', undefined],
  ] as const) {
    const found = compareAttributes(parseDeviceAttribute(a), parseDeviceAttribute(b));
    t.equal(found === undefined ? undefined : Math.sign(found), order, `${a} and ${b}`);
  }
});

t.test('which names, constraints and counts a node satisfies', async (t) => {
  const constraint = (LTarget: string, Operand: string, RTarget: string) => ({
    Constraints: [{ LTarget, Operand, RTarget }],
  });
  for (const [name, asks, wanted] of [
    ['by type', [ask('gpu')], ['a100-1']],
    ['by vendor and type', [ask('nvidia/gpu')], ['a100-1']],
    ['by model', [ask('nvidia/gpu/t4')], ['t4-0']],
    ['another vendor', [ask('amd/gpu')], null],
    ['only healthy ones', [ask('nvidia/gpu/a100', 2)], null],
    ['all of one group', [ask('gpu', 2)], ['t4-0', 't4-1']],
    ['more than there are', [ask('gpu', 3)], null],
    ['two asks', [ask('gpu'), ask('gpu', 2)], ['a100-1', 't4-0', 't4-1']],
    ['two asks that need the same', [ask('t4', 2), ask('gpu', 2)], null],
    ['memory', [ask('gpu', 1, constraint('${device.attr.memory}', '<=', '16 GiB'))], ['t4-0']],
    ['too much memory', [ask('gpu', 1, constraint('${device.attr.memory}', '>', '1 TiB'))], null],
    ['version', [ask('gpu', 1, constraint('${device.attr.cuda}', 'version', '>= 12.0'))], ['a100-1']],
    ['bool', [ask('gpu', 1, constraint('${device.attr.ecc}', '=', 'false'))], null],
    ['model', [ask('gpu', 1, constraint('${device.model}', 'regexp', '^t'))], ['t4-0']],
    ['ids', [ask('gpu', 1, constraint('${device.ids}', 'set_contains', 't4-1'))], ['t4-0']],
    ['absent', [ask('gpu', 1, constraint('${device.attr.nope}', 'is_set', ''))], null],
  ] as const) {
    const harness = new Harness();
    harness.addNode(withDevices(0, [gpu('a100', 2, 40960, 1), gpu('t4', 2, 16384)]), mockNode(1));
    const job = harness.register(asking([...asks]));
    const evaluation = await harness.run(job);
    const [placed] = harness.live(job);
    t.same(given(placed)?.flatMap(({ DeviceIDs }) => DeviceIDs) ?? null, wanted, name);
    if (!wanted)
      t.ok(evaluation.FailedTGAllocs?.['web']?.ConstraintFiltered?.['missing devices'], `${name}: and says so`);
  }
});

t.test('an instance is held by one allocation, and is free again when that ends', async (t) => {
  const harness = new Harness();
  harness.addNode(withDevices(0, [gpu('t4', 3, 16384)]));
  const job = harness.register(asking([ask('gpu')], 4));
  const evaluation = await harness.run(job);
  const held = harness.live(job).flatMap((alloc) => given(alloc)?.[0]?.DeviceIDs ?? []);
  t.same(held.sort(), ['t4-0', 't4-1', 't4-2']);
  t.equal(
    evaluation.FailedTGAllocs?.['web']?.DimensionExhausted?.['devices: no devices match request'],
    1,
    'the fourth waits',
  );
  const ended = harness.live(job).find((alloc) => given(alloc)?.[0]?.DeviceIDs[0] === 't4-1');
  harness.patch(ended?.ID as string, { ClientStatus: 'complete', DesiredStatus: 'stop' });
  await harness.run(job);
  t.same(
    harness
      .live(job)
      .flatMap((alloc) => given(alloc)?.[0]?.DeviceIDs ?? [])
      .sort(),
    ['t4-0', 't4-1', 't4-2'],
  );
});

t.test('device affinities choose the group on a node, and weigh among nodes', async (t) => {
  const like = { LTarget: '${device.model}', Operand: '=', RTarget: 'a100', Weight: 75 };
  const unlike = { LTarget: '${device.attr.memory}', Operand: '<', RTarget: '20 GiB', Weight: -25 };
  const harness = new Harness();
  harness.addNode(withDevices(0, [gpu('t4', 2, 16384)]), withDevices(1, [gpu('t4', 2, 16384), gpu('a100', 2, 40960)]));
  const job = harness.register(asking([ask('gpu', 1, { Affinities: [like, unlike] })]));
  await harness.run(job);
  t.same(
    harness.live(job).map((alloc) => [alloc.NodeID, given(alloc)?.[0]?.Name]),
    [['node-00001', 'a100']],
  );
  const scores = harness.live(job)[0]?.Metrics?.ScoreMetaData ?? [];
  t.same(
    scores.map(({ NodeID, Scores }) => [NodeID, Scores['devices']]).sort(),
    [
      ['node-00000', -0.25],
      ['node-00001', 0.75],
    ],
    'Σ matched weights / Σ |weights|',
  );
});

t.test('a device that two hold does not fit', async (t) => {
  const node = withDevices(0, [gpu('t4', 2, 16384)]);
  const holding = (...DeviceIDs: string[]): Allocation => {
    const resources = mockAllocated({ cpu: 1 });
    const web = resources.Tasks['web'];
    const Devices = [{ Vendor: 'nvidia', Type: 'gpu', Name: 't4', DeviceIDs }];
    return mockAlloc(mockJob(), {
      AllocatedResources: { ...resources, Tasks: web ? { web: { ...web, Devices } } : {} },
    });
  };
  t.ok(allocsFit(node, [holding('t4-0'), holding('t4-1')]).fits);
  t.equal(allocsFit(node, [holding('t4-0'), holding('t4-0')]).dimension, 'device oversubscribed');
  t.ok(allocsFit(node, [holding('t4-0'), { ...holding('t4-0'), ClientStatus: 'complete' }]).fits);
});

t.test('the least important holders of enough devices make room', async (t) => {
  const harness = new Harness();
  harness.config = {
    ...harness.config,
    PreemptionConfig: { ...harness.config.PreemptionConfig, ServiceSchedulerEnabled: true },
  };
  harness.addNode(withDevices(0, [gpu('t4', 2, 16384), gpu('a100', 1, 40960)]));
  for (const [id, Priority, model] of [
    ['cheap', 10, 'nvidia/gpu/t4'],
    ['dear', 45, 'nvidia/gpu/t4'],
    ['mid', 30, 'nvidia/gpu/a100'],
  ] as const) {
    await harness.run(harness.register(asking([ask(model)], 1, { ID: id, Priority })));
  }
  const job = harness.register(asking([ask('gpu')], 2, { ID: 'high', Priority: 60 }));
  await harness.run(job);
  const gone = Object.values(harness.plans.at(-1)?.NodePreemptions ?? {})
    .flat()
    .map(({ JobID }) => JobID);
  t.same(gone.sort(), ['cheap', 'mid']);
  t.same(
    harness
      .live(job)
      .map((alloc) => given(alloc)?.[0]?.Name)
      .sort(),
    ['a100', 't4'],
  );
});
