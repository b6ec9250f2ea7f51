import type { ScalingAction, TargetStatus } from '../structs/autoscaling.js';
import type { Policy, PolicyCheck } from './policy.js';
import { isInForce } from './schedule.js';

// What the checks of a policy add up to (Nomad autoscaler's rules for groups and winners). Pure.

/** What became of one check. */
export type CheckOutcome =
  | { check: string; kind: 'action'; action: ScalingAction }
  /** The figures could not be had, or the strategy refused them. */
  | { check: string; kind: 'error'; reason: string }
  /** Its schedule is not in force. */
  | { check: string; kind: 'off' };

/** What is to be done about a target, and why. */
export interface Decision {
  /** Null: nothing. */
  action: ScalingAction | null;
  /** For a person. */
  reason: string;
  /** The check that won; '' when none did. */
  check: string;
}

/** The checks of a policy that are in force now. */
export function checksInForce(policy: Policy, nowMs: number): PolicyCheck[] {
  return policy.checks.filter(({ schedule }) => schedule === null || isInForce(schedule, nowMs));
}

/** Decides, from the state of the target and what each check wants. */
export function decide(policy: Policy, status: TargetStatus, outcomes: readonly CheckOutcome[]): Decision {
  const outOfBounds = boundsAction(policy, status.count);
  if (outOfBounds) return { action: outOfBounds, reason: outOfBounds.reason, check: '' };
  const failing = outcomes.find(
    (outcome) => outcome.kind === 'error' && checkOf(policy, outcome.check)?.onError === 'fail',
  );
  if (failing?.kind === 'error') return nothing(`check "${failing.check}" failed: ${failing.reason}`);
  const wishes = outcomes.flatMap((outcome): Wish[] => {
    if (outcome.kind !== 'action') return [];
    const group = checkOf(policy, outcome.check)?.group ?? '';
    return [{ check: outcome.check, group, action: withinBounds(policy, status.count, outcome.action) }];
  });
  const winner = pickWinner(wishes);
  if (!winner) return nothing(whyNone(outcomes));
  const { action, check } = winner;
  if (action.direction === 'none') return { action: null, reason: action.reason || 'no check wants a change', check };
  return { action, reason: action.reason, check };
}

interface Wish {
  check: string;
  group: string;
  action: ScalingAction;
}

/**
 * Up wins over none, none over down; of several that want up the highest count, of several that want down the one that
 * takes away least. In a group of checks `none` only counts when all say so; then the groups compete.
 */
function pickWinner(wishes: readonly Wish[]): Wish | undefined {
  const groups = new Map<string, Wish[]>();
  for (const wish of wishes) {
    const key = wish.group === '' ? `check ${wish.check}` : `group ${wish.group}`;
    groups.set(key, [...(groups.get(key) ?? []), wish]);
  }
  const winners = [...groups.values()].map((group) => {
    const decided = group.filter(({ action }) => action.direction !== 'none');
    const isGroup = group.some(({ group: name }) => name !== '');
    return strongest(isGroup && decided.length > 0 ? decided : group);
  });
  return strongest(winners.filter((wish): wish is Wish => wish !== undefined));
}

const RANK = { up: 2, none: 1, down: 0 } as const;

function strongest(wishes: readonly Wish[]): Wish | undefined {
  return wishes.reduce<Wish | undefined>((best, wish) => {
    if (!best) return wish;
    const byRank = RANK[wish.action.direction] - RANK[best.action.direction];
    return byRank > 0 || (byRank === 0 && wish.action.count > best.action.count) ? wish : best;
  }, undefined);
}

/** A count outside of min and max is put right whatever the figures say. */
function boundsAction({ min, max }: Policy, count: number): ScalingAction | null {
  const to = Math.min(max, Math.max(min, count));
  if (to === count) return null;
  const reason = to > count ? `below min: ${count} of ${min}` : `above max: ${count} of ${max}`;
  return { count: to, direction: to > count ? 'up' : 'down', reason, error: false, meta: {} };
}

/** An action that keeps to min and max; one that then changes nothing is none. */
function withinBounds({ min, max }: Policy, present: number, action: ScalingAction): ScalingAction {
  if (action.direction === 'none') return action;
  const count = Math.min(max, Math.max(min, action.count));
  const direction = count > present ? 'up' : count < present ? 'down' : 'none';
  if (count === action.count) {
    const reason = direction === 'none' ? `it has ${present} already: ${action.reason}` : action.reason;
    return { ...action, direction, reason };
  }
  const reason = `capped count from ${action.count} to ${count} to stay within limits`;
  const meta = { ...action.meta, 'nomad_autoscaler.reason_history': [action.reason] };
  return { ...action, count, direction, reason, meta: { ...meta, 'nomad_autoscaler.count.capped': true } };
}

function whyNone(outcomes: readonly CheckOutcome[]): string {
  const errors = outcomes.flatMap((outcome) =>
    outcome.kind === 'error' ? [`check "${outcome.check}" failed: ${outcome.reason}`] : [],
  );
  return errors.length > 0 ? errors.join('; ') : 'no check is in force now';
}

const nothing = (reason: string): Decision => ({ action: null, reason, check: '' });
const checkOf = (policy: Policy, name: string): PolicyCheck | undefined =>
  policy.checks.find((check) => check.name === name);
