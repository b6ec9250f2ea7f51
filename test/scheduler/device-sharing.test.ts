import t from 'tap';
import { allocsFit } from '../../lib/scheduler/fit.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job } from '../../lib/structs/job.js';
import type { Node, NodeDeviceResource } from '../../lib/structs/node.js';
import type { RequestedDevice } from '../../lib/structs/resources.js';
import { type Random, randomInt, seededRandom } from '../../lib/util/random.js';
import { Harness } from './harness.js';
import { mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const gpu = (Name: string, ids: string[], memory: number | null, healthy = true): NodeDeviceResource => ({
  Vendor: 'nvidia',
  Type: 'gpu',
  Name,
  Instances: ids.map((ID) => ({ ID, Healthy: healthy, HealthDescription: '', Locality: null })),
  Attributes: memory === null ? {} : { memory: { Int: memory, Unit: 'MiB' } },
});
const withDevices = (index: number, Devices: NodeDeviceResource[]): Node => {
  const node = mockNode(index);
  return { ...node, ComputedClass: `v1:${index}`, NodeResources: { ...node.NodeResources, Devices } };
};
const ask = (changes: Partial<RequestedDevice> = {}): RequestedDevice => ({
  Name: 'gpu',
  Count: 1,
  Constraints: null,
  Affinities: null,
  ...changes,
});
const asking = (devices: RequestedDevice[], changes: Partial<Job> = {}): Job =>
  mockJob({
    TaskGroups: [
      mockGroup({
        Count: 1,
        Tasks: [mockTask({ Resources: mockResources({ CPU: 1, MemoryMB: 1, Devices: devices }) })],
      }),
    ],
    ...changes,
  });
const given = (alloc: Allocation | undefined) => alloc?.AllocatedResources.Tasks['web']?.Devices ?? null;

async function place(harness: Harness, id: string, ...devices: RequestedDevice[]) {
  const job = harness.register(asking(devices, { ID: id }));
  const evaluation = await harness.run(job);
  return { got: given(harness.live(job)[0]), evaluation };
}

t.test('parts of a card are given side by side, as long as its memory lasts', async (t) => {
  const harness = new Harness();
  harness.addNode(withDevices(0, [gpu('a', ['a0'], 10_000)]));
  t.same((await place(harness, 'one', ask({ MemoryMB: 4000 }))).got, [
    { Vendor: 'nvidia', Type: 'gpu', Name: 'a', DeviceIDs: ['a0'], MemoryMB: 4000 },
  ]);
  t.same((await place(harness, 'two', ask({ Share: 25 }))).got, [
    { Vendor: 'nvidia', Type: 'gpu', Name: 'a', DeviceIDs: ['a0'], MemoryMB: 2500, Share: 25 },
  ]);
  const { got, evaluation } = await place(harness, 'three', ask({ MemoryMB: 3501 }));
  t.equal(got, null);
  t.ok(evaluation.FailedTGAllocs?.['web']?.DimensionExhausted?.['devices: no devices match request']);
  t.match((await place(harness, 'four', ask({ Share: 10, MemoryMB: 3500 }))).got, [{ MemoryMB: 3500 }], 'the larger');
  t.equal((await place(harness, 'five', ask({ MemoryMB: 1 }))).got, null, 'nothing is left');
});

t.test('who has a card whole has it alone', async (t) => {
  const harness = new Harness();
  harness.addNode(withDevices(0, [gpu('a', ['a0', 'a1'], 8000)]));
  t.same((await place(harness, 'part', ask({ Share: 1 }))).got?.[0]?.DeviceIDs, ['a0']);
  t.same((await place(harness, 'whole', ask())).got, [{ Vendor: 'nvidia', Type: 'gpu', Name: 'a', DeviceIDs: ['a1'] }]);
  t.equal((await place(harness, 'whole2', ask())).got, null, 'a0 is shared');
  t.same((await place(harness, 'part2', ask({ Share: 99 }))).got?.[0]?.DeviceIDs, ['a0'], 'a1 is taken');
});

t.test('what is shared already is filled first, the fullest that will do', async (t) => {
  const harness = new Harness();
  harness.addNode(withDevices(0, [gpu('a', ['a0', 'a1', 'a2'], 8000)]));
  const { got } = await place(harness, 'two', ask({ MemoryMB: 3000, Count: 2 }));
  t.same(got?.[0]?.DeviceIDs, ['a0', 'a1'], 'parts of two cards, not two parts of one');
  t.same((await place(harness, 'x', ask({ MemoryMB: 1000 }))).got?.[0]?.DeviceIDs, ['a0']);
  t.same((await place(harness, 'y', ask({ MemoryMB: 4500 }))).got?.[0]?.DeviceIDs, ['a1']);
  t.same((await place(harness, 'z', ask({ MemoryMB: 4000 }))).got?.[0]?.DeviceIDs, ['a0'], 'full to the last');
  t.same((await place(harness, 'w', ask())).got?.[0]?.DeviceIDs, ['a2']);
});

t.test('the asks of one group see each other', async (t) => {
  const harness = new Harness();
  harness.addNode(withDevices(0, [gpu('a', ['a0'], 8000)]));
  t.equal((await place(harness, 'much', ask({ Share: 60 }), ask({ Share: 60 }))).got, null);
  t.equal((await place(harness, 'mixed', ask({ Share: 60 }), ask())).got, null);
  t.same((await place(harness, 'half', ask({ Share: 50 }), ask({ Share: 50 }))).got?.length, 2);
});

t.test('a card whose memory nobody knows is not shared, nor one that is too small or ill', async (t) => {
  const harness = new Harness();
  harness.addNode(withDevices(0, [gpu('b', ['b0'], null), gpu('c', ['c0'], 2000), gpu('d', ['d0'], 9000, false)]));
  t.equal((await place(harness, 'big', ask({ MemoryMB: 4000 }))).got, null);
  t.same((await place(harness, 'small', ask({ MemoryMB: 2000 }))).got?.[0]?.DeviceIDs, ['c0']);
  t.same((await place(harness, 'whole', ask())).got?.[0]?.DeviceIDs, ['b0']);
});

t.test('for a whole card all who share it have to go', async (t) => {
  const harness = new Harness();
  harness.config = {
    ...harness.config,
    PreemptionConfig: { ...harness.config.PreemptionConfig, ServiceSchedulerEnabled: true },
  };
  harness.addNode(withDevices(0, [gpu('a', ['a0', 'a1'], 8000)]));
  for (const [id, Priority] of [
    ['s1', 10],
    ['s2', 20],
    ['s3', 30],
  ] as const) {
    await harness.run(harness.register(asking([ask({ Share: 30 })], { ID: id, Priority })));
  }
  await harness.run(harness.register(asking([ask()], { ID: 'w', Priority: 55 })));
  const job = harness.register(asking([ask()], { ID: 'high', Priority: 60 }));
  await harness.run(job);
  t.same(given(harness.live(job)[0])?.[0]?.DeviceIDs, ['a0']);
  const victims = Object.values(harness.plans.at(-1)?.NodePreemptions ?? {}).flat();
  t.same(victims.map(({ JobID }) => JobID).sort(), ['s1', 's2', 's3'], 'the one of nearly its own rank stays');
});

/** Adds it all up again, plainly: what is wrong with who holds what on a node. */
function overheld(harness: Harness): string[] {
  const wrong: string[] = [];
  for (const node of harness.nodes.values()) {
    const live = [...harness.allocs.values()].filter(
      ({ NodeID, ClientStatus, DesiredStatus }) =>
        NodeID === node.ID && DesiredStatus === 'run' && !['complete', 'failed', 'lost'].includes(ClientStatus),
    );
    for (const device of node.NodeResources.Devices ?? []) {
      const total = device.Attributes?.['memory']?.Int ?? 0;
      for (const { ID } of device.Instances) {
        const holds = live
          .flatMap((alloc) => Object.values(alloc.AllocatedResources.Tasks))
          .flatMap(({ Devices }) => Devices ?? [])
          .filter(({ Name, DeviceIDs }) => Name === device.Name && DeviceIDs.includes(ID));
        const whole = holds.filter(({ MemoryMB }) => MemoryMB === undefined).length;
        const shared = holds.reduce((sum, { MemoryMB = 0 }) => sum + MemoryMB, 0);
        if (whole > 1) wrong.push(`${node.ID}/${ID}: ${whole} have it whole`);
        if (whole === 1 && holds.length > 1) wrong.push(`${node.ID}/${ID}: shared and whole`);
        if (shared > total) wrong.push(`${node.ID}/${ID}: ${shared} of ${total} MiB`);
      }
    }
    if (!allocsFit(node, live).fits) wrong.push(`${node.ID}: ${allocsFit(node, live).dimension}`);
  }
  return wrong;
}

function randomAsk(random: Random): RequestedDevice {
  const count = { Count: 1 + (random.next() < 0.2 ? 1 : 0), Name: random.next() < 0.5 ? 'gpu' : 'nvidia/gpu/a' };
  const kind = randomInt(random, 4);
  if (kind === 0) return ask(count);
  if (kind === 1) return ask({ ...count, Share: 1 + randomInt(random, 100) });
  if (kind === 2) return ask({ ...count, MemoryMB: 1 + randomInt(random, 9000) });
  return ask({ ...count, Share: 1 + randomInt(random, 100), MemoryMB: 1 + randomInt(random, 9000) });
}

t.test('no card is ever given twice, whatever is asked for, stopped and preempted', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = seededRandom(seed);
    const harness = new Harness();
    harness.config = {
      ...harness.config,
      PreemptionConfig: { ...harness.config.PreemptionConfig, ServiceSchedulerEnabled: seed % 2 === 0 },
    };
    harness.addNode(
      withDevices(0, [gpu('a', ['a0', 'a1'], 8000), gpu('b', ['b0'], 5000)]),
      withDevices(1, [gpu('a', ['c0', 'c1', 'c2'], 8000), gpu('z', ['z0'], null)]),
    );
    for (let step = 0; step < 25; step++) {
      const asks = Array.from({ length: 1 + (random.next() < 0.25 ? 1 : 0) }, () => randomAsk(random));
      await harness.run(harness.register(asking(asks, { ID: `j${step}`, Priority: 10 + 15 * randomInt(random, 5) })));
      for (const alloc of harness.allocs.values()) {
        if (random.next() < 0.06) harness.patch(alloc.ID, { ClientStatus: 'complete', DesiredStatus: 'stop' });
      }
      const wrong = overheld(harness);
      if (wrong.length > 0) throw new Error(`seed ${seed}, step ${step}: ${wrong.join('; ')}`);
    }
  }
  t.pass();
});
