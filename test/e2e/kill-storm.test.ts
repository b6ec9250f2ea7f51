// What runs below an agent is killed from under it, over tasks of three drivers in one network: each task is taken up again or
// started once more, nothing is doubled, and when the jobs have gone nothing is left of them.
// `npm run storm` does it two hundred times.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { getOwnEngine, importBusybox, type TestEngine } from '../support/dockerd.js';
import { insideLab, type LabPlace } from '../support/inside-lab.js';
import { processesWith, removeCgroup, traces } from '../support/leftovers.js';
import { type AllocStub, eventually, TestAgent } from '../support/mesh-agent.js';

const IMAGE = 'localhost/meshnomad-test:kill-storm';
const CGROUP = `meshnomad-storm-${process.pid}`;
/** Jobs that are started, hurt and stopped. */
const CYCLES = Number(process.env['MESHNOMAD_STORM_CYCLES'] ?? 4);
const TIMEOUT_MS = 240_000 + CYCLES * 20_000;
const TASKS = ['box', 'cell', 'free'];

/** A container and two sorts of processes, with a network, a secret and files of their own. */
function job(id: string): object {
  const beat = 'trap "exit 0" TERM INT; while :; do sleep 0.2; done';
  const sh = { command: '/bin/sh', args: ['-c', beat] };
  const template = { EmbeddedTmpl: 'of {{ env "NOMAD_ALLOC_ID" }}', DestPath: 'secrets/file' };
  const task = (Name: string, Driver: string, Config: object): object => ({
    Name,
    Driver,
    Config: { ...Config, ...sh },
    Templates: [template],
    Resources: { CPU: 20, MemoryMB: 64, SecretsMB: 1 },
    KillTimeout: 5e9,
  });
  const tasks = [
    task('box', 'docker', { image: IMAGE, image_pull_timeout: '1m' }),
    task('cell', 'exec', {}),
    task('free', 'raw_exec', {}),
  ];
  const group = {
    Name: 'g',
    Networks: [{ Mode: 'bridge', DynamicPorts: [{ Label: 'web', To: 8080 }] }],
    Tasks: tasks,
    RestartPolicy: { Attempts: 50, Interval: 60e9, Delay: 100e6, Mode: 'delay' },
  };
  return { Job: { ID: id, Type: 'service', TaskGroups: [group] } };
}

/** The first processes of an allocation's tasks, by what the kernel says: those whose parents are none of the task's. */
function firstPids(allocId: string): Record<string, number[]> {
  const found = new Map<number, string>();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    const words = read(`/proc/${pid}/environ`).split('\0');
    const task = words.find((word) => word.startsWith('NOMAD_TASK_NAME='));
    if (task && words.includes(`NOMAD_ALLOC_ID=${allocId}`)) found.set(pid, task.slice('NOMAD_TASK_NAME='.length));
  }
  const result: Record<string, number[]> = Object.fromEntries(TASKS.map((name) => [name, []]));
  for (const [pid, task] of found) if (!found.has(parentOf(pid))) result[task]?.push(pid);
  return result;
}

function parentOf(pid: number): number {
  return Number(/PPid:\s+(\d+)/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0);
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}

/** An allocation at rest: how often each task was started, and the one process that it is. */
interface Seen {
  ID: string;
  starts: Record<string, number>;
  pids: Record<string, number[]>;
}

/** The one allocation of a job, once all its tasks run and were started as often as is expected. */
function atRest(agent: TestAgent, id: string, wanted: Record<string, number>): Promise<Seen> {
  return eventually(`all tasks of ${id} to run, started ${JSON.stringify(wanted)}`, async () => {
    const [alloc, ...others] = await agent.get<AllocStub[]>(`/v1/job/${id}/allocations`);
    if (!alloc) return undefined;
    if (others.length > 0) throw new Error('it was replaced');
    const states = alloc.TaskStates ?? {};
    const starts = Object.fromEntries(
      TASKS.map((name) => [name, (states[name]?.Events ?? []).filter(({ Type }) => Type === 'Started').length]),
    );
    const pids = firstPids(alloc.ID);
    const isDone = TASKS.every(
      (name) => states[name]?.State === 'running' && (starts[name] ?? 0) >= (wanted[name] ?? 0),
    );
    if (!isDone) throw new Error(`${JSON.stringify({ starts, pids })}\n${JSON.stringify(states).slice(-3000)}`);
    return TASKS.every((name) => pids[name]?.length === 1) ? { ID: alloc.ID, starts, pids } : undefined;
  });
}

interface World {
  agent: TestAgent;
  engine: TestEngine;
}

/** What may be lost, and the tasks that must be started again for it; the others go on as they are. */
const BLOWS: { name: string; strike: (world: World, seen: Seen) => Promise<void>; again: readonly string[] }[] = [
  {
    name: 'the agent',
    again: [],
    async strike({ agent }) {
      await agent.kill();
      agent.launch();
      await agent.ready();
    },
  },
  {
    name: 'the shim of a container',
    again: ['box'],
    async strike(_world, { pids }) {
      process.kill(parentOf(pids['box']?.[0] ?? 0), 'SIGKILL');
    },
  },
  {
    name: 'the agent and the supervisors',
    again: ['cell', 'free'],
    async strike({ agent }, { ID }) {
      await agent.kill();
      killSupervisors(ID);
      agent.launch();
      await agent.ready();
    },
  },
  {
    name: 'the engine, and with it the network',
    again: TASKS,
    async strike({ engine }) {
      await engine.halt('hard');
      await engine.resume();
    },
  },
  {
    name: 'the supervisors',
    again: ['cell', 'free'],
    async strike(_world, { ID }) {
      killSupervisors(ID);
    },
  },
  {
    name: 'the agent, and the engine in order',
    again: TASKS,
    async strike({ agent, engine }) {
      await agent.kill();
      await engine.halt('orderly');
      await engine.resume();
      agent.launch();
      await agent.ready();
    },
  },
  {
    name: 'the container that holds the network',
    again: TASKS,
    async strike({ engine }, { ID }) {
      const docker = ['-H', engine.endpoint, 'inspect', '-f', '{{.State.Pid}}', `meshnomad-network-${ID}`];
      process.kill(Number(execFileSync('docker', docker).toString()), 'SIGKILL');
    },
  },
];

