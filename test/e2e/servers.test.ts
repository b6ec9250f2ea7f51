// Several servers as one, in real processes over a private DHT on loopback: they elect themselves, survive the death of their
// leader without losing what was acknowledged, and come back from the loss of most of them.
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import type { RaftConfiguration } from '../../lib/structs/operator.js';
import { eventually } from '../support/mesh-agent.js';
import { Machine } from '../support/mesh-machines.js';
import { openTestnet } from '../support/testnet.js';

const job = (id: string) => ({
  ID: id,
  Name: id,
  Type: 'service',
  Datacenters: ['*'],
  TaskGroups: [{ Name: 'g', Count: 0, Tasks: [{ Name: 't', Driver: 'raw_exec', Config: { command: 'true' } }] }],
});

async function register(machine: Machine, id: string): Promise<boolean> {
  try {
    const response = await fetch(`${machine.address}/v1/jobs`, {
      method: 'PUT',
      body: JSON.stringify({ Job: job(id) }),
      signal: AbortSignal.timeout(8_000),
    });
    await response.text();
    return response.ok;
  } catch {
    return false;
  }
}

const group = (machine: Machine) => machine.get<RaftConfiguration>('/v1/operator/raft/configuration?stale');
const votersAt = async (machine: Machine): Promise<string[]> =>
  (await group(machine)).Servers.filter(({ Voter }) => Voter).map(({ Node }) => Node);

t.test('servers elect themselves, lose no acknowledged write, and are recovered', { timeout: 400_000 }, async (t) => {
  const testnet = await openTestnet();
  t.teardown(() => testnet.close());
  const machines: Machine[] = [];
  for (const name of ['nas', 'nuc', 'pi']) {
    const made = await Machine.make({ testnet, name });
    t.teardown(() => made.dispose());
    machines.push(made);
  }
  const [nas, ...others] = machines as [Machine, ...Machine[]];
  await nas.start('init', '-name=home');
  for (const other of others) await other.start('join', await nas.invite('-role=server'));
  await eventually('three voters', async () => ((await votersAt(nas)).length === 3 ? true : undefined), 120_000);
  const why = await nas.cli(['server', 'why']);
  t.match(why.out, /it leads: 3 servers can, which makes 3 voters/);

  const acknowledged: string[] = [];
  let count = 0;
  const write = async (machine: Machine): Promise<boolean> => {
    const id = `job-${count++}`;
    const done = await register(machine, id);
    if (done) acknowledged.push(id);
    return done;
  };
  const missingAt = async (machine: Machine): Promise<string[]> => {
    const known = new Set((await machine.get<{ ID: string }[]>('/v1/jobs?stale')).map(({ ID }) => ID));
    return acknowledged.filter((id) => !known.has(id));
  };

  for (let i = 0; i < 30; i++) t.ok(await write(machines[i % 3] as Machine), 'every server takes writes');

  const leaderName = (await group(nas)).Servers.find(({ Leader }) => Leader)?.Node;
  const leader = machines.find(({ name }) => name === leaderName) as Machine;
  const rest = machines.filter((machine) => machine !== leader);
  await leader.end('SIGKILL');
  const diedMs = performance.now();
  while (!(await write(rest[count % 2] as Machine))) await sleep(20);
  t.comment(`the leader was killed: a write succeeded ${Math.round(performance.now() - diedMs)} ms later`);
  for (let i = 0; i < 10; i++) t.ok(await write(rest[i % 2] as Machine));
  for (const machine of rest)
    t.strictSame(await missingAt(machine), [], `${machine.name} has all that was acknowledged`);

  await leader.start('up');
  await eventually(
    'the one that died to have all',
    async () => ((await missingAt(leader)).length === 0 ? true : undefined),
    60_000,
  );

  const [survivor, ...lost] = machines as [Machine, ...Machine[]];
  for (const machine of lost) await machine.end('SIGKILL');
  await eventually('the loss to be noticed', async () => {
    const { HasLeader } = await survivor.get<{ HasLeader: boolean }>('/v1/operator/recover');
    return HasLeader ? undefined : true;
  });
  const recovered = await survivor.cli(['recover', '-yes']);
  t.match(recovered, { code: 0, out: /What only .* had is lost[\s\S]*the only voter now, in epoch 2/ }, recovered.err);
  await eventually('writes to succeed again', async () => ((await write(survivor)) ? true : undefined), 120_000);
  t.strictSame(await missingAt(survivor), [], 'nothing that was acknowledged by a majority with it is missing');

  // The lost come back with their old data: each hears that it was left behind, ends, and begins anew when it is started again.
  for (const machine of lost) {
    // It may hear of it before it has shown its first screen.
    await machine.start('up').catch(() => {});
    await eventually(`${machine.name} to end`, () => (machine.ended ? true : undefined), 120_000);
    t.equal(await machine.end('SIGKILL'), 1, 'with a code that has a supervisor start it again');
    t.match(machine.log, /recovered without this one/);
    await machine.start('up');
  }
  await eventually(
    'three voters again',
    async () => ((await votersAt(survivor)).length === 3 ? true : undefined),
    120_000,
  );
  for (const machine of machines) {
    await eventually(
      `${machine.name} to have all`,
      async () => ((await missingAt(machine)).length === 0 ? true : undefined),
      60_000,
    );
  }

  const file = join(survivor.dir, 'state.snap');
  t.match(await survivor.cli(['operator', 'snapshot', 'save', file]), { code: 0 });
  t.match(await survivor.cli(['operator', 'snapshot', 'inspect', file]), { code: 0, out: /MeshMember +3/ });
  await register(survivor, 'later');
  t.match(await survivor.cli(['operator', 'snapshot', 'restore', '-yes', file]), { code: 0, out: /Snapshot Restored/ });
  await eventually('what came after the snapshot to be gone', async () => {
    const jobs = await survivor.get<{ ID: string }[]>('/v1/jobs');
    return jobs.some(({ ID }) => ID === 'later') ? undefined : true;
  });
  t.strictSame(await missingAt(survivor), []);
});
