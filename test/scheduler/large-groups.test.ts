import t from 'tap';
import { NameIndex } from '../../lib/scheduler/reconcile/names.js';
import { computeStops } from '../../lib/scheduler/reconcile/stops.js';
import { atOnce } from './at-once.js';
import { mockAlloc, mockGroup, mockJob } from './mock.js';

const COUNT = 20_000;

/** How large the largest map or set becomes while `act` runs: one that grows is copied whole, which nothing can interrupt. */
function largestIn(act: () => void): number {
  let largest = 0;
  const { set } = Map.prototype;
  const { add } = Set.prototype;
  Map.prototype.set = function (key, value) {
    largest = Math.max(largest, this.size);
    return set.call(this, key, value);
  };
  Set.prototype.add = function (value) {
    largest = Math.max(largest, this.size);
    return add.call(this, value);
  };
  try {
    act();
  } finally {
    Map.prototype.set = set;
    Set.prototype.add = add;
  }
  return largest;
}

t.test('half of a very large group is stopped without a table of them all', async (t) => {
  const job = mockJob();
  const group = mockGroup({ Count: COUNT / 2 });
  const one = mockAlloc(job);
  const kept = Array.from({ length: COUNT }, (_, i) => ({ ...one, ID: `${i}`, Name: `${job.ID}.${group.Name}[${i}]` }));
  const names = new NameIndex(job.ID, group.Name, group.Count);
  const options = { group, names, kept, migrate: [], lost: [], canaries: [], canarying: false };
  const largest = largestIn(() => {
    for (const alloc of kept) names.hold(alloc);
    const stops = atOnce(computeStops(options));
    t.same(
      stops.stop.map(({ alloc }) => alloc.ID),
      kept.slice(COUNT / 2).map(({ ID }) => ID),
      'the highest names',
    );
    t.same(stops.kept, kept.slice(0, COUNT / 2));
  });
  t.ok(largest < COUNT / 10, `${largest} at most`);
});
