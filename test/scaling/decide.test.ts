import t from 'tap';
import { type CheckOutcome, decide } from '../../lib/scaling/decide.js';
import type { Policy } from '../../lib/scaling/policy.js';
import { policyOf } from './world.js';

const READY = { ready: true, count: 4, meta: {} };
const wish = (check: string, count: number, present = 4): CheckOutcome => ({
  check,
  kind: 'action',
  action: {
    count,
    direction: count > present ? 'up' : count < present ? 'down' : 'none',
    reason: `${check} says ${count}`,
    error: false,
    meta: {},
  },
});
const failed = (check: string): CheckOutcome => ({ check, kind: 'error', reason: 'no answer' });

function decided(policy: Policy, outcomes: CheckOutcome[], count = 4): string {
  const { action, check } = decide(policy, { ...READY, count }, outcomes);
  return action ? `${action.direction} ${action.count} ${check}` : 'nothing';
}

t.test('the winner: up over none over down, the highest of each', async (t) => {
  const policy = policyOf({ checks: ['a', 'b', 'c'] });
  t.equal(decided(policy, [wish('a', 2), wish('b', 6), wish('c', 5)]), 'up 6 b');
  t.equal(decided(policy, [wish('a', 2), wish('b', 3)]), 'down 3 b');
  t.equal(decided(policy, [wish('a', 2), wish('b', 4)]), 'nothing');
  t.equal(decided(policy, []), 'nothing');
});

t.test('in a group none counts only when all say so; then the groups compete', async (t) => {
  const grouped = policyOf({ checks: ['a', 'b', 'c'], groups: { a: 'g', b: 'g' } });
  t.equal(decided(grouped, [wish('a', 2), wish('b', 4)]), 'down 2 a');
  t.equal(decided(grouped, [wish('a', 4), wish('b', 4)]), 'nothing');
  t.equal(decided(grouped, [wish('a', 2), wish('b', 4), wish('c', 4)]), 'nothing', 'c stands alone and says none');
  t.equal(decided(grouped, [wish('a', 2), wish('b', 4), wish('c', 7)]), 'up 7 c');
});

t.test('within min and max, whatever is wished; a count outside is put right without any figures', async (t) => {
  const policy = policyOf({ min: 2, max: 6, checks: ['a'] });
  const capped = decide(policy, READY, [wish('a', 60)]);
  t.match(capped.action, {
    count: 6,
    reason: /capped count from 60 to 6/,
    meta: { 'nomad_autoscaler.count.capped': true },
  });
  t.equal(decided(policy, [wish('a', 0)]), 'down 2 a');
  t.equal(decided(policy, [wish('a', 9, 6)], 6), 'nothing', 'at its max it stays');
  t.equal(decided(policy, [failed('a')], 1), 'up 2 ');
  t.equal(decided(policy, [], 9), 'down 6 ');
});

t.test('on_error: an error of a check is passed over, or stops everything', async (t) => {
  const ignoring = policyOf({ checks: ['a', 'b'] });
  t.equal(decided(ignoring, [failed('a'), wish('b', 6)]), 'up 6 b');
  t.match(decide(ignoring, READY, [failed('a')]).reason, /check "a" failed: no answer/);
  const failing = policyOf({ checks: ['a', 'b'], onError: { a: 'fail' } });
  t.equal(decided(failing, [failed('a'), wish('b', 6)]), 'nothing');
});
