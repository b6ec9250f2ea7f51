import type { Command } from '../state/commands.js';
import { toNanos } from '../util/clock.js';
import { findGarbage, type Garbage, GC_THRESHOLDS } from './garbage.js';
import type { LeaderPart } from './leader.js';
import { portions, propose } from './propose.js';
import type { ServerWorld } from './world.js';

/** What applying one portion counts for among those who go through much. */
const PORTION_COSTS = 250;

/** Forgets what ended long ago, from time to time. */
export interface CoreGc extends LeaderPart {
  /** Collects now; `force` takes everything that ended, whatever its age. Returns the index of the last entry. */
  collect(options: { force: boolean }): Promise<number>;
}

export function createCoreGc(world: ServerWorld): CoreGc {
  const log = world.log.child('gc');
  const thresholds = { ...GC_THRESHOLDS, ...world.config.gc };
  let cancel = (): void => {};

  const collect = async ({ force }: { force: boolean }): Promise<number> => {
    const { now, turns } = world;
    const garbage = await findGarbage(world.store.snapshot(), { now: now(), thresholds, force, turns });
    let index = world.store.index;
    for (const command of commands(garbage, world.now())) {
      const turn = turns.take(PORTION_COSTS);
      if (turn) await turn;
      index = (await propose(world.consensus, command)).index;
    }
    const before = force ? world.now() : world.now() - thresholds.pastClaimsMs;
    if (hasPastClaims(world, before)) {
      index = (await propose(world.consensus, { type: 'csi-past-claims-collect', before })).index;
    }
    const { evals, allocs, jobs, nodes, deployments } = garbage;
    const counts = {
      evals: evals.length,
      allocs: allocs.length,
      jobs: jobs.length,
      nodes: nodes.length,
      deployments: deployments.length,
    };
    if (Object.values(counts).some((count) => count > 0)) log.info('forgot what ended', counts);
    return index;
  };

  const wait = (): void => {
    cancel = world.timers.setTimeout(thresholds.intervalMs, () => {
      collect({ force: false }).catch((error: unknown) => log.warn('could not collect', { reason: String(error) }));
      wait();
    });
  };

  return { name: 'core gc', begin: wait, end: () => cancel(), collect };
}

/** Whether a volume remembers claims that ended before this. */
function hasPastClaims({ store }: ServerWorld, before: number): boolean {
  for (const { PastClaims } of store.snapshot().csiVolumes()) {
    if (PastClaims.some(({ FreedAt }) => FreedAt < before)) return true;
  }
  return false;
}

/** Allocations go before or with their evaluations, and both before the job they belong to. */
function* commands(garbage: Garbage, nowMs: number): Generator<Command> {
  const { evals, allocs, jobs, nodes, deployments } = garbage;
  for (const ids of portions(allocs)) yield { type: 'evals-delete', evals: [], allocs: ids };
  for (const ids of portions(evals)) yield { type: 'evals-delete', evals: ids, allocs: [] };
  for (const ids of portions(deployments)) yield { type: 'deployment-delete', ids };
  for (const some of portions(jobs)) {
    yield {
      type: 'job-batch-deregister',
      jobs: some.map((job) => ({ ...job, purge: true })),
      evals: [],
      time: toNanos(nowMs),
    };
  }
  for (const ids of portions(nodes)) yield { type: 'node-deregister', ids, evals: [] };
}
