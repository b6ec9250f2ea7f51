import t from 'tap';
import { findKnown } from '../../lib/server/mesh/find-member.js';
import { frames } from '../../lib/state/frames.js';
import { createStore } from '../../lib/state/store.js';
import type { MeshError } from '../../lib/structs/errors.js';
import { nodeIdOf, verifyChain } from '../../lib/transport/certificate.js';
import type { Joined } from '../../lib/transport/join.js';
import { signTombstone } from '../../lib/transport/tombstone.js';
import { mockNode } from '../scheduler/mock.js';
import { createMeshWorld, isWelcome, keyOfInvite, newKey } from './mesh-world.js';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

t.test('a founder tells the state of its mesh once it leads, and is its first member', async (t) => {
  const { founder, store, mesh } = await createMeshWorld(t);
  t.equal(store.snapshot().mesh()?.Root, mesh);
  t.match(store.snapshot().meshMemberByName('nas'), { Key: founder.identity.publicKey, Role: 'server' });
  t.notOk(founder.home.has('founding'), 'and does not tell it again');
  t.match(await founder.call('Mesh.Info', {}), { Members: 1, Problems: [], Mesh: { Root: mesh } });
  const info = (await founder.call('Mesh.Info', {})) as unknown as { Mesh: object };
  t.notOk('DiscoverySecrets' in info.Mesh || 'SealedRoot' in info.Mesh, 'secrets are not shown');
});

t.test('a machine joins with an invite, whole way round', async (t) => {
  const { founder, invite, join, store, mesh, time } = await createMeshWorld(t);
  const text = await invite({ Role: 'client', Tags: { room: 'attic' } });
  t.ok(text.length < 280, `${text.length} characters`);
  const identity = newKey();
  const joined = await join(text, { identity, facts: { arch: 'arm64' } });
  const member = store.snapshot().meshMember(identity.publicKey);
  t.match(member, {
    Name: 'pi',
    Role: 'client',
    Status: 'admitted',
    Tags: { room: 'attic' },
    Facts: { arch: 'arm64' },
  });
  const judged = verifyChain(joined.membership.Chain, { mesh, key: identity.publicKey, nowMs: time.now() });
  t.match(judged.ok && judged.value.claims, {
    Name: 'pi',
    Issuer: false,
    Serial: 2,
    NotAfter: time.now() + 30 * DAY_MS,
  });
  t.ok(isWelcome(founder.roster, identity.publicKey), 'the founder knows it');
});

t.test('of many machines that race with one invite exactly one comes in; the others are told who', async (t) => {
  const { invite, join, store } = await createMeshWorld(t);
  const text = await invite();
  const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => join(text)));
  const won = outcomes.filter(({ status }) => status === 'fulfilled');
  const lost = outcomes.flatMap((one) => (one.status === 'rejected' ? [one.reason as MeshError] : []));
  t.equal(won.length, 1);
  t.equal(lost.length, 19);
  for (const { message, code } of lost) {
    t.equal(code, 'E_PERMISSION_DENIED');
    t.match(message, /this invite was used by pi at \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
  }
  t.equal([...store.snapshot().meshMembers()].length, 2);
});

t.test(
  'a hundred machines at once, each with an invite, all come in under names and serials of their own',
  async (t) => {
    const { invite, join, store } = await createMeshWorld(t);
    const texts = await Promise.all(Array.from({ length: 100 }, () => invite()));
    const joined = await Promise.all(texts.map((text) => join(text, { timeoutMs: 20_000 })));
    t.equal(new Set(joined.map(({ member }) => member.Name)).size, 100);
    t.equal(new Set(joined.map(({ member }) => member.Serial)).size, 100);
    t.equal([...store.snapshot().meshMembers()].length, 101);
    t.ok(store.snapshot().meshMemberByName('pi-100'));
  },
);

t.test('a machine that lost its answer asks again, and that is no second use', async (t) => {
  const { invite, join, store, time } = await createMeshWorld(t);
  const text = await invite();
  const identity = newKey();
  const first = await join(text, { identity });
  const again = await join(text, { identity });
  t.strictSame(again.member, first.member);
  t.equal(store.snapshot().meshInviteByKey(keyOfInvite(text))?.Used.length, 1);
  await time.advance(2 * HOUR_MS);
  t.strictSame((await join(text, { identity })).member, first.member, 'also after the end of the invite');
});

