import t from 'tap';
import { BlockedEvals } from '../../lib/server/blocked-evals.js';
import { newEval } from '../../lib/server/new-eval.js';
import type { Evaluation } from '../../lib/structs/evaluation.js';
import { seededRandom } from '../../lib/util/random.js';

const random = seededRandom(2);
let index = 10;

const blockedEval = (JobID: string, more: Partial<Evaluation> = {}): Evaluation => {
  index++;
  return {
    ...newEval(
      { Namespace: 'default', Priority: 50, Type: 'service', TriggeredBy: 'queued-allocs', JobID, Status: 'blocked' },
      { random, now: 0 },
    ),
    CreateIndex: index,
    ModifyIndex: index,
    SnapshotIndex: index,
    ...more,
  };
};

const ids = (evaluations: Iterable<Evaluation | null>): string[] =>
  [...evaluations].flatMap((evaluation) => (evaluation ? [evaluation.ID] : []));

t.test('a class that was found wanting wakes nobody; a fitting or unknown one does', async (t) => {
  for (const [computedClass, wakes] of [
    ['small', false],
    ['large', true],
    ['unknown', true],
  ] as const) {
    const blocked = new BlockedEvals();
    const evaluation = blockedEval('a', { ClassEligibility: { small: false, large: true } });
    t.equal(blocked.block(evaluation), undefined);
    t.same(ids(blocked.unblockClass(computedClass, 100, 0)), wakes ? [evaluation.ID] : [], computedClass);
    t.equal(blocked.counts().captured, wakes ? 0 : 1);
  }
});

t.test('an escaped evaluation is woken by any class', async (t) => {
  const blocked = new BlockedEvals();
  const evaluation = blockedEval('a', { EscapedComputedClass: true, ClassEligibility: { small: false } });
  blocked.block(evaluation);
  t.same(ids(blocked.unblockClass('small', 100, 0)), [evaluation.ID]);
});

t.test('capacity that appeared after the snapshot was not seen: the evaluation does not wait', async (t) => {
  const blocked = new BlockedEvals();
  blocked.unblockClass('large', 100, 0);
  const late = blockedEval('a', { SnapshotIndex: 99 });
  t.equal(blocked.block(late)?.ID, late.ID);
  t.equal(blocked.block(blockedEval('a', { SnapshotIndex: 100 })), undefined);
  const unfit = blockedEval('b', { SnapshotIndex: 99, ClassEligibility: { large: false } });
  t.equal(blocked.block(unfit), undefined);
});

t.test('the newest evaluation of a job waits, the other is a duplicate', async (t) => {
  const blocked = new BlockedEvals();
  const [old, young] = [blockedEval('a'), blockedEval('a')];
  blocked.block(young);
  blocked.block(old);
  t.same(ids(blocked.takeDuplicates()), [old.ID]);
  const youngest = blockedEval('a');
  blocked.block(youngest);
  t.same(ids(blocked.takeDuplicates()), [young.ID]);
  t.same(ids(blocked.unblockClass('x', 100, 0)), [youngest.ID]);
});

t.test('blocking the same evaluation again takes its new eligibility', async (t) => {
  const blocked = new BlockedEvals();
  const evaluation = blockedEval('a', { EscapedComputedClass: true });
  blocked.block(evaluation);
  blocked.block({ ...evaluation, EscapedComputedClass: false, ClassEligibility: { small: false } });
  t.same(blocked.takeDuplicates(), []);
  t.same(blocked.counts(), { captured: 1, escaped: 0, system: 0 });
});

t.test('a system evaluation waits for its node alone', async (t) => {
  const blocked = new BlockedEvals();
  const evaluation = blockedEval('a', { Type: 'system', NodeID: 'n1' });
  blocked.block(evaluation);
  t.same(ids(blocked.unblockClass('large', 100, 0)), []);
  t.same(blocked.unblockNode('n2', 100, 0), []);
  t.same(ids(blocked.unblockNode('n1', 101, 0)), [evaluation.ID]);
  const missed = blockedEval('a', { Type: 'system', NodeID: 'n1', SnapshotIndex: 100 });
  t.equal(blocked.block(missed)?.ID, missed.ID);
});

t.test('an untracked job waits no more', async (t) => {
  const blocked = new BlockedEvals();
  blocked.block(blockedEval('a'));
  blocked.block(blockedEval('a', { Type: 'system', NodeID: 'n1' }));
  blocked.untrack('default', 'a');
  t.same(blocked.counts(), { captured: 0, escaped: 0, system: 0 });
});

t.test('only those that gave up on refused plans are tried again from time to time', async (t) => {
  const blocked = new BlockedEvals();
  const failed = blockedEval('a', { TriggeredBy: 'max-plan-attempts' });
  blocked.block(failed);
  blocked.block(blockedEval('b'));
  t.same(ids(blocked.unblockFailed()), [failed.ID]);
});

t.test('marks of unblockings are forgotten after a while', async (t) => {
  const blocked = new BlockedEvals();
  blocked.unblockClass('large', 100, 0);
  blocked.prune(16 * 60_000);
  t.equal(blocked.block(blockedEval('a', { SnapshotIndex: 1 })), undefined);
});

t.test(
  'who is woken one by one is passed over once it is replaced, and nobody misses that there is capacity',
  async (t) => {
    const blocked = new BlockedEvals();
    const [first, replaced] = [blockedEval('a'), blockedEval('b')];
    blocked.block(first);
    blocked.block(replaced);
    const woken = blocked.unblockClass('large', 100, 0);
    t.equal(woken.next().value, first);
    // Another of its job comes before its turn does: it has not seen the capacity either.
    const late = blockedEval('b', { SnapshotIndex: 99 });
    t.equal(blocked.block(late), late);
    t.same(ids(woken), []);
    t.same(ids(blocked.takeDuplicates()), [replaced.ID]);
    t.same(blocked.counts(), { captured: 0, escaped: 0, system: 0 });
  },
);
