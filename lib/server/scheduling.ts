import { willClaim } from '../scheduler/feasible/csi-use.js';
import type { Change, Commit, StateSnapshot } from '../state/store.js';
import { MeshError } from '../structs/errors.js';
import type { Evaluation } from '../structs/evaluation.js';
import type { Node } from '../structs/node.js';
import { BlockedEvals } from './blocked-evals.js';
import { type BrokerLimits, type Delivery, EvalBroker, FAILED_QUEUE } from './eval-broker.js';
import { createEvalWriter } from './eval-writer.js';
import type { LeaderPart } from './leader.js';
import { LongWork } from './long-work.js';
import { newEval } from './new-eval.js';
import { createPlanApplier } from './plan-apply.js';
import { portions } from './propose.js';
import { createAlarm } from './timers.js';
import { type Schedule, work } from './worker.js';
import type { ServerWorld } from './world.js';

// Brings evaluations from the state to a scheduler and back: stored pending → broker → worker → plan → stored complete;
// stored blocked → waits for capacity → broker. Everything is driven by what the state says changed; nothing is polled.

const SCHEDULERS = ['service', 'batch', 'system', 'sysbatch'];
/** Evaluations at work at the same time: while one waits for the disk, others are scheduled, and share its write. */
const AT_WORK_MAX = 128;
/** Evaluations begun in one turn: requests come in between. */
const PER_TURN_MAX = 16;
/** Plans on their way, beyond which no evaluation is begun: its snapshot would lack too much of what was given away. */
const PLANS_IN_FLIGHT_MAX = 4;
/** Evaluations that gave up on refused plans are tried again this often. */
const RETRY_FAILED_MS = 60_000;
const PRUNE_MS = 5 * 60_000;
/** After too many deliveries a job is looked at again after this, plus up to five times as much at random. */
const FAILED_FOLLOW_UP_MS = 60_000;
const FAILED_FOLLOW_UP_SPREAD_MS = 300_000;

export interface SchedulingCounts {
  broker: ReturnType<EvalBroker['counts']>;
  blocked: ReturnType<BlockedEvals['counts']>;
  plansInFlight: number;
}

export interface Scheduling extends LeaderPart {
  /** For metrics. */
  counts(): SchedulingCounts;
}