t.test('what an invite that is not good is refused with', async (t) => {
  const { founder, invite, join, time, store } = await createMeshWorld(t);
  const revoked = await invite();
  const id = store.snapshot().meshInviteByKey(keyOfInvite(revoked))?.ID ?? '';
  await founder.call('Mesh.RevokeInvite', { ID: id.slice(0, 8) });
  await t.rejects(join(revoked), { code: 'E_PERMISSION_DENIED', message: /was revoked/ });

  const expired = await invite({ TTLMs: HOUR_MS });
  await time.advance(HOUR_MS);
  await t.rejects(join(expired), { code: 'E_PERMISSION_DENIED', message: /ended at .* UTC/ });

  time.sleep(2 * DAY_MS);
  await time.advance(20);
  await t.rejects(join(expired, { timeoutMs: 300 }), { code: 'E_TIMEOUT' }, 'a forgotten one opens no door');
  t.equal(store.snapshot().count('mesh_invites'), 0);

  const other = await createMeshWorld(t);
  const foreign = await other.invite();
  await t.rejects(join(foreign, { timeoutMs: 300 }), { code: 'E_TIMEOUT' }, 'one of another mesh opens none either');
});

t.test('what an invite can be, and what is said of one that cannot', async (t) => {
  const { founder } = await createMeshWorld(t);
  const cases: [object, RegExp][] = [
    [{ Role: 'sever' }, /no role "sever".*did you mean server/],
    [{ Uses: 0 }, /1 to 1000 uses/],
    [{ Uses: 1.5 }, /1 to 1000 uses/],
    [{ TTLMs: 1000 }, /between 1m and 720h/],
    [{ TTLMs: 40 * DAY_MS }, /between 1m and 720h/],
    [{ Name: '-pi' }, /no name for a member/],
    [{ Name: 'pi', Uses: 2 }, /all one name/],
    [{ Tags: { a: 'x'.repeat(1000) } }, /tags/],
  ];
  for (const [args, message] of cases) {
    await t.rejects(founder.call('Mesh.CreateInvite', args), { code: 'E_BAD_REQUEST', message });
  }
  t.match(await founder.call('Mesh.CreateInvite', {}), { NeedsApproval: false });
  t.match(await founder.call('Mesh.CreateInvite', { Uses: 2 }), { NeedsApproval: true });
  t.match(await founder.call('Mesh.CreateInvite', { Approve: true }), { NeedsApproval: true });
  const { Invites } = await founder.call('Mesh.ListInvites', {});
  t.equal(Invites.length, 3);
});

t.test('names: the one the invite says, the one that was chosen, or one with a number', async (t) => {
  const { invite, join } = await createMeshWorld(t);
  t.equal((await join(await invite({ Name: 'attic' }), { name: 'pi' })).member.Name, 'attic');
  await t.rejects(join(await invite({ Name: 'attic' })), { code: 'E_CONFLICT', message: /add -replace attic/ });
  const chosen = { name: 'attic', rename: false };
  await t.rejects(join(await invite(), chosen), { code: 'E_CONFLICT', message: /choose another name/ });
  await t.rejects(join(await invite(), { name: 'a b', rename: false }), { code: 'E_BAD_REQUEST' });
  t.equal((await join(await invite(), { name: 'Bob’s Mac!' })).member.Name, 'Bob-s-Mac');
  t.equal((await join(await invite(), { name: '🎉' })).member.Name, 'node');
  const long = 'x'.repeat(80);
  t.equal((await join(await invite(), { name: long })).member.Name, 'x'.repeat(63));
  t.equal((await join(await invite(), { name: long })).member.Name, `${'x'.repeat(61)}-2`);
});

t.test('a reusable invite lets nobody in without approval; both sides show the same words', async (t) => {
  const { founder, invite, join, store } = await createMeshWorld(t);
  const text = await invite({ Role: 'server', Uses: 3 });
  const identity = newKey();
  let joined: Promise<Joined> | undefined;
  const shown = await new Promise<{ name: string; words: string }>((resolve) => {
    joined = join(text, { identity, onPending: resolve });
  });
  const waiting = store.snapshot().meshMemberByName('pi');
  t.match(waiting, { Status: 'pending', Words: shown.words, Chain: [] });
  t.notOk(isWelcome(founder.roster, identity.publicKey), 'it is no member');
  await t.rejects(founder.call('Mesh.Approve', { Member: 'pj' }), { code: 'E_NOT_FOUND', message: /did you mean pi/ });
  t.match(await founder.call('Mesh.Approve', { Member: identity.publicKey.slice(0, 8) }), {
    Member: { Status: 'admitted' },
  });
  t.match(await joined, { member: { Name: 'pi', Role: 'server', Status: 'admitted' } });
  t.match(await founder.call('Mesh.Approve', { Member: 'pi' }), { Member: { Status: 'admitted' } }, 'twice is as once');
});

