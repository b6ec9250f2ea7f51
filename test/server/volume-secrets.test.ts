import t from 'tap';
import { createVolumeWorld, csiInfo, type FakeNode, nodeInfo, type VolumeWorld } from './volume-world.js';
import { createTestWorld } from './world.js';

const SECRET = 'hunter2-secret';
const FLAG = 'pass=swordfish';
const Secrets = { password: SECRET };
const MountOptions = { FSType: 'ext4', MountFlags: [FLAG] };

const volume = (changes: object = {}) => ({
  ID: 'db',
  ExternalID: 'vol-1',
  PluginID: 'nfs',
  Secrets,
  MountOptions,
  RequestedCapabilities: [{ AccessMode: 'single-node-writer', AttachmentMode: 'file-system' } as const],
  ...changes,
});

async function keeping(): Promise<{ world: VolumeWorld; node: FakeNode }> {
  const world = createVolumeWorld();
  const node = await world.addFakeNode(1, { controller: true });
  node.answers['ClientCSI.ControllerValidate'] = () => ({ Message: '' });
  node.answers['ClientCSI.ControllerAttach'] = () => ({ PublishContext: {} });
  node.answers['ClientCSI.ControllerExpand'] = () => ({ CapacityBytes: 2, NodeExpansionRequired: false });
  await world.call('CSIVolume.Register', { Volumes: [volume()] });
  return { world, node };
}

const asked = (node: FakeNode, method: string) =>
  node.asked.filter((one) => one.method === method).map(({ args }) => args);
const stored = (world: VolumeWorld) => world.store.snapshot().csiVolumeById('default', 'db');
const keys = (world: VolumeWorld) => [stored(world)?.Secrets?.KeyID, stored(world)?.MountOptions?.MountFlags?.KeyID];

/** What the log and a snapshot have, as text. */
async function written(world: VolumeWorld): Promise<string> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of world.store.snapshot().stream()) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1') + JSON.stringify(world.consensus.log);
}

/** The keyring works in turns of its own: real ones, since it seals with real keys. */
async function settle(world: VolumeWorld, done: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !done(); i++) {
    await world.time.advance(20);
    await new Promise((resolve) => setImmediate(resolve));
  }
  if (!done()) throw new Error('the keyring did not settle');
}

t.test('the secrets and mount flags of a volume are in no log entry and no snapshot, whatever is done', async (t) => {
  const { world, node } = await keeping();
  node.answers['ClientCSI.ControllerCreate'] = () => ({
    ExternalID: 'vol-2',
    CapacityBytes: 1,
    VolumeContext: null,
    SnapshotID: '',
    CloneID: '',
    Topologies: null,
  });
  await world.call('CSIVolume.Create', { Volumes: [volume({ ID: 'made', ExternalID: '' })] });
  t.match(asked(node, 'ClientCSI.ControllerCreate'), [{ Secrets, MountOptions }], 'the controller has them');
  const { allocId } = await world.place(node);
  t.match((await world.claim(node, allocId)).Volume, { Secrets, MountOptions }, 'the node has them');
  t.match(asked(node, 'ClientCSI.ControllerAttach'), [{ Secrets, MountOptions }]);
  await world.call('CSIVolume.Expand', { VolumeID: 'db', CapacityMin: 2, CapacityMax: 0 });
  await world.end(node, allocId);
  await world.time.advance(5_000);
  for (const method of ['Expand', 'Detach']) {
    t.match(asked(node, `ClientCSI.Controller${method}`), [{ Secrets }], method);
  }
  await world.call('CSIVolume.Delete', { VolumeIDs: ['made'] });
  t.match(asked(node, 'ClientCSI.ControllerDelete'), [{ ExternalID: 'vol-2', Secrets }]);
  const text = await written(world);
  t.match(text, /csi-volume-upsert[\s\S]*vol-2/, 'this is where they would be');
  t.notOk(text.includes(SECRET) || text.includes('swordfish'));
  const { Volume } = await world.call('CSIVolume.Get', { ID: 'db' });
  t.same([Volume?.Secrets, Volume?.MountOptions?.MountFlags], [{ password: '[REDACTED]' }, ['[REDACTED]']]);
  t.notMatch(JSON.stringify(Volume), 'KeyID');
});

