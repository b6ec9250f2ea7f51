// Plants every bug of the table and prints how many seeds it takes to notice: npm run sim:mutants [-- SEEDS [NAME…]]
import { type Catch, CONTROL, hunt } from './hunt.js';
import { MUTANTS } from './table.js';

function describe(found: Catch): string {
  if (found.by === 'simulation') return `seed ${String(found.seed).padStart(4)}  ${found.message}`;
  return found.by === 'test' ? `test       ${found.name}` : 'not caught';
}

const [seeds = '2000', ...names] = process.argv.slice(2);
const chosen = [...CONTROL, ...MUTANTS].filter(
  ({ name }) => names.length === 0 || names.some((part) => name.includes(part)),
);
let wrong = 0;
for (const mutant of chosen) {
  const found = await hunt(mutant, Number(seeds));
  if ((found.by === 'nobody') !== CONTROL.includes(mutant)) wrong++;
  console.log(`${mutant.name.padEnd(54)} ${describe(found)}`.slice(0, 160));
}
console.log(wrong === 0 ? 'every bug is caught, and nothing else' : `${wrong} wrong: see "not caught"`);
if (wrong > 0) process.exitCode = 1;
