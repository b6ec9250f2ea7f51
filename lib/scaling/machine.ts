import type { ScalingAction, TargetStatus } from '../structs/autoscaling.js';
import { assertNever } from '../util/assert.js';
import { type CheckOutcome, checksInForce, type Decision, decide } from './decide.js';
import type { Policy, PolicyCheck } from './policy.js';
import { isInForce } from './schedule.js';

// The life of the policies of an autoscaler. Pure: time comes in, what is to be done goes out.
//
//            due, a slot is free          decided: act
//   idle ─────────────────────► evaluating ───────────► scaling ─┐ done
//    ▲                              │ nothing, or cooling down   │
//    └──────────────────────────────┴────────────────────────────┘
//
// A cooldown begins with the end of an action that changed something, and comes also from the target's own record of its last
// change: a new leader does not act twice. Evaluation goes on meanwhile and says what it would do. Whatever does not come to an
// end in its time is given up: no policy can stay stuck.

/** What the world is to do. `seq` comes back with the answer: what is late is not mistaken for what is asked now. */
export type ScalingEffect =
  | { type: 'evaluate'; policy: Policy; checks: PolicyCheck[]; seq: number }
  | { type: 'scale'; policy: Policy; action: ScalingAction; seq: number };

export type Evaluated =
  | { kind: 'evaluated'; status: TargetStatus; outcomes: CheckOutcome[] }
  | { kind: 'failed'; reason: string };

/** 'dry-run': only told, and then there is a cooldown as if it had been done. */
export type Scaled = { kind: 'done' } | { kind: 'no-op' | 'dry-run' | 'failed'; reason: string };

export interface MachineLimits {
  /** Policies of a type that are evaluated or scaled at the same time. */
  slots: Record<Policy['type'], number>;
  /** After which an answer is not waited for any longer: machines are drained, and take their time to start. */
  patienceMs: Record<Policy['type'], number>;
}

export const MACHINE_LIMITS: MachineLimits = {
  slots: { horizontal: 10, cluster: 10 },
  patienceMs: { horizontal: 15 * 60_000, cluster: 45 * 60_000 },
};

type State =
  | { kind: 'idle' }
  | { kind: 'evaluating'; sinceMs: number; seq: number }
  | { kind: 'scaling'; sinceMs: number; seq: number; action: ScalingAction };

/** What a policy last came to. */
export interface LastDecision extends Decision {
  atMs: number;
  /** What each check said. */
  outcomes: readonly CheckOutcome[];
  /** The count then; null when the target could not be asked. */
  count: number | null;
  /** What the target said of itself. */
  meta: Record<string, string>;
  /** What became of the action. */
  result: 'nothing' | 'cooldown' | 'not-ready' | 'under-way' | 'done' | 'no-op' | 'failed';
}

interface Tracked {
  policy: Policy;
  state: State;
  dueMs: number;
  cooldownUntilMs: number;
  /** When this machine last scaled it. */
  actedMs: number;
  /** The target's record of its last change as it was first seen here, by our clock. */
  event: { ns: number; seenMs: number };
  last: LastDecision | null;
}

/** How a policy fares. */
export interface PolicyView {
  policy: Policy;
  state: State['kind'] | 'disabled' | 'off-schedule';
  nextMs: number;
  /** 0 = it does not cool down. */
  cooldownUntilMs: number;
  last: LastDecision | null;
}

const LAST_EVENT = 'nomad_autoscaler.last_event';

export class ScalingMachine {
  private readonly limits: MachineLimits;
  private readonly tracked = new Map<string, Tracked>();
  private seq = 0;

  constructor(limits: MachineLimits = MACHINE_LIMITS) {
    this.limits = limits;
  }

  /** Takes over the policies of now: known ones keep their state, though their content may be another. */
  setPolicies(policies: readonly Policy[], nowMs: number): void {
    const wanted = new Set(policies.map(({ id }) => id));
    for (const id of this.tracked.keys()) if (!wanted.has(id)) this.tracked.delete(id);
    for (const policy of policies) {
      const known = this.tracked.get(policy.id);
      if (known) {
        known.policy = policy;
        known.dueMs = Math.min(known.dueMs, nowMs + policy.evaluationIntervalMs);
        continue;
      }
      this.tracked.set(policy.id, {
        policy,
        state: { kind: 'idle' },
        dueMs: nowMs,
        cooldownUntilMs: 0,
        actedMs: 0,
        event: { ns: 0, seenMs: 0 },
        last: null,
      });
    }
  }

  /** What is due now. */
  tick(nowMs: number): ScalingEffect[] {
    const effects: ScalingEffect[] = [];
    for (const one of this.tracked.values()) this.giveUp(one, nowMs);
    const due = [...this.tracked.values()]
      .filter((one) => one.state.kind === 'idle' && one.dueMs <= nowMs && isActive(one.policy, nowMs))
      .sort((a, b) => b.policy.priority - a.policy.priority || a.dueMs - b.dueMs);
    for (const one of due) {
      const { policy } = one;
      if (this.busy(policy.type) >= this.limits.slots[policy.type]) continue;
      const seq = ++this.seq;
      one.state = { kind: 'evaluating', sinceMs: nowMs, seq };
      effects.push({ type: 'evaluate', policy, checks: checksInForce(policy, nowMs), seq });
    }
    return effects;
  }

  /** When `tick` has something to do next; undefined when nothing is to come. */
  nextMs(nowMs: number): number | undefined {
    const times = [...this.tracked.values()].map(({ policy, state, dueMs }) =>
      state.kind === 'idle' ? Math.max(dueMs, nowMs) : state.sinceMs + this.limits.patienceMs[policy.type],
    );
    return times.length === 0 ? undefined : Math.min(...times);
  }

