import t from 'tap';
import type { Command } from '../../lib/state/commands.js';
import { frame, frames } from '../../lib/state/frames.js';
import { createStore } from '../../lib/state/store.js';
import type { MeshInvite, MeshMember, Tombstone } from '../../lib/structs/mesh.js';
import { randomInt, seededRandom } from '../../lib/util/random.js';
import { World } from './world.js';

const NOW = 1_700_000_000_000;
const key = (digit: string): string => digit.repeat(64);
const ROOT = key('0');
const FOUNDER = key('f');

const member = (changes: Partial<MeshMember> = {}): MeshMember => ({
  Key: key('1'),
  NodeID: '',
  Name: 'pi',
  Role: 'client',
  Tags: {},
  Status: 'admitted',
  Serial: 5,
  Chain: ['chain'],
  NotAfter: NOW + 1000,
  Words: '',
  InviteID: 'i1',
  AdmittedAt: NOW,
  AdmittedBy: FOUNDER,
  Facts: {},
  CreateIndex: 0,
  ModifyIndex: 0,
  ...changes,
});

const invite = (changes: Partial<MeshInvite> = {}): MeshInvite => ({
  ID: 'i1',
  Key: key('a'),
  Role: 'client',
  Name: '',
  Tags: {},
  Uses: 1,
  Used: [],
  NeedsApproval: false,
  CreatedAt: NOW,
  ExpiresAt: NOW + 1000,
  Revoked: false,
  CreateIndex: 0,
  ModifyIndex: 0,
  ...changes,
});

const tombstone = (Key: string, By = FOUNDER): Tombstone => ({
  Key,
  At: NOW,
  Reason: 'stolen',
  By,
  Signature: 's',
  Chain: [],
});

const found = (root = ROOT): Command => ({
  type: 'mesh-found',
  info: {
    Root: root,
    Name: 'home',
    CreatedAt: NOW,
    DiscoveryEpoch: 1,
    DiscoverySecrets: ['s1'],
    NextSerial: 2,
    SealedRoot: 'sealed',
  },
  founder: member({ Key: FOUNDER, Name: 'nas', Role: 'server', Serial: 1, InviteID: '' }),
});

const redeem = (changes: Partial<MeshMember> = {}, more: object = {}): Command => ({
  type: 'mesh-redeem',
  inviteId: 'i1',
  member: member(changes),
  bury: null,
  discoverySecret: null,
  time: NOW,
  ...more,
});

const bury = (...tombstones: Tombstone[]): Command => ({ type: 'mesh-bury', tombstones, discoverySecret: 's9' });

/** A mesh with an invite. */
function founded(changes: Partial<MeshInvite> = {}): World {
  const world = new World();
  world.apply(found());
  world.apply({ type: 'mesh-invite', invite: invite(changes) });
  return world;
}

const code = (result: ReturnType<World['apply']>): string => (result.ok ? 'ok' : `${result.error.code}`);

t.test('a mesh is founded once; by the same founder again is as once', async (t) => {
  const world = new World();
  t.equal(world.now.mesh(), undefined);
  t.equal(code(world.apply({ type: 'mesh-invite', invite: invite() })), 'E_NOT_FOUND', 'nothing before it');
  t.equal(code(world.apply(found())), 'ok');
  t.equal(code(world.apply(found())), 'ok');
  t.equal(code(world.apply(found(key('9')))), 'E_CONFLICT');
  t.equal(world.now.mesh()?.Root, ROOT);
  t.equal(world.now.mesh()?.CreateIndex, 2);
  t.equal(world.now.meshMemberByName('nas')?.Key, FOUNDER);
});

t.test('an invite is used and its user admitted in one step', async (t) => {
  const world = founded();
  t.equal(code(world.apply(redeem())), 'ok');
  t.strictSame(world.now.meshInviteByKey(key('a'))?.Used, [{ Key: key('1'), Name: 'pi', At: NOW }]);
  t.match(world.now.meshMember(key('1')), { Status: 'admitted', CreateIndex: 3, ModifyIndex: 3 });
  t.equal(world.now.mesh()?.NextSerial, 6);
});