function killSupervisors(allocId: string): void {
  const supervisors = new Set(processesWith('meshnomad-supervisor'));
  for (const pid of processesWith(allocId)) if (supervisors.has(pid)) process.kill(pid, 'SIGKILL');
}

async function cycle(t: Test, world: World, { id, blow }: { id: string; blow: number }): Promise<string> {
  const { name, strike, again } = BLOWS[blow % BLOWS.length] as (typeof BLOWS)[number];
  await world.agent.register(job(id));
  const before = await atRest(world.agent, id, Object.fromEntries(TASKS.map((task) => [task, 1])));
  if (blow === 0) {
    const named = [
      'alloc',
      'exec',
      '-task',
      'box',
      before.ID,
      '/bin/sh',
      '-c',
      'grep "^172.* $(hostname)$" /etc/hosts',
    ];
    t.match(await world.agent.cli(named), { code: 0 }, 'a container finds an address for its own name');
  }
  await strike(world, before);
  const wanted = Object.fromEntries(TASKS.map((task) => [task, again.includes(task) ? 2 : 1]));
  const after = await atRest(world.agent, id, wanted);
  t.same(after.starts, wanted, `${name}: what was lost is started once more`);
  t.equal(after.ID, before.ID, `${name}: the same allocation`);
  for (const task of TASKS)
    t.equal(after.pids[task]?.[0] === before.pids[task]?.[0], !again.includes(task), `${name}: the process of ${task}`);
  t.equal((await world.agent.cli(['job', 'stop', '-purge', id])).code, 0, `${name}: it can be stopped`);
  return after.ID;
}

/** What is left of allocations on this machine. */
function left(ids: readonly string[], { agent, engine }: World, place: LabPlace): string[] {
  const lines = (program: string, ...args: string[]): string[] =>
    execFileSync(program, args, { stdio: 'pipe' }).toString().split('\n').filter(Boolean);
  const list = (path: string): string[] => readdirSync(path).map((name) => `${path}/${name}`);
  const isOurs = (line: string): boolean => ids.some((id) => line.includes(id));
  return [
    ...traces(ids),
    ...ids.flatMap((id) => processesWith(id).map((pid) => `process ${pid} of ${id}`)),
    ...ids.flatMap((id) => Object.values(firstPids(id)).flatMap((pids) => pids.map((pid) => `task ${pid} of ${id}`))),
    ...list(`${agent.dir}/data/alloc`),
    ...list('/run/meshnomad/networks').filter(isOurs),
    ...list(`/run/meshnomad/ipam/${place.name}`).filter((path) => /\/\d[\d.]*$/.test(path)),
    ...lines('ip', '-o', 'link').filter((line) => line.includes('veth')),
    ...lines('iptables-save').filter(isOurs),
    ...lines('docker', '-H', engine.endpoint, 'ps', '-aq').map((id) => `container ${id}`),
    ...lines('docker', '-H', engine.endpoint, 'volume', 'ls', '-q').map((id) => `volume ${id}`),
  ];
}

function tests(place: LabPlace): void {
  t.test('kills below a running agent', { timeout: TIMEOUT_MS }, async (t) => {
    // One of its own, which may be killed, also where another runs.
    const engine = await getOwnEngine();
    if ('missing' in engine) {
      t.comment(engine.missing);
      t.pass('nothing to kill');
      return;
    }
    t.teardown(async () => {
      await engine.stop();
      removeCgroup(CGROUP);
    });
    await importBusybox(engine, IMAGE);
    const config = [
      `client {\n  bridge_network_name = "${place.name}"\n  cgroup_parent = "${CGROUP}"\n}`,
      `plugin "docker" {\n  config {\n    endpoint = "${engine.endpoint}"\n  }\n}`,
    ];
    const agent = await TestAgent.start({ config: config.join('\n') });
    t.teardown(() => agent.dispose());
    await eventually('the drivers to be healthy', async () => {
      const [node] = await agent.get<{ Drivers: Record<string, { Healthy: boolean }> }[]>('/v1/nodes');
      return (['docker', 'exec', 'raw_exec'].every((name) => node?.Drivers[name]?.Healthy) && true) || undefined;
    });
    const world = { agent, engine };
    const ids: string[] = [];
    for (let i = 0; i < CYCLES; i++) {
      ids.push(await cycle(t, world, { id: `${place.name}-${i}`, blow: i }));
      if (CYCLES > BLOWS.length) t.comment(`${i + 1} of ${CYCLES}`);
    }
    let last: string[] = [];
    await eventually('nothing to be left', async () => {
      // What a node still has is let go of only when its evaluations have ended, too.
      await agent.put('/v1/system/gc', '');
      last = left(ids, world, place);
      return last.length === 0 ? true : undefined;
    }).catch(() => {});
    t.same(last, [], `nothing is left of ${CYCLES} jobs`);
  });
}

insideLab(import.meta.url, tests, TIMEOUT_MS + 60_000);
