import t from 'tap';
import { type Seen, tellServersStory } from './servers/story.js';

// npm run sim:servers -- --seeds 200 for a longer look.
const SEEDS = 12;
/**
 * 50: a leader that had been deposed refused a compare-and-swap because of the old state it had. 130: a log that could not be read for
 * a moment ended consensus for good. 456: a digit of instance.json became a capital, and its server heard nobody any more.
 */
const KNOWN = [50, 130, 456];

t.test('what clients of whole servers see is linearizable, whatever fails', { timeout: 280_000 }, async (t) => {
  const totals = new Map<string, number>();
  for (const seed of [...KNOWN, ...Array.from({ length: SEEDS }, (_, i) => i + 1)]) {
    try {
      const seen: Seen = await tellServersStory(seed);
      for (const [what, count] of Object.entries(seen)) totals.set(what, (totals.get(what) ?? 0) + count);
    } catch (error) {
      t.fail(`${(error as Error).message}\nreplay: npm run sim:servers -- --seed ${seed}`);
      return;
    }
  }
  t.comment(JSON.stringify(Object.fromEntries(totals)));
  // A simulation in which nothing happens proves nothing.
  for (const [what, count] of totals) t.ok(count > 0, `${count} ${what}`);
});
