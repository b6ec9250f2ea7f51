import type { Allocation } from '../../structs/allocation.js';
import type { Constraint } from '../../structs/constraint.js';
import type { Job, TaskGroup } from '../../structs/job.js';
import type { Node } from '../../structs/node.js';
import { compileTarget } from '../feasible/target.js';
import type { StateReader } from '../ports.js';
import { isTerminal } from '../usage.js';
import type { Refusal } from './refusal.js';

/** Judges nodes by where the job's other allocations are, counted anew: for a person who asks, not for the scheduler. */
export function createDistinctJudge(state: StateReader, job: Job, group: TaskGroup): (node: Node) => Refusal | null {
  const live = state.allocsByJob(job.Namespace, job.ID).filter((alloc) => !isTerminal(alloc));
  const ofGroup = live.filter(({ TaskGroup }) => TaskGroup === group.Name);
  const own = [...(group.Constraints ?? []), ...group.Tasks.flatMap((task) => task.Constraints ?? [])];
  const judges = [
    ...(job.Constraints ?? []).map((constraint) => judgeOf(constraint, live, state)),
    ...own.map((constraint) => judgeOf(constraint, ofGroup, state)),
  ];
  return (node) => {
    for (const judge of judges) {
      const refusal = judge(node);
      if (refusal) return refusal;
    }
    return null;
  };
}

function judgeOf(
  { LTarget, Operand, RTarget }: Constraint,
  others: readonly Allocation[],
  state: StateReader,
): (node: Node) => Refusal | null {
  if (Operand === 'distinct_hosts' && RTarget !== 'false') {
    const taken = new Set(others.map(({ NodeID }) => NodeID));
    return ({ ID }) => (taken.has(ID) ? { kind: 'distinct', rule: 'distinct_hosts', short: 0 } : null);
  }
  if (Operand !== 'distinct_property') return () => null;
  const target = compileTarget(LTarget);
  const allowed = /^\d+$/.test(RTarget) ? Number(RTarget) : 1;
  const counts = new Map<string, number>();
  for (const { NodeID } of others) {
    const node = state.nodeById(NodeID);
    const value = node && target(node);
    if (value !== undefined) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return (node) => {
    const value = target(node);
    if (value === undefined) return { kind: 'rule', rule: `missing property "${LTarget}"`, short: 0 };
    const used = counts.get(value) ?? 0;
    if (used < allowed) return null;
    return { kind: 'property', rule: `${LTarget} = ${value} (${used} there, ${allowed} allowed)`, short: 0 };
  };
}
