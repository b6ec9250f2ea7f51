import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { writeArchive } from '../../lib/server/snapshot-archive.js';
import { createTestWorld, webJob } from '../server/world.js';
import { createCliWorld, Refusal } from './world.js';

const server = (changes: object) => ({
  ID: 'a'.repeat(64),
  Name: 'nas',
  Standing: 'leader',
  Wanted: 'voter',
  Healthy: true,
  Reason: 'it leads: 3 servers can, which makes 3 voters',
  Version: '0.1.0',
  LastTerm: 3,
  LastIndex: 99,
  Trailing: 0,
  LastContactMs: 0,
  SyncMs: 1.25,
  RttMs: 0,
  Gossip: 'alive',
  StableSince: Date.now() - 60_000,
  ...changes,
});

t.test('server why shows a line for each server, and all of one', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/operator/servers/why': {
      Servers: [
        server({}),
        server({ ID: 'b'.repeat(64), Name: 'pi', Standing: 'standby', Reason: 'it is ready to vote' }),
      ],
      Events: [{ At: Date.now() - 5_000, Text: 'pi receives the log, to be ready to vote' }],
    },
  });
  const { code, out } = await world.run('server', 'why');
  t.equal(code, 0);
  t.match(out, /Name +Standing +Healthy +Why\nnas +leader +yes +it leads: 3 servers can/);
  t.match(out, /Lately\n\d+s ago +pi receives the log/);
  t.match((await world.run('server', 'why', 'pi')).out, /Standing +(=) standby[\s\S]*Disk Sync +(=) 1.3 ms/);
  t.match(await world.run('server', 'why', 'nobody'), { code: 1, error: /there are nas, pi/ });
});

t.test('without a leader server why says who is there, and what can be done', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/operator/servers/why': new Refusal(500, 'No cluster leader'),
    'GET /v1/operator/recover': {
      Self: { ID: 'a', Name: 'nas', Term: 4, LastIndex: 120, Epoch: 1 },
      HasLeader: false,
      Others: [{ ID: 'b', Name: 'pi', Stats: null, Why: 'no answer, '.repeat(40) }],
    },
  });
  const { code, out, error } = await world.run('server', 'why');
  t.equal(code, 1);
  t.match(out, /nas \(this one\) +reached +4 +120 +1 +-\npi +not reached .*no answer, no answer.*…$/m);
  t.match(error, /no leader now: more than half of the servers.*"meshnomad recover"/);
});

t.test('server members shows who leads, votes and stands by', async (t) => {
  const member = (Name: string, standing: string) => ({
    Name: `${Name}.global`,
    Addr: '10.0.0.1',
    Port: 4647,
    Status: 'alive',
    Tags: { standing, raft_term: '3', raft_index: '99', raft_lag: '0', build: '0.1.0', dc: 'dc1', region: 'global' },
  });
  const world = await createCliWorld(t, {
    'GET /v1/agent/members': { Members: [member('pi', 'standby'), member('nas', 'leader')] },
  });
  const { out, error } = await world.run('server', 'members');
  t.match(
    out,
    /Name .*Leader +Standing +Term +Index +Lag[\s\S]*nas\.global .* true +leader[\s\S]*pi\.global .* false +standby/,
  );
  t.equal(error, '');
  world.replies['GET /v1/agent/members'] = { Members: [member('pi', 'standby')] };
  t.match((await world.run('server', 'members')).error, /no leader now/);
});

t.test('the group is listed and changed', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/operator/raft/configuration': {
      Servers: [{ ID: 'k1', Node: 'nas', Address: '10.0.0.1:4647', Leader: true, Voter: true, RaftProtocol: '3' }],
      Index: 7,
    },
    'DELETE /v1/operator/raft/peer': null,
    'PUT /v1/operator/raft/transfer-leadership': { From: { ID: 'k1' }, To: { ID: 'k2' }, Noop: false },
  });
  t.match((await world.run('operator', 'raft', 'list-peers')).out, /nas +k1 +10\.0\.0\.1:4647 +leader +true +3/);
  t.match(await world.run('operator', 'raft', 'remove-peer', '-peer-id', 'k2'), { code: 0, out: /with id "k2"/ });
  t.match(world.asked.at(-1), /DELETE \/v1\/operator\/raft\/peer\?id=k2/);
  t.match(await world.run('operator', 'raft', 'remove-peer'), { code: 1, error: /-peer-id/ });
  t.match((await world.run('operator', 'raft', 'transfer-leadership')).out, /from k1 to k2/);
});