t.test('what has moved on since the leader looked is refused, and changes nothing', async (t) => {
  const cases: [string, Partial<MeshInvite>, Command[], Command][] = [
    ['a second use', {}, [redeem()], redeem({ Key: key('2'), Name: 'pi2', Serial: 6 })],
    ['the same machine again', { Uses: 5 }, [redeem()], redeem({ Serial: 6 })],
    ['a revoked invite', {}, [{ type: 'mesh-invite-revoke', id: 'i1' }], redeem()],
    ['an expired invite', { ExpiresAt: NOW }, [], redeem()],
    ['an unknown invite', {}, [], redeem({}, { inviteId: 'i2' })],
    ['a key that is out', {}, [bury(tombstone(key('1')))], redeem()],
    ['a serial that is taken', { Uses: 2 }, [redeem()], redeem({ Key: key('2'), Name: 'pi2', Serial: 5 })],
    ['a name that is taken', {}, [], redeem({ Name: 'nas' })],
    ['the name of one who waits', { Uses: 2 }, [redeem({ Status: 'pending' })], redeem({ Key: key('2'), Serial: 6 })],
  ];
  for (const [what, changes, before, command] of cases) {
    const world = founded(changes);
    for (const one of before) t.equal(code(world.apply(one)), 'ok', what);
    const members = JSON.stringify([...world.now.meshMembers()]);
    const invites = JSON.stringify([...world.now.meshInvites()]);
    t.equal(code(world.apply(command)), 'E_CONFLICT', what);
    t.equal(JSON.stringify([...world.now.meshMembers()]), members, what);
    t.equal(JSON.stringify([...world.now.meshInvites()]), invites, what);
  }
});

t.test('whoever waits has no certificate and no serial until somebody approves', async (t) => {
  const world = founded();
  world.apply(redeem({ Status: 'pending', Chain: [], Serial: 0 }));
  t.equal(world.now.mesh()?.NextSerial, 2);
  const approve: Command = {
    type: 'mesh-approve',
    certificate: { key: key('1'), serial: 7, chain: ['c'], notAfter: 9 },
    time: NOW + 5,
    by: FOUNDER,
  };
  t.equal(code(world.apply(approve)), 'ok');
  t.match(world.now.meshMember(key('1')), { Status: 'admitted', Serial: 7, Chain: ['c'], AdmittedAt: NOW + 5 });
  t.equal(code(world.apply(approve)), 'E_CONFLICT', 'once');
});

t.test('a machine that was installed anew takes the name of what it was, which is out', async (t) => {
  const world = founded({ Uses: 2 });
  world.apply(redeem());
  const again = redeem({ Key: key('2'), Serial: 6 }, { bury: tombstone(key('1')), discoverySecret: 's2' });
  t.equal(code(world.apply(again)), 'ok');
  t.equal(world.now.meshMember(key('1'))?.Status, 'revoked');
  t.equal(world.now.meshMemberByName('pi')?.Key, key('2'));
  t.ok(world.now.meshTombstone(key('1')));
  t.match(world.now.mesh(), { DiscoveryEpoch: 2, DiscoverySecrets: ['s2', 's1'] });
});

t.test('a tombstone is for ever, changes the discovery secret once, and takes the certificate', async (t) => {
  const world = founded();
  world.apply(redeem());
  t.strictSame(world.apply(bury(tombstone(key('1')), tombstone(key('7')))), { ok: true, value: { buried: 2 } });
  t.match(world.now.meshMember(key('1')), { Status: 'revoked', Chain: [] });
  t.ok(world.now.meshTombstone(key('7')), 'also of a key that nobody knew');
  t.equal(world.now.mesh()?.DiscoveryEpoch, 2);
  t.strictSame(world.apply(bury(tombstone(key('1')))), { ok: true, value: { buried: 0 } });
  t.equal(world.now.mesh()?.DiscoveryEpoch, 2);
  const renew: Command = {
    type: 'mesh-renew',
    certificates: [{ key: key('1'), serial: 9, chain: ['c'], notAfter: 1 }],
  };
  t.equal(code(world.apply(renew)), 'ok');
  t.strictSame(world.now.meshMember(key('1'))?.Chain, [], 'no certificate for one who is out');
});

