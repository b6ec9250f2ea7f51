// An autoscaler of its own process beside that of the agent: one acts, and never both.
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { ScalingStandings } from '../../lib/structs/rpc-scaling.js';
import type { JobScaleStatus } from '../../lib/structs/scaling.js';
import { eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

const MESHNOMAD = fileURLToPath(new URL('../../bin/meshnomad.js', import.meta.url));

/** A job of one, which its policy wants to be as many. */
function wanting(count: number): object {
  const check = { strategy: [{ 'fixed-value': [{ value: count }] }] };
  const policy = { cooldown: '1s', evaluation_interval: '1s', check: [{ plan: [check] }] };
  return jobJson('web', {
    driver: 'mock_driver',
    config: { run_for: '1h' },
    group: { Scaling: { Min: 1, Max: 9, Enabled: true, Policy: policy }, Update: { MinHealthyTime: 0 } },
  });
}

t.test('while an autoscaler of its own process runs, that of the server stands back', async (t) => {
  const agent = await TestAgent.start({ name: 'nas' });
  t.teardown(() => agent.dispose());
  const standing = () => agent.get<ScalingStandings>('/v1/autoscaler/status');
  const events = async (): Promise<string[]> => {
    const { TaskGroups } = await agent.get<JobScaleStatus>('/v1/job/web/scale');
    return (TaskGroups['g']?.Events ?? []).map(({ PreviousCount, Count }) => `${PreviousCount} to ${Count}`);
  };
  const file = join(agent.dir, 'autoscaler.hcl');
  writeFileSync(file, `nomad {\n  address = "${agent.address}"\n}\nhttp {\n  bind_port = 0\n}\n`);
  const child = spawn(process.execPath, [MESHNOMAD, 'autoscaler', '-config', file], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
  const own = await eventually('it tells where it listens', () => {
    if (child.exitCode !== null) throw new Error(said);
    return /tells of itself at (\S+:\d+)/.exec(said)?.[1];
  });
  await eventually('it holds the lease', () => /holds the lease/.test(said) || undefined);
  await agent.register(wanting(2));
  await eventually('it has acted', async () => (await events()).length > 0 || undefined);
  const told = await eventually('the servers know what it does', async () => {
    const { Holder, Policies } = await standing();
    return Holder !== '' && Policies[0]?.Last?.Count === 2 ? { Holder, Policies } : undefined;
  });
  t.match(said, `scaling: policy=${told.Policies[0]?.ID}`);
  t.match((await agent.cli(['autoscaler', 'status'])).out, `${told.Holder} acts, in a process of its own`);
  t.equal((await fetch(`http://${own}/v1/health`)).status, 200);
  t.match(
    await (await fetch(`http://${own}/v1/metrics?format=prometheus`)).text(),
    /nomad_autoscaler_scale_invoke_success_count\{target_name="nomad-target",direction="up"\} 1\n/,
  );
  t.notMatch(agent.log, 'autoscaler: scaling', 'the other one did nothing');

  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  t.equal(await ended, 0, said);
  await eventually('that of the server acts', async () => {
    const { Holder, Policies } = await standing();
    return (Holder === '' && Policies[0]?.Last?.Count === 2) || undefined;
  });
  t.same(await events(), ['1 to 2'], 'what was done is not done again');
});
