import { setTimeout as sleep } from 'node:timers/promises';
import { Caller, cpuSecondsOf, memoryOf, quantile, startAgent, until } from './measure.js';
import type { Row } from './run.js';

const TRIALS = 5;
const IDLE_MS = 10_000;

/** From the start of the process to an answer, a leader and a ready node; then what an idle agent costs. */
export async function benchColdStart(): Promise<Row[]> {
  const times = { http: [] as number[], leader: [] as number[], node: [] as number[] };
  let idle = '';
  let cpu = '';
  for (let trial = 0; trial < TRIALS; trial++) {
    const agent = await startAgent(15_646);
    const caller = new Caller(agent.address, 2);
    const since = (): number => performance.now() - agent.startedAt;
    await until('HTTP', async () => (await caller.send('GET', '/v1/agent/self')).status || undefined);
    times.http.push(since());
    await until('a leader', async () => (await caller.json<string>('/v1/status/leader')) || undefined);
    times.leader.push(since());
    await until(
      'a ready node',
      async () =>
        (await caller.json<{ Status: string }[]>('/v1/nodes')).some(({ Status }) => Status === 'ready') || undefined,
    );
    times.node.push(since());
    if (trial === TRIALS - 1) {
      await sleep(IDLE_MS);
      const before = cpuSecondsOf(agent.pid);
      await sleep(IDLE_MS);
      cpu = `${(((cpuSecondsOf(agent.pid) - before) / IDLE_MS) * 100_000).toFixed(1)} %`;
      const { rssMiB, pssMiB } = memoryOf(agent.pid);
      idle = `${rssMiB.toFixed(0)} / ${pssMiB.toFixed(0)} MiB`;
    }
    caller.close();
    await agent.stop();
  }
  const median = (samples: number[]): string => `${(quantile(samples, 0.5) / 1000).toFixed(2)} s`;
  return [
    { what: 'cold start to HTTP', value: median(times.http), target: '0.6 s' },
    { what: 'cold start to leader', value: median(times.leader), target: '0.8 s' },
    { what: 'cold start to node ready', value: median(times.node), target: '1.5 s' },
    { what: 'idle agent, server and client: RSS / PSS', value: idle, target: '110 / 95 MiB' },
    { what: 'idle agent: CPU', value: cpu, target: '0.6 %' },
  ];
}
