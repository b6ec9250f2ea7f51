// A machine whose nvidia-smi is a script: what a person sees of its cards, and what a task gets.
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Node } from '../../lib/structs/node.js';
import type { HostStats } from '../../lib/structs/rpc.js';
import { addToTree, usbTree } from '../support/host-tree.js';
import { allocsOf, eventually, jobJson, ROOT, TestAgent } from '../support/mesh-agent.js';

const DATA = join(ROOT, 'test/plugins/data/nvidia');
const [FIRST, SECOND] = ['GPU-30900000-0013-4001-8001-0000000000e1', 'GPU-30900000-0013-4001-8001-0000000000e2'];

/** A folder with an nvidia-smi that runs these shell lines; they can be replaced while the agent runs. */
function fakeSmi(t: Test): { dir: string; becomes: (lines: string) => void } {
  const dir = mkdtempSync(join(tmpdir(), 'meshnomad-smi-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, 'nvidia-smi');
  const becomes = (lines: string): void => {
    // Put there whole: one that is being written cannot be run, and the agent may be about to.
    writeFileSync(`${path}.new`, `#!/bin/sh\n${lines}\n`, { mode: 0o755 });
    renameSync(`${path}.new`, path);
  };
  return { dir, becomes };
}

/** An agent for which `dir` is all of the machine's hardware. */
async function agentWith(t: Test, dir: string, given: { nvidia?: object; more?: string } = {}): Promise<TestAgent> {
  const plugin = (name: string, config: object): string => `plugin "${name}" {\nconfig {${lines(config)}}\n}`;
  const lines = (config: object): string =>
    Object.entries(config)
      .map(([key, value]) => `\n${key} = ${JSON.stringify(value)}\n`)
      .join('');
  const often = { root: dir, fingerprint_period: '200ms' };
  const agent = await TestAgent.start({
    env: { PATH: `${dir}:${process.env['PATH']}` },
    config: [
      plugin('nvidia', { ...often, ...given.nvidia }),
      plugin('drm', often),
      plugin('usb', often),
      given.more ?? '',
    ].join('\n'),
  });
  t.teardown(() => agent.dispose());
  return agent;
}

/** Children of the agent itself, zombies included; tasks are those of their supervisors. */
function isChild(pid: string, parent: number): boolean {
  return statOf(pid).at(-1) === String(parent);
}

function nameOf(pid: string): string {
  return statOf(pid)[0] ?? '';
}

/** Name and parent of a process, from /proc/PID/stat. */
function statOf(pid: string): string[] {
  try {
    return /\((.*)\) \S (\d+)/.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.slice(1) ?? [];
  } catch {
    return [];
  }
}

function environOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
  } catch {
    return [];
  }
}

async function nodeOf(agent: TestAgent): Promise<Node> {
  const [stub] = await agent.get<{ ID: string }[]>('/v1/nodes');
  return await agent.get<Node>(`/v1/node/${stub?.ID}`);
}

const ask = (device: object, more: object = {}): object => ({
  Resources: { CPU: 20, MemoryMB: 10, Devices: [device] },
  ...more,
});
const printsEnv = {
  command: '/bin/sh',
  args: ['-c', 'echo "$NVIDIA_VISIBLE_DEVICES|$CUDA_VISIBLE_DEVICES"; sleep 3600'],
};

