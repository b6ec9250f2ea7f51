import { benchJob, Caller, cpuSecondsOf, memoryOf, peakMiBOf, quantile, startAgent, until } from './measure.js';
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
    rows.push(await reads({ caller, pid: agent.pid }, '/v1/jobs', 'GET /v1/jobs, 100 jobs, 16 connections', '5,000/s'));
    rows.push(await reads({ caller, pid: agent.pid }, '/v1/job/bench-1', 'GET /v1/job/ID, 16 connections', '12,000/s'));

    const samples: number[] = [];
    for (let i = 0; i < SEQUENTIAL; i++) samples.push(await register());
    const ms = (part: number): string => `${quantile(samples, part).toFixed(2)} ms`;
    rows.push({ what: 'register, 1 client: p50 / p99', value: `${ms(0.5)} / ${ms(0.99)}`, target: '1.2 / 8 ms' });

    const start = performance.now();
    const cpu = cpuSecondsOf(agent.pid);
    const end = next + PARALLEL;
    const worker = async (): Promise<void> => {
      while (next < end) await register();
    };
    await Promise.all(Array.from({ length: CONNECTIONS }, worker));
    const perSecond = (PARALLEL / (performance.now() - start)) * 1000;
    const cpuMs = ((cpuSecondsOf(agent.pid) - cpu) / PARALLEL) * 1000;
    const value = `${perSecond.toFixed(0)}/s, CPU ${cpuMs.toFixed(2)} ms`;
    rows.push({ what: `register, ${CONNECTIONS} clients`, value, target: '2,000/s' });

    while (next < 10_000) await Promise.all(Array.from({ length: CONNECTIONS }, register));
    const beforeMiB = memoryOf(agent.pid).rssMiB;
    rows.push(
      await reads({ caller, pid: agent.pid }, '/v1/jobs', 'GET /v1/jobs, 10,000 jobs, 16 connections', '150/s'),
    );
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

/**
 * This process is the client, and takes about as much as the agent: the rate is a lower bound. What the agent would answer with a
 * processor of its own stands behind it.
 */
async function reads(at: { caller: Caller; pid: number }, path: string, what: string, target: string): Promise<Row> {
  let count = 0;
  const { caller, pid } = at;
  const cpu = cpuSecondsOf(pid);
  const end = performance.now() + READ_MS;
  const worker = async (): Promise<void> => {
    while (performance.now() < end) {
      await caller.send('GET', path);
      count++;
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, worker));
  const ownRate = count / (cpuSecondsOf(pid) - cpu);
  return { what, value: `${((count / READ_MS) * 1000).toFixed(0)}/s (${ownRate.toFixed(0)} per CPU second)`, target };
}
