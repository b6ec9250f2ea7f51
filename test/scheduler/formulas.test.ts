import t from 'tap';
import { compileCheck } from '../../lib/scheduler/feasible/constraint.js';
import { meetsVersion, parseVersion, parseVersionConstraint } from '../../lib/scheduler/feasible/version.js';
import { antiAffinityScore, binpackScore, freeShare, spreadScore } from '../../lib/scheduler/rank/fit-score.js';
import { evenBoost, targetBoost } from '../../lib/scheduler/rank/spread.js';
import { nextDelay, nextReschedule, trackReschedule } from '../../lib/scheduler/reconcile/reschedule.js';
import { isSame, mustReplace } from '../../lib/scheduler/reconcile/tasks-updated.js';
import type { Allocation, RescheduleEvent } from '../../lib/structs/allocation.js';
import type { Job, ReschedulePolicy } from '../../lib/structs/job.js';
import { matchesGlob } from '../../lib/util/glob.js';
import { randomUuid, seededRandom } from '../../lib/util/random.js';
import { mockAlloc, mockGroup, mockJob, mockNode, mockResources, mockTask } from './mock.js';

const close = (t: { ok(holds: boolean, name: string): void }, found: number, wanted: number, name: string): void => {
  t.ok(Math.abs(found - wanted) < 1e-9, `${name}: ${found} is ${wanted}`);
};

t.test('the fit formulas, computed by hand', async (t) => {
  // 10^0.5 = 3.16227766…; 20 − 2 × 3.16227766 = 13.67544468; ÷ 18.
  for (const [cpu, memory, binpack, spread] of [
    [1, 1, 0, 1],
    [0, 0, 1, 0],
    [0.5, 0.5, (20 - 2 * Math.sqrt(10)) / 18, (2 * Math.sqrt(10) - 2) / 18],
    [1, 0, 0.5, 0.5],
    [0.25, 0.75, (20 - (1.7782794100389228 + 5.623413251903491)) / 18, (7.401692661942414 - 2) / 18],
    // Over the brim (a node that was shrunk): clamped.
    [-1, -1, 1, 0],
  ] as const) {
    close(t, binpackScore({ cpu, memory }), binpack, `binpack ${cpu} ${memory}`);
    close(t, spreadScore({ cpu, memory }), spread, `spread ${cpu} ${memory}`);
  }
  t.equal(freeShare(1000, 4000), 0.75);
  t.equal(freeShare(0, 0), 0);
});

t.test('anti-affinity and spread boosts, computed by hand', async (t) => {
  t.equal(antiAffinityScore(0, 4), 0);
  t.equal(antiAffinityScore(1, 4), -0.5);
  t.equal(antiAffinityScore(3, 4), -1);
  close(t, targetBoost({ desired: 7, used: 0, weight: 1 }), 6 / 7, 'first of seven');
  close(t, targetBoost({ desired: 7, used: 6, weight: 1 }), 0, 'the last one wanted');
  close(t, targetBoost({ desired: 4, used: 7, weight: 0.5 }), -0.5, 'past what is wanted');
  for (const [current, min, max, boost] of [
    [0, 0, 0, -1],
    [1, 1, 1, -1],
    [0, 1, 2, 1],
    [2, 1, 3, -1],
    [1, 1, 3, 2],
    [0, 0, 3, 1],
    [2, 0, 3, -1],
  ] as const) {
    close(t, evenBoost({ current, min, max }), boost, `even ${current} in ${min}…${max}`);
  }
});

t.test('every operator of a constraint', async (t) => {
  const node = mockNode(0, {
    NodeClass: 'big',
    Attributes: { v: '1.2.3-beta', os: 'ubuntu', n: '9', set: 'a, b,c' },
    Meta: { rack: 'r1', constructor: 'x' },
  });
  for (const [left, operand, right, holds] of [
    ['${attr.os}', '=', 'ubuntu', true],
    ['${attr.os}', 'is', 'debian', false],
    ['${attr.absent}', '=', '', false],
    ['${attr.absent}', '!=', 'x', true],
    ['${attr.os}', 'not', 'ubuntu', false],
    ['${attr.n}', '<', '10', true],
    ['${attr.os}', '>', 'debian', true],
    ['${attr.n}', '>=', '9.0', true],
    ['${attr.n}', '<=', '8', false],
    ['${attr.os}', 'regexp', '^u.*u$', true],
    ['${attr.os}', 'regexp', '(?i)UBUNTU', true],
    ['${attr.os}', 'regexp', '(', false],
    ['${attr.os}', 'regexp', '\\Au(?P<rest>[a-z]+)\\z', true],
    ['${attr.os}', 'regexp', 'u(?=b)', false],
    ['${attr.v}', 'version', '>= 1.2', false],
    ['${attr.v}', 'semver', '>= 1.2.0', true],
    ['${attr.n}', 'version', '> 8, < 10', true],
    ['${attr.set}', 'set_contains', 'a,c', true],
    ['${attr.set}', 'set_contains_all', 'a,d', false],
    ['${attr.set}', 'set_contains_any', 'd,c', true],
    ['${meta.rack}', 'is_set', '', true],
    ['${meta.absent}', 'is_set', '', false],
    ['${meta.toString}', 'is_set', '', false],
    ['${meta.absent}', 'is_not_set', '', true],
    ['${node.class}', '=', 'big', true],
    ['${node.unique.name}', '=', 'n0', true],
    ['${node.datacenter}', '=', 'dc1', true],
    ['r1', '=', '${meta.rack}', true],
    ['${nonsense}', 'is_set', '', false],
    ['${attr.os}', 'whatever', 'ubuntu', false],
  ] as const) {
    const check = compileCheck({ LTarget: left, Operand: operand, RTarget: right });
    t.equal(check.holds(node), holds, `${left} ${operand} ${right}`);
  }
});

