import type { Allocation } from '../../structs/allocation.js';
import type { Constraint } from '../../structs/constraint.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import type { Node } from '../../structs/node.js';
import { compileTarget } from '../feasible/target.js';
import type { StateReader } from '../ports.js';
import { filterInTurns, inTurns, type Rest } from '../turns.js';
import { isTerminal } from '../usage.js';
import type { Refusal } from './refusal.js';

/** Judges nodes by where the job's other allocations are, counted anew: for a person who asks, not for the scheduler. */
export function* createDistinctJudge(
  state: StateReader,
  job: Job,
  group: TaskGroup,
): Generator<Rest, (node: Node) => Refusal | null, void> {
  const ofJob = (job.Constraints ?? []).filter(isDistinct);
  const ofGroup = [...(group.Constraints ?? []), ...group.Tasks.flatMap((task) => task.Constraints ?? [])].filter(
    isDistinct,
  );
  // Mostly there are none, and where the others are does not matter: there may be very many.
  if (ofJob.length + ofGroup.length === 0) return () => null;
  const live: Allocation[] = [];
  yield* inTurns(state.allocsByJob(job.Namespace, job.ID), (alloc) => {
    if (!isTerminal(alloc)) live.push(alloc);
  });
  const siblings = yield* filterInTurns(live, ({ TaskGroup }) => TaskGroup === group.Name);
  const judges: ((node: Node) => Refusal | null)[] = [];
  for (const constraint of ofJob) judges.push(yield* judgeOf(constraint, live, state));
  for (const constraint of ofGroup) judges.push(yield* judgeOf(constraint, siblings, state));
  return (node) => {
    for (const judge of judges) {
      const refusal = judge(node);
      if (refusal) return refusal;
    }
    return null;
  };
}

function isDistinct({ Operand, RTarget }: Constraint): boolean {
  return Operand === 'distinct_property' || (Operand === 'distinct_hosts' && RTarget !== 'false');
}

function* judgeOf(
  { LTarget, Operand, RTarget }: Constraint,
  others: readonly Allocation[],
  state: StateReader,
): Generator<Rest, (node: Node) => Refusal | null, void> {
  if (Operand === 'distinct_hosts') {
    const taken = new Set<string>();
    yield* inTurns(others, ({ NodeID }) => taken.add(NodeID));
    return ({ ID }) => (taken.has(ID) ? { kind: 'distinct', rule: 'distinct_hosts', short: 0 } : null);
  }
  const target = compileTarget(LTarget);
  const allowed = /^\d+$/.test(RTarget) ? Number(RTarget) : 1;
  const counts = new Map<string, number>();
  yield* inTurns(others, ({ NodeID }) => {
    const node = state.nodeById(NodeID);
    const value = node && target(node);
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  });
  return (node) => {
    const value = target(node);
    if (value === undefined) return { kind: 'rule', rule: `missing property "${LTarget}"`, short: 0 };
    const used = counts.get(value) ?? 0;
    if (used < allowed) return null;
    return { kind: 'property', rule: `${LTarget} = ${value} (${used} there, ${allowed} allowed)`, short: 0 };
  };
}
