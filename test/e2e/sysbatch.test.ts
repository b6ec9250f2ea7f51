// A sysbatch job on a real agent: it runs to its end, is dead then, and runs anew when it changes.
import t from 'tap';
import { allocsOf, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

t.test('a sysbatch job runs once, is done, and runs anew when it changes', { timeout: 120_000 }, async (t) => {
  const agent = await TestAgent.start();
  t.teardown(() => agent.dispose());
  const job = (text: string): object =>
    jobJson('sweep', { type: 'sysbatch', config: { command: '/bin/echo', args: [text] } });
  const status = async (): Promise<string> => (await agent.get<{ Status: string }>('/v1/job/sweep')).Status;
  await agent.register(job('one'));
  const [first] = await allocsOf(agent, 'sweep', 'complete', 1);
  await eventually('the job to be dead', async () => ((await status()) === 'dead' ? true : undefined));
  await agent.register(job('one'));
  await eventually('the job to be dead', async () => ((await status()) === 'dead' ? true : undefined));
  t.equal((await agent.get<unknown[]>('/v1/job/sweep/allocations')).length, 1, 'the same job again is no news');
  await agent.register(job('two'));
  const after = await allocsOf(agent, 'sweep', 'complete', 2);
  t.ok(after.some(({ ID }) => ID === first?.ID));
  t.match((await agent.cli(['job', 'status', 'sweep'])).out, /Type\s+= sysbatch/);
});

t.test('a batch allocation whose time is over ends, complete', { timeout: 120_000 }, async (t) => {
  const agent = await TestAgent.start();
  t.teardown(() => agent.dispose());
  await agent.register(jobJson('slow', { type: 'batch', group: { MaxRunDuration: 500e6 } }));
  const [alloc] = await allocsOf(agent, 'slow', 'complete', 1);
  const { ClientDescription } = await agent.get<{ ClientDescription: string }>(`/v1/allocation/${alloc?.ID}`);
  t.equal(ClientDescription, 'allocation exceeded max_run_duration');
});
