import t from 'tap';
import { CONTROL, hunt } from './mutants/hunt.js';
import { MUTANTS } from './mutants/table.js';

/** Few, for this runs each time: `npm run sim:mutants` plants every bug and looks longer. */
const SEEDS = 25;
const CHOSEN = MUTANTS.filter((_, i) => i % 4 === 0);

t.test('planted bugs are caught, and a copy without one is not', { timeout: 280_000 }, async (t) => {
  t.ok(MUTANTS.length >= 20);
  const queue = [...CONTROL, ...CHOSEN];
  const work = async (): Promise<void> => {
    for (let mutant = queue.shift(); mutant !== undefined; mutant = queue.shift()) {
      const { by } = await hunt(mutant, SEEDS);
      if (CONTROL.includes(mutant)) t.equal(by, 'nobody', mutant.name);
      else t.not(by, 'nobody', mutant.name);
    }
  };
  await Promise.all([work(), work()]);
});