t.test('of two servers that put each other out the first counts', async (t) => {
  const world = founded();
  world.apply(redeem({ Role: 'server' }));
  world.apply(bury(tombstone(key('1'), FOUNDER)));
  t.strictSame(world.apply(bury(tombstone(FOUNDER, key('1')))), { ok: true, value: { buried: 0 } });
  t.equal(world.now.meshMember(FOUNDER)?.Status, 'admitted');
});

t.test('a member leaves, and may come again by another invite', async (t) => {
  const world = founded();
  world.apply(redeem());
  t.equal(code(world.apply({ type: 'mesh-leave', key: key('1') })), 'ok');
  t.match(world.now.meshMember(key('1')), { Status: 'left', Chain: [] });
  t.equal(code(world.apply({ type: 'mesh-leave', key: key('1') })), 'E_NOT_FOUND');
  world.apply({ type: 'mesh-invite', invite: invite({ ID: 'i2', Key: key('b') }) });
  t.equal(code(world.apply(redeem({ Serial: 9, InviteID: 'i2' }, { inviteId: 'i2' }))), 'ok');
  t.match(world.now.meshMember(key('1')), { Status: 'admitted', CreateIndex: 3 });
});

t.test('secrets: the present one and the one before it', async (t) => {
  const world = founded();
  for (const discoverySecret of ['s2', 's3']) world.apply({ type: 'mesh-rotate', discoverySecret });
  t.match(world.now.mesh(), { DiscoveryEpoch: 3, DiscoverySecrets: ['s3', 's2'] });
  world.apply({ type: 'mesh-seal', sealedRoot: 'other' });
  t.equal(world.now.mesh()?.SealedRoot, 'other');
});

/** Restores a snapshot of `from` into a world, as a command does. */
async function restore(world: World, from: World): Promise<void> {
  let seq = 0;
  for await (const text of frames(from.now.stream())) world.apply({ type: 'restore-stage', id: 'r', seq: seq++, text });
  const result = world.apply({ type: 'restore-commit', id: 'r', pieces: seq });
  if (!result.ok) throw result.error;
}

t.test('an old snapshot puts nobody out who came since, and brings nobody back who was put out since', async (t) => {
  const world = founded({ Uses: 9 });
  world.apply(redeem());
  const old = founded({ Uses: 9 });
  old.apply(redeem());
  old.apply(redeem({ Key: key('3'), Name: 'nuc', Serial: 6 }));
  world.apply(redeem({ Key: key('2'), Name: 'late', Serial: 9 }));
  world.apply(bury(tombstone(key('1')), tombstone(key('3'))));
  const before = world.now.mesh();
  await restore(world, old);
  t.equal(world.now.meshMember(key('2'))?.Status, 'admitted');
  t.equal(world.now.meshMember(key('1'))?.Status, 'revoked');
  t.match(world.now.meshMember(key('3')), { Status: 'revoked', Chain: [] });
  t.strictSame(world.now.mesh(), before, 'nor do its secrets come back');
});

t.test('a mesh that was founded again gets its members and its name back', async (t) => {
  const old = founded({ Uses: 9 });
  old.apply(redeem());
  old.apply(redeem({ Key: key('4'), Name: 'waits', Status: 'pending', Chain: [] }));
  old.apply(bury(tombstone(key('7'))));
  const again = found() as Extract<Command, { type: 'mesh-found' }>;
  const world = new World();
  world.apply({
    ...again,
    info: { ...again.info, Name: 'box', CreatedAt: NOW + 5, DiscoverySecrets: ['new'], NextSerial: 900 },
    founder: { ...again.founder, Key: key('8'), Serial: 899 },
  });
  await restore(world, old);
  const names = [...world.now.meshMembers()].map(({ Key, Name, Status }) => [Key[0], Name, Status]);
  t.strictSame(names, [
    ['1', 'pi', 'admitted'],
    ['8', 'nas', 'admitted'],
    ['f', 'nas', 'left'],
  ]);
  t.match(world.now.mesh(), { Name: 'home', CreatedAt: NOW, DiscoverySecrets: ['s9', 's1'], NextSerial: 900 });
  t.ok(world.now.meshTombstone(key('7')));
});

