// Random faults of real agents under load, for as long as wanted: npm run soak -- [--minutes 30] [--seed 1]
// Needs root, iproute2, iptables, conntrack, e2fsprogs, xfsprogs and faketime. What was done to whom depends on the seed, when it struck on the
// machine: a seed shows the same faults again, not the same moment.
import { parseArgs } from 'node:util';
import { randomInt } from '../../lib/util/random.js';
import { missingForLabs } from '../support/netlab.js';
import { missingForClocks } from './clock.js';
import { chooseMishap } from './faults.js';
import { openSoak } from './soak.js';

const DURATION_MAX_MS = 15_000;
const CALM_MAX_MS = 5_000;

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '30' }, seed: { type: 'string', default: String(Date.now() % 1e6) } },
});
const missing = missingForLabs() ?? missingForClocks();
if (missing !== undefined) {
  console.error(`the soak cannot run here: ${missing}`);
  process.exit(2);
}
const began = performance.now();
const say = (line: string): void =>
  console.log(`${((performance.now() - began) / 1000).toFixed(1).padStart(8)} s  ${line}`);
console.log(`seed ${values.seed}`);
const soak = await openSoak(Number(values.seed), say);
let stopped = false;
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    stopped = true;
    void soak.close().finally(() => process.exit(1));
  });
}
try {
  const end = performance.now() + Number(values.minutes) * 60_000;
  let faults = 0;
  while (performance.now() < end) {
    const chosen = [chooseMishap(soak.random, DURATION_MAX_MS)];
    if (randomInt(soak.random, 3) === 0) chosen.push(chooseMishap(soak.random, DURATION_MAX_MS));
    await soak.befall(chosen);
    faults += chosen.length;
    await new Promise((resolve) => setTimeout(resolve, randomInt(soak.random, CALM_MAX_MS)));
  }
  say(`${faults} faults; ${await soak.finish()}`);
  for (const [what, count] of soak.clients.refusals) say(`${count} × ${what}`);
} catch (error) {
  if (stopped) throw error;
  say(`FAILED: ${(error as Error).message}`);
  for (const { name, machine } of soak.group.boxes) {
    console.log(`\n--- the end of the log of ${name}\n${machine.log.slice(-6_000)}`);
  }
  process.exitCode = 1;
} finally {
  await soak.close();
}
