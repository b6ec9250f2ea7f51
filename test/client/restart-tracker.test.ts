import t from 'tap';
import {
  type AttemptEnd,
  decideRestart,
  type RestartCounts,
  restartsOnSuccess,
} from '../../lib/client/restart-tracker.js';
import type { RestartPolicy } from '../../lib/structs/job.js';
import { POLICY } from './fakes.js';

const half = { next: () => 0.5 };
const failed: AttemptEnd = { kind: 'exited', success: false };
const succeeded: AttemptEnd = { kind: 'exited', success: true };
const MINUTE = 60_000;

function decide(
  end: AttemptEnd,
  fields: { policy?: RestartPolicy; counts?: RestartCounts; nowMs?: number; onSuccess?: boolean },
) {
  return decideRestart({
    policy: fields.policy ?? POLICY,
    onSuccess: fields.onSuccess ?? true,
    counts: fields.counts ?? { count: 0, intervalStartMs: 0 },
    end,
    nowMs: fields.nowMs ?? 1,
    random: half,
  });
}

t.test('failures within the attempts restart after the delay and up to a quarter more', async (t) => {
  const first = decide(failed, {});
  t.same(first.decision, { kind: 'restart', delayMs: 15_000 * 1.125, reason: 'Restart within policy' });
  t.same(first.counts, { count: 1, intervalStartMs: 0 });
  const second = decide(failed, { counts: first.counts });
  t.equal(second.decision.kind, 'restart');
  const third = decide(failed, { counts: second.counts });
  t.same(third.decision, {
    kind: 'fail',
    reason: 'Exceeded allowed attempts 2 in interval 30m0s and mode is "fail"',
  });
});

t.test('mode delay waits for the end of the interval, where counting begins anew', async (t) => {
  const policy = { ...POLICY, Mode: 'delay' as const };
  const counts = { count: 2, intervalStartMs: 0 };
  const over = decide(failed, { policy, counts, nowMs: 10 * MINUTE });
  t.same(over.decision, {
    kind: 'restart',
    delayMs: 20 * MINUTE,
    reason: 'Exceeded allowed attempts, applying a delay',
  });
  const later = decide(failed, { policy, counts: over.counts, nowMs: 30 * MINUTE + 1 });
  t.same(later.counts, { count: 0, intervalStartMs: 30 * MINUTE + 1 });
  t.match(later.decision, { kind: 'restart', reason: 'Restart within policy' });
});

t.test('what succeeds is done for a batch task and restarted for a service', async (t) => {
  t.equal(decide(succeeded, { onSuccess: false }).decision.kind, 'complete');
  t.equal(decide(succeeded, { onSuccess: true }).decision.kind, 'restart');
});

t.test('no attempts: success completes, failure fails', async (t) => {
  const policy = { ...POLICY, Attempts: 0 };
  t.same(decide(failed, { policy }).decision, { kind: 'fail', reason: 'Policy allows no restarts' });
  t.same(decide(succeeded, { policy }).decision, { kind: 'complete', reason: 'Policy allows no restarts' });
});

t.test('an unrecoverable start fails at once, a recoverable one counts', async (t) => {
  t.match(decide({ kind: 'start-failed', recoverable: false }, {}).decision, { kind: 'fail' });
  const tried = decide({ kind: 'start-failed', recoverable: true }, {});
  t.equal(tried.decision.kind, 'restart');
  t.equal(tried.counts.count, 1);
});

t.test('what ends with its engine or machine is started again at once and counts for nothing', async (t) => {
  const counts = { count: 2, intervalStartMs: 0 };
  t.same(decide({ kind: 'lost' }, { counts, policy: { ...POLICY, Attempts: 0 } }), {
    decision: { kind: 'restart', delayMs: 0, reason: 'Its engine, or this machine, was restarted' },
    counts,
  });
});

t.test('a restart on request is at once and counts for nothing', async (t) => {
  const counts = { count: 2, intervalStartMs: 0 };
  t.same(decide({ kind: 'requested' }, { counts }), { decision: { kind: 'restart', delayMs: 0, reason: '' }, counts });
});

t.test('who is restarted after success', async (t) => {
  for (const [type, lifecycle, expected] of [
    ['service', null, true],
    ['system', null, true],
    ['batch', null, false],
    ['sysbatch', null, false],
    ['service', { Hook: 'prestart', Sidecar: false }, false],
    ['batch', { Hook: 'prestart', Sidecar: true }, true],
    ['service', { Hook: 'poststop', Sidecar: false }, false],
  ] as const) {
    t.equal(restartsOnSuccess(type, lifecycle), expected, `${type} ${lifecycle?.Hook ?? 'main'}`);
  }
});

t.test('property: a task that always fails is started at most attempts + 1 times in an interval', async (t) => {
  for (let attempts = 1; attempts < 6; attempts++) {
    let counts: RestartCounts = { count: 0, intervalStartMs: 0 };
    let starts = 1;
    for (; starts < 100; starts++) {
      const next = decide(failed, { policy: { ...POLICY, Attempts: attempts }, counts, nowMs: starts });
      counts = next.counts;
      if (next.decision.kind !== 'restart') break;
    }
    t.equal(starts, attempts + 1);
  }
});