t.test('a snapshot of another mesh brings none of its members', async (t) => {
  const old = new World();
  old.apply(found(key('9')));
  const world = founded();
  await restore(world, old);
  t.equal(world.now.mesh()?.Root, ROOT);
  t.equal([...world.now.meshMembers()].length, 1);
});

t.test('old invites are forgotten', async (t) => {
  const world = founded();
  t.equal(code(world.apply({ type: 'mesh-collect', invites: ['i1', 'i9'] })), 'ok');
  t.strictSame([...world.now.meshInvites()], []);
});

t.test('whoever waits for the mesh, or for one member, hears of it', async (t) => {
  const world = founded({ Uses: 5 });
  const heard: string[] = [];
  world.store.subscribe([{ kind: 'mesh', key: '' }], () => heard.push('mesh'));
  world.store.subscribe([{ kind: 'mesh-member', key: key('1') }], () => heard.push('member'));
  world.apply(redeem());
  world.apply(redeem({ Key: key('2'), Name: 'pi2', Serial: 6 }));
  t.strictSame(heard, ['mesh', 'member', 'mesh']);
});

t.test(
  'whatever order commands come in, members never share a name, no invite is used too often, and a copy is equal',
  async (t) => {
    const random = seededRandom(77);
    const world = new World();
    world.apply(found());
    const keys = ['1', '2', '3', '4', '5'].map(key);
    const pick = <T>(items: readonly T[]): T => items[randomInt(random, items.length)] as T;
    for (let i = 0; i < 400; i++) {
      const serial = (world.now.mesh()?.NextSerial ?? 0) + randomInt(random, 3) - 1;
      const inviteId = `i${randomInt(random, 6)}`;
      const certificate = { key: pick(keys), serial, chain: ['c'], notAfter: NOW };
      world.apply(
        pick<Command>([
          { type: 'mesh-invite', invite: invite({ ID: inviteId, Key: pick(keys), Uses: 1 + randomInt(random, 3) }) },
          redeem(
            { Key: pick(keys), Name: pick(['a', 'b', 'c']), Serial: serial, Status: pick(['admitted', 'pending']) },
            { inviteId, bury: pick([null, null, tombstone(pick(keys))]), discoverySecret: 'x' },
          ),
          { type: 'mesh-approve', certificate, time: NOW, by: FOUNDER },
          { type: 'mesh-renew', certificates: [certificate] },
          { type: 'mesh-leave', key: pick(keys) },
          { type: 'mesh-rotate', discoverySecret: `s${i}` },
          ...(i % 40 === 0 ? [bury(tombstone(pick(keys), pick(keys)))] : []),
        ]),
      );
      const members = [...world.now.meshMembers()];
      const names = members
        .filter(({ Status }) => Status === 'admitted' || Status === 'pending')
        .map(({ Name }) => Name);
      t.equal(new Set(names).size, names.length, 'names');
      t.ok(
        [...world.now.meshInvites()].every(({ Used, Uses }) => Used.length <= Uses),
        'uses',
      );
      t.ok(
        members.every(({ Status, Key }) => Status === 'revoked' || !world.now.meshTombstone(Key)),
        'tombstones win',
      );
    }
    const copy = createStore();
    await copy.restore(world.now.stream(), world.now.index);
    const all = (now: typeof world.now) =>
      JSON.stringify([now.mesh(), [...now.meshMembers()], [...now.meshInvites()], [...now.meshTombstones()]]);
    t.equal(all(copy.snapshot() as typeof world.now), all(world.now));
    t.ok([...world.now.meshMembers()].length > 3 && [...world.now.meshTombstones()].length > 0, 'something happened');
  },
);

t.test('a snapshot from before there was a mesh is read', async (t) => {
  const world = new World();
  world.register({ ID: 'web' });
  const older = async function* (): AsyncGenerator<Uint8Array> {
    for await (const text of frames(world.now.stream())) {
      const value = JSON.parse(text) as Record<string, unknown>;
      const { Mesh: _, ...header } = value;
      yield frame(value['Format'] === undefined ? text : JSON.stringify({ ...header, Version: 2 }));
    }
  };
  const store = createStore();
  await store.restore(older(), world.now.index);
  t.equal(store.snapshot().mesh(), undefined);
  t.ok(store.snapshot().jobById('default', 'web'));
});
