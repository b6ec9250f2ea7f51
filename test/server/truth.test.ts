// The production server, with all its shortcuts (classes, sums, port lists, pools of options, blocked evaluations), against
// the slow truth: after whatever has happened, nobody has what he must not have, and nobody waits for what is there.
import t from 'tap';
import type { StateSnapshot } from '../../lib/state/store.js';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { Job, JobType, TaskGroup } from '../../lib/structs/job.js';
import type { Node } from '../../lib/structs/node.js';
import { type Random, randomInt, seededRandom } from '../../lib/util/random.js';
import { holds, jobWrongs, nodeRefuses, roomShort, runs, wrongs } from './slow-truth.js';
import { pick, randomJob, randomNode, VOLUMES } from './truth-world.js';
import { createVolumeWorld, type FakeNode, type VolumeWorld } from './volume-world.js';

const TYPES: JobType[] = ['service', 'service', 'batch', 'system'];
const PRIORITY_DELTA = 10;

interface Scene {
  readonly world: VolumeWorld;
  readonly nodes: FakeNode[];
  readonly random: Random;
  readonly preempts: boolean;
  jobs: number;
}

const newest = ({ world }: Scene): StateSnapshot => world.store.snapshot();

/** Clients start and stop what they are told to, and claim the volumes of what they start, until nothing more comes. */
async function settle({ world, nodes }: Scene): Promise<void> {
  for (let quiet = 0, round = 0; quiet < 2 && round < 40; round++) {
    const before = world.store.index;
    for (const fake of nodes) {
      const { node } = fake;
      if (world.store.snapshot().nodeById(node.ID)?.Status !== 'ready') continue;
      for (const alloc of world.store.snapshot().allocsByNode(node.ID)) await claim(world, fake, alloc);
      await world.obey(node);
    }
    await world.time.advance(6_000);
    quiet = world.store.index === before ? quiet + 1 : 0;
  }
}

async function claim(world: VolumeWorld, fake: FakeNode, alloc: Allocation): Promise<void> {
  if (alloc.ClientStatus !== 'pending' || alloc.DesiredStatus !== 'run') return;
  const group = alloc.Job?.TaskGroups.find(({ Name }) => Name === alloc.TaskGroup);
  for (const { Type, Source, AccessMode, AttachmentMode } of Object.values(group?.Volumes ?? {})) {
    if (Type !== 'csi') continue;
    await world.claim(fake, alloc.ID, { VolumeID: Source, AccessMode, AttachmentMode });
  }
}

async function step(scene: Scene): Promise<string> {
  const { world, nodes, random } = scene;
  const { node } = pick(random, nodes);
  const known = newest(scene).nodeById(node.ID) as Node;
  const jobs = [...newest(scene).jobs()].filter(({ Stop }) => !Stop);
  const job = jobs.length > 0 ? pick(random, jobs) : undefined;
  const dice = random.next();
  if (dice < 0.45 || !job) {
    const fresh = randomJob(random, `job-${scene.jobs++}`, TYPES);
    await world.call('Job.Register', { Job: fresh });
    return `register ${fresh.ID}`;
  }
  if (dice < 0.55) {
    const TaskGroups = job.TaskGroups.map((group) => ({
      ...group,
      Count: job.Type === 'system' ? 1 : randomInt(random, 5),
    }));
    await world.call('Job.Register', { Job: { ...job, TaskGroups } });
    return `scale ${job.ID}`;
  }
  if (dice < 0.7) {
    await world.call('Job.Deregister', { JobID: job.ID, Purge: random.next() < 0.5 });
    return `stop ${job.ID}`;
  }
  if (dice < 0.8) {
    const Status = known.Status === 'ready' ? 'down' : 'ready';
    await world.call('Node.UpdateStatus', { NodeID: node.ID, SecretID: node.SecretID, Status });
    return `${node.Name} is ${Status}`;
  }
  if (dice < 0.9) {
    const Eligibility = known.SchedulingEligibility === 'eligible' ? 'ineligible' : 'eligible';
    if (known.DrainStrategy === null) await world.call('Node.UpdateEligibility', { NodeID: node.ID, Eligibility });
    return `${node.Name} is ${Eligibility}`;
  }
  const strategy = { Deadline: 60e9, IgnoreSystemJobs: random.next() < 0.3, ForceDeadline: '', StartedAt: '' };
  await world.call('Node.UpdateDrain', { NodeID: node.ID, DrainStrategy: strategy });
  return `${node.Name} is drained`;
}