t.test('one who waits and is signed out instead never comes in', async (t) => {
  const { founder, invite, join } = await createMeshWorld(t);
  const text = await invite({ Uses: 2 });
  const identity = newKey();
  const joined = join(text, { identity, onPending: () => void founder.call('Mesh.Revoke', { Member: 'pi' }) });
  await t.rejects(joined, { code: 'E_PERMISSION_DENIED', message: 'it was not approved' });
  await t.rejects(join(text, { identity }), { code: 'E_PERMISSION_DENIED', message: /signed out of the mesh/ });
});

t.test('a machine that was installed anew takes its old place, with an invite for it', async (t) => {
  const { founder, invite, join, store } = await createMeshWorld(t);
  const old = newKey();
  await join(await invite(), { identity: old });
  const replace = { name: 'pi', replace: 'pi' };
  await t.rejects(join(await invite(), replace), { code: 'E_PERMISSION_DENIED', message: /meshnomad invite -name pi/ });
  const text = await invite({ Name: 'pi' });
  founder.health.set(old.publicKey, 'alive');
  await t.rejects(join(text, replace), { code: 'E_CONFLICT', message: /pi is alive/ });
  founder.health.set(old.publicKey, 'dead');
  const joined = await join(text, replace);
  t.equal(joined.member.Name, 'pi');
  t.equal(store.snapshot().meshMember(old.publicKey)?.Status, 'revoked');
  t.equal(founder.roster.find(old.publicKey)?.status, 'revoked');
  t.equal(store.snapshot().mesh()?.DiscoveryEpoch, 2);
  await t.rejects(join(await invite({ Name: 'x1' }), { replace: 'x1' }), { code: 'E_NOT_FOUND', message: /no x1/ });
});

t.test('revoking: at once, for ever, with a list of what the machine had seen', async (t) => {
  const { founder, invite, join, store } = await createMeshWorld(t);
  const identity = newKey();
  await join(await invite(), { identity });
  const reply = await founder.call('Mesh.Revoke', { Member: 'pi', Reason: 'stolen' });
  t.match(reply, { Recorded: true, Tombstone: { Key: identity.publicKey, Reason: 'stolen' } });
  t.match(reply.Exposed, [/discovery secret/]);
  t.equal(store.snapshot().mesh()?.DiscoveryEpoch, 2);
  t.notOk(isWelcome(founder.roster, identity.publicKey));
  await t.rejects(join(await invite(), { identity }), { code: 'E_PERMISSION_DENIED', message: /\(stolen\)/ });
  await t.rejects(founder.call('Mesh.Revoke', { Member: 'nas' }), { code: 'E_CONFLICT', message: /itself/ });
  const again = await founder.call('Mesh.Revoke', { Member: identity.publicKey });
  t.strictSame(again.Tombstone, reply.Tombstone, 'twice is as once');
});

t.test('the node of one who is out is down at once, and its work goes elsewhere', async (t) => {
  const { founder, invite, join, store, time } = await createMeshWorld(t);
  const [identity, other] = [newKey(), newKey()];
  await join(await invite(), { identity });
  const peer = { key: identity.publicKey, role: 'client', name: 'pi' } as const;
  const register = (key: string) =>
    founder.call('Node.Register', { Node: mockNode(1, { ID: nodeIdOf(key), SecretID: 's', ComputedClass: '' }) }, peer);
  await t.rejects(register(other.publicKey), { code: 'E_PERMISSION_DENIED', message: /its own node only/ });
  await register(identity.publicKey);
  t.equal(store.snapshot().nodeById(nodeIdOf(identity.publicKey))?.Status, 'ready');
  await founder.call('Mesh.Revoke', { Member: 'pi' });
  await time.advance(20);
  t.match(store.snapshot().nodeById(nodeIdOf(identity.publicKey)), {
    Status: 'down',
    Events: [{}, { Message: 'Node is no member of the mesh any more' }],
  });
});

