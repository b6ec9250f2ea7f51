import t, { type Test } from 'tap';
import { MACHINE_LIMITS, type Scaled, type ScalingEffect, ScalingMachine } from '../../lib/scaling/machine.js';
import type { Policy } from '../../lib/scaling/policy.js';
import { type Random, seededRandom } from '../../lib/util/random.js';
import { targetValue } from '../../plugins/strategy-target-value/index.js';
import { policyOf } from './world.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const START_MS = Date.parse('2026-03-02T00:00:00Z');

/** A service under a load, in simulated time; its target remembers when it was scaled, as a job does. */
class World {
  nowMs = START_MS;
  machine = new ScalingMachine();
  count = 2;
  lastEventMs = 0;
  readonly changes: { atMs: number; from: number; to: number }[] = [];
  /** Requests for all instances together; null = the figures are missing. */
  load: (ms: number) => number | null = () => 100;
  /** What the target does. */
  answer: () => Scaled | 'silence' = () => ({ kind: 'done' });
  /** How long an answer takes. */
  delayMs = 500;
  private readonly pending: { atMs: number; run: () => void }[] = [];

  readonly policies: Policy[];

  constructor(policies: Policy[]) {
    this.policies = policies;
    this.machine.setPolicies(policies, this.nowMs);
  }

  run(untilMs: number, stepMs = 1_000): void {
    while (this.nowMs < untilMs) {
      this.nowMs += stepMs;
      for (const { run } of this.take()) run();
      for (const effect of this.machine.tick(this.nowMs)) this.act(effect);
    }
  }

  /** Another server leads now: it knows nothing but what the target says. */
  newLeader(): void {
    this.machine = new ScalingMachine();
    this.machine.setPolicies(this.policies, this.nowMs);
  }

  private take(): { run: () => void }[] {
    const due = this.pending.filter(({ atMs }) => atMs <= this.nowMs);
    for (const one of due) this.pending.splice(this.pending.indexOf(one), 1);
    return due;
  }

  private act(effect: ScalingEffect): void {
    const { machine } = this;
    const { policy, seq } = effect;
    const later = (run: () => void) => this.pending.push({ atMs: this.nowMs + this.delayMs, run });
    if (effect.type === 'evaluate') {
      const load = this.load(this.nowMs);
      const status = {
        ready: true,
        count: this.count,
        meta: { 'nomad_autoscaler.last_event': `${this.lastEventMs * 1e6}` },
      };
      const outcomes = effect.checks.map(({ name, strategy }) => {
        if (load === null) return { check: name, kind: 'error' as const, reason: 'no figures' };
        const metrics = [{ timestampMs: this.nowMs, value: this.count === 0 ? load : load / this.count }];
        return {
          check: name,
          kind: 'action' as const,
          action: targetValue({ config: strategy.config, metrics, count: this.count }),
        };
      });
      later(() => {
        for (const next of machine.evaluated(policy.id, seq, { kind: 'evaluated', status, outcomes }, this.nowMs))
          this.act(next);
      });
      return;
    }
    const answer = this.answer();
    if (answer === 'silence') return;
    if (answer.kind === 'done') {
      this.changes.push({ atMs: this.nowMs, from: this.count, to: effect.action.count });
      this.count = effect.action.count;
      this.lastEventMs = this.nowMs;
    }
    later(() => machine.scaled(policy.id, seq, answer, this.nowMs));
  }
}

const DAY = (ms: number): number => 100 + 90 * Math.sin(((ms - START_MS) / (24 * HOUR_MS)) * 2 * Math.PI);

function assertCooldowns(t: Test, { changes, policies }: World): void {
  const [policy] = policies;
  for (const [i, change] of changes.entries()) {
    const before = changes[i - 1];
    if (!before || !policy) continue;
    const wait = before.to > before.from ? policy.cooldownOnScaleUpMs : policy.cooldownMs;
    const least = Math.min(wait, policy.cooldownMs);
    if (change.atMs - before.atMs < least) t.fail(`acted ${change.atMs - before.atMs} ms after the action before`);
  }
}