t.test('autopilot is shown, changed and asked for its health', async (t) => {
  const world = await createCliWorld(t, {
    'GET /v1/operator/autopilot/configuration': { CleanupDeadServers: true, LastContactThreshold: '2s', MaxVoters: 5 },
    'PUT /v1/operator/autopilot/configuration': true,
    'GET /v1/operator/autopilot/health': new Refusal(
      429,
      JSON.stringify({ Healthy: false, FailureTolerance: 0, Servers: [], Voters: [] }),
    ),
  });
  t.match(
    (await world.run('operator', 'autopilot', 'get-config')).out,
    /CleanupDeadServers +(=) true[\s\S]*MaxVoters +(=) 5/,
  );
  const set = await world.run(
    'operator',
    'autopilot',
    'set-config',
    '-cleanup-dead-servers=false',
    '-last-contact-threshold=500ms',
  );
  t.match(set, { code: 0, out: /Configuration updated!/ });
  t.same(JSON.parse(world.bodies.at(-1) ?? ''), { CleanupDeadServers: false, LastContactThreshold: '500ms' });
  t.match(await world.run('operator', 'autopilot', 'set-config'), { code: 1, error: /nothing to change/ });
  world.replies['PUT /v1/operator/autopilot/configuration'] = false;
  t.match(await world.run('operator', 'autopilot', 'set-config', '-max-voters=3', '-check-index=2'), { code: 1 });
  t.match(await world.run('operator', 'autopilot', 'health'), { code: 1, out: /Healthy +(=) false/ });
});

t.test('a snapshot is saved, inspected, and sent back', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'snapshot-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const state = createTestWorld();
  await state.call('Job.Register', { Job: webJob() });
  const meta = { ID: '1-2-3', Index: 2, Term: 1, Version: 1, Mesh: '', CreatedAt: 1_700_000_000_000, Program: '0.1.0' };
  const held = state.store.snapshot();
  const parts: Uint8Array[] = [];
  for await (const part of writeArchive(meta, () => held.stream())) parts.push(part);
  const archive = Buffer.concat(parts);
  let sent = 0;
  const world = await createCliWorld(t, {
    'GET /v1/operator/snapshot': (_request: unknown, response: import('node:http').ServerResponse) => {
      response.end(archive);
      return undefined;
    },
    'PUT /v1/operator/snapshot': (request: import('node:http').IncomingMessage) => {
      sent = Number(request.headers['content-length'] ?? 1);
      return { Index: 50, Metadata: { ID: '1-2-3' } };
    },
  });
  const file = join(folder, 'state.snap');
  t.match(await world.run('operator', 'snapshot', 'save', file), { code: 0, out: /State file written to / });
  t.ok(archive.equals(readFileSync(file)));
  const shown = await world.run('operator', 'snapshot', 'inspect', file);
  t.match(shown, { code: 0, out: /ID +(=) 1-2-3\nSize +(=) \d+\nIndex +(=) 2[\s\S]*JobVersion +1 [\s\S]*Total/ });
  t.match(await world.run('operator', 'snapshot', 'restore', '-yes', file), {
    code: 0,
    out: /Snapshot Restored: 1-2-3/,
  });
  t.ok(sent > 0);
  t.match(await world.run('operator', 'snapshot', 'restore', '-yes', folder), { code: 1, error: /is a directory/ });
  writeFileSync(file, archive.subarray(0, 100));
  t.match(await world.run('operator', 'snapshot', 'inspect', file), { code: 1, error: /cut short/ });
  t.match(await world.run('operator', 'snapshot', 'inspect', join(folder, 'none')), { code: 1, error: /cannot read/ });
});

t.test('what is not needed here says what is done instead', async (t) => {
  const world = await createCliWorld(t);
  t.match(await world.run('server', 'join'), { code: 1, error: /meshnomad invite -role server/ });
  t.match(await world.run('server', 'force-leave'), { code: 1, error: /autopilot replaces/ });
});