t.test(
  'a task gets the card it asks for, sees it, and another one waits and says why',
  { timeout: 240_000 },
  async (t) => {
    const smi = fakeSmi(t);
    smi.becomes(`cat ${DATA}/v13-two.xml`);
    const agent = await agentWith(t, smi.dir);
    const devices = await eventually(
      'the devices',
      async () => (await nodeOf(agent)).NodeResources.Devices ?? undefined,
    );
    t.same(
      devices.map(({ Vendor, Type, Name, Instances }) => [Vendor, Type, Name, Instances.map(({ ID }) => ID)]),
      [['nvidia', 'gpu', 'NVIDIA GeForce RTX 3090', [FIRST, SECOND]]],
    );

    const big = { LTarget: '${device.attr.memory}', Operand: '>=', RTarget: '20 GiB' };
    await agent.register(
      jobJson('one', {
        config: printsEnv,
        task: ask({ Name: 'nvidia/gpu', Count: 1, Constraints: [big] }, { Env: { NVIDIA_VISIBLE_DEVICES: 'all' } }),
      }),
    );
    const [alloc] = await allocsOf(agent, 'one', 'running', 1);
    const id = alloc?.ID ?? '';
    const out = await eventually('output', async () => (await agent.cli(['alloc', 'logs', id])).out || undefined);
    t.equal(out, `${FIRST}|${FIRST}\n`, 'its own card, whatever the job says');
    const status = await agent.cli(['alloc', 'status', '-stats', id]);
    t.match(status.out, /nvidia\/gpu\/NVIDIA GeForce RTX 3090\[GPU-30900000-0013-4001-8001-0000000000e1\]/);

    await agent.register(jobJson('two', { task: ask({ Name: 'nvidia/gpu', Count: 2 }) }));
    await agent.register(jobJson('tpu', { task: ask({ Name: 'google/tpu', Count: 1 }) }));
    const waits = (job: string): Promise<string> =>
      eventually(`${job} waits`, async () => {
        const { out } = await agent.cli(['job', 'status', job]);
        return /Placement Failure/.test(out) ? out : undefined;
      });
    t.match(await waits('two'), /Dimension "devices: no devices match request" exhausted on 1 nodes/);
    t.match(await waits('tpu'), /Constraint "missing devices"/);

    // The second card is shared by two; a third would need more than is left.
    const limit = {
      command: '/bin/sh',
      args: ['-c', 'echo "$NOMAD_DEVICE_MEMORY_LIMIT $NVIDIA_VISIBLE_DEVICES"; sleep 3600'],
    };
    await agent.register(jobJson('half', { config: limit, task: ask({ Name: 'nvidia/gpu', Count: 1, Share: 50 }) }));
    await agent.register(
      jobJson('part', { config: limit, task: ask({ Name: 'nvidia/gpu', Count: 1, MemoryMB: 12000 }) }),
    );
    for (const [job, mb] of [
      ['half', 12288],
      ['part', 12000],
    ] as const) {
      const [placed] = await allocsOf(agent, job, 'running', 1);
      const said = await eventually(
        'output',
        async () => (await agent.cli(['alloc', 'logs', placed?.ID ?? ''])).out || undefined,
      );
      t.equal(said, `${mb} ${SECOND}\n`);
      const shown = await agent.cli(['alloc', 'status', placed?.ID ?? '']);
      t.match(shown.out, new RegExp(`\\[${SECOND}\\]: ${mb} MiB of it`));
    }
    await agent.register(jobJson('over', { task: ask({ Name: 'nvidia/gpu', Count: 1, MemoryMB: 289 }) }));
    t.match(await waits('over'), /Dimension "devices: no devices match request" exhausted/);
    t.match((await agent.cli(['why', 'over'])).out, /has the devices that are asked for, but others hold them/);

    const stats = await agent.get<HostStats>('/v1/client/stats');
    t.match(stats.DeviceStats[0]?.InstanceStats[SECOND as string], {
      Summary: { IntNumeratorVal: 512, IntDenominatorVal: 24576, Unit: 'MiB' },
      Stats: { Attributes: { Temperature: { IntNumeratorVal: 47, Unit: 'C' } } },
    });
    const shown = await agent.cli(['node', 'status', '-self', '-stats', '-verbose']);
    t.match(
      shown.out,
      /Device Resource Utilization\nnvidia\/gpu\/NVIDIA GeForce RTX 3090\[GPU-\S+e1\] {2}9184 \/ 24576 MiB/,
    );
    t.match(shown.out, /Device Stats\nDevice +=/);
    t.match(shown.out, /GPU utilization +=\s65 %/);
    t.match(shown.out, /Device Group Attributes\nDevice Group +=\snvidia\/gpu\/NVIDIA GeForce RTX 3090\n/);
    t.match(shown.out, /memory +=\s24576 MiB/);

    // The card falls off the bus: nothing new gets it, what runs goes on.
    smi.becomes(`cat ${DATA}/lost.txt; exit 15`);
    const lost = await eventually('the cards to be unhealthy', async () =>
      (await nodeOf(agent)).NodeResources.Devices?.find(({ Instances }) => Instances.every(({ Healthy }) => !Healthy)),
    );
    t.match(lost.Instances[0]?.HealthDescription, /GPU is lost. Reboot the system/);
    t.equal((await allocsOf(agent, 'one', 'running', 1)).length, 1);

    // The agent is killed and comes back while the cards do not answer: the task is taken up as it runs.
    const pidOf = (): string | undefined =>
      readdirSync('/proc').find(
        (pid) => /^\d+$/.test(pid) && nameOf(pid) === 'sh' && environOf(pid).includes(`NOMAD_ALLOC_ID=${id}`),
      );
    const pid = pidOf();
    t.ok(pid);
    await agent.kill();
    agent.launch();
    await agent.ready();
    const [again] = await allocsOf(agent, 'one', 'running', 1);
    t.equal(again?.ID, id);
    t.equal(again?.TaskStates?.['t']?.Restarts, 0);
    t.equal(pidOf(), pid);
  },
);

