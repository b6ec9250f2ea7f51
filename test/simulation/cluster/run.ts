// A whole cluster in one process, on the production code: npm run sim:cluster -- [--nodes 6100] [--allocs 2000000]
// [--job-size 2000] [--seed 1]. The full size takes some minutes and about 12 GiB.
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { tellStory } from './story.js';

const { values } = parseArgs({
  options: {
    nodes: { type: 'string', default: '6100' },
    allocs: { type: 'string', default: '2000000' },
    'job-size': { type: 'string', default: '2000' },
    seed: { type: 'string', default: '1' },
  },
});
const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
const began = performance.now();
const facts = await tellStory({
  nodes: Number(values.nodes),
  allocs: Number(values.allocs),
  jobSize: Number(values['job-size']),
  seed: Number(values.seed),
  tell: (line) => console.log(line),
});
const held = (percent: number): string => `${(delay.percentile(percent) / 1e6).toFixed(1)} ms`;
const rss = Math.round(process.resourceUsage().maxRSS / 1024);
console.log(`event loop held for ${held(50)} (median), ${held(99)} (p99), ${held(100)} at most`);
console.log(`seed ${values.seed}: ${((performance.now() - began) / 1000).toFixed(1)} s in all, ${rss} MiB at most`);
for (const line of facts.broken.slice(0, 20)) console.log(`BROKEN ${line}`);
if (facts.broken.length > 0) process.exitCode = 1;
