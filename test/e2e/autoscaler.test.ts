// Autoscalers of processes of their own beside that of the agent: one acts, another takes over, and nothing is done twice.
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { ScalingStandings } from '../../lib/structs/rpc-scaling.js';
import type { JobScaleStatus } from '../../lib/structs/scaling.js';
import { eventually, jobJson, MESHNOMAD, TestAgent } from '../support/mesh-agent.js';

/** A job of one, which its policy wants to be as many. */
function wanting(id: string, count: number): object {
  const check = { strategy: [{ 'fixed-value': [{ value: count }] }] };
  const policy = { cooldown: '1s', evaluation_interval: '1s', check: [{ plan: [check] }] };
  return jobJson(id, {
    driver: 'mock_driver',
    config: { run_for: '1h' },
    group: { Scaling: { Min: 1, Max: 9, Enabled: true, Policy: policy }, Update: { MinHealthyTime: 0 } },
  });
}

/** An autoscaler of its own process. */
interface Standalone {
  child: ChildProcess;
  said(): string;
  /** Where it tells of itself. */
  address: string;
}

async function standalone(t: Test, agent: TestAgent, file: string): Promise<Standalone> {
  const child = spawn(process.execPath, [MESHNOMAD, 'autoscaler', '-config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk) => (said += chunk));
  const address = await eventually(`it tells where it listens, beside ${agent.address}`, () => {
    if (child.exitCode !== null) throw new Error(said);
    return /tells of itself at (\S+:\d+)/.exec(said)?.[1];
  });
  return { child, said: () => said, address };
}

t.test('while autoscalers of their own processes run one of them acts, and takes over when it dies', async (t) => {
  const agent = await TestAgent.start({ name: 'nas' });
  t.teardown(() => agent.dispose());
  const standing = () => agent.get<ScalingStandings>('/v1/autoscaler/status');
  const events = async (job: string): Promise<string[]> => {
    const { TaskGroups } = await agent.get<JobScaleStatus>(`/v1/job/${job}/scale`);
    return (TaskGroups['g']?.Events ?? []).map(({ PreviousCount, Count }) => `${PreviousCount} to ${Count}`);
  };
  /** The one that acts, once it has looked at so many policies and left their counts at these. */
  const acts = (counts: number[]): Promise<ScalingStandings> =>
    eventually(`counts of ${counts}`, async () => {
      const found = await standing();
      const seen = found.Policies.map(({ Last }) => Last?.Count ?? 0).sort();
      return seen.join() === counts.join() ? found : undefined;
    });
  const file = join(agent.dir, 'autoscaler.hcl');
  const lease = 'high_availability {\n  lock_ttl = "10s"\n}\n';
  writeFileSync(file, `nomad {\n  address = "${agent.address}"\n}\nhttp {\n  bind_port = 0\n}\n${lease}`);
  const first = await standalone(t, agent, file);
  await eventually('it holds the lease', () => /holds the lease/.test(first.said()) || undefined);
  const second = await standalone(t, agent, file);
  await eventually('the other waits', () => /another autoscaler acts: waiting/.test(second.said()) || undefined);
  await agent.register(wanting('web', 2));
  await eventually('it has acted', async () => (await events('web')).length > 0 || undefined);
  const told = await acts([2]);
  t.match(first.said(), `scaling: policy=${told.Policies[0]?.ID}`);
  t.match((await agent.cli(['autoscaler', 'status'])).out, `${told.Holder} acts, in a process of its own`);
  t.equal((await fetch(`http://${first.address}/v1/health`)).status, 200);
  t.match(
    await (await fetch(`http://${first.address}/v1/metrics?format=prometheus`)).text(),
    /nomad_autoscaler_scale_invoke_success_count\{target_name="nomad-target",direction="up"\} 1\n/,
  );

  first.child.kill('SIGKILL');
  const heir = await eventually('another one acts', async () => {
    const { Holder, Policies } = await standing();
    return Holder !== told.Holder && Holder !== '' && Policies[0]?.Last ? Holder : undefined;
  });
  await agent.register(wanting('shop', 3));
  t.equal((await acts([2, 3])).Holder, heir);
  t.match(second.said(), /holds the lease[\s\S]* scaling: .* count=3/);
  t.notMatch(agent.log, 'autoscaler: scaling', 'that of the server had nothing to do');

  const ended = new Promise((resolve) => second.child.once('exit', resolve));
  second.child.kill('SIGTERM');
  t.equal(await ended, 0, second.said());
  await eventually('that of the server acts', async () => (await standing()).Holder === '' || undefined);
  await acts([2, 3]);
  t.same([await events('web'), await events('shop')], [['1 to 2'], ['1 to 3']], 'what was done is not done again');
});
