import t from 'tap';
import type { Allocation } from '../../lib/structs/allocation.js';
import type { DisconnectStrategy, Job, TaskGroup } from '../../lib/structs/job.js';
import { type Random, randomInt, seededRandom } from '../../lib/util/random.js';
import { Harness } from './harness.js';
import { mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const SEEDS = 60;
const STEPS = 25;
const S = 1e9;

const isEverywhere = (type: Job['Type']): boolean => type === 'system' || type === 'sysbatch';

const RECONCILE = ['best_score', 'keep_original', 'keep_replacement', 'longest_running'] as const;

function randomDisconnect(random: Random, type: Job['Type']): DisconnectStrategy | null {
  if (random.next() < 0.4) return null;
  const stops = !isEverywhere(type) && random.next() < 0.3;
  return {
    LostAfter: stops ? null : 120 * S,
    StopOnClientAfter: stops ? 30 * S : null,
    Replace: random.next() < 0.6,
    Reconcile: RECONCILE[randomInt(random, RECONCILE.length)] ?? 'best_score',
  };
}

function randomGroup(random: Random, type: Job['Type']): TaskGroup {
  const dynamic = { Label: 'http', Value: 0, To: 0, HostNetwork: 'default', IgnoreCollision: false };
  return mockGroup({
    Count: isEverywhere(type) ? 1 : randomInt(random, 7),
    Disconnect: randomDisconnect(random, type),
    ReschedulePolicy: isEverywhere(type)
      ? null
      : { Attempts: 0, Interval: 0, Delay: 5 * S, DelayFunction: 'exponential', MaxDelay: 60 * S, Unlimited: true },
    Networks: [
      {
        Mode: '',
        Device: '',
        CIDR: '',
        IP: '',
        Hostname: '',
        MBits: null,
        DNS: null,
        CNI: null,
        ReservedPorts: random.next() < 0.3 ? [{ ...dynamic, Label: 'fixed', Value: 8080 }] : null,
        DynamicPorts: [dynamic],
      },
    ],
    Tasks: [
      mockTask({
        Env: { V: String(randomInt(random, 3)) },
        Resources: mockResources({ CPU: 300 + randomInt(random, 900), Cores: random.next() < 0.1 ? 1 : 0 }),
      }),
    ],
    Spreads: random.next() < 0.2 ? [{ Attribute: '${node.datacenter}', Weight: 50, SpreadTarget: null }] : null,
    Update:
      (type !== 'service' && type !== 'system') || random.next() < 0.4
        ? null
        : {
            Stagger: 30 * S,
            MaxParallel: 1 + randomInt(random, 3),
            HealthCheck: 'task_states',
            MinHealthyTime: 0,
            HealthyDeadline: 0,
            ProgressDeadline: 600 * S,
            AutoRevert: false,
            AutoPromote: false,
            Canary: type === 'system' ? randomInt(random, 3) * 30 : randomInt(random, 3),
          },
  });
}

/** How many of a roll-out have taken another's place and are not known to be well. */
function updatedAtOnce(harness: Harness, job: Job, regular: readonly Allocation[]): number {
  const running = harness.snapshot().latestDeploymentByJob(job.Namespace, job.ID);
  return regular.filter(
    (alloc) =>
      alloc.Job?.Version === job.Version &&
      alloc.DeploymentID === running?.ID &&
      running.JobVersion === job.Version &&
      // Canaries come at once, and here they are promoted whatever their health.
      !running.TaskGroups[alloc.TaskGroup]?.PlacedCanaries?.includes(alloc.ID) &&
      (alloc.DeploymentStatus?.Healthy ?? null) === null &&
      harness.allocs.get(alloc.PreviousAllocation)?.DesiredDescription === 'alloc is being updated due to job update',
  ).length;
}

/** Batch work that went well, and so needs nobody any more. */
function done(harness: Harness, job: Job): number {
  if (job.Type !== 'batch') return 0;
  return harness
    .ofJob(job)
    .filter(
      (alloc) =>
        alloc.ClientStatus === 'complete' && alloc.DesiredStatus === 'run' && alloc.Job?.Version === job.Version,
    ).length;
}

/** Clients on nodes that are back speak of what was out of reach. */
function reconnect(harness: Harness, random: Random, job: Job): void {
  for (const alloc of harness.ofJob(job)) {
    if (alloc.ClientStatus !== 'unknown' || harness.nodes.get(alloc.NodeID)?.Status !== 'ready') continue;
    const status = random.next() < 0.7 ? 'running' : random.next() < 0.5 ? 'failed' : 'complete';
    harness.patch(alloc.ID, { ClientStatus: status, ModifyTime: harness.now * 1e6 });
  }
}

/** What must never be seen in the state. */
function violations(harness: Harness, job: Job): string[] {
  const found = harness.overfull();
  for (const group of job.TaskGroups) {
    // Nobody can stop what is out of reach: it stands aside.
    const all = harness.live(job).filter(({ TaskGroup }) => TaskGroup === group.Name);
    const live = isEverywhere(job.Type) ? all : all.filter(({ ClientStatus }) => ClientStatus !== 'unknown');
    const regular = live.filter(({ DeploymentStatus }) => !DeploymentStatus?.Canary);
    if (isEverywhere(job.Type)) {
      const nodes = live.map(({ NodeID }) => NodeID);
      if (new Set(nodes).size < nodes.length) found.push('two of a system job on one node');
      const latest = harness.snapshot().latestDeploymentByJob(job.Namespace, job.ID)?.ID;
      const trying = live.filter(
        (alloc) =>
          alloc.DeploymentStatus?.Canary &&
          alloc.DeploymentID === latest &&
          alloc.Job?.Version === job.Version &&
          alloc.ClientStatus !== 'unknown',
      ).length;
      const most = Math.ceil(((group.Update?.Canary ?? 0) / 100) * harness.nodes.size);
      if (trying > most) found.push(`${trying} canaries of ${most}`);
      const fresh = updatedAtOnce(harness, job, regular);
      if (group.Update && fresh > group.Update.MaxParallel) found.push(`${fresh} updated at once`);
      continue;
    }
    const names = regular.map(({ Name }) => Name);
    if (new Set(names).size < names.length) found.push(`two of one name: ${names.join(' ')}`);
    if (!job.Stop && regular.length > group.Count) found.push(`${regular.length} of ${group.Count}`);
    if (live.length - regular.length > (group.Update?.Canary ?? 0)) found.push('more canaries than asked for');
    const fresh = updatedAtOnce(harness, job, regular);
    if (group.Update && fresh > group.Update.MaxParallel) found.push(`${fresh} updated at once`);
  }
  return found;
}

function disturb(harness: Harness, random: Random, job: Job): Job {
  const live = harness.live(job);
  const alloc = live[randomInt(random, Math.max(1, live.length))];
  const nodes = [...harness.nodes.values()];
  const node = nodes[randomInt(random, nodes.length)] as ReturnType<typeof mockNode>;
  switch (randomInt(random, 12)) {
    case 9:
      harness.addNode({ ...node, Status: node.Status === 'ready' ? 'disconnected' : 'ready' });
      return job;
    case 10:
    case 11:
      reconnect(harness, random, job);
      return job;
    case 0:
    case 1:
      harness.settle(random.next() < 0.8);
      return job;
    case 2:
      if (alloc) harness.patch(alloc.ID, { ClientStatus: 'failed', ModifyTime: harness.now * 1e6 });
      return job;
    case 3:
      harness.addNode({ ...node, Status: node.Status === 'ready' ? 'down' : 'ready' });
      return job;
    case 4:
      if (alloc) {
        harness.patch(alloc.ID, { DesiredTransition: { ...alloc.DesiredTransition, Migrate: true } });
        const home = harness.nodes.get(alloc.NodeID);
        if (home) harness.addNode({ ...home, SchedulingEligibility: 'ineligible' });
      }
      return job;
    case 5:
      harness.addNode({ ...node, SchedulingEligibility: 'eligible', Status: 'ready' });
      return job;
    case 6: {
      const deployment = harness.snapshot().latestDeploymentByJob(job.Namespace, job.ID);
      if (deployment) harness.promote(deployment.ID);
      return job;
    }
    case 7:
      harness.refusals.set(node.ID, 1);
      return job;
    default:
      return harness.register({ ...job, Stop: random.next() < 0.1, TaskGroups: [randomGroup(random, job.Type)] });
  }
}

/** All nodes well, all allocations healthy, everything promoted: now the job must come to rest as it is wanted. */
async function calmDown(harness: Harness, job: Job): Promise<string> {
  for (const node of [...harness.nodes.values()]) {
    harness.addNode({ ...node, Status: 'ready', SchedulingEligibility: 'eligible' });
  }
  reconnect(harness, seededRandom(1), job);
  for (let round = 0; round < 40; round++) {
    harness.now += 3_600_000;
    for (const alloc of harness.ofJob(job)) {
      if (alloc.ClientStatus === 'failed' && alloc.DesiredStatus === 'run') {
        harness.patch(alloc.ID, { DesiredTransition: { ...alloc.DesiredTransition, Reschedule: true, Migrate: null } });
      } else if (alloc.DeploymentStatus?.Healthy === false) {
        harness.patch(alloc.ID, { DeploymentStatus: { ...alloc.DeploymentStatus, Healthy: true } });
      } else if (alloc.DesiredTransition.Migrate && alloc.DesiredStatus === 'run') {
        harness.patch(alloc.ID, { DesiredTransition: { ...alloc.DesiredTransition, Migrate: null } });
      }
    }
    const plans = harness.plans.length;
    await harness.run(job);
    harness.settle();
    const deployment = harness.snapshot().latestDeploymentByJob(job.Namespace, job.ID);
    if (deployment?.Status === 'running') harness.promote(deployment.ID);
    if (harness.plans.length === plans && round > 1 && deployment?.Status !== 'running') return '';
    if (harness.plans.length === plans && round > 5) return '';
  }
  return 'still at work after 40 rounds';
}

for (const type of ['service', 'batch', 'system', 'sysbatch'] as const) {
  t.test(`${type}: whatever happens, nothing bad is planned, and calm brings rest`, async (t) => {
    let lived = 0;
    for (let seed = 1; seed <= SEEDS; seed++) {
      const random = seededRandom(seed);
      const harness = new Harness();
      const nodes = 2 + randomInt(random, 5);
      harness.addNode(
        ...Array.from({ length: nodes }, (_, i) =>
          mockNode(i, { Datacenter: `dc${i % 2}`, ComputedClass: `v1:${i % 2}` }),
        ),
      );
      let job = harness.register(mockJob({ Type: type, TaskGroups: [randomGroup(random, type)] }));
      for (let step = 0; step < STEPS; step++) {
        await harness.run(job);
        const bad = violations(harness, job);
        if (bad.length > 0) return t.fail(`seed=${seed} step=${step}: ${bad.join('; ')}`);
        harness.now += 1000 * randomInt(random, 60);
        job = disturb(harness, random, job);
      }
      const unrest = await calmDown(harness, job);
      if (unrest !== '') return t.fail(`seed=${seed}: ${unrest}`);
      const bad = violations(harness, job);
      if (bad.length > 0) return t.fail(`seed=${seed} at rest: ${bad.join('; ')}`);
      const [group] = job.TaskGroups;
      const placed = harness.live(job).length;
      const queued = harness.updated.at(-1)?.QueuedAllocations?.['web'] ?? 0;
      const wanted = job.Stop ? 0 : isEverywhere(type) ? nodes : (group?.Count ?? 0);
      // One that finds no room for its update keeps running what it ran, and its update waits.
      if (!isEverywhere(type) && (placed > wanted || placed + queued + done(harness, job) < wanted)) {
        return t.fail(`seed=${seed}: ${placed} placed and ${queued} waiting of ${wanted}`);
      }
      lived += placed;
    }
    t.ok(lived > SEEDS, `the worlds were not empty: ${lived}`);
    return undefined;
  });
}
