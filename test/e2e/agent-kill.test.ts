// Tasks outlive the agent: kill -9 leaves them running, the next agent takes them up again.
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { type AllocStub, allocsOf, eventually, jobJson, TestAgent } from '../support/mesh-agent.js';

const COUNT = 10;
const ROUNDS = 5;

function alive(pid: number): boolean {
  return existsSync(`/proc/${pid}`);
}

/** The process id that each task wrote down itself. */
async function pidsOf(agent: TestAgent, allocs: AllocStub[]): Promise<number[]> {
  return Promise.all(
    allocs.map((alloc) =>
      eventually(`the pid of ${alloc.Name}`, () => {
        const text = readFileSync(`${agent.dir}/data/alloc/${alloc.ID}/t/local/pid`, 'utf8').trim();
        return text === '' ? undefined : Number(text);
      }),
    ),
  );
}

t.test(`${COUNT} tasks keep their processes through ${ROUNDS} kills of the agent`, { timeout: 240_000 }, async (t) => {
  const agent = await TestAgent.start();
  t.teardown(() => agent.dispose());
  const script = 'echo $$ > $NOMAD_TASK_DIR/pid; exec sleep 3600';
  await agent.register(jobJson('keep', { count: COUNT, config: { command: '/bin/sh', args: ['-c', script] } }));
  const allocs = await allocsOf(agent, 'keep', 'running', COUNT);
  const pids = await pidsOf(agent, allocs);
  for (let round = 0; round < ROUNDS; round++) {
    await agent.kill();
    t.ok(pids.every(alive), 'the tasks run while no agent does');
    await sleep(round * 100);
    agent.launch();
    await agent.ready();
    const after = await allocsOf(agent, 'keep', 'running', COUNT);
    t.same(new Set(after.map(({ ID }) => ID)), new Set(allocs.map(({ ID }) => ID)), 'the same allocations run');
    t.same(await pidsOf(agent, allocs), pids, 'with the same processes');
    t.ok(pids.every(alive), 'which are alive');
    t.ok(
      after.every(({ TaskStates }) => TaskStates?.['t']?.Restarts === 0),
      'and none was restarted',
    );
  }
  await agent.cli(['job', 'stop', '-detach', 'keep']);
  await eventually('the tasks to end', () => (pids.some(alive) ? undefined : true));
});

t.test(
  'an agent that is ended while a task has its kill_timeout does not wait for it',
  { timeout: 90_000 },
  async (t) => {
    const agent = await TestAgent.start({ config: 'client {\n  max_kill_timeout = "9m"\n}\n' });
    t.teardown(() => agent.dispose());
    const script =
      'trap "echo told >> $NOMAD_TASK_DIR/told" TERM; echo $$ > $NOMAD_TASK_DIR/pid; while :; do sleep 0.2; done';
    const config = { command: '/bin/sh', args: ['-c', script] };
    await agent.register(jobJson('stubborn', { config, task: { KillSignal: 'SIGTERM', KillTimeout: 540e9 } }));
    const allocs = await allocsOf(agent, 'stubborn', 'running', 1);
    const [pid = 0] = await pidsOf(agent, allocs);
    await agent.cli(['job', 'stop', '-detach', 'stubborn']);
    const told = `${agent.dir}/data/alloc/${allocs[0]?.ID}/t/local/told`;
    await eventually('the task to be told', () => (existsSync(told) ? true : undefined));
    t.equal(await agent.terminate(), 0);
    t.ok(alive(pid), 'whose end is the work of the next one');
    process.kill(pid, 'SIGKILL');
  },
);

t.test(
  'an exit while no agent runs is reported with its code, and no line of output is lost',
  { timeout: 120_000 },
  async (t) => {
    const agent = await TestAgent.start();
    t.teardown(() => agent.dispose());
    const script = 'i=0; while [ $i -lt 400 ]; do echo line $i; i=$((i+1)); sleep 0.005; done; exit 7';
    const restart = { Attempts: 0, Mode: 'fail', Interval: 24 * 3600e9, Delay: 15e9 };
    const reschedule = { Attempts: 0, Unlimited: false };
    await agent.register(
      jobJson('ends', {
        type: 'batch',
        config: { command: '/bin/sh', args: ['-c', script] },
        group: { RestartPolicy: restart, ReschedulePolicy: reschedule },
      }),
    );
    const [alloc] = await allocsOf(agent, 'ends', 'running', 1);
    if (!alloc) throw new Error('no allocation');
    await agent.kill();
    const path = `${agent.dir}/data/alloc/${alloc.ID}/alloc/logs/t.stdout.0`;
    await eventually('the last line', () => (readFileSync(path, 'utf8').includes('line 399\n') ? true : undefined));
    agent.launch();
    await agent.ready();
    const [ended] = await allocsOf(agent, 'ends', 'failed', 1);
    const event = ended?.TaskStates?.['t']?.Events.find(({ Type }) => Type === 'Terminated');
    t.equal(event?.ExitCode, 7, "the exit code is the task's");
    const { out } = await agent.cli(['alloc', 'logs', alloc.ID]);
    t.same(
      out.trimEnd().split('\n'),
      Array.from({ length: 400 }, (_, i) => `line ${i}`),
      'every line once, in order',
    );
  },
);
