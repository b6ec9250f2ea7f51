import t from 'tap';
import type { MeshInvite } from '../../lib/structs/mesh.js';
import type { MeshMemberStub } from '../../lib/structs/rpc-mesh.js';
import { encodeInvite, parseInvite } from '../../lib/transport/invite.js';
import { qrModules, readQr } from '../support/qr.js';
import { createCliWorld, NODE_ID, Refusal } from './world.js';

const KEY = 'ab'.repeat(32);
const INVITE = `mn1-${'y'.repeat(240)}`;

const member = (changes: Partial<MeshMemberStub> = {}): MeshMemberStub => ({
  Key: KEY,
  NodeID: NODE_ID,
  Name: 'pi',
  Role: 'client',
  Tags: {},
  Status: 'admitted',
  Serial: 2,
  NotAfter: 0,
  Words: '',
  InviteID: '',
  AdmittedAt: 0,
  AdmittedBy: '',
  Facts: {},
  CreateIndex: 1,
  ModifyIndex: 1,
  Health: 'alive',
  Link: null,
  ServerState: '',
  ...changes,
});

const invite = (changes: Partial<MeshInvite> = {}): MeshInvite => ({
  ID: 'a1b2c3d4-0000-4000-8000-000000000001',
  Key: KEY,
  Role: 'client',
  Name: '',
  Tags: {},
  Uses: 1,
  Used: [],
  NeedsApproval: false,
  CreatedAt: 0,
  ExpiresAt: Date.now() + 3_600_000,
  Revoked: false,
  CreateIndex: 1,
  ModifyIndex: 1,
  ...changes,
});

t.test('invite asks for what was wanted, and gives scripts nothing but the invite', async (t) => {
  const reply = { Invite: INVITE, ID: 'a1', ExpiresAt: 0, NeedsApproval: false };
  const world = await createCliWorld(t, { 'PUT /v1/mesh/invites': reply });
  const ran = await world.run('invite', '-role=server', '-ttl=15m', '-uses=2', '-tag=room=attic', '-approve');
  t.same([ran.code, ran.out], [0, `${INVITE}\n`]);
  t.strictSame(JSON.parse(world.bodies[0] as string), {
    Role: 'server',
    TTLMs: 900_000,
    Uses: 2,
    Name: '',
    Tags: { room: 'attic' },
    Approve: true,
  });
  t.strictSame(JSON.parse((await world.run('invite', '-json')).out), reply);
  t.match(await world.run('invite', '-role=sever'), { code: 1, error: /must be one of server, client, operator/ });
  t.match(await world.run('invite', '-ttl=soon'), { code: 1, error: /-ttl/ });
  t.match(await world.run('invite', '-tag=x'), { code: 1, error: /key=value/ });
});

t.test('the QR code on a terminal says what the text below it says', async (t) => {
  // Of all lengths: other versions, numbers of blocks and masks.
  for (const hints of [0, 1, 2, 3, 4]) {
    const made = encodeInvite({
      mesh: KEY,
      discoverySecret: new Uint8Array(32).fill(hints * 61),
      seed: new Uint8Array(16).fill(7),
      server: 'cd'.repeat(32),
      role: 'client',
      needsApproval: false,
      expiresAtMs: 1_800_000_000_000,
      hints: Array.from({ length: hints }, (_, i) => ({ host: `10.0.0.${i}`, port: 49_737 })),
      bootstrap: 'public',
    });
    const reply = { Invite: made, ID: 'a1', ExpiresAt: 0, NeedsApproval: false };
    const world = await createCliWorld(t, { 'PUT /v1/mesh/invites': reply });
    const { out } = await world.show('invite');
    t.ok(out.includes(`npx meshnomad join ${made}\n`));
    const modules = qrModules(out.slice(0, out.indexOf('npx')).split('\n'));
    t.same(parseInvite(readQr(modules)), parseInvite(made), `${modules.length} modules a side`);
    const bent = modules.map((row) => [...row]);
    (bent[9 + hints] as boolean[])[12] = bent[9 + hints]?.[12] !== true;
    t.throws(() => readQr(bent), /damaged/, 'and it is read in earnest');
  }
  const world = await createCliWorld(t, {
    'PUT /v1/mesh/invites': { Invite: INVITE, ID: 'a1', ExpiresAt: 0, NeedsApproval: false },
  });
  t.notMatch((await world.show('invite', '-no-qr')).out, /█/);
});