/** Groups of which some are missing though a node would take one more. */
function needless(scene: Scene): string[] {
  const state = newest(scene);
  const found: string[] = [];
  for (const job of state.jobs()) {
    if (job.Stop) continue;
    for (const group of job.TaskGroups) {
      const live = state.allocsByJob(job.Namespace, job.ID).filter((one) => runs(one) && one.TaskGroup === group.Name);
      for (const node of state.nodes()) {
        if (job.Type === 'system' ? live.some(({ NodeID }) => NodeID === node.ID) : live.length >= group.Count)
          continue;
        if (takes(scene, node, job, group)) found.push(`${job.ID}.${group.Name} would fit on ${node.Name}`);
      }
    }
  }
  return found;
}

function takes(scene: Scene, node: Node, job: Job, group: TaskGroup): boolean {
  const state = newest(scene);
  if (nodeRefuses(node, job, group, state) !== '') return false;
  const there = state.allocsByNode(node.ID).filter(holds);
  if (roomShort(node, group, there) === '') return true;
  if (!scene.preempts) return false;
  const stay = there.filter((alloc) => !mayGo(alloc, job));
  return stay.length < there.length && roomShort(node, group, stay) === '';
}

function mayGo(alloc: Allocation, job: Job): boolean {
  return alloc.JobID !== job.ID && runs(alloc) && (alloc.Job?.Priority ?? 0) <= job.Priority - PRIORITY_DELTA;
}

async function makeScene(seed: number, preempts: boolean): Promise<Scene> {
  const random = seededRandom(seed);
  const world = createVolumeWorld({ seed });
  const on = { SystemSchedulerEnabled: preempts, SysBatchSchedulerEnabled: preempts };
  const { SchedulerConfig: config } = await world.call('Operator.SchedulerGetConfiguration', {});
  await world.call('Operator.SchedulerSetConfiguration', {
    Config: {
      ...config,
      SchedulerAlgorithm: pick(random, ['binpack', 'spread']),
      PreemptionConfig: { ...on, BatchSchedulerEnabled: preempts, ServiceSchedulerEnabled: preempts },
    },
  });
  await world.call('NodePool.Upsert', { NodePool: { Name: 'gpu' } });
  const nodes: FakeNode[] = [];
  const count = 3 + randomInt(random, 5);
  for (let i = 1; i <= count; i++) nodes.push(await world.addFakeNode(i, { changes: randomNode(random, i) }));
  for (const ID of VOLUMES) {
    const AccessMode = ID === 'shared' ? 'multi-node-multi-writer' : 'single-node-writer';
    const volume = {
      ...{
        ID,
        ExternalID: `ext-${ID}`,
        PluginID: 'nfs',
        Topologies: ID === 'zoned' ? [{ Segments: { zone: 'a' } }] : null,
      },
      RequestedCapabilities: [{ AccessMode, AttachmentMode: 'file-system' }],
    };
    await world.call('CSIVolume.Register', { Volumes: [volume as never] });
  }
  await world.time.advance(200);
  return { world, nodes, random, preempts, jobs: 0 };
}

for (const { name, preempts, from, to } of [
  { name: 'without preemption', preempts: false, from: 1, to: 24 },
  { name: 'with preemption', preempts: true, from: 101, to: 124 },
]) {
  t.test(`nobody has what he must not have, and nobody waits for what is there: ${name}`, async (t) => {
    const seen = { placed: 0, waiting: 0, preempted: 0 };
    for (let seed = from; seed <= to; seed++) {
      const scene = await makeScene(seed, preempts);
      const story: string[] = [];
      for (let i = 0; i < 15; i++) {
        story.push(await step(scene));
        if (scene.random.next() < 0.3) continue;
        await settle(scene);
        const state = newest(scene);
        const wrong = [
          ...wrongs(state),
          ...[...state.jobs()].flatMap((job) => jobWrongs(job, state)),
          ...needless(scene),
        ];
        if (wrong.length > 0) throw new Error(`seed ${seed}: ${wrong.join('; ')}\nafter ${story.join(', ')}`);
      }
      for (const alloc of newest(scene).allocs()) {
        seen.placed++;
        if (alloc.DesiredStatus === 'evict') seen.preempted++;
      }
      seen.waiting += newest(scene).evalsByStatus('blocked').length;
    }
    t.ok(seen.placed > 100 && seen.waiting > 30, JSON.stringify(seen));
    t.equal(seen.preempted > 3, preempts, JSON.stringify(seen));
  });
}