t.test('a server without a leader revokes too; the next leader writes it down', async (t) => {
  const { founder, invite, join, store, serve, time } = await createMeshWorld(t);
  const second = newKey();
  const other = await serve(await join(await invite({ Role: 'server' }), { identity: second, name: 'nuc' }), second);
  const thief = newKey();
  await join(await invite(), { identity: thief });
  founder.consensus.lead(false);
  const revoked = other.call('Mesh.Revoke', { Member: 'pi' });
  await time.advance(5_000);
  t.match(await revoked, { Recorded: false });
  t.notOk(isWelcome(other.roster, thief.publicKey));
  t.equal(store.snapshot().meshMember(thief.publicKey)?.Status, 'admitted', 'the state does not know yet');
  other.consensus.lead(true);
  await time.advance(20);
  t.equal(store.snapshot().meshMember(thief.publicKey)?.Status, 'revoked');
});

t.test('a server that has no state yet signs out whom it was told of', async (t) => {
  const { founder, invite, join } = await createMeshWorld(t);
  const client = newKey();
  await join(await invite(), { identity: client });
  const empty = createStore().snapshot();
  t.match(findKnown(empty, founder.roster, 'pi'), {
    Key: client.publicKey,
    Role: 'client',
    NodeID: nodeIdOf(client.publicKey),
  });
  t.throws(() => findKnown(empty, founder.roster, 'px'), { code: 'E_NOT_FOUND', message: /did you mean pi/ });
});

t.test('tombstones that were passed on are checked', async (t) => {
  const { founder, invite, join, store, mesh, time } = await createMeshWorld(t);
  const client = newKey();
  const { membership } = await join(await invite(), { identity: client });
  const by = { by: client, chain: membership.Chain, mesh, atMs: time.now(), reason: '' };
  const forged = signTombstone({ ...by, key: founder.identity.publicKey });
  t.match(await founder.call('Mesh.Bury', { Tombstones: [forged] }), { Taken: false });
  t.match(await founder.call('Mesh.Bury', { Tombstones: 'x' as unknown as [] }), { Taken: true });
  t.equal(store.snapshot().count('mesh_tombstones'), 0);
});

t.test('a certificate is renewed in the last third of its life, and after its end', async (t) => {
  const { founder, invite, join, time } = await createMeshWorld(t);
  const identity = newKey();
  const first = (await join(await invite(), { identity })).member;
  const self = { key: identity.publicKey, role: 'client', name: 'pi' } as const;
  const renew = () => founder.call('Mesh.Renew', { Key: identity.publicKey }, self);
  t.equal((await renew()).Member.Serial, first.Serial, 'not before');
  time.sleep(21 * DAY_MS);
  const second = (await renew()).Member;
  t.ok(second.Serial > first.Serial);
  t.equal(second.NotAfter, time.now() + 30 * DAY_MS);
  time.sleep(90 * DAY_MS);
  const third = (await renew()).Member;
  t.equal(third.NotAfter, time.now() + 30 * DAY_MS);
  const other = newKey().publicKey;
  await t.rejects(founder.call('Mesh.Renew', { Key: other }, self), { code: 'E_PERMISSION_DENIED' }, 'for itself only');
  await t.rejects(founder.call('Mesh.Renew', { Key: other }), { code: 'E_PERMISSION_DENIED', message: /no member/ });
});

t.test('a mesh goes on without its founder for years', async (t) => {
  const { founder, invite, join, serve, time, store, mesh } = await createMeshWorld(t);
  const keys = [newKey(), newKey()] as const;
  const b = await serve(await join(await invite({ Role: 'server' }), { identity: keys[0], name: 'b' }), keys[0]);
  await serve(await join(await invite({ Role: 'server' }), { identity: keys[1], name: 'c' }), keys[1]);
  founder.consensus.lead(false);
  time.sleep(3 * 365 * DAY_MS);
  b.consensus.lead(true);
  await time.advance(20);
  const { Invite } = await b.call('Mesh.CreateInvite', { Role: 'server' });
  const late = newKey();
  const joined = await join(Invite, { identity: late, name: 'd' });
  const judged = verifyChain(joined.membership.Chain, { mesh, key: late.publicKey, nowMs: time.now() });
  t.ok(judged.ok && !judged.value.expired && judged.value.claims.Issuer);
  t.equal(store.snapshot().meshMember(late.publicKey)?.Chain.length, 3);
});