t.test('no pattern holds up the scheduler', async (t) => {
  const node = mockNode(0, { Attributes: { long: `${'a'.repeat(4000)}!` } });
  const began = performance.now();
  for (const pattern of ['^(a+)+$', '^(a|a)*$', '^(a*)*$', '(a?){100}a{100}$', '^(([a-z])+.)+[A-Z]$']) {
    const check = compileCheck({ LTarget: '${attr.long}', Operand: 'regexp', RTarget: pattern });
    t.equal(check.holds(node), false, pattern);
  }
  // Going back over its ways, the first alone would take longer than the world has existed.
  t.ok(performance.now() - began < 5000);
});

t.test('version constraints', async (t) => {
  for (const [version, constraint, loose, strict] of [
    ['1.2.3', '>= 1.0, < 1.4', true, true],
    ['1.2.3', '~> 1.2', true, undefined],
    ['1.3.0', '~> 1.2.3', false, undefined],
    ['1.2.9', '~> 1.2.3', true, undefined],
    ['2.0.0', '~> 1.2', false, undefined],
    ['1.7.0-beta', '>= 1.6', false, true],
    ['1.7.0-beta', '>= 1.7.0-alpha', true, true],
    ['1.8.0-beta', '>= 1.7.0-alpha', false, true],
    ['1.7.0-beta', '1.7.0', false, false],
    ['1.7.0-alpha.2', '< 1.7.0-alpha.10', true, true],
    ['v1.2', '= 1.2.0', true, true],
    ['1.2+build5', '= 1.2', true, true],
    ['1.2', '!= 1.2', false, false],
  ] as const) {
    for (const [flavour, wanted] of [
      ['version', loose],
      ['semver', strict],
    ] as const) {
      const parsed = parseVersionConstraint(constraint, flavour);
      const found = parseVersion(version, flavour);
      const verdict = parsed.ok && found ? meetsVersion(found, parsed.value, flavour) : undefined;
      t.equal(verdict, wanted, `${version} ${constraint} as ${flavour}`);
    }
  }
  for (const bad of ['', '>=', '>= 1 2', '=> 1', 'x.y']) {
    t.equal(parseVersionConstraint(bad, 'version').ok, false, JSON.stringify(bad));
  }
});

t.test('globs', async (t) => {
  for (const [pattern, name, matches] of [
    ['*', 'dc1', true],
    ['dc1', 'dc1', true],
    ['dc1', 'dc10', false],
    ['eu-*', 'eu-west', true],
    ['*-west', 'eu-west', true],
    ['e*w*t', 'eu-west', true],
    ['ab*ba', 'aba', false],
    ['a*b*b', 'ab', false],
  ] as const) {
    t.equal(matchesGlob(pattern, name), matches, `${pattern} ${name}`);
  }
});

const S = 1e9;
const policy = (changes: Partial<ReschedulePolicy>): ReschedulePolicy => ({
  Attempts: 0,
  Interval: 0,
  Delay: 5 * S,
  DelayFunction: 'exponential',
  MaxDelay: 60 * S,
  Unlimited: true,
  ...changes,
});
const tried = (rule: ReschedulePolicy, delays: number[], at = 1000): Allocation =>
  mockAlloc(mockJob({ TaskGroups: [mockGroup({ ReschedulePolicy: rule })] }), {
    ClientStatus: 'failed',
    ModifyTime: at * S,
    RescheduleTracker:
      delays.length === 0
        ? null
        : {
            Events: delays.map(
              (delay, i): RescheduleEvent => ({
                RescheduleTime: (at - 10 * (delays.length - i)) * S,
                PrevAllocID: `p${i}`,
                PrevNodeID: `n${i}`,
                Delay: delay * S,
              }),
            ),
            LastReschedule: 'ok',
          },
  });

t.test('reschedule delays grow as their function says', async (t) => {
  for (const [name, rule, delays, wanted] of [
    ['the first', {}, [], 5],
    ['constant', { DelayFunction: 'constant' }, [5, 5], 5],
    ['doubled', {}, [5, 10], 20],
    ['capped', {}, [40], 60],
    ['fibonacci, second', { DelayFunction: 'fibonacci' }, [5], 5],
    ['fibonacci', { DelayFunction: 'fibonacci' }, [5, 5, 10], 15],
  ] as const) {
    const rules = policy(rule as Partial<ReschedulePolicy>);
    t.equal(nextDelay(tried(rules, [...delays]), rules), wanted * S, name);
  }
  const capped = policy({ MaxDelay: 8 * S });
  t.equal(nextDelay(tried(capped, [8]), capped), 5 * S, 'one that ran for longer than the cap begins anew');
});

