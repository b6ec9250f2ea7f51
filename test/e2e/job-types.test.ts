// Sysbatch and system jobs and time limits on a real agent.
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

t.test('a system job is rolled out, its canary promoted', { timeout: 120_000 }, async (t) => {
  const agent = await TestAgent.start();
  t.teardown(() => agent.dispose());
  const Update = {
    MaxParallel: 1,
    Canary: 100,
    HealthCheck: 'task_states',
    MinHealthyTime: 0,
    HealthyDeadline: 60e9,
    ProgressDeadline: 120e9,
  };
  const job = (seconds: string): object =>
    jobJson('everywhere', { type: 'system', config: { command: '/bin/sleep', args: [seconds] }, group: { Update } });
  const deployments = (): Promise<{ ID: string; Status: string; JobVersion: number; StatusDescription: string }[]> =>
    agent.get('/v1/job/everywhere/deployments');
  const reached = (version: number, what: RegExp): Promise<string> =>
    eventually(`version ${version} to be ${what}`, async () => {
      const found = (await deployments()).find(({ JobVersion }) => JobVersion === version);
      return found && what.test(`${found.Status}: ${found.StatusDescription}`) ? found.ID : undefined;
    });
  await agent.register(job('3600'));
  await reached(0, /^successful/);
  await agent.register(job('3601'));
  const id = await reached(1, /manual promotion/);
  await eventually('the canary to be healthy', async () => {
    const { code } = await agent.cli(['deployment', 'promote', '-detach', id]);
    return code === 0 ? true : undefined;
  });
  await reached(1, /^successful/);
  t.equal((await allocsOf(agent, 'everywhere', 'running', 1)).length, 1);
});
