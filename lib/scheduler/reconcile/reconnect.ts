import type { Allocation } from '../../structs/allocation.js';
import { groupOf } from '../../structs/group-of.js';
import type { Job } from '../../structs/job.js';

/** Which of two allocations of one name goes on: the one that was out of reach, or the one that took its place. */
export type Winner = 'original' | 'replacement';

interface Rule {
  readonly name: string;
  applies(original: Allocation, replacement: Allocation, job: Job): boolean;
  readonly winner: Winner | ((original: Allocation, replacement: Allocation) => Winner);
}

const strategyIs =
  (strategy: string): Rule['applies'] =>
  (original) =>
    reconcileOf(original) === strategy;

/** First match decides. */
export const RECONNECT_RULES: readonly Rule[] = [
  {
    name: 'one that has failed meanwhile is not taken back',
    applies: ({ ClientStatus }) => ClientStatus === 'failed',
    winner: 'replacement',
  },
  {
    name: 'one that is to leave its node, or to be replaced, is not taken back',
    applies: ({ DesiredTransition: wish }) =>
      wish.Migrate === true || wish.Reschedule === true || wish.ForceReschedule === true,
    winner: 'replacement',
  },
  {
    name: 'a newer version of the job wins',
    applies: (original, replacement) => versionOf(original) !== versionOf(replacement),
    winner: (original, replacement) => (versionOf(replacement) > versionOf(original) ? 'replacement' : 'original'),
  },
  { name: 'keep_original', applies: strategyIs('keep_original'), winner: 'original' },
  { name: 'keep_replacement', applies: strategyIs('keep_replacement'), winner: 'replacement' },
  { name: 'longest_running', applies: strategyIs('longest_running'), winner: longestRunning },
  { name: 'best_score', applies: () => true, winner: bestScore },
];

/** Decides between two allocations of one name. */
export function pickWinner(original: Allocation, replacement: Allocation, job: Job): Winner {
  for (const { applies, winner } of RECONNECT_RULES) {
    if (!applies(original, replacement, job)) continue;
    return typeof winner === 'string' ? winner : winner(original, replacement);
  }
  return 'original';
}

function reconcileOf(alloc: Allocation): string {
  return groupOf(alloc.Job, alloc.TaskGroup)?.Disconnect?.Reconcile ?? 'best_score';
}

function versionOf(alloc: Allocation): number {
  return alloc.Job?.Version ?? 0;
}

/** A replacement must be better placed, and not be worse off than the original. */
function bestScore(original: Allocation, replacement: Allocation): Winner {
  const before = scoreOf(original);
  const after = scoreOf(replacement);
  if (before === null || after === null || after <= before) return 'original';
  return replacement.ClientStatus === 'running' || original.ClientStatus !== 'running' ? 'replacement' : 'original';
}

/** The score of the node it was placed on. */
function scoreOf({ Metrics, NodeID }: Allocation): number | null {
  return Metrics?.ScoreMetaData?.find((meta) => meta.NodeID === NodeID)?.NormScore ?? null;
}

function longestRunning(original: Allocation, replacement: Allocation): Winner {
  return (startedAt(replacement) ?? Infinity) < (startedAt(original) ?? Infinity) ? 'replacement' : 'original';
}

/** When its leader began, else its oldest running task. */
function startedAt(alloc: Allocation): number | null {
  const tasks = groupOf(alloc.Job, alloc.TaskGroup)?.Tasks ?? [];
  const leader = tasks.find(({ Leader }) => Leader);
  let oldest: number | null = null;
  for (const [name, state] of Object.entries(alloc.TaskStates ?? {})) {
    if (state.State !== 'running' || (leader && leader.Name !== name)) continue;
    const at = Date.parse(state.StartedAt);
    if (at > 0 && (oldest === null || at < oldest)) oldest = at;
  }
  return oldest;
}