t.test('a snapshot that is restored has them still', async (t) => {
  const { world, node } = await keeping();
  const { allocId } = await world.place(node);
  const before = world.store.snapshot();
  await world.store.restore(before.stream(), before.index);
  t.match((await world.claim(node, allocId)).Volume, { Secrets, MountOptions });
});

t.test('a new key takes over, and the old one is needed until then', async (t) => {
  const { world, node } = await keeping();
  const { allocId } = await world.place(node);
  await world.claim(node, allocId);
  const before = stored(world);
  const old = before?.Secrets?.KeyID ?? '';
  const { Key } = await world.call('Keyring.Rotate', {});
  await t.rejects(world.call('Keyring.Delete', { KeyID: old }), {
    code: 'E_CONFLICT',
    message: /needed for volume "db"/,
  });
  await settle(world, () => keys(world).every((id) => id === Key.KeyID));
  t.equal(stored(world)?.ModifyIndex, before?.ModifyIndex);
  await world.call('Keyring.Delete', { KeyID: old });
  t.match((await world.claim(node, allocId)).Volume, { Secrets, MountOptions });
  t.notOk((await written(world)).includes(SECRET));
});

t.test('a volume in use may be given again with the mount flags it has, and with no others', async (t) => {
  const { world, node } = await keeping();
  const { allocId } = await world.place(node);
  await world.claim(node, allocId);
  const register = (changes: object) => world.call('CSIVolume.Register', { Volumes: [volume(changes)] });
  await register({ Secrets: { password: 'next' } });
  t.match((await world.claim(node, allocId)).Volume, { Secrets: { password: 'next' }, MountOptions });
  const other = { FSType: 'ext4', MountFlags: ['ro'] };
  await t.rejects(register({ MountOptions: other }), { code: 'E_CONFLICT', message: /mount options/ });
  await register({ Secrets: undefined, MountOptions: undefined });
  t.match((await world.claim(node, allocId)).Volume, { Secrets: { password: 'next' }, MountOptions });
});

t.test('what is sealed for one volume opens for no other', async (t) => {
  const { world, node } = await keeping();
  await world.call('CSIVolume.Register', { Volumes: [volume({ ID: 'own', Secrets: { password: 'mine' } })] });
  const [db, own] = ['db', 'own'].map((id) => world.store.snapshot().csiVolumeById('default', id));
  await world.consensus.propose({
    type: 'csi-volume-rekey',
    namespace: 'default',
    volumeId: 'own',
    from: own?.Secrets?.Data ?? '',
    to: { KeyID: db?.Secrets?.KeyID ?? '', Data: db?.Secrets?.Data ?? '' },
  });
  await t.rejects(world.call('CSIVolume.Delete', { VolumeIDs: ['own'] }), { code: 'E_STORAGE', message: /damaged/ });
  t.same(asked(node, 'ClientCSI.ControllerDelete'), []);
});

t.test('a server without a key of its own keeps volumes without secrets, and has none made with them', async (t) => {
  const world = createTestWorld();
  await world.addNode(1, { CSINodePlugins: { nfs: csiInfo({ NodeInfo: nodeInfo('ext-1') }) } });
  const none = { Secrets: null, MountOptions: { FSType: 'ext4', MountFlags: null } };
  await world.call('CSIVolume.Register', { Volumes: [volume(none)] });
  for (const ID of ['db', 'other']) {
    for (const method of ['CSIVolume.Register', 'CSIVolume.Create'] as const) {
      await t.rejects(world.call(method, { Volumes: [volume({ ID })] }), { code: 'E_NO_LEADER' });
    }
  }
});