  /** The answer to 'evaluate'. */
  evaluated(id: string, seq: number, answer: Evaluated, nowMs: number): ScalingEffect[] {
    const one = this.tracked.get(id);
    if (one?.state.kind !== 'evaluating' || one.state.seq !== seq) return [];
    this.rest(one, nowMs);
    if (answer.kind === 'failed') {
      one.last = {
        action: null,
        check: '',
        reason: answer.reason,
        atMs: nowMs,
        outcomes: [],
        count: null,
        meta: {},
        result: 'failed',
      };
      return [];
    }
    const { policy } = one;
    const { status, outcomes } = answer;
    one.cooldownUntilMs = Math.max(one.cooldownUntilMs, cooldownOf(one, status, nowMs));
    const decision = decide(policy, status, outcomes);
    const last = { ...decision, atMs: nowMs, outcomes, count: status.count, meta: status.meta };
    const { action } = decision;
    if (!action) one.last = { ...last, result: 'nothing' };
    else if (!status.ready) one.last = { ...last, result: 'not-ready' };
    else if (one.cooldownUntilMs > nowMs) one.last = { ...last, result: 'cooldown' };
    else {
      const next = ++this.seq;
      one.state = { kind: 'scaling', sinceMs: nowMs, seq: next, action };
      one.last = { ...last, result: 'under-way' };
      return [{ type: 'scale', policy, action, seq: next }];
    }
    return [];
  }

  /** The answer to 'scale'. */
  scaled(id: string, seq: number, answer: Scaled, nowMs: number): void {
    const one = this.tracked.get(id);
    if (one?.state.kind !== 'scaling' || one.state.seq !== seq) return;
    const { action } = one.state;
    this.rest(one, nowMs);
    switch (answer.kind) {
      case 'done':
        one.cooldownUntilMs = nowMs + cooldownMs(one.policy, action.direction);
        one.actedMs = nowMs;
        this.note(one, 'done');
        return;
      case 'dry-run':
        one.cooldownUntilMs = nowMs + cooldownMs(one.policy, action.direction);
        this.note(one, 'no-op', answer.reason);
        return;
      case 'no-op':
        this.note(one, 'no-op', answer.reason);
        return;
      case 'failed':
        this.note(one, 'failed', answer.reason);
        return;
      default:
        assertNever(answer);
    }
  }

  /** All policies, for people. */
  view(nowMs: number): PolicyView[] {
    return [...this.tracked.values()].map(({ policy, state, dueMs, cooldownUntilMs, last }) => ({
      policy,
      state: !policy.enabled ? 'disabled' : !isActive(policy, nowMs) ? 'off-schedule' : state.kind,
      nextMs: dueMs,
      cooldownUntilMs: cooldownUntilMs > nowMs ? cooldownUntilMs : 0,
      last,
    }));
  }

  private busy(type: Policy['type']): number {
    let count = 0;
    for (const { policy, state } of this.tracked.values()) if (policy.type === type && state.kind !== 'idle') count++;
    return count;
  }

  private giveUp(one: Tracked, nowMs: number): void {
    this.notAhead(one, nowMs);
    const { state } = one;
    if (state.kind === 'idle') return;
    const waitedMs = nowMs - state.sinceMs;
    const patienceMs = this.limits.patienceMs[one.policy.type];
    if (waitedMs >= 0 && waitedMs < patienceMs) return;
    const what = state.kind === 'scaling' ? 'the target did not answer' : 'it was not evaluated';
    this.rest(one, nowMs);
    const base = one.last ?? { action: null, check: '', outcomes: [], count: null, meta: {} };
    one.last = { ...base, atMs: nowMs, reason: `${what} within ${patienceMs / 1000} s`, result: 'failed' };
    // An action that may have been taken after all: wait as if it had.
    if (state.kind === 'scaling') one.cooldownUntilMs = nowMs + cooldownMs(one.policy, state.action.direction);
  }

  /** After the clock went back, what lies far ahead comes within the time that it was meant to take. */
  private notAhead(one: Tracked, nowMs: number): void {
    const { policy, event } = one;
    one.dueMs = Math.min(one.dueMs, nowMs + policy.evaluationIntervalMs);
    one.cooldownUntilMs = Math.min(
      one.cooldownUntilMs,
      nowMs + Math.max(policy.cooldownMs, policy.cooldownOnScaleUpMs),
    );
    one.actedMs = Math.min(one.actedMs, nowMs);
    event.seenMs = Math.min(event.seenMs, nowMs);
  }

  private rest(one: Tracked, nowMs: number): void {
    one.state = { kind: 'idle' };
    one.dueMs = nowMs + one.policy.evaluationIntervalMs;
  }

  private note(one: Tracked, result: LastDecision['result'], reason?: string): void {
    if (one.last) one.last = { ...one.last, result, ...(reason === undefined ? {} : { reason }) };
  }
}

/** The target's own word on when somebody else scaled it holds across leaders: a person, or the leader before. */
function cooldownOf({ policy, actedMs, event }: Tracked, { meta }: TargetStatus, nowMs: number): number {
  const ns = Number(meta[LAST_EVENT]);
  if (!Number.isFinite(ns) || ns / 1e6 <= actedMs) return 0;
  if (event.ns !== ns) {
    // Clocks differ: what is said to be in the future has happened just now.
    event.ns = ns;
    event.seenMs = Math.min(ns / 1e6, nowMs);
  }
  return event.seenMs + policy.cooldownMs;
}

const isActive = ({ enabled, schedule }: Policy, nowMs: number): boolean =>
  enabled && (schedule === null || isInForce(schedule, nowMs));

const cooldownMs = (policy: Policy, direction: ScalingAction['direction']): number =>
  direction === 'up' ? policy.cooldownOnScaleUpMs : policy.cooldownMs;
