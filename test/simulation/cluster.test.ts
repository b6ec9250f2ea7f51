import t from 'tap';
import { tellStory } from './cluster/story.js';

t.test('a small cluster is filled, fails, drains and updates without breaking an invariant', async (t) => {
  for (const seed of [1, 2]) {
    const lines: string[] = [];
    const facts = await tellStory({
      nodes: 60,
      allocs: 3000,
      jobSize: 120,
      seed,
      tell: (line) => lines.push(line),
    });
    t.strictSame(facts.broken, [], `seed=${seed}\n${lines.join('\n')}`);
    t.notMatch(lines.join('\n'), /NOT SETTLED/, `seed=${seed}`);
    t.match(lines.join('\n'), /filled: 3,000 of 3,000/, `seed=${seed}`);
  }
});
