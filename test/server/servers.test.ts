import t from 'tap';
import { MeshError } from '../../lib/structs/errors.js';
import { createFakeGroup, type FakeGroup, type GroupServer } from './fake-group.js';
import { meshCommands } from './mesh-state.js';

const codeOf = (error: unknown): string => (error instanceof MeshError ? error.code : String(error));

/** Servers of which the first `voters` vote, and the first leads. */
function servers(
  count: number,
  voters = count,
  config = {},
): { group: FakeGroup; all: GroupServer[]; s0: GroupServer } {
  const group = createFakeGroup(count, config);
  const ids = group.servers.map(({ id }) => id);
  group.membership = { voters: ids.slice(0, voters), learners: ids.slice(voters) };
  group.lead('s0');
  return { group, all: [...group.servers], s0: group.servers[0] as GroupServer };
}

async function soon<T>(group: FakeGroup, promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  await group.time.advance(300);
  return promise;
}

t.test('the leader’s autopilot makes voters of two standbys, at once one after the other', async (t) => {
  const { group } = servers(3, 1);
  await group.time.advance(9_000);
  t.same(group.changes, [], 'not before they were healthy for long enough');
  await group.time.advance(3_000);
  t.same(group.changes, ['addVoter s1', 'addVoter s2']);
  await group.time.advance(60_000);
  t.equal(group.changes.length, 2);
});

t.test('a dead voter is replaced by a standby, and autopilot tells why', async (t) => {
  const { group, s0 } = servers(4, 3);
  await group.time.advance(15_000);
  (group.servers[2] as GroupServer).down = true;
  await group.time.advance(20_000);
  t.same(group.changes, ['addLearner s2', 'addVoter s3']);
  const { Servers, Events } = await s0.call('Operator.ServerWhy', {});
  t.match(Events, [{ Text: /^s2 votes no more: it is dead, and s3 takes its place$/ }, { Text: /^s3 votes/ }]);
  t.match(
    Servers.map(({ Name, Standing }) => `${Name} ${Standing}`),
    ['s0 leader', 's1 voter', /standby$/, 's3 voter'],
  );
  t.match(Servers[0], { Reason: /^it leads: 3 servers can, which makes 3 voters$/, Healthy: true });
});

t.test('a change that is refused is tried again later, and not all the time', async (t) => {
  const { group } = servers(3, 1);
  let refusals = 0;
  group.onChange = () => {
    refusals++;
    throw new MeshError('E_CONFLICT', 'another change is under way');
  };
  await group.time.advance(30_000);
  t.ok(refusals >= 2 && refusals <= 4, `${refusals} times in 20 s`);
  group.onChange = () => {};
  await group.time.advance(15_000);
  t.same(group.changes, ['addVoter s1', 'addVoter s2']);
});

t.test('who leads no more decides no more', async (t) => {
  const { group, s0 } = servers(3, 1);
  await group.time.advance(5_000);
  group.lead('');
  await group.time.advance(60_000);
  t.same(group.changes, []);
  t.equal(await soon(group, s0.call('Operator.ServerWhy', { Forwarded: true }).catch(codeOf)), 'E_NO_LEADER');
});

t.test('an agent’s autopilot block is the configuration of a mesh that has none, and of no other', async (t) => {
  const { group, s0 } = servers(3, 3, { autopilot: { MaxVoters: 3 } });
  await group.time.advance(100);
  t.match((await s0.call('Operator.AutopilotGetConfiguration', {})).Config, { MaxVoters: 3, MinQuorum: 0 });
  await s0.call('Operator.AutopilotSetConfiguration', { Config: { MaxVoters: 5 } });
  group.lead('s1');
  await group.time.advance(100);
  t.match((await s0.call('Operator.AutopilotGetConfiguration', { AllowStale: true })).Config, { MaxVoters: 5 });
});

t.test('the configuration of autopilot is completed, checked, and compared if asked to', async (t) => {
  const { s0 } = servers(1);
  const set = (Config: object, more = {}) => s0.call('Operator.AutopilotSetConfiguration', { Config, ...more });
  t.match(await set({ MinQuorum: 3 }), { Updated: true });
  t.match(await set({ MinQuorum: 1 }, { Cas: true, ModifyIndex: 99 }), { Updated: false });
  t.match((await s0.call('Operator.AutopilotGetConfiguration', {})).Config, { MinQuorum: 3, MaxTrailingLogs: 250 });
  await t.rejects(set({ MaxVoters: 0 }), { code: 'E_BAD_REQUEST' });
  await t.rejects(set({ ServerStabilizationTime: -1 }), { code: 'E_BAD_REQUEST' });
});

