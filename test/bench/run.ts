// npm run bench [-- NAME…]: measures what docs/targets.md lists, on this machine, and prints one table. Figures of different
// runs or machines compare only as ratios: the fsync floor and the start of bare node are printed beside them.
import { benchBlocking } from './blocking.js';
import { benchCli } from './cli.js';
import { benchClient } from './client.js';
import { benchColdStart } from './cold-start.js';
import { benchFeed } from './feed.js';
import { benchGossip } from './gossip.js';
import { fsyncFloorMs } from './measure.js';
import { benchMemory } from './memory.js';
import { benchFailover, benchRaft } from './raft.js';
import { benchRegister } from './register.js';
import { benchScheduler } from './scheduler.js';
import { benchTurns } from './turns.js';

export interface Row {
  what: string;
  value: string;
  target: string;
}

const BENCHES: Record<string, () => Promise<Row[]>> = {
  cli: benchCli,
  'cold-start': benchColdStart,
  register: benchRegister,
  blocking: benchBlocking,
  client: benchClient,
  raft: benchRaft,
  failover: benchFailover,
  gossip: benchGossip,
  feed: benchFeed,
  memory: benchMemory,
  scheduler: benchScheduler,
  turns: benchTurns,
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in BENCHES));
if (unknown.length > 0) {
  console.error(`no bench ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
  process.exit(1);
}
console.log(`fsync floor: ${fsyncFloorMs().toFixed(2)} ms (p50 of 200 appends of 4 KiB)\n`);
for (const [name, bench] of Object.entries(BENCHES)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  for (const row of await bench()) console.log(`${row.what.padEnd(58)} ${row.value.padEnd(34)} ${row.target}`);
}