t.test('an nvidia-smi that is missing or hangs costs nothing and is told', { timeout: 240_000 }, async (t) => {
  const smi = fakeSmi(t);
  const agent = await agentWith(t, smi.dir, {
    // A healthy one is asked in vain now and then, on a busy machine, and again.
    nvidia: { query_timeout: '300ms' },
    more: 'client {\n  reserved {\n    cores = "0"\n  }\n}\n',
  });
  // The machine keeps its first core; a task that asks for one whole gets another, and is told which.
  t.equal((await nodeOf(agent)).NodeResources.Cpu.ReservableCpuCores?.includes(0), false);
  const whole = { Cores: 1, MemoryMB: 10, NUMA: { Affinity: 'require' } };
  const says = { command: '/bin/sh', args: ['-c', 'echo "$NOMAD_CPU_CORES"; sleep 3600'] };
  await agent.register(jobJson('core', { config: says, task: { Resources: whole } }));
  const [placed] = await allocsOf(agent, 'core', 'running', 1);
  const core = await eventually(
    'output',
    async () => (await agent.cli(['alloc', 'logs', placed?.ID ?? ''])).out || undefined,
  );
  t.match(core, /^[1-9]\d*\n$/);
  // Its core is all that this machine has for tasks.
  t.equal((await agent.cli(['job', 'stop', '-purge', 'core'])).code, 0);

  await agent.register(jobJson('plain'));
  await allocsOf(agent, 'plain', 'running', 1);
  t.equal((await nodeOf(agent)).NodeResources.Devices, null);
  t.notMatch(agent.log, /devices cannot be looked at/);

  // A job waits for a stick, and starts when one is plugged in.
  const stick = { LTarget: '${device.attr.usb_id}', Operand: '=', RTarget: '10c4:ea60' };
  const tells = { command: '/bin/sh', args: ['-c', 'echo "$SERIAL_DEVICES"; sleep 3600'] };
  const wanted = { Name: 'serial', Count: 1, Constraints: [stick] };
  await agent.register(jobJson('zigbee', { config: tells, task: ask(wanted) }));
  await eventually('the job to wait', async () =>
    /Placement Failure/.test((await agent.cli(['job', 'status', 'zigbee'])).out) ? true : undefined,
  );
  const plugged = { port: '1-1', id: ['10c4', 'ea60'], number: 4, interfaces: [['ff', 'cp210x', 'ttyUSB0']] };
  addToTree(smi.dir, usbTree({ ...(plugged as Parameters<typeof usbTree>[0]), byId: 'usb-stick' }));
  const [started] = await allocsOf(agent, 'zigbee', 'running', 1);
  const line = await eventually(
    'output',
    async () => (await agent.cli(['alloc', 'logs', started?.ID ?? ''])).out || undefined,
  );
  t.equal(line, '/dev/serial/by-id/usb-stick\n');

  smi.becomes(`cat ${DATA}/v10-pascal.xml`);
  const gpu = (node: Node) => node.NodeResources.Devices?.find(({ Vendor }) => Vendor === 'nvidia');
  await eventually('the card', async () => gpu(await nodeOf(agent)));
  t.pass('installed later, found without a restart');

  smi.becomes(`echo $$ > ${smi.dir}/pid; exec sleep 1000`);
  await eventually('one that hangs', () => existsSync(join(smi.dir, 'pid')) || undefined);
  const hung = await eventually('the card to be unhealthy', async () => {
    const card = gpu(await nodeOf(agent));
    return card?.Instances[0]?.Healthy === false ? card : undefined;
  });
  t.match(hung.Instances[0]?.HealthDescription, /nvidia-smi -q -x does not answer for 0\.3 s/);
  await eventually('the log to tell', () => /devices cannot be looked at/.test(agent.log) || undefined);
  await agent.register(jobJson('while', { config: { command: '/bin/sleep', args: ['3599'] } }));
  await allocsOf(agent, 'while', 'running', 1);
  t.pass('tasks start meanwhile');
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const left = pids.filter((pid) => isChild(pid, agent.pid) && /sleep|nvidia/.test(nameOf(pid)));
  t.ok(left.length <= 1, `at most the one that is being asked: ${left.join()}`);
});
