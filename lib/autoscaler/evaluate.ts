import type { ScalerSet } from '../plugin/scalers.js';
import { ScalingNoOp } from '../plugin/sdk/autoscaler.js';
import type { CheckOutcome, Policy, PolicyCheck } from '../scaling/index.js';
import type { Evaluated, MachineLimits, Scaled } from '../scaling/machine.js';
import type { ScalingAction } from '../structs/autoscaling.js';
import type { Millis } from '../util/clock.js';
import { checkAction, checkMetrics, checkStatus } from './answers.js';

/** The part of an evaluation's interval that a plugin may take, as Nomad's autoscaler gives it. */
const PATIENCE_PART = 0.75;
/** A target ends before the machine gives it up. */
const SCALE_MARGIN_MS: Millis = 60_000;
/** With this in a target's block nothing is changed: the target only hears what would be. */
const DRY_RUN = 'dry-run';

export interface EvaluateContext {
  scalers: ScalerSet;
  now: () => Millis;
  patienceMs: MachineLimits['patienceMs'];
  /** Aborted when this server leads no more. */
  signal: AbortSignal;
}

/** Asks the target how many there are, and every check what it wants. Never throws. */
export async function evaluate(
  { policy, checks }: { policy: Policy; checks: readonly PolicyCheck[] },
  context: EvaluateContext,
): Promise<Evaluated> {
  const timeout = AbortSignal.timeout(Math.max(1_000, PATIENCE_PART * policy.evaluationIntervalMs));
  const call = { signal: AbortSignal.any([context.signal, timeout]) };
  try {
    const target = await context.scalers.target(policy.target.name);
    const status = checkStatus(await orAborted(target.status(policy.target.config, call), call.signal));
    const outcomes = await Promise.all(checks.map((check) => runCheck(check, status.count, { ...context, call })));
    return { kind: 'evaluated', status, outcomes };
  } catch (error) {
    return { kind: 'failed', reason: `target ${policy.target.name}: ${messageOf(error)}` };
  }
}

async function runCheck(
  check: PolicyCheck,
  count: number,
  { scalers, now, call }: EvaluateContext & { call: { signal: AbortSignal } },
): Promise<CheckOutcome> {
  try {
    const toMs = now() - check.queryWindowOffsetMs;
    const range = { fromMs: toMs - check.queryWindowMs, toMs };
    const metrics =
      check.query === ''
        ? []
        : checkMetrics(await orAborted((await scalers.apm(check.source)).query(check.query, range, call), call.signal));
    const strategy = await scalers.strategy(check.strategy.name);
    const action = checkAction(await orAborted(strategy.run({ check, metrics, count }, call), call.signal));
    return { check: check.name, kind: 'action', action };
  } catch (error) {
    return { check: check.name, kind: 'error', reason: messageOf(error) };
  }
}

/** Has the target enact an action; `tell` hears what it does meanwhile. Never throws. */
export async function scale(
  { policy, action }: { policy: Policy; action: ScalingAction },
  { scalers, signal, patienceMs }: EvaluateContext,
  tell: (text: string) => void,
): Promise<Scaled> {
  const call = {
    tell,
    signal: AbortSignal.any([signal, AbortSignal.timeout(Math.max(1_000, patienceMs[policy.type] - SCALE_MARGIN_MS))]),
  };
  const { [DRY_RUN]: dry, ...config } = policy.target.config;
  const isDry = dry === 'true';
  const asked = isDry
    ? { ...action, count: -1, reason: `dry run: would scale to ${action.count}: ${action.reason}` }
    : action;
  try {
    const target = await scalers.target(policy.target.name);
    await orAborted(target.scale(asked, config, call), call.signal);
    return isDry ? { kind: 'dry-run', reason: asked.reason } : { kind: 'done' };
  } catch (error) {
    if (!(error instanceof ScalingNoOp)) return { kind: 'failed', reason: messageOf(error) };
    return { kind: isDry ? 'dry-run' : 'no-op', reason: messageOf(error) };
  }
}

/** A plugin that hangs, whatever it does with its signal, holds nobody up. */
function orAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void =>
      reject(new Error(signal.reason?.name === 'TimeoutError' ? 'no answer in time' : 'given up'));
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