t.test('every server tells who votes, and asked of a follower that is the leader’s word', async (t) => {
  const { group, all } = servers(4, 3);
  const { Configuration } = await soon(group, (all[3] as GroupServer).call('Operator.RaftGetConfiguration', {}));
  t.match(
    Configuration.Servers.map(({ Node, Leader, Voter }) => [Node, Leader, Voter]),
    [
      ['s0', true, true],
      ['s1', false, true],
      ['s2', false, true],
      ['s3', false, false],
    ],
  );
});

t.test('a server is put out of the group, but never one that the majority hangs on, and not the leader', async (t) => {
  const { group, all, s0 } = servers(3);
  await group.time.advance(100);
  const remove = (Peer: string) => soon(group, s0.call('Operator.RaftRemovePeer', { Peer }));
  await t.rejects(remove('s0'), { code: 'E_BAD_REQUEST', message: /hand leadership over first/ });
  await t.rejects(remove('nobody'), { code: 'E_NOT_FOUND', message: /there are s0, s1, s2/ });
  (all[1] as GroupServer).down = true;
  await t.rejects(remove('s2'), { code: 'E_CONFLICT', message: /only 1 of 2 voters answer/ });
  await remove('s1');
  t.same(group.membership.voters, ['s0', 's2']);
});

t.test('leadership goes to whom it is given, or to the best', async (t) => {
  const { group, all, s0 } = servers(4, 3);
  await t.rejects(soon(group, s0.call('Operator.TransferLeadership', { Peer: 's3' })), { message: /has no vote/ });
  t.match(await soon(group, s0.call('Operator.TransferLeadership', { Peer: 's2' })), {
    From: 's0',
    To: 's2',
    Noop: false,
  });
  t.equal(group.leader, 's2');
  t.match(await soon(group, s0.call('Operator.TransferLeadership', { Peer: 's2' })), { Noop: true });
  (all[0] as GroupServer).down = true;
  t.match(await soon(group, (all[1] as GroupServer).call('Operator.TransferLeadership', { Peer: '' })), { To: 's1' });
});

t.test('the health of the group says how many more may fail', async (t) => {
  const { group, all } = servers(3);
  await group.time.advance(3_000);
  const s1 = all[1] as GroupServer;
  t.match(await soon(group, s1.call('Operator.ServerHealth', {})), { Healthy: true, FailureTolerance: 1 });
  (all[2] as GroupServer).down = true;
  await group.time.advance(2_000);
  const after = await soon(group, s1.call('Operator.ServerHealth', {}));
  t.match(after, { Healthy: false, FailureTolerance: 0 });
  t.match(after.Servers[2], {
    Name: 's2',
    Healthy: false,
    Voter: true,
    StableSince: '0001-01-01T00:00:00Z',
    SerfStatus: 'dead',
  });
});

t.test('the list of members shows who is what, by whoever is asked', async (t) => {
  const { group, all } = servers(4, 3);
  (all[2] as GroupServer).down = true;
  const { Members, Leader } = await soon(group, (all[3] as GroupServer).call('Status.Members', {}));
  t.equal(Leader, 's0');
  t.match(
    Members.map(({ Name, Status, Standing }) => `${Name} ${Status} ${Standing}`),
    ['s0 alive leader', 's1 alive voter', 's2 dead voter', 's3 alive standby'],
  );
});

t.test('only members of the mesh with the role server are taken in, and who left goes', async (t) => {
  const { group, s0 } = servers(4, 1);
  group.membership = { voters: ['s0'], learners: ['s3'] };
  for (const command of meshCommands('s0', [{ Key: 's1' }, { Key: 's2', Role: 'client' }])) await group.keep(command);
  await group.time.advance(5_000);
  t.same(group.changes, ['remove s3', 'addLearner s1']);
  t.match((await s0.call('Operator.ServerWhy', {})).Servers, { length: 2 });
  await group.keep({ type: 'mesh-leave', key: 's1' });
  await group.time.advance(3_000);
  t.same(group.changes.slice(2), ['remove s1']);
});
