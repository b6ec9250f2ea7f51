import t from 'tap';
import { judgeHealth } from '../../lib/client/health.js';
import type { TaskState } from '../../lib/structs/allocation.js';
import type { Task } from '../../lib/structs/job.js';
import { fakeState, fakeTask } from './fakes.js';

const START = Date.parse('2026-01-01T00:00:00Z');
const Update = { MinHealthyTime: 10e9, HealthyDeadline: 300e9 };
const up = (afterMs: number): TaskState =>
  fakeState({ State: 'running', StartedAt: new Date(START + afterMs).toISOString() });
const hook = (Name: string, Hook: 'prestart' | 'poststart' | 'poststop', Sidecar = false): Task =>
  fakeTask({ Name, Lifecycle: { Hook, Sidecar } });

function judge(states: Record<string, TaskState>, afterMs: number, tasks: Task[] = [fakeTask()]) {
  return judgeHealth({ strategy: Update, tasks, states, sinceMs: START, nowMs: START + afterMs });
}

t.test('running for min_healthy_time is healthy', async (t) => {
  t.same(judge({ web: up(1_000) }, 5_000), { kind: 'waiting', untilMs: START + 11_000 });
  t.same(judge({ web: up(1_000) }, 11_000), { kind: 'healthy' });
});

t.test('a failed task is unhealthy at once', async (t) => {
  t.same(judge({ web: fakeState({ State: 'dead', Failed: true }) }, 1), {
    kind: 'unhealthy',
    reason: 'Unhealthy because of failed task',
  });
});

t.test('not up by the deadline is unhealthy', async (t) => {
  t.same(judge({ web: fakeState() }, 1_000), { kind: 'waiting', untilMs: START + 300_000 });
  t.match(judge({ web: fakeState() }, 300_000), { kind: 'unhealthy', reason: /healthy_deadline of 5m0s/ });
  t.match(judge({ web: up(295_000) }, 300_000), { kind: 'unhealthy' }, 'up too late');
});

t.test('the last start counts, poststop does not, a prestart task may have ended', async (t) => {
  const tasks = [fakeTask(), hook('init', 'prestart'), hook('side', 'prestart', true), hook('bye', 'poststop')];
  const ended = fakeState({ State: 'dead', StartedAt: new Date(START).toISOString() });
  const states = { web: up(20_000), init: ended, side: up(5_000), bye: fakeState() };
  t.same(judge(states, 21_000, tasks), { kind: 'waiting', untilMs: START + 30_000 });
  t.same(judge(states, 30_000, tasks), { kind: 'healthy' });
  t.equal(judge({ ...states, side: ended }, 40_000, tasks).kind, 'waiting', 'a sidecar must not have ended');
});
