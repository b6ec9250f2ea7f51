// Machines that no server can be reached from, and that a member takes there: they join, work, and are asked for their work.
// Real agents in network namespaces.
import t from 'tap';
import type { NetReport } from '../../lib/structs/mesh.js';
import { eventually } from '../support/mesh-agent.js';
import { checkWork, machineAt, openDht, runOn } from '../support/mesh-lab.js';
import type { Machine } from '../support/mesh-machines.js';
import { missingForLabs, Netlab } from '../support/netlab.js';

const skip = missingForLabs() ?? false;
// Each has a lab of its own, and mostly waits.
t.jobs = 2;

/** Joins, and gives the time that took. */
async function joins(machine: Machine, nas: Machine): Promise<number> {
  await machine.start('join', await nas.invite());
  return Number((await machine.step('joined'))['Ms']);
}

t.test(
  'where UDP is blocked a member on the same network brings a machine in',
  { skip, timeout: 180_000 },
  async (t) => {
    const lab = await Netlab.open({
      homes: { A: { nat: 'blocked', hosts: 2, excepted: [2] }, B: { nat: 'cone' } },
    });
    t.teardown(() => lab.close());
    const testnet = await openDht(lab);
    const nas = await machineAt(t, lab, 'homeB1', { testnet, name: 'nas' });
    await nas.start('init', '-name=home');
    const mate = await machineAt(t, lab, 'homeA2', { testnet, name: 'mate', mdns: true });
    await joins(mate, nas);
    const blocked = await machineAt(t, lab, 'homeA1', { testnet, name: 'blocked', mdns: true });
    t.comment(`joined by way of a member on its network in ${await joins(blocked, nas)} ms`);
    t.match(await blocked.step('joined'), { Path: { Kind: 'relayed' } });
    const alloc = await runOn(nas, 'blocked');
    await checkWork(t, nas, alloc);
    const report = await blocked.get<NetReport>('/v1/agent/net');
    t.match(report.Problems.join(), /carries the bytes/);
    await nas.cli(['job', 'stop', '-purge', '-detach', 'far']);
  },
);

t.test(
  'where no NAT can be passed, a member that others can reach brings a machine in',
  { skip, timeout: 180_000 },
  async (t) => {
    const lab = await Netlab.open({ homes: { A: { nat: 'symmetric' }, B: { nat: 'symmetric' } } });
    t.teardown(() => lab.close());
    const testnet = await openDht(lab);
    const nas = await machineAt(t, lab, 'homeA1', { testnet, name: 'nas' });
    await nas.start('init', '-name=home');
    const hub = await machineAt(t, lab, 'pub', { testnet, name: 'hub' });
    await joins(hub, nas);
    await eventually('the hub to know that it is reachable', async () => {
      const { Relays } = await hub.get<NetReport>('/v1/agent/net');
      return Relays || undefined;
    });
    const pi = await machineAt(t, lab, 'homeB1', { testnet, name: 'pi' });
    t.comment(`joined by way of a member in the open in ${await joins(pi, nas)} ms`);
    const alloc = await runOn(nas, 'pi');
    await checkWork(t, nas, alloc);
    const { Links } = await pi.get<NetReport>('/v1/agent/net');
    t.ok(
      Links.some(({ Path }) => Path.Kind === 'relayed'),
      JSON.stringify(Links),
    );
    const { Problems } = await hub.get<NetReport>('/v1/agent/net');
    t.notMatch(
      Problems.join(),
      /was copied/,
      'who is told to meet somebody at itself does not take itself for a thief',
    );
    await nas.cli(['job', 'stop', '-purge', '-detach', 'far']);
  },
);
