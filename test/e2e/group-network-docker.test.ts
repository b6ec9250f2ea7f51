// A container and a process of the node in one network, through kills of the agent and restarts of the engine.
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import t from 'tap';
import { getOwnEngine, importBusybox } from '../support/dockerd.js';
import { insideLab, type LabPlace } from '../support/inside-lab.js';
import { processesOf, processesWith } from '../support/leftovers.js';
import { type AllocStub, allocsOf, eventually, TestAgent } from '../support/mesh-agent.js';

const IMAGE = 'localhost/meshnomad-test:group-network';

function job(place: LabPlace): object {
  const server =
    'hostname > /tmp/index.html; cat /etc/hosts /etc/resolv.conf >> /tmp/index.html; trap "exit 0" TERM; httpd -f -p $NOMAD_PORT_web -h /tmp & wait';
  const client =
    'while :; do busybox wget -q -O $NOMAD_ALLOC_DIR/new http://localhost:$NOMAD_PORT_web/ && mv $NOMAD_ALLOC_DIR/new $NOMAD_ALLOC_DIR/heard; sleep 0.2; done';
  const common = { Resources: { CPU: 20, MemoryMB: 64 } };
  const tasks = [
    {
      Name: 'server',
      Driver: 'docker',
      Config: { image: IMAGE, image_pull_timeout: '1m', command: '/bin/sh', args: ['-c', server] },
      ...common,
    },
    { Name: 'client', Driver: 'raw_exec', Config: { command: '/bin/sh', args: ['-c', client] }, ...common },
  ];
  const network = {
    Mode: 'bridge',
    Hostname: 'talk.home',
    DNS: { Servers: ['10.9.0.2'] },
    DynamicPorts: [{ Label: 'web', To: 8080 }],
  };
  const restart = { Attempts: 20, Interval: 60e9, Delay: 200e6, Mode: 'delay' };
  const group = { Name: 'g', Networks: [network], Tasks: tasks, RestartPolicy: restart };
  return { Job: { ID: place.name, Type: 'service', TaskGroups: [group] } };
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It ended with another one.
  }
}

function tests(place: LabPlace): void {
  t.test('docker and raw_exec share a network', { timeout: 200_000 }, async (t) => {
    // One of its own, which may be stopped, also where another runs.
    const engine = await getOwnEngine();
    if ('missing' in engine) {
      t.comment(engine.missing);
      return;
    }
    t.teardown(() => engine.stop());
    await importBusybox(engine, IMAGE);
    const config = `client {\n  bridge_network_name = "${place.name}"\n}\nplugin "docker" {\n  config {\n    endpoint = "${engine.endpoint}"\n  }\n}`;
    const agent = await TestAgent.start({ config });
    t.teardown(() => agent.dispose());
    await eventually('the engine to be found', async () => {
      const nodes = await agent.get<{ Drivers: Record<string, { Healthy: boolean }> }[]>('/v1/nodes');
      return nodes[0]?.Drivers['docker']?.Healthy || undefined;
    });
    await agent.register(job(place));
    const [{ ID }] = (await allocsOf(agent, place.name, 'running', 1)) as [AllocStub];
    const alloc = await agent.get<{
      AllocatedResources: { Shared: { Ports: [{ Value: number }] } };
      NetworkStatus: { Address: string };
    }>(`/v1/allocation/${ID}`);
    const port = alloc.AllocatedResources.Shared.Ports[0].Value;
    const heard = (): string =>
      execFileSync('cat', [`${agent.dir}/data/alloc/${ID}/alloc/heard`], { stdio: 'pipe' }).toString();
    const [enter = '', ...args] = place.outside;
    const ask = (): string =>
      execFileSync(enter, [...args, 'busybox', 'wget', '-q', '-O-', `http://${place.address}:${port}/`], {
        stdio: 'pipe',
        timeout: 3000,
      }).toString();
    const answer = (): Promise<string> => eventually('an answer from outside', () => ask() || undefined);

    const page = await answer();
    t.match(page, /^talk\.home\n/, 'the container has the name of its group');
    t.ok(page.includes(`${alloc.NetworkStatus.Address} talk.home talk\n`), page);
    t.match(page, /^nameserver 10\.9\.0\.2$/m);
    t.equal(await eventually('what the process hears on localhost', () => heard() || undefined), page);

    await agent.kill();
    t.equal(ask(), page, 'no agent is needed');
    agent.launch();
    await agent.ready();
    t.equal(await answer(), page);

    await engine.halt('orderly');
    await engine.resume();
    t.match(await answer(), /^talk\.home\n/, 'after a restart of the engine, which takes the namespace with it');
    // The power fails; afterwards the engine comes later than the agent.
    await agent.kill();
    await engine.halt('hard');
    for (const pid of new Set([...processesWith(ID), ...processesOf(ID)])) kill(pid);
    rmSync(`/run/meshnomad/networks/${ID}`, { recursive: true });
    execFileSync('ip', ['link', 'delete', place.name]);
    execFileSync('iptables', ['--flush']);
    execFileSync('iptables', ['-t', 'nat', '--flush']);
    agent.launch();
    await agent.ready();
    const told = await eventually('the task to tell what it waits for', async () => {
      const { TaskStates } = await agent.get<AllocStub>(`/v1/allocation/${ID}`);
      const events = Object.values(TaskStates ?? {}).flatMap(({ Events }) => Events);
      return events.find(({ DisplayMessage }) => /^network of allocation .*no Docker/.test(DisplayMessage));
    });
    t.ok(told);
    await engine.resume();
    t.match(await answer(), /^talk\.home\n/, 'after a power cut, with an engine that comes late');
    const allocs = await allocsOf(agent, place.name, 'running', 1);
    t.same(
      allocs.map(({ ID }) => ID),
      [ID],
      'the same allocation',
    );
    t.equal((await agent.cli(['job', 'stop', '-purge', place.name])).code, 0);
    await eventually('its network to go', () => (existsSync(`/run/meshnomad/networks/${ID}`) ? undefined : true));
    const containers = execFileSync('docker', [
      '-H',
      engine.endpoint,
      'ps',
      '-aq',
      '--filter',
      `name=${ID}`,
    ]).toString();
    t.equal(containers, '');
    t.notMatch(execFileSync('iptables-save').toString(), new RegExp(ID));
  });
}

insideLab(import.meta.url, tests);
