import { Recount, type SummaryCorrection } from '../state/job-summary.js';
import type { StateSnapshot } from '../state/store.js';
import type { Turns } from '../util/turns.js';
import { portions, propose } from './propose.js';
import type { ServerWorld } from './world.js';

/** A counter that was wrong may have stopped at zero while what is missing was on its way: then a second count finds the rest. */
const ROUNDS_MAX = 4;

/** Counts the summaries of all jobs anew, in turns, and has what is wrong of them corrected. */
export interface SummaryCounter {
  /** Resolves to the index at which all were right. One count at a time: what is missing must not be added twice. */
  recount(): Promise<number>;
}

export function createSummaryCounter(world: ServerWorld): SummaryCounter {
  let last: Promise<unknown> = Promise.resolve();

  const recount = async (): Promise<number> => {
    let { index } = world.store;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const state = world.store.snapshot();
      const wrong = await wrongSummaries(state, world.turns);
      if (wrong.length === 0) return Math.max(index, state.index);
      for (const corrections of portions(wrong)) {
        ({ index } = await propose(world.consensus, { type: 'summaries-correct', corrections }));
      }
    }
    return index;
  };

  return {
    recount() {
      const own = last.then(recount);
      last = own.catch(() => {});
      return own;
    },
  };
}

async function wrongSummaries(state: StateSnapshot, turns: Turns): Promise<SummaryCorrection[]> {
  const wrong: SummaryCorrection[] = [];
  for (const job of await turns.list(state.jobs())) {
    const { Namespace, ID } = job;
    const turn = turns.take(1);
    if (turn) await turn;
    const recount = new Recount(job);
    await turns.through(state.eachAllocOfJob(Namespace, ID), (alloc) => {
      recount.add(alloc);
      return true;
    });
    await turns.through(state.jobChildren(Namespace, ID), (child) => {
      recount.addChild(child);
      return true;
    });
    const correction = recount.correction(state.jobSummary(Namespace, ID));
    if (correction) wrong.push(correction);
  }
  return wrong;
}
