import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { RosterReply } from '../../lib/structs/rpc-mesh.js';
import { type MeshHome, openMeshHome } from '../../lib/transport/mesh-home.js';
import { createRoster, isMember, saveMembership } from '../../lib/transport/roster.js';
import { rosterDigest } from '../../lib/transport/roster-digest.js';
import { signTombstone, verifyTombstone } from '../../lib/transport/tombstone.js';
import { silentLog } from '../../lib/util/log.js';
import { DAY_MS, meshInfo, NOW, newKey, smallMesh } from './mesh-world.js';

/** A client's roster in a mesh of a founder, another client, and whoever is put into `reply`. */
function world(t: Test, home: MeshHome = openMeshHome(null)) {
  const small = smallMesh();
  const own = newKey();
  const friend = newKey();
  const reply = (changes: Partial<RosterReply> = {}): RosterReply => ({
    Mesh: meshInfo(small.mesh),
    Members: [
      { Key: small.founder.publicKey, Name: 'founder', Role: 'server', Status: 'admitted' },
      { Key: own.publicKey, Name: 'nas', Role: 'client', Status: 'admitted' },
      { Key: friend.publicKey, Name: 'pi', Role: 'client', Status: 'admitted' },
    ],
    InviteKeys: [],
    Tombstones: [],
    Chain: [],
    Digest: '',
    ...changes,
  });
  const chain = small.admit(own);
  saveMembership(home, { Mesh: meshInfo(small.mesh), Chain: chain, Members: reply().Members });
  const clock = { now: NOW };
  const open = () => createRoster({ home, key: own.publicKey, now: () => clock.now, log: silentLog });
  const roster = open();
  t.teardown(() => roster.close());
  const bury = (key: string, by = small.founder, signer = small.founderChain) =>
    signTombstone({ mesh: small.mesh, key, atMs: NOW, reason: 'stolen', by, chain: signer });
  return { ...small, own, friend, reply, chain, clock, open, roster, bury, home };
}

t.test('members are known, strangers are not', async (t) => {
  const { roster, friend, own, founder } = world(t);
  t.match(roster.find(friend.publicKey), { name: 'pi', role: 'client', status: 'admitted' });
  t.equal(roster.find(newKey().publicKey), undefined);
  t.strictSame(new Set(roster.members()), new Set([own.publicKey, friend.publicKey, founder.publicKey]));
});

t.test('an invite lets in until its end', async (t) => {
  const { roster, reply, clock } = world(t);
  const key = newKey().publicKey;
  roster.update(reply({ InviteKeys: [{ Key: key, ExpiresAt: NOW + 1000 }] }));
  t.ok(roster.isInvite(key));
  clock.now = NOW + 1000;
  t.notOk(roster.isInvite(key));
});

t.test('changes are added to what is known, and are not enough when something was missed', async (t) => {
  const { roster, reply, friend, founder, own } = world(t);
  t.ok(roster.update(reply()));
  const gone = { Key: friend.publicKey, Name: 'pi', Role: 'client', Status: 'left' } as const;
  const [first, second] = reply().Members as [RosterReply['Members'][number], RosterReply['Members'][number]];
  const Digest = rosterDigest({ Members: [first, second, gone], Tombstones: [] });
  t.ok(roster.update(reply({ Since: 5, Members: [gone], Digest })));
  t.strictSame(new Set(roster.members()), new Set([own.publicKey, founder.publicKey]));
  t.notOk(roster.update(reply({ Since: 6, Members: [], Digest: 'another' })));
});

t.test('a tombstone shuts out at once, whoever tells of it, and is kept', async (t) => {
  const { roster, friend, bury, open } = world(t);
  let changes = 0;
  roster.onChange(() => changes++);
  t.ok(roster.bury([bury(friend.publicKey)]));
  t.equal(changes, 1);
  t.equal(roster.find(friend.publicKey)?.status, 'revoked');
  t.notOk(roster.members().includes(friend.publicKey));
  t.ok(roster.bury([bury(friend.publicKey)]), 'twice is as once');
  t.equal(changes, 1);
  const again = open();
  t.equal(again.find(friend.publicKey)?.status, 'revoked', 'after a restart too');
  again.close();
});

t.test('a tombstone that does not verify buries nobody, not even the others beside it', async (t) => {
  const { roster, friend, bury, own, chain, mesh } = world(t);
  const stranger = newKey();
  const good = bury(newKey().publicKey);
  const cases: [string, unknown][] = [
    ['by a client', bury(friend.publicKey, own, chain)],
    ['by a stranger', bury(friend.publicKey, stranger)],
    ['with another reason', { ...bury(friend.publicKey), Reason: 'other' }],
    ['for another key', { ...bury(friend.publicKey), Key: stranger.publicKey }],
    ['of the root', bury(mesh)],
    ['of another mesh', world(t).bury(friend.publicKey)],
    ['garbage', { Key: 'x' }],
    ['nothing', null],
    ['too long a reason', { ...bury(friend.publicKey), Reason: 'x'.repeat(1e6) }],
  ];
  for (const [what, bad] of cases) {
    t.notOk(verifyTombstone(bad, { mesh }).ok, what);
    t.notOk(roster.bury([good, bad as typeof good]), what);
    t.strictSame(roster.tombstones(), []);
  }
  t.ok(roster.find(friend.publicKey)?.status === 'admitted');
});