t.test('a limited policy ends, an unlimited one does not', async (t) => {
  const limited = policy({ Unlimited: false, Attempts: 2, Interval: 3600 * S, DelayFunction: 'constant' });
  t.same(nextReschedule(tried(limited, [])), { eligible: true, at: 1_005_000 });
  t.equal(nextReschedule(tried(limited, [5])).eligible, true);
  t.equal(nextReschedule(tried(limited, [5, 5])).eligible, false);
  t.equal(nextReschedule(tried({ ...limited, Interval: 15 * S }, [5, 5])).eligible, true, 'older tries are forgotten');
  t.equal(nextReschedule(tried(policy({}), [5, 5, 5, 5, 5, 5])).eligible, true);
  t.equal(nextReschedule({ ...tried(policy({}), []), ClientStatus: 'complete' }).eligible, false);
  t.equal(trackReschedule(tried(policy({}), [1, 2, 3, 4, 5, 6]), 1000).Events.length, 5, 'five are remembered');
});

t.test('what must be replaced, and what can be changed in place', async (t) => {
  const job = mockJob();
  const group = job.TaskGroups[0] as Job['TaskGroups'][0];
  const withTask = (changes: object): Job => ({ ...job, TaskGroups: [{ ...group, Tasks: [mockTask(changes)] }] });
  const withGroup = (changes: object): Job => ({ ...job, TaskGroups: [{ ...group, ...changes }] });
  const affinity = { LTarget: '${attr.x}', RTarget: 'y', Operand: '=', Weight: 50 };
  const network = (changes: object) => ({
    Mode: 'host',
    Device: '',
    CIDR: '',
    IP: '',
    Hostname: '',
    MBits: null,
    ...changes,
  });
  const port = { Label: 'http', Value: 0, To: 0, HostNetwork: 'default', IgnoreCollision: false };
  const resources = (changes: object) => ({ ...mockResources(), Networks: [network(changes)] as never });
  const cases: [string, Job, boolean][] = [
    ['nothing', withGroup({}), false],
    ['priority', { ...job, Priority: 80 }, false],
    ['count', withGroup({ Count: 9 }), false],
    ['kill_timeout', withTask({ KillTimeout: 1 }), false],
    ['restart', withGroup({ RestartPolicy: { ...group.RestartPolicy, Attempts: 9 } }), false],
    ['affinities', { ...job, Affinities: [affinity] }, false],
    ['spreads', withGroup({ Spreads: [{ Attribute: '${attr.x}', Weight: 50, SpreadTarget: null }] }), false],
    ['render_templates', withGroup({ RestartPolicy: { ...group.RestartPolicy, RenderTemplates: true } }), true],
    ['an empty env', withTask({ Env: {} }), false],
    ['job meta', { ...job, Meta: { a: 'b' } }, true],
    ['driver', withTask({ Driver: 'docker' }), true],
    ['user', withTask({ User: 'nobody' }), true],
    ['config', withTask({ Config: { run_for: '11s' } }), true],
    ['env', withTask({ Env: { A: '1' } }), true],
    ['cpu', withTask({ Resources: mockResources({ CPU: 501 }) }), true],
    ['ephemeral disk', withGroup({ EphemeralDisk: { ...group.EphemeralDisk, SizeMB: 1 } }), true],
    [
      'logs.disabled',
      withTask({ LogConfig: { MaxFiles: 10, MaxFileSizeMB: 10, Enabled: null, Disabled: true } }),
      true,
    ],
    ['the network', withGroup({ Networks: [network({})] }), true],
    ['a port', withTask({ Resources: resources({ DynamicPorts: [port] }) }), true],
    [
      'the address of a task network',
      withTask({ Resources: resources({ CIDR: '10.0.0.0/8', IP: '10.0.0.1' }) }),
      false,
    ],
    ['one more task', withGroup({ Tasks: [mockTask(), mockTask({ Name: 'two' })] }), true],
    ['a renamed task', withTask({ Name: 'other' }), true],
  ];
  for (const [name, changed, replaced] of cases) {
    t.equal(
      mustReplace(name.endsWith('task network') ? withTask({ Resources: resources({}) }) : job, changed, 'web'),
      replaced,
      name,
    );
  }
  t.ok(isSame({ a: null, b: [1, { c: {}, d: 2 }] }, { b: [1, { d: 2 }] }));
  t.notOk(isSame({ a: [1, 2] }, { a: [2, 1] }));
  t.notOk(isSame([], { a: 1 }));
});

t.test('an id from seeded randomness is a version 4 UUID, and no two are alike', async (t) => {
  const random = seededRandom(3);
  const ids = Array.from({ length: 1000 }, () => randomUuid(random));
  t.ok(ids.every((id) => /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(id)));
  t.equal(new Set(ids).size, 1000);
});
