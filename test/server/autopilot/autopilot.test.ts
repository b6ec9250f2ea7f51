import t from 'tap';
import { names, SimMesh } from './mesh.js';

const brief = (mesh: SimMesh, ticks: number): string =>
  mesh
    .run(ticks)
    .map(({ type, id }) => `${type} ${id}`)
    .join(', ');

t.test('one or two servers make one voter, three or four make three, five and more make five', async (t) => {
  for (const [servers, voters] of [
    [1, 1],
    [2, 1],
    [3, 3],
    [4, 3],
    [5, 5],
    [6, 5],
    [7, 5],
    [8, 5],
  ] as const) {
    const mesh = new SimMesh(1);
    for (let i = 1; i < servers; i++) mesh.add();
    mesh.run(60);
    t.equal(mesh.voters.length, voters, `${servers} servers`);
    t.equal(brief(mesh, 300), '', 'and then nothing changes any more');
  }
});

t.test('servers become standbys at once, and voters in pairs once they were healthy for ten seconds', async (t) => {
  const mesh = new SimMesh(1);
  mesh.add();
  t.equal(brief(mesh, 30), 'standby s1');
  mesh.add();
  t.equal(brief(mesh, 10), 'standby s2');
  t.equal(brief(mesh, 30), 'promote s1, promote s2');
});

t.test('a server that is behind, flaps, or has a hopeless disk is not made a voter', async (t) => {
  const mesh = new SimMesh(1);
  const behind = mesh.add({ trailing: 5_000 });
  const slow = mesh.add({ syncMs: 3_000 });
  mesh.run(40);
  t.equal(names(mesh.voters), 's0');
  slow.syncMs = 10;
  mesh.run(40);
  t.equal(names(mesh.voters), 's0');
  for (let i = 0; i < 10; i++) {
    behind.trailing = i % 2 === 0 ? 0 : 5_000;
    mesh.run(6);
  }
  t.equal(names(mesh.voters), 's0');
  behind.trailing = 0;
  mesh.run(20);
  t.equal(names(mesh.voters), 's0 s1 s2');
});

t.test(
  'when one of three dies, three stay until there is a replacement; it leaves before the other comes',
  async (t) => {
    const mesh = new SimMesh(3);
    mesh.run(20);
    mesh.get('s2').diedMs = mesh.now;
    t.equal(brief(mesh, 120), '');
    mesh.add();
    t.equal(brief(mesh, 60), 'standby s3, demote s2, promote s3');
    mesh.get('s2').diedMs = null;
    t.equal(brief(mesh, 120), '', 'and who comes back is a standby');
  },
);

t.test('nobody is replaced for a moment of silence', async (t) => {
  const mesh = new SimMesh(3);
  mesh.add();
  mesh.run(40);
  mesh.get('s2').diedMs = mesh.now;
  mesh.run(8);
  mesh.get('s2').diedMs = null;
  t.equal(brief(mesh, 60), '');
});

t.test('two of five dead are let go, for three voters survive one more loss than three of five', async (t) => {
  const mesh = new SimMesh(5);
  mesh.run(20);
  mesh.get('s4').diedMs = mesh.now;
  t.equal(brief(mesh, 60), '', 'one of five is no reason');
  mesh.get('s3').diedMs = mesh.now;
  t.equal(brief(mesh, 60), 'demote s3, demote s4');
});

t.test('with CleanupDeadServers off, or below MinQuorum, the dead stay voters', async (t) => {
  for (const change of [{ CleanupDeadServers: false }, { MinQuorum: 5 }]) {
    const mesh = new SimMesh(5);
    mesh.config = { ...mesh.config, ...change };
    mesh.run(20);
    mesh.get('s3').diedMs = mesh.now;
    mesh.get('s4').diedMs = mesh.now;
    t.equal(brief(mesh, 120), '');
  }
});

t.test('who left or was revoked goes, and an odd number stays', async (t) => {
  const mesh = new SimMesh(3);
  mesh.run(20);
  mesh.get('s1').belongs = false;
  t.equal(brief(mesh, 10), 'release s1, demote s2');
  t.equal(names(mesh.voters), 's0');
});

t.test('no change is made that would leave no majority alive: it waits', async (t) => {
  const mesh = new SimMesh(5);
  mesh.config = { ...mesh.config, CleanupDeadServers: false };
  mesh.run(20);
  for (const id of ['s3', 's4']) mesh.get(id).diedMs = mesh.now;
  mesh.run(5);
  for (const id of ['s1', 's2']) mesh.get(id).belongs = false;
  t.equal(brief(mesh, 60), '');
  mesh.get('s3').diedMs = null;
  t.equal(brief(mesh, 60), 'release s1, release s2');
});

