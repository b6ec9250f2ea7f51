import { performance } from 'node:perf_hooks';
import type { Job } from '../../../lib/structs/job.js';
import { randomInt } from '../../../lib/util/random.js';
import { heapBytes } from './heap-bytes.js';
import { brokenInvariants } from './invariants.js';
import { schedulerView } from './scheduler-view.js';
import { watchTurns } from './turn-watch.js';
import { simJobs, simNode, updatedJob } from './workload.js';
import { type ClusterWorld, createClusterWorld } from './world.js';

export interface StoryOptions {
  readonly nodes: number;
  readonly allocs: number;
  /** Allocations of a job on average. */
  readonly jobSize: number;
  readonly seed: number;
  /** Told what has been measured, as it comes. */
  readonly tell: (line: string) => void;
}

export interface StoryFacts {
  readonly placementsPerSecond: number;
  /** Bytes of heap for each allocation: as placed, and with all that its client has reported. 0 without --expose-gc. */
  readonly bytesPlaced: number;
  readonly bytesReported: number;
  readonly snapshotMs: { total: number; longestTurn: number };
  /** Sentences, empty when everything holds. */
  readonly broken: string[];
}

const MS_PER_ROUND = 5_000;
const ROUNDS_MAX = 400;

/** The life of a cluster: filled, run, struck by failures, drained in part, updated in part, saved. */
export async function tellStory(options: StoryOptions): Promise<StoryFacts> {
  const { tell } = options;
  const world = createClusterWorld(options.seed);
  await addNodes(world, options);
  const broken: string[] = [];
  const times = new PhaseTimes();
  const check = (when: string, settled: boolean): void => {
    const found = brokenInvariants(world.store.snapshot(), { settled });
    tell(`  invariants ${when}: ${found.length === 0 ? 'hold' : `${found.length} BROKEN, first: ${found[0]}`}`);
    broken.push(...found.map((line) => `${when}: ${line}`));
    times.end(`invariants ${when}`);
  };
  const heapAtStart = heapBytes();
  times.end('machines');

  const turns = watchTurns();
  const began = performance.now();
  const cpuBefore = process.cpuUsage();
  const jobs = await register(world, options);
  await world.idle();
  const fillMs = performance.now() - began;
  const cpu = process.cpuUsage(cpuBefore);
  const cpuMs = (cpu.user + cpu.system) / 1000;
  // Before the heap is weighed: to collect all garbage at once holds everything for as long as it takes.
  const held = await turns.end();
  const placed = world.store.snapshot().count('allocs');
  const placementsPerSecond = Math.round((placed * 1000) / fillMs);
  const bytesPlaced = Math.round((heapBytes() - heapAtStart) / placed);
  tell(`filled: ${n(placed)} of ${n(options.allocs)} allocations of ${n(jobs.length)} jobs in ${s(fillMs)}`);
  tell(`  ${n(placementsPerSecond)} placements/s, from registering to committed; ${n(bytesPlaced)} B each as placed`);
  // On a machine that others use as well, only this can be compared.
  tell(
    `  ${n((placed * 1000) / cpuMs)} placements for each second of processor time, the garbage collector's included`,
  );
  tell(
    `  ${n(held.turns)} turns of the event loop: ${n(held.ours)} over 10 ms by our own code (${held.longestMs.toFixed(1)} ms the longest), ` +
      `${n(held.collectors)} by the garbage collector (${held.longestWithGcMs.toFixed(1)} ms)`,
  );
  times.end('fill');
  const viewed = await schedulerView(world, jobs);
  tell(
    `  ${n(viewed.keptBytes)} B each kept in the scheduler's view, ${n(viewed.plannedBytes)} B each while they are planned`,
  );
  times.end("scheduler's view");
  // A job whose plans were refused too often is tried again when time passes: not everything need be placed yet.
  check('after placing', false);

  world.clients.failuresPerThousand = 2;
  await phase('clients started everything, 2 of 1,000 tasks failed', world, tell, async () => {});
  world.clients.failuresPerThousand = 0;
  times.end('start');
  const bytesReported = Math.round((heapBytes() - heapAtStart) / world.store.snapshot().count('allocs'));
  tell(`  ${n(bytesReported)} B each in the state, with reports, evaluations and deployments`);
  check('after starting', true);

  const nodes = [...world.nodes.values()];
  const some = Math.max(1, Math.round(nodes.length / 100));
  await phase(`${some} machines failed`, world, tell, async () => {
    for (const { ID, SecretID } of nodes.slice(0, some)) {
      world.clients.dead.add(ID);
      await world.call('Node.UpdateStatus', { NodeID: ID, SecretID, Status: 'down' });
    }
  });
  times.end('failures');
  check('after failures', true);
  await phase(`${some} machines were drained`, world, tell, async () => {
    for (const { ID } of nodes.slice(some, 2 * some)) {
      const strategy = { Deadline: 60e9, IgnoreSystemJobs: false, ForceDeadline: '', StartedAt: '' };
      await world.call('Node.UpdateDrain', { NodeID: ID, DrainStrategy: strategy });
    }
  });
  times.end('drains');
  check('after drains', true);
  const updated = pickUpdates(jobs, options.allocs / 50, world);
  await phase(`${updated.length} services were updated, a fifth at a time`, world, tell, async () => {
    for (const job of updated) await world.call('Job.Register', { Job: updatedJob(job) });
  });
  times.end('updates');
  check('after updates', true);
  const snapshotMs = await saveSnapshot(world, tell);
  times.end('snapshot');
  for (const line of times.lines()) tell(line);
  world.stop();
  return { placementsPerSecond, bytesPlaced, bytesReported, snapshotMs, broken };
}