t.test('days of load: the count follows, within bounds and cooldowns, and does not swing', async (t) => {
  const world = new World([policyOf({ checks: ['load'], min: 1, max: 10 })]);
  world.load = DAY;
  world.run(START_MS + 72 * HOUR_MS);
  assertCooldowns(t, world);
  t.ok(world.changes.every(({ to }) => to >= 1 && to <= 10));
  const turns = world.changes.filter(({ from, to }, i) => {
    const before = world.changes[i - 1];
    return before !== undefined && to > from !== before.to > before.from;
  });
  t.ok(
    turns.length <= 8,
    `it turns with the days, not within them: ${turns.length} turns in ${world.changes.length} changes`,
  );
  t.ok(world.changes.length >= 12);
});

t.test('a policy in cooldown is evaluated, and says what it would do', async (t) => {
  const world = new World([
    policyOf({ checks: ['load'], cooldownMs: 10 * MINUTE_MS, cooldownOnScaleUpMs: 10 * MINUTE_MS }),
  ]);
  world.load = () => 500;
  world.run(START_MS + 2 * MINUTE_MS);
  t.equal(world.count, 10);
  world.load = () => 5_000;
  world.run(START_MS + 5 * MINUTE_MS);
  t.equal(world.count, 10);
  t.match(world.machine.view(world.nowMs), [{ state: 'idle', last: { result: 'cooldown', action: { count: 100 } } }]);
  world.run(START_MS + 12 * MINUTE_MS);
  t.equal(world.count, 100);
});

t.test('a short cooldown after scaling up holds, though the target knows of the change', async (t) => {
  const world = new World([policyOf({ checks: ['load'], cooldownMs: HOUR_MS, cooldownOnScaleUpMs: 20_000, max: 4 })]);
  let load = 150;
  world.load = () => load;
  world.run(START_MS + 15_000);
  t.equal(world.count, 3);
  load = 200;
  world.run(START_MS + MINUTE_MS);
  t.equal(world.count, 4);
});

t.test('a new leader does not act twice: what the target remembers is its cooldown', async (t) => {
  const world = new World([
    policyOf({ checks: ['load'], cooldownMs: 10 * MINUTE_MS, cooldownOnScaleUpMs: 10 * MINUTE_MS }),
  ]);
  world.load = () => 500;
  world.run(START_MS + MINUTE_MS);
  t.equal(world.changes.length, 1);
  world.load = () => 1_000;
  for (let i = 0; i < 5; i++) {
    world.newLeader();
    world.run(world.nowMs + MINUTE_MS);
  }
  t.equal(world.changes.length, 1);
  world.run(START_MS + 12 * MINUTE_MS);
  t.equal(world.changes.length, 2);
});

t.test('missing figures change nothing, and are said; it goes on when they come back', async (t) => {
  const world = new World([policyOf({ checks: ['load'] })]);
  world.load = () => null;
  world.run(START_MS + HOUR_MS);
  t.equal(world.changes.length, 0);
  t.match(world.machine.view(world.nowMs)[0]?.last, { result: 'nothing', reason: /no figures/ });
  world.load = () => 500;
  world.run(START_MS + HOUR_MS + MINUTE_MS);
  t.equal(world.count, 10);
});

t.test(
  'a target that never answers is given up, and tried again after a cooldown; a failing one at once',
  async (t) => {
    const world = new World([policyOf({ checks: ['load'] })]);
    world.load = () => 500;
    world.answer = () => 'silence';
    world.run(START_MS + MINUTE_MS);
    t.equal(world.machine.view(world.nowMs)[0]?.state, 'scaling');
    world.answer = () => ({ kind: 'failed', reason: 'no' });
    world.run(START_MS + 4_000 + MACHINE_LIMITS.patienceMs.horizontal);
    t.match(world.machine.view(world.nowMs)[0], { state: 'idle', last: { reason: /did not answer within 900 s/ } });
    world.answer = () => ({ kind: 'done' });
    world.run(world.nowMs + 2 * MINUTE_MS);
    t.equal(world.count, 10);
  },
);

t.test('a no-op begins no cooldown', async (t) => {
  const world = new World([policyOf({ checks: ['load'], cooldownMs: HOUR_MS, cooldownOnScaleUpMs: HOUR_MS })]);
  world.load = () => 500;
  world.answer = () => ({ kind: 'no-op', reason: 'a deployment is under way' });
  world.run(START_MS + MINUTE_MS);
  t.match(world.machine.view(world.nowMs)[0], { cooldownUntilMs: 0, last: { reason: 'a deployment is under way' } });
  world.answer = () => ({ kind: 'done' });
  world.run(START_MS + 2 * MINUTE_MS);
  t.equal(world.count, 10);
});

