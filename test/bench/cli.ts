import { Caller, MESHNOMAD, startAgent, timeNode, until } from './measure.js';
import type { Row } from './run.js';

const RUNS = 15;

/** What the command line costs over bare node. */
export async function benchCli(): Promise<Row[]> {
  const agent = await startAgent(15_646);
  const caller = new Caller(agent.address, 1);
  try {
    await until('a leader', async () => (await caller.json<string>('/v1/status/leader')) || undefined);
    const bare = timeNode(['-e', '0'], {}, RUNS);
    const row = (what: string, args: string[], target: string): Row => {
      const { min, median } = timeNode([MESHNOMAD, ...args], { NOMAD_ADDR: agent.address }, RUNS);
      const over = `+${(min - bare.min).toFixed(0)} ms (min), +${(median - bare.median).toFixed(0)} ms (median)`;
      return { what: `CLI ${what} over bare node (${bare.min.toFixed(0)} ms)`, value: over, target };
    };
    return [
      row('-version', ['-version'], '+15 ms'),
      row('-help', ['-help'], '+15 ms'),
      row('status', ['status'], '+60 ms'),
    ];
  } finally {
    caller.close();
    await agent.stop();
  }
}