t.test('a leader that must not vote hands over, and leaves', async (t) => {
  const mesh = new SimMesh(1);
  mesh.get('s0').neverVotes = true;
  t.equal(brief(mesh, 30), '', 'alone it goes on');
  mesh.add();
  t.equal(brief(mesh, 60), 'standby s1, promote s1, handOver s1, demote s0');
});

t.test('a leader behind a relay, or with a slow disk, hands over to a better voter, once', async (t) => {
  for (const fault of [{ relayed: true }, { syncMs: 400 }]) {
    const mesh = new SimMesh(3);
    mesh.run(20);
    Object.assign(mesh.get('s0'), fault);
    t.equal(brief(mesh, 20), '', 'not at once');
    t.equal(brief(mesh, 30), 'handOver s1');
    t.equal(brief(mesh, 300), '');
  }
});

t.test(
  'a standby that is much better for long takes the place of the worst voter; a little better is not enough',
  async (t) => {
    const mesh = new SimMesh(3);
    mesh.add();
    mesh.run(40);
    mesh.get('s2').wired = false;
    t.equal(brief(mesh, 200), '');
    mesh.get('s2').relayed = true;
    t.equal(brief(mesh, 40), '');
    t.equal(brief(mesh, 200), 'promote s3, demote s2');
  },
);

t.test('of several standbys the better ones vote', async (t) => {
  const mesh = new SimMesh(1);
  mesh.add({ wired: false });
  mesh.add({ mains: false });
  mesh.add({ relayed: true });
  mesh.add({ neverVotes: true });
  mesh.run(60);
  t.equal(names(mesh.voters), 's0 s1 s2');
});

t.test('who never votes reads the feed, unless the log would be in one place alone', async (t) => {
  const mesh = new SimMesh(1);
  mesh.add({ neverVotes: true });
  t.equal(brief(mesh, 60), 'standby s1');
  mesh.add();
  t.equal(brief(mesh, 60), 'standby s2, release s1');
  t.equal(brief(mesh, 300), '');
  mesh.get('s2').diedMs = mesh.now;
  t.equal(brief(mesh, 60), 'standby s1', 'the one that leads is alone again');
  mesh.get('s2').diedMs = null;
  t.equal(brief(mesh, 60), 'release s1');
});

t.test('an even limit counts as the odd one below, and lowering it demotes', async (t) => {
  const mesh = new SimMesh(5);
  mesh.run(20);
  mesh.config = { ...mesh.config, MaxVoters: 4 };
  t.match(mesh.run(20), [{ type: 'demote' }, { type: 'demote' }]);
  t.equal(mesh.voters.length, 3);
});

t.test('after a sleep of the leader nobody is taken for dead, and nobody for stable', async (t) => {
  const mesh = new SimMesh(3);
  mesh.add();
  mesh.run(40);
  for (const id of ['s1', 's2']) mesh.get(id).diedMs = mesh.now;
  mesh.now += 3_600_000;
  // The others only seem dead, for this one did not listen.
  for (const id of ['s1', 's2']) mesh.get(id).diedMs = null;
  t.equal(brief(mesh, 5), '');
});

t.test('every server has a reason that a person can read', async (t) => {
  const mesh = new SimMesh(3);
  mesh.add({ neverVotes: true });
  mesh.add({ trailing: 900 });
  mesh.add();
  mesh.run(40);
  mesh.get('s2').diedMs = mesh.now;
  mesh.add({ diedMs: mesh.now });
  mesh.run(4);
  const reasons = mesh.tick()?.reasons();
  t.match(reasons?.get('s0'), { wanted: 'voter', text: /^it leads: 4 servers can, which makes 3 voters$/ });
  t.match(reasons?.get('s2'), { wanted: 'voter', text: /^it votes, but it has not been heard for 5 s$/ });
  t.match(reasons?.get('s3'), {
    wanted: 'plain',
    text: /reads what the others decide from their feed.*mesh \{ voter = "never" \}/,
  });
  t.match(reasons?.get('s4'), { wanted: 'standby', text: /its log is 900 entries behind/ });
  t.match(reasons?.get('s5'), { wanted: 'standby', text: /it is ready to vote: 4 servers can.*s0, s1, s2/ });
  t.match(reasons?.get('s6'), { wanted: 'plain', text: /it is not reached/ });
});