t.test('the root buries without a chain', async (t) => {
  const { roster, root, founder, bury } = world(t);
  t.ok(roster.bury([bury(founder.publicKey, root, [])]));
  t.equal(roster.find(founder.publicKey)?.status, 'revoked');
});

t.test('a server that is out cannot put others out', async (t) => {
  const { roster, admit, friend, bury, reply } = world(t);
  const thief = newKey();
  const thiefChain = admit(thief, { Name: 'thief', Role: 'server', Issuer: true });
  t.ok(roster.bury([bury(thief.publicKey)]));
  t.notOk(roster.bury([bury(friend.publicKey, thief, thiefChain)]), 'not afterwards');

  const second = world(t);
  const rogue = newKey();
  const rogueChain = second.admit(rogue, { Name: 'thief', Role: 'server', Issuer: true });
  t.ok(second.roster.bury([second.bury(second.friend.publicKey, rogue, rogueChain)]));
  second.roster.update(second.reply({ Tombstones: [second.bury(rogue.publicKey)] }));
  t.equal(second.roster.find(second.friend.publicKey)?.status, 'admitted', 'nor before, once the servers say so');
  t.ok(reply());
});

t.test('what the servers said last is there after a restart without them', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-roster-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const home = openMeshHome(join(folder, 'mesh'));
  t.notOk(isMember(home));
  const { roster, reply, open, friend } = world(t, home);
  t.ok(isMember(home));
  const Members = reply().Members.filter(({ Key }) => Key !== friend.publicKey);
  roster.update(reply({ Members, Mesh: { ...reply().Mesh, DiscoveryEpoch: 7 } }));
  roster.close();
  const again = open();
  t.equal(again.info().DiscoveryEpoch, 7);
  t.equal(again.find(friend.publicKey), undefined);
  t.equal(again.own().claims.Name, 'nas');
  again.close();
  t.equal(statSync(join(folder, 'mesh')).mode & 0o777, 0o700);
  t.equal(statSync(join(folder, 'mesh', 'roster')).mode & 0o777, 0o600);
});

t.test('a renewed certificate is taken from the servers, another’s is not', async (t) => {
  const { roster, reply, admit, own, friend, chain } = world(t);
  roster.update(reply({ Chain: admit(friend) }));
  t.strictSame(roster.own().chain, chain);
  const renewed = admit(own, { Serial: 9, NotAfter: NOW + 60 * DAY_MS });
  roster.update(reply({ Chain: renewed }));
  t.equal(roster.own().claims.Serial, 9);
  t.throws(() => roster.renew(admit(friend)), { code: 'E_PERMISSION_DENIED' });
});

t.test(
  'a member keeps its place when the server that admitted it is put out; an unknown key gets none by it',
  async (t) => {
    const { roster, admit, founder, friend, bury } = world(t);
    const friendChain = admit(friend);
    roster.bury([bury(founder.publicKey)]);
    t.ok(roster.verify(friend.publicKey, friendChain).ok, 'the servers had written it down');
    const forged = newKey();
    const judged = roster.verify(forged.publicKey, admit(forged));
    t.match(judged.ok ? '' : judged.error.message, /by way of founder/);
  },
);

t.test('who has left is shown out, however good its certificate', async (t) => {
  const { roster, reply, friend, admit } = world(t);
  const Members = reply().Members.map((one) =>
    one.Key === friend.publicKey ? { ...one, Status: 'left' as const } : one,
  );
  roster.update(reply({ Members }));
  t.notOk(roster.verify(friend.publicKey, admit(friend)).ok);
});

t.test('a full disk keeps nobody from knowing who is out', async (t) => {
  const home = openMeshHome(null);
  let full = false;
  const { roster, friend, bury, open } = world(t, {
    ...home,
    write(file, value) {
      if (full) throw new Error('no space left on device');
      home.write(file, value);
    },
  });
  full = true;
  t.ok(roster.bury([bury(friend.publicKey)]));
  t.equal(roster.find(friend.publicKey)?.status, 'revoked');
  full = false;
  roster.close();
  const again = open();
  t.equal(again.find(friend.publicKey)?.status, 'revoked', 'it was written later');
  again.close();
});

t.test('who has left writes nothing down any more: a roster on the disk is a membership', async (t) => {
  const home = openMeshHome(null);
  let written = 0;
  const { roster, friend, bury, reply } = world(t, {
    ...home,
    write(file, value) {
      written++;
      home.write(file, value);
    },
  });
  roster.forget();
  const before = written;
  roster.update(reply({ Members: [] }));
  roster.bury([bury(friend.publicKey)]);
  roster.close();
  t.equal(written, before);
});

t.test('the roster of another mesh is refused', async (t) => {
  const { roster, reply } = world(t);
  t.throws(() => roster.update(reply({ Mesh: meshInfo(newKey().publicKey) })), { code: 'E_PERMISSION_DENIED' });
});