t.test('a clock that jumps, forward or back, stops nothing', async (t) => {
  const world = new World([policyOf({ checks: ['load'], evaluationIntervalMs: 10_000 })]);
  world.load = () => 500;
  world.run(START_MS + MINUTE_MS);
  t.equal(world.count, 10);
  world.nowMs += 7 * HOUR_MS;
  world.load = () => 250;
  world.run(world.nowMs + 2 * MINUTE_MS);
  t.equal(world.count, 5);
  world.nowMs -= 9 * HOUR_MS;
  world.load = () => 500;
  world.run(world.nowMs + 5 * MINUTE_MS);
  t.equal(world.count, 10, 'it acts within minutes, not after nine hours');
});

t.test('slots: so many at once, the important ones first, and none is left out', async (t) => {
  const policies = Array.from({ length: 30 }, (_, i) => policyOf({ checks: ['a'], id: `p${i}`, priority: i % 3 }));
  const machine = new ScalingMachine({ ...MACHINE_LIMITS, slots: { horizontal: 4, cluster: 1 } });
  machine.setPolicies(policies, 0);
  const first = machine.tick(0);
  t.equal(first.length, 4);
  t.ok(first.every(({ policy }) => policy.priority === 2));
  const seen = new Set<string>();
  let open = first;
  for (let now = 1; now < 100; now++) {
    for (const { policy, seq } of open) {
      seen.add(policy.id);
      machine.evaluated(policy.id, seq, { kind: 'failed', reason: '' }, now);
    }
    open = machine.tick(now);
  }
  t.equal(seen.size, 30);
});

t.test('answers that come late, twice or for a policy that is gone are passed over', async (t) => {
  const machine = new ScalingMachine();
  const policy = policyOf({ checks: ['a'] });
  machine.setPolicies([policy], 0);
  const [effect] = machine.tick(0);
  const outcome = {
    check: 'a',
    kind: 'action' as const,
    action: { count: 5, direction: 'up' as const, reason: '', error: false, meta: {} },
  };
  const answer = { kind: 'evaluated' as const, status: { ready: true, count: 2, meta: {} }, outcomes: [outcome] };
  t.same(machine.evaluated('p', 999, answer, 1), []);
  const [scale] = machine.evaluated('p', effect?.seq ?? 0, answer, 1);
  t.match(scale, { type: 'scale', action: { count: 5 } });
  t.same(machine.evaluated('p', effect?.seq ?? 0, answer, 1), []);
  machine.setPolicies([], 2);
  machine.scaled('p', scale?.seq ?? 0, { kind: 'done' }, 3);
  t.same(machine.view(3), []);
});

/** Any load, any behaviour of target and figures, leaders that come and go. */
function chaos(random: Random): World {
  const world = new World([policyOf({ checks: ['load'], min: 1, max: 20 })]);
  const pick = (): number => random.next();
  world.load = (ms) => (pick() < 0.1 ? null : DAY(ms) * (0.5 + pick()));
  world.answer = () => {
    const dice = pick();
    if (dice < 0.1) return 'silence';
    return dice < 0.3 ? { kind: 'failed', reason: 'no' } : { kind: 'done' };
  };
  for (let hour = 0; hour < 24; hour++) {
    world.run(world.nowMs + HOUR_MS, 2_000);
    if (pick() < 0.3) world.newLeader();
  }
  return world;
}

t.test('whatever happens: bounds and cooldowns hold, and nothing stays stuck', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const world = chaos(seededRandom(seed));
    assertCooldowns(t, world);
    if (world.changes.some(({ to }) => to < 1 || to > 20)) t.fail(`seed ${seed}: out of bounds`);
    world.answer = () => ({ kind: 'done' });
    world.load = () => 500;
    world.run(world.nowMs + HOUR_MS);
    if (world.count !== 10) t.fail(`seed ${seed}: it ended with ${world.count}`);
  }
  t.pass('20 seeds');
});
