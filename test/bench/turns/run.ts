// How long a server's thread is held by works on very many allocations: node dist/test/bench/turns/run.js [--allocs 100000] [--nodes 1000]
// [--only WORDS] [--where]. `--only` leaves out all works that do not change anything and have not these words in their name, and tells of none
// of the others; `--where` samples the thread and says in which functions the longest turns were: sampled, they are longer.
import { parseArgs } from 'node:util';
import { createStage, type Held } from './stage.js';
import { doWorks } from './works.js';

const { values } = parseArgs({
  options: {
    allocs: { type: 'string', default: '100000' },
    nodes: { type: 'string', default: '1000' },
    only: { type: 'string', default: '' },
    where: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});

const tell = (held: Held): void => {
  if (values.json) {
    console.log(JSON.stringify(held));
    return;
  }
  const { what, ours, longestMs, collectors, longestWithGcMs, beatMs, readMs, wallMs, cpuMs } = held;
  console.log(
    `${what.padEnd(50)} ${String(ours).padStart(4)} over 10 ms, ${longestMs.toFixed(1).padStart(6)} the longest; ` +
      `GC ${String(collectors).padStart(3)}, ${longestWithGcMs.toFixed(1).padStart(6)}; ` +
      `beat ${beatMs.toFixed(1).padStart(6)}, read ${readMs.toFixed(1).padStart(6)}; ` +
      `${Math.round(wallMs)} ms, ${Math.round(cpuMs)} of CPU`,
  );
  for (const line of held.where) console.log(`    ${line}`);
};
const stage = await createStage({ nodes: Number(values.nodes), allocs: Number(values.allocs), where: values.where });
await doWorks(stage, Number(values.allocs), { only: values.only, tell });
await stage.close();
