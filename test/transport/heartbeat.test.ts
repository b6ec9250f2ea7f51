import t from 'tap';
import { CALM, Heartbeat, type Pace } from '../../lib/transport/heartbeat.js';
import { createSimulatedClock } from '../support/simulated-clock.js';

const BRISK: Pace = { everyMs: 1_000, deadMs: 3_000 };

/** Two ends of one link with a delay each way; either may be silenced. */
function pair(paces: readonly [Pace, Pace], delayMs = 5) {
  const clock = createSimulatedClock();
  const log: string[] = [];
  const deadAtMs: (number | undefined)[] = [undefined, undefined];
  const mute = [false, false];
  const wishMs = [0, 0];
  const ends: Heartbeat[] = [];
  const later = (fn: () => void): void => void clock.setTimeout(delayMs, fn);
  for (const i of [0, 1] as const) {
    const other = 1 - i;
    ends[i] = new Heartbeat({
      clock,
      pace: paces[i],
      leads: i === 0,
      ping(id, everyMs) {
        log.push(`${i} asks`);
        if (mute[i]) return;
        later(() => {
          ends[other]?.heard();
          ends[other]?.expectEvery(everyMs);
          if (mute[other]) return;
          later(() => {
            ends[i]?.heard();
            ends[i]?.pong(id, wishMs[other]);
          });
        });
      },
      dead() {
        deadAtMs[i] = clock.monotonicMs();
        ends[i]?.stop();
      },
    });
  }
  return { clock, log, deadAtMs, mute, wishMs, a: ends[0] as Heartbeat, b: ends[1] as Heartbeat };
}

t.test('a quiet link carries one question a period, of the side that is in a hurry', async (t) => {
  const { clock, log, deadAtMs } = pair([BRISK, CALM]);
  await clock.advance(2_000);
  log.length = 0;
  await clock.advance(80_000);
  const asked = (side: number): number => log.filter((line) => line === `${side} asks`).length;
  t.ok(asked(0) >= 65 && asked(0) <= 85, `the brisk side asks ${asked(0)} times`);
  t.ok(asked(1) <= 12, `the calm side asks ${asked(1)} times, to measure`);
  t.same(deadAtMs, [undefined, undefined]);
});

t.test('two sides in a hurry do not both ask', async (t) => {
  const { clock, log } = pair([BRISK, BRISK]);
  await clock.advance(81_000);
  t.ok(log.length < 110, `${log.length} questions in 80 s of both`);
});

t.test(
  'silence of a brisk link is noticed after some 3 s by both sides, also by the one that never asked so often',
  async (t) => {
    for (const muted of [0, 1]) {
      const { clock, deadAtMs, mute } = pair([BRISK, CALM]);
      await clock.advance(20_000);
      mute[muted] = true;
      await clock.advance(10_000);
      const after = (deadAtMs[1 - muted] ?? Number.NaN) - 20_000;
      t.ok(after >= 2_000 && after <= 4_500, `side ${1 - muted} after ${after} ms`);
    }
  },
);

t.test('who asks more often from now on says so at once, also over a link that is never silent', async (t) => {
  const { clock, deadAtMs, mute, a, b } = pair([CALM, CALM]);
  const speak = (): void => {
    if (mute[0]) return;
    a.heard();
    b.heard();
    clock.setTimeout(300, speak);
  };
  speak();
  await clock.advance(12_000);
  a.pace(BRISK);
  await clock.advance(1_000);
  mute[0] = true;
  await clock.advance(20_000);
  const after = (deadAtMs[1] ?? Number.NaN) - 13_000;
  t.ok(after >= 2_000 && after <= 4_500, `noticed after ${after} ms`);
});

t.test('a slow way is not a dead one', async (t) => {
  const { clock, deadAtMs, a } = pair([BRISK, BRISK], 900);
  await clock.advance(60_000);
  t.same(deadAtMs, [undefined, undefined]);
  t.equal(a.rttMs, 1_800);
});

t.test('who has many links is asked less often, and its loss is noticed by that measure', async (t) => {
  const { clock, log, deadAtMs, wishMs, mute } = pair([BRISK, CALM]);
  wishMs[1] = 3_000;
  await clock.advance(10_000);
  log.length = 0;
  await clock.advance(30_000);
  t.ok(log.length <= 16, `${log.length} questions in 30 s`);
  mute[1] = true;
  await clock.advance(20_000);
  const after = (deadAtMs[0] ?? Number.NaN) - 40_000;
  t.ok(after >= 6_000 && after <= 10_000, `${after} ms`);
});

t.test('who was stopped itself gives the other side time to answer', async (t) => {
  const clock = createSimulatedClock();
  let sleptMs = 0;
  let dead = 0;
  let asked = 0;
  // Time that passes while the process does not run: timers come late, all at once.
  const heartbeat = new Heartbeat({
    clock: { ...clock, monotonicMs: () => clock.monotonicMs() + sleptMs },
    pace: BRISK,
    leads: true,
    ping: () => asked++,
    dead: () => dead++,
  });
  heartbeat.heard();
  sleptMs = 60_000;
  await clock.advance(1_001);
  t.equal(dead, 0, 'not blamed at once');
  t.ok(asked >= 2, 'but asked');
  await clock.advance(2_500);
  t.equal(dead, 1, 'and given up when it does not answer');
  heartbeat.stop();
});

t.test('a machine on which every timer is late gives a dead link up all the same', async (t) => {
  const clock = createSimulatedClock();
  let lateMs = 0;
  let deadAtMs = Number.POSITIVE_INFINITY;
  const monotonicMs = (): number => clock.monotonicMs() + lateMs;
  const heartbeat = new Heartbeat({
    clock: {
      ...clock,
      monotonicMs,
      setTimeout: (ms, fn) =>
        clock.setTimeout(ms, () => {
          lateMs += 1_200;
          fn();
        }),
    },
    pace: BRISK,
    leads: true,
    ping: () => {},
    dead: () => {
      deadAtMs = Math.min(deadAtMs, monotonicMs());
      heartbeat.stop();
    },
  });
  await clock.advance(30_000);
  t.ok(deadAtMs >= 3_000 && deadAtMs <= 9_000, `given up after ${deadAtMs} ms`);
  heartbeat.stop();
});

t.test('in a hurry a dead link is given up after 1.5 s, and a live one is kept', async (t) => {
  const { clock, deadAtMs, mute, a, b } = pair([CALM, CALM]);
  await clock.advance(10_000);
  a.hurry();
  await clock.advance(5_000);
  t.equal(deadAtMs[0], undefined);
  mute[1] = true;
  a.hurry();
  await clock.advance(2_000);
  t.ok(deadAtMs[0] !== undefined);
  b.stop();
});