/** What each phase took, of the clock and of the processor. */
class PhaseTimes {
  readonly #lines: string[] = [];
  #from = performance.now();
  #cpu = process.cpuUsage();

  /** What was done since the last end, or the start, was this phase. */
  end(phase: string): void {
    const { user, system } = process.cpuUsage(this.#cpu);
    const took = performance.now() - this.#from;
    this.#lines.push(`  ${phase.padEnd(28)} ${s(took).padStart(9)} ${s((user + system) / 1000).padStart(9)} of CPU`);
    this.#from = performance.now();
    this.#cpu = process.cpuUsage();
  }

  lines(): string[] {
    return ['what each phase took:', ...this.#lines];
  }
}

async function addNodes(world: ClusterWorld, { nodes: count, allocs }: StoryOptions): Promise<void> {
  for (let i = 0; i < count; i++) {
    const node = simNode(i, { count, allocs }, world.random);
    world.nodes.set(node.ID, node);
    await world.call('Node.Register', { Node: node });
  }
  await world.idle();
}

async function register(world: ClusterWorld, options: StoryOptions): Promise<Job[]> {
  const jobs = simJobs(options, world.random);
  for (const job of jobs) {
    await world.call('Job.Register', { Job: job });
    // Each is a request of its own.
    await new Promise((resolve) => setImmediate(resolve));
  }
  return jobs;
}

/** Does something and waits until all that follows from it is over. */
async function phase(
  what: string,
  world: ClusterWorld,
  tell: (line: string) => void,
  act: () => Promise<void>,
): Promise<void> {
  const began = performance.now();
  const from = world.now();
  const before = world.store.snapshot().count('allocs');
  await act();
  let reports = 0;
  let quiet = 0;
  let rounds = 0;
  for (; quiet < 3 && rounds < ROUNDS_MAX; rounds++) {
    await world.advance(0);
    const made = await world.clients.obey();
    await world.advance(MS_PER_ROUND);
    reports += made;
    quiet = made === 0 && !isBusy(world) ? quiet + 1 : 0;
  }
  const more = world.store.snapshot().count('allocs') - before;
  const took = performance.now() - began;
  const passed = s(world.now() - from);
  tell(`${what}: ${n(more)} more placed, ${n(reports)} reports, ${passed} of the cluster's time, in ${s(took)}`);
  tell(`  evaluations so far: ${evaluationCounts(world)}`);
  if (rounds === ROUNDS_MAX) tell('  NOT SETTLED: something is still under way');
}

function evaluationCounts({ store }: ClusterWorld): string {
  const counts = new Map<string, number>();
  for (const { TriggeredBy } of store.snapshot().evals()) counts.set(TriggeredBy, (counts.get(TriggeredBy) ?? 0) + 1);
  return [...counts].map(([trigger, count]) => `${n(count)} ${trigger}`).join(', ');
}

function isBusy({ store }: ClusterWorld): boolean {
  const state = store.snapshot();
  for (const deployment of state.deployments()) if (deployment.Status === 'running') return true;
  for (const node of state.nodes()) if (node.DrainStrategy !== null) return true;
  return state.evalsByStatus('pending').length > 0;
}

/** Services that together have about `allocs` allocations. */
function pickUpdates(jobs: readonly Job[], allocs: number, { store, random }: ClusterWorld): Job[] {
  const services = jobs.filter(({ Type }) => Type === 'service');
  const picked: Job[] = [];
  for (let left = allocs; left > 0 && services.length > 0; ) {
    const [job] = services.splice(randomInt(random, services.length), 1);
    const current = job && store.snapshot().jobById(job.Namespace, job.ID);
    if (!current) continue;
    picked.push(current);
    left -= current.TaskGroups[0]?.Count ?? 0;
  }
  return picked;
}

/** Streams the whole state, as raft does before it shortens its log; the bytes are counted and dropped. */
async function saveSnapshot(
  { store }: ClusterWorld,
  tell: (line: string) => void,
): Promise<{ total: number; longestTurn: number }> {
  const began = performance.now();
  let last = began;
  let longestTurn = 0;
  let bytes = 0;
  const turn = (): void => {
    const now = performance.now();
    longestTurn = Math.max(longestTurn, now - last);
    last = now;
  };
  for await (const chunk of store.snapshot().stream()) {
    bytes += chunk.length;
    turn();
    await new Promise((resolve) => setImmediate(resolve));
    last = performance.now();
  }
  turn();
  const total = performance.now() - began;
  tell(
    `saved: ${n(Math.round(bytes / 2 ** 20))} MiB in ${s(total)}, never longer than ${longestTurn.toFixed(1)} ms at once`,
  );
  return { total, longestTurn };
}

const n = (count: number): string => Math.round(count).toLocaleString('en');
const s = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
