import t from 'tap';
import { readPolicy } from '../../lib/scaling/policy.js';
import { isInForce } from '../../lib/scaling/schedule.js';
import type { ScalingPolicy } from '../../lib/structs/job.js';

const stored = (Policy: Record<string, unknown>, fields: Partial<ScalingPolicy> = {}): ScalingPolicy => ({
  ID: 'p',
  Type: 'horizontal',
  Target: { Namespace: 'default', Job: 'web', Group: 'g' },
  Min: 1,
  Max: 10,
  Policy,
  Enabled: true,
  CreateIndex: 0,
  ModifyIndex: 0,
  ...fields,
});

const CHECK = {
  query: 'avg_cpu',
  source: 'prometheus',
  strategy: [{ 'target-value': [{ target: 70, threshold: 0.1 }] }],
};

t.test('a policy as a job has it: blocks are lists of maps', async (t) => {
  const read = readPolicy(
    stored({
      cooldown: '1m',
      cooldown_on_scale_up: '30s',
      evaluation_interval: '5s',
      on_check_error: 'fail',
      check: [
        { load: [{ ...CHECK, query_window: '2m', query_window_offset: '10s' }] },
        { other: [{ ...CHECK, group: 'x', on_error: 'ignore' }] },
      ],
    }),
  );
  if (!read.ok) throw new Error(JSON.stringify(read.error));
  t.match(read.value, {
    cooldownMs: 60_000,
    cooldownOnScaleUpMs: 30_000,
    evaluationIntervalMs: 5_000,
    min: 1,
    max: 10,
    target: { name: 'nomad-target', config: { Job: 'web', Group: 'g' } },
    checks: [
      { name: 'load', source: 'prometheus', queryWindowMs: 120_000, queryWindowOffsetMs: 10_000, onError: 'fail' },
      { name: 'other', group: 'x', onError: 'ignore', queryWindowMs: 60_000 },
    ],
  });
  t.same(read.value.checks[0]?.strategy, { name: 'target-value', config: { target: '70', threshold: '0.1' } });
});

t.test('what a policy does not say has defaults', async (t) => {
  const { source: _, ...check } = CHECK;
  const read = readPolicy(stored({ check: { load: check } }, { Min: null, Max: 3 }));
  t.match(read, {
    ok: true,
    value: { min: 0, max: 3, cooldownMs: 300_000, cooldownOnScaleUpMs: 300_000, evaluationIntervalMs: 10_000 },
  });
  t.match(read.ok && read.value.checks[0], { source: 'nomad-apm', onError: 'ignore', schedule: null });
});

t.test('every mistake is named, with its place', async (t) => {
  const problems = (policy: Record<string, unknown>, fields: Partial<ScalingPolicy> = {}) => {
    const read = readPolicy(stored(policy, fields));
    return read.ok ? [] : read.error.map(({ path, message }) => `${path} ${message}`);
  };
  t.match(problems({}), ['check there must be at least one']);
  t.match(problems({ check: { a: CHECK }, coldown: '1m' }), ['coldown is not known; did you mean "cooldown"?']);
  t.match(problems({ check: { a: { ...CHECK, sorce: 'x' } } }), [
    /check "a"\.sorce is not known; did you mean "source"\?/,
  ]);
  t.match(problems({ check: { a: CHECK }, cooldown: 'soon' }), [/cooldown is no duration such as "30s": "soon"/]);
  t.match(problems({ check: { a: CHECK }, evaluation_interval: '10ms' }), [/evaluation_interval must be at least 1s/]);
  t.match(problems({ check: { a: { query: 'x' } } }), [/check "a"\.strategy there must be exactly one/]);
  t.match(problems({ check: { a: { ...CHECK, query: '' } } }), [/check "a"\.query is missing/]);
  t.match(problems({ check: { a: { ...CHECK, on_error: 'maybe' } } }), [
    /on_error must be ignore or fail, not "maybe"/,
  ]);
  t.match(problems({ check: { a: CHECK } }, { Min: 5, Max: 2 }), [/max must not be below min \(5\)/]);
  t.match(problems({ check: { a: CHECK } }, { Type: 'cluster' }), [/target is missing/]);
  t.match(problems({ check: { a: CHECK }, schedule: [{ start: 'x', duration: '1h' }] }), [
    /schedule\.start is no cron/,
  ]);
  t.match(problems({ check: { a: CHECK }, schedule: [{ start: '0 9 * * *' }] }), [
    /schedule needs either end or duration/,
  ]);
});

t.test('a schedule is in force between its start and its end', async (t) => {
  const at = (text: string): number => Date.parse(`2026-03-02T${text}:00Z`);
  const schedule = (block: Record<string, string>) => {
    const read = readPolicy(stored({ check: { a: CHECK }, schedule: [block] }));
    if (!read.ok || !read.value.schedule) throw new Error('no schedule');
    return read.value.schedule;
  };
  const lasting = schedule({ start: '0 9 * * *', duration: '2h' });
  const until = schedule({ start: '0 9 * * 1-5', end: '0 17 * * 1-5' });
  for (const [time, inLasting, inUntil] of [
    ['08:59', false, false],
    ['09:00', true, true],
    ['10:59', true, true],
    ['11:00', false, true],
    ['16:59', false, true],
    ['17:00', false, false],
    ['23:00', false, false],
  ] as const) {
    t.equal(isInForce(lasting, at(time)), inLasting, `duration at ${time}`);
    t.equal(isInForce(until, at(time)), inUntil, `end at ${time}`);
  }
});
