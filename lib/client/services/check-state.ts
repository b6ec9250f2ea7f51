import type { ServiceHealth } from '../../structs/service.js';
import type { Millis } from '../../util/clock.js';

// What the answers of a service's checks add up to. Pure.

/** The newest answer of a check. */
export interface CheckAnswer {
  ok: boolean;
  /** HTTP status; 0 for other kinds. */
  code: number;
  output: string;
}

/** What is known of one check. */
export interface CheckState {
  status: 'success' | 'failure' | 'pending';
  code: number;
  output: string;
  /** Of the newest answer; 0 before the first. */
  atMs: Millis;
  /** When the status last became what it is. */
  sinceMs: Millis;
  /** Failures in a row that count towards check_restart. */
  failures: number;
}

/** Before the first answer, by the check's initial_status. */
export function initialCheck(initialStatus: string, nowMs: Millis): CheckState {
  const status = initialStatus === 'passing' ? 'success' : initialStatus === 'critical' ? 'failure' : 'pending';
  return { status, code: 0, output: '', atMs: 0, sinceMs: nowMs, failures: 0 };
}

/** Takes an answer in. Failures before `graceUntilMs` do not count towards a restart. */
export function foldAnswer(
  state: CheckState,
  answer: CheckAnswer,
  { nowMs, graceUntilMs }: { nowMs: Millis; graceUntilMs: Millis },
): CheckState {
  const status = answer.ok ? 'success' : 'failure';
  const failures = answer.ok ? 0 : nowMs < graceUntilMs ? state.failures : state.failures + 1;
  const sinceMs = status === state.status ? state.sinceMs : nowMs;
  return { status, code: answer.code, output: answer.output, atMs: nowMs, sinceMs, failures };
}

/** A service fails with any of its checks, and passes with all of them. */
export function serviceHealth(checks: readonly Pick<CheckState, 'status'>[]): ServiceHealth {
  if (checks.some(({ status }) => status === 'failure')) return 'failing';
  return checks.some(({ status }) => status === 'pending') ? 'pending' : 'passing';
}

/** Since when all checks that a deployment minds have been passing; null while one is not. */
export function passingSinceMs(checks: readonly Pick<CheckState, 'status' | 'sinceMs'>[]): Millis | null {
  if (checks.some(({ status }) => status !== 'success')) return null;
  return Math.max(0, ...checks.map(({ sinceMs }) => sinceMs));
}
