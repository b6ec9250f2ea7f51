// npm run sim:gossip [-- --members 10,100,1000,10000] [--trials 3]: how spread, detection and traffic grow with the size.
// npm run sim:gossip -- --scenario NAME [--seed N] [--seeds COUNT]: stories that must end well; a seed replays one of them.
import { parseArgs } from 'node:util';
import { type Figures, measure, measureStalls } from './figures.js';
import { SCENARIOS } from './scenarios.js';

const { values } = parseArgs({
  options: {
    members: { type: 'string', default: '2,3,5,10,30,100,300,1000,3000,10000' },
    trials: { type: 'string', default: '5' },
    scenario: { type: 'string' },
    seed: { type: 'string' },
    seeds: { type: 'string', default: '100' },
  },
});

if (values.scenario === undefined) tellFigures();
else tellStories(values.scenario);

function tellFigures(): void {
  console.log('fair weather; times in ms, median (worst) of the trials; traffic of one member while nothing happens');
  console.log(
    row(['members', 'update', 'join', 'death: first', 'death: all', 'all ÷ ln n', 'B/s', 'packets/s', 'took']),
  );
  for (const members of values.members.split(',').map(Number)) {
    const started = performance.now();
    const trials = members > 2_000 ? 1 : Number(values.trials);
    const found = Array.from({ length: trials }, (_, trial) => measure(members, trial + 1));
    const of = (key: keyof Figures): string => {
      const sorted = found.map((figures) => figures[key]).sort((a, b) => a - b);
      return `${Math.round(sorted[Math.floor(trials / 2)] ?? Number.NaN)} (${Math.round(sorted.at(-1) ?? Number.NaN)})`;
    };
    const mean = (key: keyof Figures): number => found.reduce((sum, figures) => sum + figures[key], 0) / trials;
    console.log(
      row([
        String(members),
        of('updateMs'),
        of('joinMs'),
        of('firstDeathMs'),
        of('deathMs'),
        (mean('deathMs') / Math.log(members + 1)).toFixed(0),
        mean('idleBytesPerSecond').toFixed(0),
        mean('idlePacketsPerSecond').toFixed(1),
        `${((performance.now() - started) / 1000).toFixed(1)} s`,
      ]),
    );
  }
  console.log('\na fifth of the members stops at random for up to the given time, then runs 200 ms, again and again');
  console.log(row(['members', 'stall up to', 'healthy found dead', 'slow one found dead']));
  for (const members of [10, 30]) {
    for (const stallMaxMs of [1_000, 2_000, 4_000, 8_000]) {
      const found = measureStalls({ members, stallMaxMs, minutes: 10, seed: 1 });
      console.log(
        row([
          String(members),
          `${stallMaxMs} ms`,
          String(found.healthyDeaths),
          `${found.slowDeathsPerHour.toFixed(1)} times an hour`,
        ]),
      );
    }
  }
}

function row(cells: string[]): string {
  return cells.map((cell) => cell.padEnd(20)).join('');
}

function tellStories(name: string): void {
  const scenario = SCENARIOS[name];
  if (!scenario) throw new Error(`no story ${name}; there are ${Object.keys(SCENARIOS).join(', ')}`);
  const first = Number(values.seed ?? 1);
  const count = values.seed === undefined ? Number(values.seeds) : 1;
  let failed = 0;
  for (let seed = first; seed < first + count; seed++) {
    const problems = scenario(seed);
    if (problems.length === 0) continue;
    failed++;
    console.log(`seed=${seed}\n  ${problems.join('\n  ')}`);
  }
  console.log(`${count - failed} of ${count} seeds end well`);
  if (failed > 0) process.exitCode = 1;
}