t.test('invite list tells how each invite stands, and who used it', async (t) => {
  const used = [{ Key: KEY, Name: 'pi5', At: 0 }];
  const world = await createCliWorld(t, {
    'GET /v1/mesh/invites': [
      invite(),
      invite({ ID: 'b', Used: used }),
      invite({ ID: 'c', Revoked: true }),
      invite({ ID: 'd', ExpiresAt: 1 }),
    ],
  });
  const { out } = await world.run('invite', 'list');
  t.match(out, /0\/1 {3}until /);
  t.match(out, /^b .*1\/1 {3}used up.*pi5 \(/m);
  t.match(out, /^c .*revoked/m);
  t.match(out, /^d .*expired/m);
  t.equal(JSON.parse((await world.run('invite', 'list', '-json')).out).length, 4);
  world.replies['GET /v1/mesh/invites'] = [];
  t.equal((await world.run('invite', 'list')).out, 'No invites\n');
});

t.test('invite revoke', async (t) => {
  const world = await createCliWorld(t, { 'DELETE /v1/mesh/invite/a1b2': null });
  t.match(await world.run('invite', 'revoke', 'a1b2'), { code: 0, out: /a1b2 is void/ });
  t.match(await world.run('invite', 'revoke'), { code: 1, error: /one argument/ });
});

t.test('members shows who is there, how they are linked, and who waits', async (t) => {
  const Link = {
    From: '',
    To: KEY,
    Path: { Kind: 'direct' as const, Address: '192.0.2.7:49737' },
    RttMs: 14.2,
    SinceMs: 1,
    SentBytes: 0,
    ReceivedBytes: 0,
  };
  const world = await createCliWorld(t, {
    'GET /v1/mesh/members': [
      member({ Name: 'nas', Role: 'server', ServerState: 'leader' }),
      member({ Link }),
      member({ Name: 'new', Status: 'pending', Words: 'apple river stone owl' }),
      member({ Name: 'old', Status: 'revoked' }),
      member({ Name: 'ada', Role: 'operator', Health: 'unknown' }),
    ],
  });
  const { out } = await world.run('members');
  t.match(out, /^Name +Role +Status +Link +Address +Node +Key$/m);
  t.match(out, /^nas +server \(leader\) +alive +- +- /m);
  t.match(out, /^pi +client +alive +direct, 14 ms +192\.0\.2\.7:49737 +f1b2c3d4 +abab/m);
  t.match(out, /^ada +operator +admitted/m);
  t.match(out, /new waits: meshnomad approve new \(it must show: apple river stone owl\)/);
  t.notMatch(out, /^old/m);
  t.match((await world.run('members', '-all')).out, /^old +client +revoked/m);
  t.equal(JSON.parse((await world.run('members', '-json')).out).length, 4);
});

t.test('approve wants the words compared', async (t) => {
  const waiting = member({ Name: 'new', Status: 'pending', Words: 'apple river stone owl', Facts: { os: 'linux' } });
  const world = await createCliWorld(t, {
    'GET /v1/mesh/members': [member(), waiting],
    [`PUT /v1/mesh/member/${KEY}/approve`]: { ...waiting, Status: 'admitted' },
  });
  const asked = await world.run('approve', 'new');
  t.match(asked, { code: 1, error: /compare the words \(apple river stone owl\), then say so with -yes/ });
  t.match(asked.out, /says it is linux/);
  t.match(await world.run('approve', '-yes', 'new'), { code: 0, out: /new is a member \(client\)/ });
  t.match(JSON.parse((await world.run('approve', '-yes', '-json', 'new')).out), { Status: 'admitted' });
  t.match(await world.run('approve', '-yes', 'pi'), { code: 1, error: /these do: new/ }, 'who is in does not wait');
});

t.test('revoke tells what was seen, and when nobody could write it down', async (t) => {
  const reply = { Tombstone: { Key: KEY }, Exposed: ['the discovery secret'], Recorded: false };
  const world = await createCliWorld(t, { 'PUT /v1/mesh/member/pi/revoke': reply });
  t.match(await world.run('revoke', 'pi'), { code: 1, error: /-yes/ });
  t.strictSame(world.asked, [], 'nothing without a yes');
  const ran = await world.run('revoke', '-yes', '-reason=sold', 'pi');
  t.match(ran, { code: 0, out: /pi is out[\s\S]*- the discovery secret/, error: /No server leads/ });
  t.strictSame(JSON.parse(world.bodies[0] as string), { Reason: 'sold' });
  t.strictSame(JSON.parse((await world.run('revoke', '-yes', '-json', 'pi')).out), reply);
  world.replies['PUT /v1/mesh/member/pi/revoke'] = new Refusal(404, 'no member "pi": did you mean pi5?');
  t.match(await world.run('revoke', '-yes', 'pi'), { code: 1, error: /did you mean pi5/ });
});

t.test('mesh info shows what is wrong', async (t) => {
  const Mesh = { Root: KEY, Name: 'home', CreatedAt: 0, DiscoveryEpoch: 3 };
  const world = await createCliWorld(t, {
    'GET /v1/mesh': { Mesh, Members: 4, Leader: '', Problems: ['the certificates of pi rest on nas'] },
    'PUT /v1/mesh/rotate': { Epoch: 4 },
  });
  const { out } = await world.run('mesh', 'info');
  t.match(out, /Discovery Epoch = 3\nMembers {9}= 4\nLeader {10}= \(none\)/);
  t.match(out, /Problems\n {2}the certificates of pi/);
  t.match(await world.run('mesh', 'rotate'), { code: 0, out: /epoch 4/ });
  t.strictSame(JSON.parse((await world.run('mesh', 'rotate', '-json')).out), { Epoch: 4 });
});

t.test('the sealed root goes to standard output, and nothing else does', async (t) => {
  const world = await createCliWorld(t, { 'PUT /v1/mesh/recovery': { Sealed: 'mr1-x', Root: KEY, Code: '' } });
  const ran = await world.run('mesh', 'export-recovery');
  t.same([ran.code, ran.out, ran.error], [0, 'mr1-x\n', '']);
});
