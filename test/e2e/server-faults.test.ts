// What befalls servers, on real agents under load: what was acknowledged is there, what was read makes sense, and no task runs twice.
// For longer, and at random: npm run soak.
import t from 'tap';
import { missingForClocks } from '../soak/clock.js';
import type { FaultName, Victim } from '../soak/faults.js';
import { openSoak } from '../soak/soak.js';
import { missingForLabs } from '../support/netlab.js';
import { ownMounts } from '../support/own-mounts.js';

ownMounts(import.meta.url);

/** Longer than an election. */
const FAULT_MS = 2_500;

/** One after the other; what stands in a line strikes at once. kill -9 of the leader alone: leader-kill.test.ts. */
const STORY: readonly (readonly [Victim, FaultName][])[] = [
  [['leader', 'sleeps']],
  [
    ['leader', 'is cut off'],
    ['client', 'is killed'],
  ],
  [['leader', 'hears nobody']],
  [
    ['follower', 'has a full disk'],
    ['client', 'is cut off'],
  ],
  [
    ['leader', 'has a full disk'],
    ['follower', 'has its clock an hour later'],
  ],
  [
    ['leader', 'has its clock an hour earlier'],
    ['follower', 'is killed'],
  ],
  [
    ['leader', 'has its power cut'],
    ['client', 'has its power cut'],
  ],
  [['everybody', 'has its power cut']],
  [['everybody', 'is started again with another address']],
];

const missing = missingForLabs() ?? missingForClocks();

t.test('whatever befalls servers, they keep their word', { skip: missing ?? false, timeout: 280_000 }, async (t) => {
  const soak = await openSoak(1, (line) => t.comment(line));
  t.teardown(() => soak.close());
  for (const line of STORY) {
    await soak.befall(line.map(([victim, name]) => ({ name, victim, durationMs: FAULT_MS })));
  }
  t.pass(await soak.finish());
});