t.test('a leader nearer to the root shortens the chains of the other servers', async (t) => {
  const { founder, invite, join, serve, time, store } = await createMeshWorld(t);
  const keys = [newKey(), newKey()] as const;
  const b = await serve(await join(await invite({ Role: 'server' }), { identity: keys[0], name: 'b' }), keys[0]);
  founder.consensus.lead(false);
  b.consensus.lead(true);
  const { Invite } = await b.call('Mesh.CreateInvite', { Role: 'server' });
  await join(Invite, { identity: keys[1], name: 'c' });
  t.equal(store.snapshot().meshMember(keys[1].publicKey)?.Chain.length, 3);
  b.consensus.lead(false);
  founder.consensus.lead(true);
  await time.advance(20);
  t.equal(store.snapshot().meshMember(keys[1].publicKey)?.Chain.length, 2);
});

t.test('when an issuer is out, whoever came in by it gets a certificate by another', async (t) => {
  const { founder, invite, join, serve, time, store, mesh } = await createMeshWorld(t);
  const rogue = newKey();
  const b = await serve(await join(await invite({ Role: 'server' }), { identity: rogue, name: 'b' }), rogue);
  founder.consensus.lead(false);
  b.consensus.lead(true);
  const client = newKey();
  await join((await b.call('Mesh.CreateInvite', {})).Invite, { identity: client });
  b.consensus.lead(false);
  founder.consensus.lead(true);
  await founder.call('Mesh.Revoke', { Member: 'b' });
  await time.advance(20);
  const chain = store.snapshot().meshMember(client.publicKey)?.Chain;
  const isBuried = (key: string) => key === rogue.publicKey;
  t.ok(verifyChain(chain, { mesh, key: client.publicKey, nowMs: time.now(), isBuried }).ok);
  t.match(await founder.call('Mesh.Info', {}), { Problems: [] });
});

t.test('when the founder is out nothing breaks, and the root puts the chains right', async (t) => {
  const { invite, join, serve, time, store, mesh, founder, recoveryCode } = await createMeshWorld(t);
  const key = newKey();
  const b = await serve(await join(await invite({ Role: 'server' }), { identity: key, name: 'b' }), key);
  const client = newKey();
  await join(await invite(), { identity: client });
  founder.consensus.lead(false);
  b.consensus.lead(true);
  await b.call('Mesh.Revoke', { Member: 'nas' });
  t.match(await b.call('Mesh.Info', {}), { Problems: [/b, pi were signed|pi, b were signed/] });
  const { Invite } = await b.call('Mesh.CreateInvite', {});
  t.ok(await join(Invite, { name: 'late' }), 'others still come in');
  await t.rejects(b.call('Mesh.Reissue', { Code: 'nonsense' }), { code: 'E_BAD_REQUEST', message: /no recovery code/ });
  t.match(await b.call('Mesh.Reissue', { Code: recoveryCode }), { Names: ['b'] });
  await time.advance(20);
  t.match(await b.call('Mesh.Info', {}), { Problems: [] });
  const isBuried = (one: string) => one === founder.identity.publicKey;
  for (const { Key, Chain, Status } of store.snapshot().meshMembers()) {
    if (Status !== 'admitted') continue;
    t.ok(verifyChain(Chain, { mesh, key: Key, nowMs: time.now(), isBuried }).ok);
  }
});

t.test('the recovery code can be changed by whoever has it', async (t) => {
  const { founder, recoveryCode } = await createMeshWorld(t);
  t.match(await founder.call('Mesh.ExportRecovery', {}), { Sealed: /^mr1-/, Code: '' });
  const { Code } = await founder.call('Mesh.ExportRecovery', { Code: recoveryCode });
  await t.rejects(founder.call('Mesh.Reissue', { Code: recoveryCode }), { code: 'E_PERMISSION_DENIED' });
  t.equal(founder.home.read('root.sealed'), founder.roster.info().SealedRoot, 'the copy on the disk is the new one');
  t.match(await founder.call('Mesh.Reissue', { Code }), { Names: ['nas'] });
});

