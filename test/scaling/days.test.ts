// Days of load in simulated time, with all that goes wrong in them: the true time and the clock of who leads are two things, an action
// takes its time, and whoever began it may lead no more when it is done.
import t, { type Test } from 'tap';
import { type ScalingEffect, ScalingMachine } from '../../lib/scaling/machine.js';
import type { Policy } from '../../lib/scaling/policy.js';
import { type Random, seededRandom } from '../../lib/util/random.js';
import { targetValue } from '../../plugins/strategy-target-value/index.js';
import { policyOf } from './world.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const START_MS = Date.parse('2026-03-02T00:00:00Z');
const STEP_MS = 2_000;
/** Of one instance, as `policyOf` has it. */
const TARGET = 50;

interface Enacting {
  to: number;
  untilMs: number;
  done: () => void;
}

class Fleet {
  trueMs = START_MS;
  /** How far the clock of who leads is off. */
  clockMs = 0;
  count = 2;
  lastEventMs = 0;
  machine = new ScalingMachine();
  /** By true time, when they were begun. */
  readonly actions: { atMs: number; from: number; to: number }[] = [];
  /** Begun while another one was under way: double action. */
  doubles = 0;
  load: (ms: number) => number | null = () => 100;
  /** How long the target takes; it is not ready meanwhile. */
  enactMs = 0;
  /** The target takes no action, says it is not ready, and nothing else. */
  isStuck = false;
  private enacting: Enacting | null = null;
  readonly policy: Policy;

  constructor(policy: Policy) {
    this.policy = policy;
    this.machine.setPolicies([policy], this.nowMs);
  }

  get nowMs(): number {
    return this.trueMs + this.clockMs;
  }

  /** Another server leads, with a clock of its own; what was begun goes on, and nobody waits for it. */
  newLeader(clockMs = this.clockMs): void {
    this.clockMs = clockMs;
    this.machine = new ScalingMachine();
    this.machine.setPolicies([this.policy], this.nowMs);
  }

  run(untilMs: number, each: () => void = () => {}): void {
    while (this.trueMs < untilMs) {
      this.trueMs += STEP_MS;
      each();
      if (this.enacting && this.enacting.untilMs <= this.trueMs) this.finish(this.enacting);
      for (const effect of this.machine.tick(this.nowMs)) this.act(effect);
    }
  }

  get last() {
    return this.machine.view(this.nowMs)[0]?.last;
  }

  private finish({ to, done }: Enacting): void {
    this.enacting = null;
    this.count = to;
    this.lastEventMs = this.nowMs;
    done();
  }

  private act(effect: ScalingEffect): void {
    const { machine } = this;
    const { policy, seq } = effect;
    if (effect.type === 'evaluate') {
      const status = {
        ready: this.enacting === null && !this.isStuck,
        count: this.count,
        meta: { 'nomad_autoscaler.last_event': String(this.lastEventMs * 1e6) },
      };
      const load = this.load(this.trueMs);
      const outcomes = effect.checks.map(({ name, strategy }) => {
        if (load === null) return { check: name, kind: 'error' as const, reason: 'no figures' };
        const metrics = [{ timestampMs: this.nowMs, value: load / Math.max(1, this.count) }];
        const action = targetValue({ config: strategy.config, metrics, count: this.count });
        return { check: name, kind: 'action' as const, action };
      });
      const next = machine.evaluated(policy.id, seq, { kind: 'evaluated', status, outcomes }, this.nowMs);
      for (const one of next) this.act(one);
      return;
    }
    if (this.enacting || this.isStuck) this.doubles++;
    this.actions.push({ atMs: this.trueMs, from: this.count, to: effect.action.count });
    const done = (): void => machine.scaled(policy.id, seq, { kind: 'done' }, this.nowMs);
    this.enacting = { to: effect.action.count, untilMs: this.trueMs + this.enactMs, done };
    if (this.enactMs === 0) this.finish(this.enacting);
  }
}

/** Work days with a peak at noon, quiet nights and quieter weekends. */
function week(ms: number): number {
  const day = Math.floor((ms - START_MS) / DAY_MS) % 7;
  const hour = ((ms - START_MS) % DAY_MS) / HOUR_MS;
  const peak = Math.max(0, Math.sin(((hour - 6) / 12) * Math.PI));
  return 60 + (day < 5 ? 600 : 200) * peak;
}

/** Within one cooldown the count never changes twice; a change of direction least of all. */
function assertCalm(t: Test, { actions, policy, doubles }: Fleet): void {
  t.equal(doubles, 0, 'nothing was begun while another action was under way');
  for (const [i, action] of actions.entries()) {
    const before = actions[i - 1];
    if (action.to < policy.min || action.to > policy.max) t.fail(`out of bounds: ${action.to}`);
    if (!before) continue;
    const least = before.to > before.from ? policy.cooldownOnScaleUpMs : policy.cooldownMs;
    const waitedMs = action.atMs - before.atMs;
    if (waitedMs < Math.min(least, policy.cooldownMs))
      t.fail(`it waited ${waitedMs} ms only after ${before.from} to ${before.to}`);
  }
}

const fleet = (fields: Partial<Policy> = {}): Fleet =>
  new Fleet({
    ...policyOf({ checks: ['load'], min: 1, max: 20, cooldownMs: 5 * MINUTE_MS, cooldownOnScaleUpMs: 2 * MINUTE_MS }),
    ...fields,
  });