export function createScheduling(world: ServerWorld, schedule: Schedule, limits?: BrokerLimits): Scheduling {
  const { store, timers, now } = world;
  const log = world.log.child('worker');
  const broker = new EvalBroker({ random: world.random, ...(limits && { limits }) });
  const blocked = new BlockedEvals(({ Namespace, JobID }) => {
    const job = store.snapshot().jobById(Namespace, JobID);
    return job?.TaskGroups.some(({ Volumes }) => Object.keys(Volumes ?? {}).length > 0) ?? false;
  });
  const applier = createPlanApplier(world);
  const writer = createEvalWriter(world);
  const longWork = new LongWork();
  const alarm = createAlarm({ timers, now, ring: () => look() });
  const cancels: (() => void)[] = [];
  /** Rises with each leadership: what an earlier one began must not touch this one's queues. */
  let reign = 0;
  let leads = false;
  let paused = false;
  let takingUp = false;
  let atWork = 0;
  let lookIsDue = false;

  const parts = {
    schedule,
    applier,
    writer,
    holds: (delivery: Delivery) => broker.outstandingToken(delivery.evaluation.ID) === delivery.token,
    touch: ({ evaluation, token }: Delivery) => broker.touch(evaluation.ID, token, now()),
    enterLongWork(delivery: Delivery): Promise<void> | null {
      const { evaluation, token } = delivery;
      const turn = longWork.enter(token, evaluation.Priority);
      if (!turn) return null;
      broker.waits(evaluation.ID, token);
      // Who waits keeps nobody else from being begun.
      atWork--;
      lookSoon();
      return turn.finally(() => {
        atWork++;
        parts.touch(delivery);
      });
    },
  };

  /** Hands evaluations to the broker; in turns, for there may be 100,000. */
  const wake = (evaluations: Iterable<Evaluation | null>): void => {
    const mine = reign;
    void world.turns
      .through(evaluations, (evaluation) => {
        if (mine !== reign) return false;
        if (evaluation) broker.enqueue(evaluation, now(), broker.outstandingToken(evaluation.ID) ?? '');
        return true;
      })
      .then(lookSoon);
  };

  const block = (evaluation: Evaluation): void => {
    const missed = blocked.block(evaluation);
    if (missed) wake([missed]);
  };

  /** Takes up what the state has waiting. Nothing is begun before all is there, or the less important might go first. */
  const takeUp = async (state: StateSnapshot): Promise<void> => {
    const mine = reign;
    takingUp = true;
    for (const status of ['pending', 'blocked'] as const) {
      await world.turns.through(state.evalsByStatus(status), (evaluation) => {
        if (mine !== reign) return false;
        // Of one that has changed meanwhile saw() was told.
        if (store.snapshot().evalById(evaluation.ID) !== evaluation) return true;
        if (status === 'pending') broker.enqueue(evaluation, now());
        else block(evaluation);
        return true;
      });
    }
    if (mine !== reign) return;
    takingUp = false;
    lookSoon();
  };

  const lookSoon = (): void => {
    if (lookIsDue) return;
    lookIsDue = true;
    timers.soon(() => {
      lookIsDue = false;
      look();
    });
  };

  /** Hands out what is ready, as far as there are hands. */
  const look = (): void => {
    if (!leads || takingUp) return;
    broker.advance(now());
    recordNeedless();
    if (!paused) {
      beginSome();
      for (let next = broker.dequeue([FAILED_QUEUE], now()); next; next = broker.dequeue([FAILED_QUEUE], now())) {
        void handle(next, closeFailed);
      }
    }
    alarm.set(broker.dueMs());
  };

  const beginSome = (): void => {
    for (let begun = 0; atWork < AT_WORK_MAX && applier.inFlight < PLANS_IN_FLIGHT_MAX; begun++) {
      if (begun === PER_TURN_MAX) {
        lookSoon();
        return;
      }
      const delivery = broker.dequeue(SCHEDULERS, now());
      if (!delivery) return;
      void handle(delivery, (given) => work(world, parts, given));
    }
  };

  const handle = async (delivery: Delivery, doIt: (delivery: Delivery) => Promise<void>): Promise<void> => {
    const mine = reign;
    const { evaluation, token } = delivery;
    atWork++;
    try {
      await doIt(delivery);
      if (mine === reign) broker.ack(evaluation.ID, token, now());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log.warn('evaluation could not be done', { eval: evaluation.ID, job: evaluation.JobID, reason });
      if (mine === reign) broker.nack(evaluation.ID, token, now());
    } finally {
      longWork.leave(token);
      atWork--;
      lookSoon();
    }
  };

  /** Gives up on an evaluation that no worker could do, but not on its job. */
  const closeFailed = async ({ evaluation }: Delivery): Promise<void> => {
    const waitMs = FAILED_FOLLOW_UP_MS + Math.floor(world.random.next() * FAILED_FOLLOW_UP_SPREAD_MS);
    const { Namespace, JobID, Priority, Type, JobModifyIndex, NodeID, NodeModifyIndex } = evaluation;
    const followUp = newEval(
      {
        ...{ Namespace, JobID, Priority, Type, JobModifyIndex, NodeID, NodeModifyIndex },
        TriggeredBy: 'failed-follow-up',
        WaitUntil: new Date(now() + waitMs).toISOString(),
        PreviousEval: evaluation.ID,
      },
      { random: world.random, now: now() },
    );
    const failed: Evaluation = {
      ...evaluation,
      Status: 'failed',
      StatusDescription: 'too many deliveries without an answer; the job is looked at again later',
      NextEval: followUp.ID,
    };
    await writer.write([failed, followUp]);
  };

  /** Evaluations that a newer one of their job made needless are recorded as canceled. */
  const recordNeedless = (): void => {
    const cancelled = [
      ...broker
        .takeCancelled()
        .map((evaluation) => needless(evaluation, 'canceled after more recent eval was processed')),
      ...blocked
        .takeDuplicates()
        .map((evaluation) => needless(evaluation, `existing blocked evaluation exists for job "${evaluation.JobID}"`)),
    ];
    if (cancelled.length === 0) return;
    for (const part of portions(cancelled)) {
      writer.write(part).catch((error: unknown) => {
        log.debug('could not cancel evaluations', { count: part.length, reason: String(error) });
      });
    }
  };

  const sawEval = (before: Evaluation | undefined, after: Evaluation | undefined): void => {
    if (!after) {
      if (before) blocked.forget(before);
      return;
    }
    if (after.Status === 'pending') broker.enqueue(after, now());
    else if (after.Status === 'blocked') {
      // A plan touches its evaluation; only a worker's word puts it back among the blocked.
      if (before?.Status !== 'blocked' || !isSameWord(before, after)) block(after);
    } else if (before?.Status === 'blocked') blocked.forget(before);
  };

  /** Wakes whoever could use these nodes: each class once, however many allocations have ended there. */
  const unblock = (nodes: ReadonlySet<Node>, index: number): void => {
    for (const computedClass of new Set([...nodes].map(({ ComputedClass }) => ComputedClass))) {
      wake(blocked.unblockClass(computedClass, index, now()));
    }
    for (const { ID } of nodes) wake(blocked.unblockNode(ID, index, now()));
  };

  /** `freed`: nodes on which there is room now. */
  const sawChange = (change: Change, index: number, freed: Set<Node>): void => {
    switch (change.table) {
      case 'evals':
        sawEval(change.before, change.after);
        return;
      case 'nodes':
        if (change.after && takesPlacements(change.after)) freed.add(change.after);
        if (controllersChanged(change.before, change.after)) wake(blocked.unblockVolumes(index));
        return;
      case 'allocs': {
        const { before, after } = change;
        // It will not claim what it was promised.
        if (before && willClaim(before) && !(after && willClaim(after))) wake(blocked.unblockVolumes(index));
        if (!before || isOver(before.ClientStatus) || (after && !isOver(after.ClientStatus))) return;
        const node = store.snapshot().nodeById(before.NodeID);
        if (node) freed.add(node);
        return;
      }
      case 'jobs':
        if (change.before && !change.after) blocked.untrack(change.before.Namespace, change.before.ID);
        return;
      case 'scheduler_config':
        paused = change.after.PauseEvalBroker;
        return;
      case 'csi_volumes': {
        // It is new, or somebody has let go of it.
        const { before, after } = change;
        const held = (volume: typeof after): number => Object.keys(volume?.Claims ?? {}).length;
        if (after && (!before || held(after) < held(before) || held(after) === 0)) wake(blocked.unblockVolumes(index));
        return;
      }
      case 'host_volumes':
        if (change.after?.State === 'ready' && change.before?.State !== 'ready') wake(blocked.unblockVolumes(index));
        return;
      case 'deployments':
        return;
    }
  };

  const repeat = (ms: number, fn: () => void): void => {
    let cancel = (): void => {};
    const again = (): void => {
      cancel = timers.setTimeout(ms, () => {
        fn();
        again();
      });
    };
    again();
    cancels.push(() => cancel());
  };

  return {
    name: 'scheduling',
    begin(state) {
      leads = true;
      reign++;
      paused = state.schedulerConfig().PauseEvalBroker;
      void takeUp(state);
      repeat(RETRY_FAILED_MS, () => {
        wake(blocked.unblockFailed());
      });
      repeat(PRUNE_MS, () => blocked.prune(now()));
    },
    end() {
      leads = false;
      reign++;
      for (const cancel of cancels.splice(0)) cancel();
      alarm.set(undefined);
      applier.stop();
      longWork.clear(
        new MeshError('E_NO_LEADER', 'this server no longer leads; the evaluation waits for the next leader'),
      );
      broker.clear();
      blocked.clear();
    },
    saw({ index, changes }: Commit) {
      const freed = new Set<Node>();
      for (const change of changes) sawChange(change, index, freed);
      unblock(freed, index);
      lookSoon();
    },
    counts: () => ({ broker: broker.counts(), blocked: blocked.counts(), plansInFlight: applier.inFlight }),
  };
}

const needless = (evaluation: Evaluation, why: string): Evaluation => ({
  ...evaluation,
  Status: 'canceled',
  StatusDescription: why,
});

/** Whether a worker said both, at one look. */
const isSameWord = (a: Evaluation, b: Evaluation): boolean =>
  a.SnapshotIndex === b.SnapshotIndex && a.ModifyTime === b.ModifyTime;

/** Whether a controller of a CSI plugin may have become healthy: volumes everywhere may have waited for it. */
const controllersChanged = (before: Node | undefined, after: Node | undefined): boolean =>
  Object.values(after?.CSIControllerPlugins ?? {}).some(({ Healthy, PluginID }) => {
    const known = before?.CSIControllerPlugins?.[PluginID]?.Healthy === true && before.Status === after?.Status;
    return Healthy && !known;
  });

/** Whether new allocations may be put on the node. */
const takesPlacements = (node: Node): boolean =>
  node.Status === 'ready' && node.SchedulingEligibility === 'eligible' && node.DrainStrategy === null;

/** Whether the client has reported the end: only then is the room free. */
const isOver = (status: string): boolean => status === 'complete' || status === 'failed' || status === 'lost';