t.test(
  'after the loss of all servers the root founds the mesh again, and a snapshot brings its members back',
  async (t) => {
    const lost = await createMeshWorld(t);
    const client = newKey();
    const { membership } = await lost.join(await lost.invite(), { identity: client });
    const backup = lost.store.snapshot();
    const { Sealed: sealed } = await lost.founder.call('Mesh.ExportRecovery', {});
    await t.rejects(createMeshWorld(t, { sealed, code: 'aaaaa' }), { code: 'E_BAD_REQUEST' });

    const { founder, store, time, mesh, join, invite } = await createMeshWorld(t, { sealed, code: lost.recoveryCode });
    t.equal(mesh, lost.mesh, 'it is the same mesh');
    t.equal(store.snapshot().count('mesh_members'), 1);
    let seq = 0;
    for await (const text of frames(backup.stream())) {
      await founder.consensus.propose({ type: 'restore-stage', id: 'r', seq: seq++, text });
    }
    await founder.consensus.propose({ type: 'restore-commit', id: 'r', pieces: seq });
    await time.advance(20);
    t.match(store.snapshot().meshMemberByName('nas'), { Key: founder.identity.publicKey, Status: 'admitted' });
    t.equal(store.snapshot().meshMember(lost.founder.identity.publicKey)?.Status, 'left');
    t.ok(isWelcome(founder.roster, client.publicKey), 'the client is known');
    t.strictSame(
      founder.roster.info().DiscoverySecrets,
      membership.Mesh.DiscoverySecrets,
      'and finds it where it looks',
    );
    const judged = verifyChain(founder.roster.own().chain, {
      mesh: membership.Mesh.Root,
      key: founder.identity.publicKey,
      nowMs: time.now(),
    });
    t.ok(judged.ok && judged.value.claims.Issuer, 'and believes it');
    t.ok(await join(await invite(), { name: 'late' }), 'others may come in');
  },
);

t.test('leaving: a member of its own will, but not the only server', async (t) => {
  const { founder, invite, join, store } = await createMeshWorld(t);
  const identity = newKey();
  await join(await invite(), { identity });
  const self = { key: identity.publicKey, role: 'client', name: 'pi' } as const;
  await t.rejects(founder.call('Mesh.Leave', { Key: founder.identity.publicKey }, self), {
    code: 'E_PERMISSION_DENIED',
  });
  await founder.call('Mesh.Leave', { Key: identity.publicKey }, self);
  t.equal(store.snapshot().meshMember(identity.publicKey)?.Status, 'left');
  t.notOk(isWelcome(founder.roster, identity.publicKey));
  const only = founder.call('Mesh.Leave', { Key: founder.identity.publicKey });
  await t.rejects(only, { code: 'E_CONFLICT', message: /the only server/ });
  t.equal((await join(await invite(), { identity })).member.Status, 'admitted', 'and may come again');
});

t.test('a client is told of members, tombstones and which invites it may carry, not of the sealed root', async (t) => {
  const { founder, invite, join } = await createMeshWorld(t);
  const identity = newKey();
  const text = await invite();
  const { member } = await join(text, { identity });
  const peer = { key: identity.publicKey, role: 'client', name: 'pi' } as const;
  const roster = await founder.call('Mesh.Roster', { Key: founder.identity.publicKey }, peer);
  t.match(roster.InviteKeys, [{ Key: keyOfInvite(text) }]);
  t.equal(roster.Mesh.SealedRoot, '');
  t.strictSame(roster.Chain, member.Chain, 'its own certificates, whatever key it names');
  await t.rejects(founder.call('Mesh.Member', { Key: identity.publicKey }, peer), { code: 'E_PERMISSION_DENIED' });
  const redeem = { InviteKey: keyOfInvite(text), Key: newKey().publicKey, Name: 'x', Rename: true, Facts: {} };
  await t.rejects(founder.call('Mesh.Redeem', redeem, peer), { code: 'E_PERMISSION_DENIED' });
  const server = { ...peer, role: 'server' } as const;
  t.equal((await founder.call('Mesh.Roster', {}, server)).InviteKeys.length, 1);
  t.strictSame((await founder.call('Mesh.Roster', {}, { ...peer, role: 'operator' } as const)).InviteKeys, []);
});

t.test('while nobody leads nothing is given, and nothing is lost', async (t) => {
  const { founder, invite, join, time } = await createMeshWorld(t);
  const text = await invite();
  founder.consensus.lead(false);
  await t.rejects(join(text, { timeoutMs: 300 }), { code: 'E_TIMEOUT', message: /No cluster leader/ });
  await t.rejects(founder.call('Mesh.CreateInvite', {}), { code: 'E_NO_LEADER' });
  founder.consensus.lead(true);
  await time.advance(20);
  t.ok(await join(text));
});

t.test('an agent in no mesh says so', async (t) => {
  const { createTestWorld } = await import('./world.js');
  const { call } = createTestWorld();
  for (const method of ['Mesh.Info', 'Mesh.Members', 'Mesh.ListInvites'] as const) {
    await t.rejects(call(method, {}), { code: 'E_NOT_SUPPORTED', message: /meshnomad init/ }, method);
  }
  await t.rejects(call('Mesh.CreateInvite', {}), { code: 'E_NOT_SUPPORTED' });
});