/** Minutes in which an instance had more than half as much again as it should. */
function overloaded(one: Fleet, load: number | null): boolean {
  return load !== null && load / one.count > 1.5 * TARGET && one.count < one.policy.max;
}

t.test('a week of days, nights and noise: served, within cooldowns, without swinging', async (t) => {
  for (let seed = 1; seed <= 3; seed++) {
    const random = seededRandom(seed);
    const one = fleet();
    one.load = (ms) => week(ms) * (0.95 + 0.1 * random.next());
    let badMs = 0;
    one.run(START_MS + 7 * DAY_MS, () => {
      if (overloaded(one, week(one.trueMs))) badMs += STEP_MS;
    });
    assertCalm(t, one);
    t.ok(badMs < 10 * MINUTE_MS, `seed ${seed}: overloaded for ${badMs / MINUTE_MS} minutes of a week`);
    t.ok(one.actions.length < 7 * 150, `seed ${seed}: ${one.actions.length} changes`);
    t.equal(one.count, 2, `seed ${seed}: at midnight as few as are needed`);
  }
});

t.test('a sudden peak is followed within the cooldown of scaling up, and left within the other', async (t) => {
  const one = fleet();
  one.load = (ms) => (ms < START_MS + HOUR_MS ? 100 : ms < START_MS + 2 * HOUR_MS ? 900 : 100);
  one.run(START_MS + HOUR_MS + MINUTE_MS);
  t.equal(one.count, 18);
  one.run(START_MS + 2 * HOUR_MS + MINUTE_MS);
  t.equal(one.count, 2);
  t.equal(one.actions.length, 2);
});

t.test('hours without figures change nothing, and the first figures after them count', async (t) => {
  const one = fleet();
  const gap = (ms: number): boolean => ms > START_MS + 10 * HOUR_MS && ms < START_MS + 14 * HOUR_MS;
  one.load = (ms) => (gap(ms) ? null : week(ms));
  one.run(START_MS + 10 * HOUR_MS);
  const [before, actions] = [one.count, one.actions.length];
  one.run(START_MS + 14 * HOUR_MS - MINUTE_MS);
  t.equal(one.count, before);
  t.equal(one.actions.length, actions);
  t.match(one.last, { result: 'nothing', reason: /no figures/ });
  one.run(START_MS + 14 * HOUR_MS + 10 * MINUTE_MS);
  t.equal(one.count, Math.ceil(week(one.trueMs) / TARGET));
});

t.test('a leader that goes in the middle of an action: the next one neither repeats nor reverses it', async (t) => {
  for (let atSeconds = 0; atSeconds <= 400; atSeconds += 20) {
    const one = fleet();
    one.enactMs = 3 * MINUTE_MS;
    one.load = () => 500;
    one.run(START_MS + 20_000);
    t.equal(one.actions.length, 1);
    one.run(START_MS + 20_000 + atSeconds * 1_000);
    // Its clock differs by as much as clocks do that nobody looks after.
    one.newLeader(atSeconds % 40 === 0 ? 90_000 : -90_000);
    one.run(START_MS + HOUR_MS);
    assertCalm(t, one);
    if (one.actions.length !== 1 || one.count !== 10)
      t.fail(`after ${atSeconds} s: ${one.actions.length} actions, count ${one.count}`);
  }
});

t.test('a target that is stuck for a day: nothing is begun, the reason is told, and then it goes on', async (t) => {
  const one = fleet();
  one.isStuck = true;
  one.load = () => 500;
  one.run(START_MS + DAY_MS);
  t.equal(one.actions.length, 0);
  t.match(one.last, { result: 'not-ready', action: { count: 10 } });
  one.isStuck = false;
  one.run(START_MS + DAY_MS + MINUTE_MS);
  t.equal(one.count, 10);
});

/** Weeks in which all of it happens at once. */
function mayhem(random: Random): Fleet {
  const one = fleet();
  one.load = (ms) => (random.next() < 0.05 ? null : week(ms) * (0.7 + 0.6 * random.next()));
  one.run(START_MS + 2 * DAY_MS, () => {
    const dice = random.next();
    if (dice < 0.0005) one.newLeader((random.next() - 0.5) * 4 * MINUTE_MS);
    else if (dice < 0.001) one.isStuck = !one.isStuck;
    else if (dice < 0.0015) one.enactMs = Math.floor(random.next() * 10) * MINUTE_MS;
    else if (dice < 0.0017) one.clockMs += (random.next() - 0.5) * 12 * HOUR_MS;
  });
  return one;
}

t.test('whatever happens at once: bounds hold, nothing is done twice, and in the end the load is served', async (t) => {
  for (let seed = 1; seed <= 10; seed++) {
    const one = mayhem(seededRandom(seed));
    if (one.doubles > 0) t.fail(`seed ${seed}: ${one.doubles} double actions`);
    if (one.actions.some(({ to }) => to < 1 || to > 20)) t.fail(`seed ${seed}: out of bounds`);
    if (one.actions.length < 10) t.fail(`seed ${seed}: only ${one.actions.length} actions`);
    one.isStuck = false;
    one.enactMs = 0;
    one.load = () => 500;
    one.run(one.trueMs + HOUR_MS);
    if (one.count !== 10) t.fail(`seed ${seed}: it ended with ${one.count}: ${JSON.stringify(one.last)}`);
  }
  t.pass('10 seeds');
});
