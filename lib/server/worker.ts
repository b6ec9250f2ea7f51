import type { Planner, StateReader } from '../scheduler/ports.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Plan } from '../structs/plan.js';
import { type Millis, toNanos } from '../util/clock.js';
import type { Log } from '../util/log.js';
import type { Random } from '../util/random.js';
import type { Delivery } from './eval-broker.js';
import type { EvalWriter } from './eval-writer.js';
import type { CheckedPlan, PlanApplier } from './plan-apply.js';
import { isNoop } from './plan-check.js';
import { joinResults, slicesOf } from './plan-slices.js';
import type { ServerWorld } from './world.js';

/** A scheduler: looks at one evaluation and hands what it decides to the planner. */
export type Schedule = (
  evaluation: Evaluation,
  world: {
    state: StateReader;
    planner: Planner;
    now: Millis;
    random: Random;
    log: Log;
    /** Resolves once others had the thread. */
    yieldTurn?: () => Promise<void>;
    /** Null, or resolves to the state to begin anew with once another evaluation that places very many is done. */
    standBack?: () => Promise<StateReader> | null;
  },
) => Promise<void>;

export interface WorkerParts {
  schedule: Schedule;
  applier: PlanApplier;
  writer: EvalWriter;
  /** Whether the delivery is still this worker's. */
  holds(delivery: Delivery): boolean;
  /** Says that the worker is at it: the delivery is its for as long again. */
  touch(delivery: Delivery): void;
  /** Null, or resolves when it is the turn of this delivery, which places very many. */
  enterLongWork(delivery: Delivery): Promise<void> | null;
}

/**
 * Works on one evaluation. Resolves once all it decided is stored; rejects when something could not be, and the evaluation
 * must be done again. A plan, the evaluations that follow from it and the outcome are one log entry: were they several, a
 * crash could leave an evaluation complete whose plan was lost, and nobody would look at the job again. Of a large plan, which
 * is stored in slices, they go with the last.
 */
export async function work(world: ServerWorld, parts: WorkerParts, delivery: Delivery): Promise<void> {
  const state = world.store.snapshot();
  let snapshotIndex = state.index;
  let plan: CheckedPlan | null = null;
  let evaluations: Evaluation[] = [];

  const store = async (): Promise<void> => {
    const [landing, riding] = [plan, evaluations];
    plan = null;
    evaluations = [];
    if (landing && !isNoop(landing.result)) {
      await landing.land(riding);
      return;
    }
    landing?.abandon();
    // Without a plan the outcome may share an entry with those of other evaluations.
    if (riding.length > 0) await parts.writer.write(riding);
  };
  const record = async (evaluation: Evaluation): Promise<void> => {
    evaluations.push({ ...evaluation, SnapshotIndex: snapshotIndex, ModifyTime: toNanos(world.now()) });
  };
  const yieldTurn = (): Promise<void> => {
    parts.touch(delivery);
    return new Promise((resolve) => world.timers.soon(resolve));
  };
  const standBack = (): Promise<StateReader> | null => {
    const turn = parts.enterLongWork(delivery);
    return (
      turn?.then(() => {
        const fresh = world.store.snapshot();
        snapshotIndex = fresh.index;
        return fresh;
      }) ?? null
    );
  };
  /** Nodes on which something was refused. */
  const refused = new Set<string>();
  /** Stores all slices but the last, which is left to be stored with the outcome. One at a time: applied together, they would hold the thread together. */
  const submit = async (whole: Plan): Promise<CheckedPlan[]> => {
    const checked: CheckedPlan[] = [];
    for (const slice of slicesOf(whole, refused)) {
      const before = checked.at(-1);
      if (before) {
        if (isNoop(before.result)) before.abandon();
        else await before.land([]);
        await yieldTurn();
      }
      const one = await parts.applier.submit(slice, () => parts.holds(delivery));
      for (const nodeId of one.result.RejectedNodes) refused.add(nodeId);
      checked.push(one);
    }
    return checked;
  };
  const planner: Planner = {
    async submitPlan(handedIn: Plan) {
      if (plan) await store();
      const own = { ...handedIn, EvalToken: delivery.token, SnapshotIndex: snapshotIndex };
      const checked = await submit(own);
      plan = checked.at(-1) ?? null;
      const result = joinResults(
        own,
        checked.map((one) => one.result),
      );
      if (result.RefreshIndex === 0) return { result, state: null };
      await store();
      await Promise.all(checked.map(({ settled }) => settled()));
      const fresh = world.store.snapshot();
      snapshotIndex = fresh.index;
      return { result, state: fresh };
    },
    updateEval: record,
    createEval: record,
    reblockEval: record,
  };
  try {
    await parts.schedule(delivery.evaluation, {
      state,
      planner,
      now: world.now(),
      random: world.random,
      log: world.log.child('scheduler'),
      yieldTurn,
      standBack,
    });
    await store();
  } finally {
    (plan as CheckedPlan | null)?.abandon();
  }
}
