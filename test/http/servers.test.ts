import t from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import { DEFAULT_AUTOPILOT } from '../../lib/structs/operator.js';
import { createHttpWorld } from './world.js';

t.test('members are told in the shape of Serf, with what Serf has no word for as tags', async (t) => {
  const world = await createHttpWorld(t, {
    agent: { members: () => ({ ServerName: 'a', ServerRegion: 'here', ServerDC: 'dc1' }) },
  });
  const member = { ID: 'k1', Status: 'alive', Standing: 'voter', Version: '0.1.0', Term: 3, LastIndex: 9, Lag: 2 };
  world.script['Status.Members'] = {
    Leader: 'k1',
    Members: [
      { ...member, Name: 'a', Address: '10.0.0.1:4647', Standing: 'leader', Datacenter: 'attic' },
      { ...member, ID: 'k2', Name: 'b', Address: '[fd00::2]:4647', Status: 'dead' },
      { ...member, ID: 'k3', Name: 'c', Address: '' },
    ],
  };
  const { json } = await world.send('/v1/agent/members');
  t.match(json, {
    ServerName: 'a',
    Members: [
      {
        Name: 'a.here',
        Addr: '10.0.0.1',
        Port: 4647,
        Status: 'alive',
        Tags: { standing: 'leader', raft_lag: '2', id: 'k1', dc: 'attic' },
      },
      { Name: 'b.here', Addr: '[fd00::2]', Port: 4647, Status: 'failed', Tags: { dc: 'dc1', build: '0.1.0' } },
      { Name: 'c.here', Addr: '', Port: 0 },
    ],
  });
  world.script['Status.Members'] = () => {
    throw new MeshError('E_NO_LEADER', 'the agent is starting');
  };
  t.match(await world.send('/v1/agent/members'), { status: 200, json: { ServerName: 'a' } });
});

t.test('the raft configuration, and its changes, are Nomad’s', async (t) => {
  const world = await createHttpWorld(t);
  const Configuration = { Servers: [{ ID: 'k1', Node: 'a', Leader: true, Voter: true }], Index: 7 };
  world.script['Operator.RaftGetConfiguration'] = { Configuration };
  const got = await world.send('/v1/operator/raft/configuration?stale');
  t.same(got.json, Configuration);
  t.equal(got.headers['x-nomad-index'], '7');
  t.match(world.calls.at(-1)?.args, { AllowStale: true });

  t.equal((await world.send('/v1/operator/raft/peer?id=k2', { method: 'DELETE' })).status, 200);
  t.match(world.calls.at(-1), { method: 'Operator.RaftRemovePeer', args: { Peer: 'k2' } });
  await world.send('/v1/operator/raft/peer?address=10.0.0.2:4647', { method: 'DELETE' });
  t.match(world.calls.at(-1)?.args, { Peer: '10.0.0.2:4647' });
  t.equal((await world.send('/v1/operator/raft/peer', { method: 'DELETE' })).status, 400);
  t.equal((await world.send('/v1/operator/raft/peer?id=a&address=b', { method: 'DELETE' })).status, 400);

  world.script['Operator.TransferLeadership'] = { From: 'k1', To: 'k2', Noop: false };
  const moved = await world.send('/v1/operator/raft/transfer-leadership?id=k2', { method: 'PUT', body: '{}' });
  t.match(moved.json, { From: { ID: 'k1' }, To: { ID: 'k2' }, Noop: false });
});

