import t from 'tap';
import { Columns } from '../../lib/scheduler/columns.js';
import { PART, ToldScores } from '../../lib/scheduler/rank/told-scores.js';

const PLAIN = [0.5, 0.5, 0, 0, 0, Number.NaN, Number.NaN, Number.NaN];

function tell(scores: ToldScores, row: number, parts: readonly number[] = PLAIN) {
  scores.parts.set(parts);
  return scores.tell(row, `node-${row}`);
}

const changed = (part: number, value: number): number[] => PLAIN.map((old, i) => (i === part ? value : old));

t.test('a score is told with the parts that have a say', async (t) => {
  const told = tell(new ToldScores(new Columns(4)), 1, [0.25, 0.5, -0.5, -1, 0.75, 0.1, 0.2, 0.3]);
  t.strictSame(told, {
    NodeID: 'node-1',
    NormScore: 0.25,
    Scores: {
      binpack: 0.5,
      'job-anti-affinity': -0.5,
      'node-reschedule-penalty': -1,
      'node-affinity': 0.75,
      'allocation-spread': 0.1,
      devices: 0.2,
      preemption: 0.3,
    },
  });
  const few = tell(new ToldScores(new Columns(4)), 1);
  t.strictSame(Object.keys(few.Scores), ['binpack', 'job-anti-affinity', 'node-reschedule-penalty', 'node-affinity']);
});

t.test('the same score of a node is one object, and nodes that are alike share its parts', async (t) => {
  const scores = new ToldScores(new Columns(4));
  const first = tell(scores, 1);
  t.equal(tell(scores, 1), first);
  const alike = tell(scores, 2);
  t.not(alike, first);
  t.equal(alike.NodeID, 'node-2');
  t.equal(alike.Scores, first.Scores);
});

t.test('whatever part is another makes another score, which is told as it is', async (t) => {
  for (const part of Object.values(PART)) {
    const scores = new ToldScores(new Columns(4));
    const first = tell(scores, 1);
    const other = tell(scores, 1, changed(part, 0.875));
    t.not(other, first, `part ${part}`);
    t.strictSame(other, tell(new ToldScores(new Columns(4)), 1, changed(part, 0.875)), `part ${part}`);
    t.strictSame(tell(scores, 1), first, `part ${part}: back again`);
  }
});
