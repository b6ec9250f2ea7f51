// Proposes without end, notes in a file what was acknowledged, and says so once: node consensus-child.js DIR RUN FILE
import { openSync, writeSync } from 'node:fs';
import { openConsensus } from '../../lib/server/consensus.js';
import { systemTimers } from '../../lib/server/timers.js';
import { silentLog } from '../../lib/util/log.js';
import { seededRandom } from '../../lib/util/random.js';
import { createLedger, fillerLength, write } from '../server/ledger.js';

const [dataDir = '', run = '', notes = ''] = process.argv.slice(2);
// Not a pipe: a parent that is slow to read would fill it.
const fd = openSync(notes, 'a');
const WRITERS = 8;

const consensus = await openConsensus({
  dataDir,
  id: 'one',
  found: true,
  fsm: createLedger(),
  timers: systemTimers,
  now: () => performance.now(),
  random: seededRandom(1),
  log: silentLog,
  // Small, so that kills hit snapshots, compaction and new segments too.
  limits: { snapshotBytes: 256 * 1024, segmentBytes: 128 * 1024 },
});

async function writer(id: number): Promise<void> {
  for (let n = 0; ; n++) {
    const value = `${run}.${id}.${n}.${'x'.repeat(fillerLength(n))}`;
    const { index } = await consensus.propose(write(value));
    writeSync(fd, `${index} ${value}\n`);
    if (n === 0 && id === 0) process.stdout.write('writing\n');
  }
}

consensus.onLeadership((leads) => {
  if (leads) for (let id = 0; id < WRITERS; id++) void writer(id);
});
consensus.start();
// The timers of consensus do not hold a process: the parent ends this one.
setInterval(() => {}, 1000);