t.test('the configuration of autopilot shows durations as text, and takes them so', async (t) => {
  const world = await createHttpWorld(t);
  world.script['Operator.AutopilotGetConfiguration'] = { Config: { ...DEFAULT_AUTOPILOT, ModifyIndex: 4 } };
  world.script['Operator.AutopilotSetConfiguration'] = { Updated: true };
  t.match((await world.send('/v1/operator/autopilot/configuration')).json, {
    CleanupDeadServers: true,
    LastContactThreshold: '2s',
    ServerStabilizationTime: '10s',
    MaxVoters: 5,
    EnableRedundancyZones: false,
  });
  const put = (body: object, query = '') =>
    world.send(`/v1/operator/autopilot/configuration${query}`, { method: 'PUT', body: JSON.stringify(body) });
  t.match(await put({ LastContactThreshold: '500ms', MaxTrailingLogs: 9 }, '?cas=4'), { status: 200, json: true });
  t.match(world.calls.at(-1)?.args, {
    Cas: true,
    ModifyIndex: 4,
    Config: { LastContactThreshold: 500_000_000, MaxTrailingLogs: 9, CleanupDeadServers: true },
  });
  t.equal((await put({ LastContactThreshold: 'soon' })).status, 400);
  t.equal((await put({ EnableRedundancyZones: true })).status, 400);
});

t.test('health is told by the status too', async (t) => {
  const world = await createHttpWorld(t);
  world.script['Operator.ServerHealth'] = { Healthy: true, FailureTolerance: 1, Servers: [] };
  t.equal((await world.send('/v1/operator/autopilot/health')).status, 200);
  const servers = [
    { ID: 'k1', LastContact: 0, Leader: true, Voter: true },
    { ID: 'k2', LastContact: 1_500_000_000, Leader: false, Voter: true },
    { ID: 'k3', LastContact: 20_000_000, Leader: false, Voter: false },
  ];
  world.script['Operator.ServerHealth'] = { Healthy: true, FailureTolerance: 0, Servers: servers };
  t.match((await world.send('/v1/operator/autopilot/health')).json, {
    Leader: 'k1',
    Voters: ['k1', 'k2'],
    Servers: [{ LastContact: '0s' }, { LastContact: '1.5s' }, { LastContact: '20ms' }],
  });
  world.script['Operator.ServerHealth'] = { Healthy: false, FailureTolerance: 0, Servers: [] };
  t.match(await world.send('/v1/operator/autopilot/health'), { status: 429, json: { Healthy: false } });
});

t.test('a snapshot goes out whole, with its digest; one that breaks is no answer', async (t) => {
  const world = await createHttpWorld(t);
  world.onStream = (far) => {
    for (const part of ['snap', 'shot']) far.write({ Data: Buffer.from(part) });
    far.end();
  };
  const got = await world.send('/v1/operator/snapshot');
  t.equal(got.bytes.toString(), 'snapshot');
  t.match(got.headers['digest'], /^sha-256=[A-Za-z0-9+/]{43}=$/);
  world.onStream = (far) => {
    far.write({ Data: Buffer.from('half') });
    far.destroy(new MeshError('E_NO_LEADER', 'No cluster leader'));
  };
  t.match(await world.send('/v1/operator/snapshot'), { status: 500, text: 'No cluster leader' });
});

t.test('a body that is restored goes in piece by piece; a refusal in the middle of it is told', async (t) => {
  const world = await createHttpWorld(t);
  const body = Buffer.alloc(300_000, 7);
  let bytes = 0;
  world.onStream = (far) => {
    far.on('data', ({ Data }: { Data: Uint8Array }) => {
      bytes += Data.length;
    });
    far.on('end', () => far.end({ Index: 99, Metadata: { ID: 'x' } }));
  };
  const put = () => world.send('/v1/operator/snapshot', { method: 'PUT', body });
  t.match(await put(), { status: 200, json: { Index: 99 }, headers: { 'x-nomad-index': '99' } });
  t.equal(bytes, body.length);
  world.onStream = (far) => {
    far.once('data', () => far.destroy(new MeshError('E_STORAGE', 'the snapshot cannot be used: no archive')));
  };
  t.match(await put(), { status: 500, text: /no archive/ });
});

t.test('joining by address is refused with what to do instead', async (t) => {
  const world = await createHttpWorld(t);
  t.match(await world.send('/v1/agent/join?address=1.2.3.4', { method: 'PUT' }), {
    status: 501,
    text: /meshnomad invite/,
  });
  t.match(await world.send('/v1/agent/force-leave?node=b', { method: 'PUT' }), { status: 501, text: /autopilot/ });
});
