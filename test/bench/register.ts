import { benchJob, Caller, memoryOf, peakMiBOf, quantile, startAgent, until } from './measure.js';
import type { Row } from './run.js';

const SEQUENTIAL = 1000;
const PARALLEL = 4000;
const CONNECTIONS = 16;
const READ_MS = 4000;

/** Registering distinct jobs, then reading them. */
export async function benchRegister(): Promise<Row[]> {
  const agent = await startAgent(15_646);
  const rows: Row[] = [];
  const caller = new Caller(agent.address, CONNECTIONS);
  try {
    await until('a leader', async () => (await caller.json<string>('/v1/status/leader')) || undefined);
    let next = 0;
    const register = async (): Promise<number> => {
      const body = benchJob(`bench-${next++}`, { count: 0 });
      const start = performance.now();
      const reply = await caller.send('PUT', '/v1/jobs', body);
      if (reply.status !== 200) throw new Error(reply.text);
      return performance.now() - start;
    };
    for (let i = 0; i < 100; i++) await register();
    rows.push(await reads(caller, '/v1/jobs', 'GET /v1/jobs, 100 jobs, 16 connections', '5,000/s'));
    rows.push(await reads(caller, '/v1/job/bench-1', 'GET /v1/job/ID, 16 connections', '12,000/s'));

    const samples: number[] = [];
    for (let i = 0; i < SEQUENTIAL; i++) samples.push(await register());
    const ms = (part: number): string => `${quantile(samples, part).toFixed(2)} ms`;
    rows.push({ what: 'register, 1 client: p50 / p99', value: `${ms(0.5)} / ${ms(0.99)}`, target: '1.2 / 8 ms' });

    const start = performance.now();
    const end = next + PARALLEL;
    const worker = async (): Promise<void> => {
      while (next < end) await register();
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
    const perSecond = (PARALLEL / (performance.now() - start)) * 1000;
    rows.push({ what: `register, ${CONNECTIONS} clients`, value: `${perSecond.toFixed(0)}/s`, target: '2,000/s' });

    while (next < 10_000) await Promise.all(Array.from({ length: CONNECTIONS }, register));
    const beforeMiB = memoryOf(agent.pid).rssMiB;
    rows.push(await reads(caller, '/v1/jobs', 'GET /v1/jobs, 10,000 jobs, 16 connections', '150/s'));
    rows.push({
      what: 'RSS after 10,000 registered jobs / its peak, all of them listed many times',
      value: `${beforeMiB.toFixed(0)} / ${peakMiBOf(agent.pid).toFixed(0)} MiB`,
      target: '250 MiB, no peak',
    });
    return rows;
  } finally {
    caller.close();
    await agent.stop();
  }
}

/** This process is the client: its own cost is in the figure, so that it is a lower bound. */
async function reads(caller: Caller, path: string, what: string, target: string): Promise<Row> {
  let count = 0;
  const end = performance.now() + READ_MS;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      await caller.send('GET', path);
      count++;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  return { what, value: `${((count / READ_MS) * 1000).toFixed(0)}/s`, target };
}
