import { setTimeout as sleep } from 'node:timers/promises';
import { benchJob, Caller, quantile, startAgent, until } from './measure.js';
import type { Row } from './run.js';

const WATCHERS = [1, 1000];
const ROUNDS = 20;
const WARM_UP = 5;
/** So long all watchers have to be heard before the write, and a millisecond more for each. */
const ARM_MS = 400;

/** From a write to the last answer of those who wait for it. */
export async function benchBlocking(): Promise<Row[]> {
  const agent = await startAgent(15_646);
  const rows: Row[] = [];
  try {
    const probe = new Caller(agent.address, 1);
    await until('a leader', async () => (await probe.json<string>('/v1/status/leader')) || undefined);
    probe.close();
    for (const watchers of WATCHERS) {
      const times = await roundsOf(agent.address, watchers);
      rows.push({
        what: `blocking query: ${watchers} watchers, last answered: p50 of ${ROUNDS}`,
        value: `${quantile(times, 0.5).toFixed(1)} ms`,
        target: watchers === 1 ? '3 ms' : '80 ms',
      });
    }
    return rows;
  } finally {
    await agent.stop();
  }
}

async function roundsOf(address: string, watchers: number): Promise<number[]> {
  const readers = new Caller(address, watchers);
  const writer = new Caller(address, 1);
  const id = `watched-${watchers}`;
  const write = async (round: number): Promise<void> => {
    const body = JSON.parse(benchJob(id, { count: 0 })) as { Job: Record<string, unknown> };
    body.Job['Meta'] = { round: String(round) };
    const { status, text } = await writer.send('PUT', '/v1/jobs', JSON.stringify(body));
    if (status !== 200) throw new Error(text);
  };
  await write(-1);
  const times: number[] = [];
  for (let round = 0; round < WARM_UP + ROUNDS; round++) {
    const { headers } = await writer.send('GET', `/v1/job/${id}`);
    const index = String(headers['x-nomad-index']);
    const answers = Array.from({ length: watchers }, () => watch(readers, { id, round, index }));
    await sleep(ARM_MS + watchers);
    const began = performance.now();
    await write(round);
    await Promise.all(answers);
    if (round >= WARM_UP) times.push(performance.now() - began);
  }
  readers.close();
  writer.close();
  return times;
}

/** Waits until the job is that of the round: what else changes it ends the query too. */
async function watch(
  caller: Caller,
  { id, round, index }: { id: string; round: number; index: string },
): Promise<void> {
  let after = index;
  for (;;) {
    const { headers, text } = await caller.send('GET', `/v1/job/${id}?index=${after}&wait=60s`);
    const job = JSON.parse(text) as { Meta: { round: string } | null };
    if (job.Meta?.round === String(round)) return;
    after = String(headers['x-nomad-index']);
  }
}
