import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { CsiRpc } from '../../lib/client/csi/rpc.js';
import {
  CsiError,
  type CsiMethod,
  type CsiMethods,
  type CsiVolume,
  type CsiVolumeCapability,
} from '../../lib/plugin/sdk/csi.js';
import { mountAt } from '../../lib/plugin/sdk/mounts.js';

/** What the suite needs to know of a CSI plugin. */
export interface CsiUnderTest {
  /** Connected to a plugin that has no volumes yet, as controller and node. */
  rpc: CsiRpc;
  /** A directory of the test's own. */
  dir: string;
  /** Bytes of a test volume. */
  sizeBytes: number;
  parameters: Record<string, string>;
  access: 'mount' | 'block';
  /** Of a mounted volume; absent = the plugin's own choice. */
  fsType?: string;
  /** Whether a mounted volume can grow here; if not, it must say so and grow when it is staged again. */
  growsMounted: boolean;
}

type Request<M extends CsiMethod> = CsiMethods[M][0];

/** Facts that the CSI specification demands of every plugin, as far as the plugin says it can. */
export async function csiConformance(name: string, under: CsiUnderTest): Promise<void> {
  const world = await look(under);
  const fact = (text: string, check: (t: Test) => Promise<void>, when = true): void => {
    if (when) t.test(`${name}: ${text}`, check);
  };
  identityFacts(fact, world);
  controllerFacts(fact, world);
  copyFacts(fact, world);
  nodeFacts(fact, world);
}

type Fact = (text: string, check: (t: Test) => Promise<void>, when?: boolean) => void;

interface World extends CsiUnderTest {
  controller: Set<string>;
  node: Set<string>;
  capability: CsiVolumeCapability;
  call: <M extends CsiMethod>(method: M, request: Request<M>) => Promise<CsiMethods[M][1]>;
  /** The call fails with this code. */
  refuses: <M extends CsiMethod>(t: Test, method: M, request: Request<M>, code: string) => Promise<void>;
  create: (name: string, more?: Partial<Request<'Controller.CreateVolume'>>) => Promise<CsiVolume>;
  remove: (volumeId: string) => Promise<unknown>;
}

async function look(under: CsiUnderTest): Promise<World> {
  const call: World['call'] = (method, request) => under.rpc.call(method, request, { timeoutMs: 30_000 });
  const types = (found: { capabilities: { rpc: { type: string } | null }[] }): Set<string> =>
    new Set(found.capabilities.flatMap(({ rpc }) => rpc?.type ?? []));
  const capability: CsiVolumeCapability =
    under.access === 'block'
      ? { block: {}, accessMode: { mode: 'SINGLE_NODE_WRITER' } }
      : {
          mount: { fsType: under.fsType ?? '', mountFlags: [], volumeMountGroup: '' },
          accessMode: { mode: 'SINGLE_NODE_WRITER' },
        };
  const create: World['create'] = async (name, more = {}) => {
    const { volume } = await call('Controller.CreateVolume', {
      name,
      capacityRange: { requiredBytes: under.sizeBytes, limitBytes: 0 },
      volumeCapabilities: [capability],
      parameters: under.parameters,
      secrets: {},
      volumeContentSource: null,
      accessibilityRequirements: null,
      ...more,
    });
    if (!volume) throw new Error('CreateVolume answered without a volume');
    return volume;
  };
  return {
    ...under,
    call,
    capability,
    create,
    remove: (volumeId) => call('Controller.DeleteVolume', { volumeId, secrets: {} }),
    controller: types(await call('Controller.ControllerGetCapabilities', {})),
    node: types(await call('Node.NodeGetCapabilities', {})),
    refuses: async (t, method, request, code) => {
      const error = await call(method, request).then(
        () => null,
        (failure: unknown) => failure,
      );
      t.ok(error instanceof CsiError && error.code === code, `${method} refuses: ${code}, not ${String(error)}`);
    },
  };
}

function identityFacts(fact: Fact, { call }: World): void {
  fact('it has a name like a domain, a version, and is ready', async (t) => {
    const info = await call('Identity.GetPluginInfo', {});
    t.match(info.name, /^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?$/);
    t.not(info.vendorVersion, '');
    const { capabilities } = await call('Identity.GetPluginCapabilities', {});
    t.ok(capabilities.some((one) => 'service' in one && one.service?.type === 'CONTROLLER_SERVICE'));
    const { ready } = await call('Identity.Probe', {});
    t.not(ready?.value, false);
    const { nodeId } = await call('Node.NodeGetInfo', {});
    t.ok(nodeId.length > 0 && nodeId.length <= 192);
  });
}

function controllerFacts(fact: Fact, world: World): void {
  const { call, create, remove, refuses, capability, controller, sizeBytes } = world;
  const request = {
    name: 'x',
    capacityRange: null,
    volumeCapabilities: [capability],
    parameters: {},
    secrets: {},
    volumeContentSource: null,
    accessibilityRequirements: null,
  };
  fact('CreateVolume needs a name, capabilities, a possible range and parameters it knows', async (t) => {
    await refuses(t, 'Controller.CreateVolume', { ...request, name: '' }, 'INVALID_ARGUMENT');
    await refuses(t, 'Controller.CreateVolume', { ...request, name: 'n'.repeat(129) }, 'INVALID_ARGUMENT');
    await refuses(t, 'Controller.CreateVolume', { ...request, volumeCapabilities: [] }, 'INVALID_ARGUMENT');
    const nothing = { ...capability, block: null, mount: null };
    await refuses(t, 'Controller.CreateVolume', { ...request, volumeCapabilities: [nothing] }, 'INVALID_ARGUMENT');
    const range = { requiredBytes: 2, limitBytes: 1 };
    await refuses(t, 'Controller.CreateVolume', { ...request, capacityRange: range }, 'OUT_OF_RANGE');
    await refuses(t, 'Controller.CreateVolume', { ...request, parameters: { knid: 'x' } }, 'INVALID_ARGUMENT');
  });
  fact('a volume is made once: the same request finds it, another size does not', async (t) => {
    const first = await create('same');
    t.ok(first.capacityBytes >= sizeBytes);
    t.same(await create('same'), first);
    const capacityRange = { requiredBytes: first.capacityBytes * 2, limitBytes: 0 };
    await t.rejects(create('same', { capacityRange }), { code: 'ALREADY_EXISTS' });
    const together = await Promise.all([create('twin'), create('twin'), create('twin')]);
    t.equal(new Set(together.map(({ volumeId }) => volumeId)).size, 1, 'also when asked for at the same time');
    await remove(first.volumeId);
    await remove(together[0]?.volumeId ?? '');
    t.same(await remove(first.volumeId), {}, 'removing it again is no error');
  });
  fact('names may have 128 bytes of any kind', async (t) => {
    for (const name of ['n'.repeat(128), 'a/../b c#d', '../../etc', 'ü'.repeat(64)]) {
      const made = await create(name);
      t.ok(Buffer.byteLength(made.volumeId) <= 128, `${name} has an id of at most 128 bytes`);
      await remove(made.volumeId);
    }
  });
  fact('DeleteVolume needs an id and passes over unknown ones', async (t) => {
    await refuses(t, 'Controller.DeleteVolume', { volumeId: '', secrets: {} }, 'INVALID_ARGUMENT');
    for (const id of ['no-such', '../../../etc', 'a#b#c', 'nas#/srv/data#../..']) t.same(await remove(id), {});
  });
  fact('ValidateVolumeCapabilities needs id, capabilities and a volume, and confirms what fits', async (t) => {
    const ask = { volumeId: '', volumeContext: {}, volumeCapabilities: [capability], parameters: {}, secrets: {} };
    const method = 'Controller.ValidateVolumeCapabilities';
    await refuses(t, method, ask, 'INVALID_ARGUMENT');
    await refuses(t, method, { ...ask, volumeId: 'no-such' }, 'NOT_FOUND');
    const { volumeId } = await create('validate');
    await refuses(t, method, { ...ask, volumeId, volumeCapabilities: [] }, 'INVALID_ARGUMENT');
    t.equal((await call(method, { ...ask, volumeId })).confirmed?.volumeCapabilities.length, 1);
    await remove(volumeId);
  });
  fact(
    'ListVolumes pages, also while volumes come and go',
    async (t) => {
      await refuses(t, 'Controller.ListVolumes', { maxEntries: 0, startingToken: 'nonsense' }, 'ABORTED');
      await refuses(t, 'Controller.ListVolumes', { maxEntries: -1, startingToken: '' }, 'INVALID_ARGUMENT');
      const made = await Promise.all([1, 2, 3, 4, 5].map((n) => create(`list-${n}`)));
      const first = await call('Controller.ListVolumes', { maxEntries: 2, startingToken: '' });
      t.equal(first.entries.length, 2);
      await remove(first.entries[0]?.volume?.volumeId ?? '');
      const rest = await call('Controller.ListVolumes', { maxEntries: 0, startingToken: first.nextToken });
      const seen = [...first.entries, ...rest.entries].map(({ volume }) => volume?.volumeId ?? '').sort();
      t.same(seen, made.map(({ volumeId }) => volumeId).sort());
      t.equal(rest.nextToken, '');
      for (const { volumeId } of made) await remove(volumeId);
      t.same((await call('Controller.ListVolumes', { maxEntries: 0, startingToken: '' })).entries, []);
    },
    controller.has('LIST_VOLUMES'),
  );
  fact('GetCapacity tells the room there is', async (t) => {
    const found = await call('Controller.GetCapacity', {
      volumeCapabilities: [],
      parameters: world.parameters,
      accessibleTopology: null,
    });
    t.ok(found.availableCapacity > 0);
  });
  fact(
    'ControllerGetVolume tells of a volume for as long as it is there',
    async (t) => {
      const get = 'Controller.ControllerGetVolume';
      await refuses(t, get, { volumeId: '' }, 'INVALID_ARGUMENT');
      for (const volumeId of ['no-such', '../../../etc', 'nas#/srv/data#../..'])
        await refuses(t, get, { volumeId }, 'NOT_FOUND');
      const { volumeId, capacityBytes } = await create('get');
      t.match((await call(get, { volumeId })).volume, { volumeId, capacityBytes });
      await remove(volumeId);
      await refuses(t, get, { volumeId }, 'NOT_FOUND');
    },
    controller.has('GET_VOLUME'),
  );
}

function copyFacts(fact: Fact, world: World): void {
  const { call, create, remove, refuses, controller, sizeBytes } = world;
  fact('a copy needs a source that is there', async (t) => {
    const of = (volumeContentSource: Request<'Controller.CreateVolume'>['volumeContentSource']) =>
      create('copy', { volumeContentSource });
    await t.rejects(of({ volume: { volumeId: 'no-such' } }), { code: 'NOT_FOUND' });
    await t.rejects(of({ snapshot: { snapshotId: 'no-such' } }), { code: 'NOT_FOUND' });
  });
  fact(
    'a snapshot is made once, listed, filtered, restored and removed',
    async (t) => {
      const [one, two] = [await create('snap-source'), await create('snap-other')];
      const ask = { sourceVolumeId: one.volumeId, name: 's', secrets: {}, parameters: {} };
      await refuses(t, 'Controller.CreateSnapshot', { ...ask, name: '' }, 'INVALID_ARGUMENT');
      await refuses(t, 'Controller.CreateSnapshot', { ...ask, sourceVolumeId: '' }, 'INVALID_ARGUMENT');
      await refuses(t, 'Controller.CreateSnapshot', { ...ask, sourceVolumeId: 'no-such' }, 'NOT_FOUND');
      const { snapshot } = await call('Controller.CreateSnapshot', ask);
      t.same((await call('Controller.CreateSnapshot', ask)).snapshot, snapshot);
      await refuses(t, 'Controller.CreateSnapshot', { ...ask, sourceVolumeId: two.volumeId }, 'ALREADY_EXISTS');
      const snapshotId = snapshot?.snapshotId ?? '';
      const list = { maxEntries: 0, startingToken: '', sourceVolumeId: '', snapshotId: '', secrets: {} };
      for (const [filter, count] of [
        [{ snapshotId }, 1],
        [{ sourceVolumeId: one.volumeId }, 1],
        [{ sourceVolumeId: two.volumeId }, 0],
        [{ snapshotId: 'no-such' }, 0],
      ] as const) {
        const found = await call('Controller.ListSnapshots', { ...list, ...filter });
        t.equal(found.entries.length, count, JSON.stringify(filter));
      }
      const copy = await create('restored', { volumeContentSource: { snapshot: { snapshotId } } });
      t.same(copy.contentSource?.snapshot, { snapshotId });
      for (const { volumeId } of [one, two, copy]) await remove(volumeId);
      await refuses(t, 'Controller.DeleteSnapshot', { snapshotId: '', secrets: {} }, 'INVALID_ARGUMENT');
      for (const id of [snapshotId, snapshotId, 'no-such'])
        t.same(await call('Controller.DeleteSnapshot', { snapshotId: id, secrets: {} }), {});
    },
    controller.has('CREATE_DELETE_SNAPSHOT'),
  );
  fact(
    'a volume grows and does not shrink',
    async (t) => {
      const { volumeId, capacityBytes } = await create('grow');
      const ask = { volumeId, capacityRange: null, secrets: {}, volumeCapability: world.capability };
      const method = 'Controller.ControllerExpandVolume';
      await refuses(t, method, { ...ask, volumeId: '' }, 'INVALID_ARGUMENT');
      await refuses(t, method, ask, 'INVALID_ARGUMENT');
      const wanted = { requiredBytes: sizeBytes * 2, limitBytes: 0 };
      await refuses(t, method, { ...ask, volumeId: 'no-such', capacityRange: wanted }, 'NOT_FOUND');
      const less = { requiredBytes: 0, limitBytes: capacityBytes - 1 };
      await refuses(t, method, { ...ask, capacityRange: less }, 'OUT_OF_RANGE');
      for (let i = 0; i < 2; i++)
        t.ok((await call(method, { ...ask, capacityRange: wanted })).capacityBytes >= sizeBytes * 2);
      await remove(volumeId);
    },
    controller.has('EXPAND_VOLUME'),
  );
}

function nodeFacts(fact: Fact, world: World): void {
  const { call, create, remove, refuses, controller, node, capability, dir, access, growsMounted } = world;
  const staging = join(dir, 'staging');
  const target = join(dir, 'targets', 'one');
  const stages = node.has('STAGE_UNSTAGE_VOLUME');
  const stageArgs = (volumeId: string): Request<'Node.NodeStageVolume'> => ({
    volumeId,
    publishContext: {},
    stagingTargetPath: staging,
    volumeCapability: capability,
    secrets: {},
    volumeContext: {},
  });
  const publishArgs = (volumeId: string, targetPath: string): Request<'Node.NodePublishVolume'> => ({
    ...stageArgs(volumeId),
    stagingTargetPath: stages ? staging : '',
    targetPath,
    readonly: false,
  });
  const unstage = (volumeId: string) => call('Node.NodeUnstageVolume', { volumeId, stagingTargetPath: staging });
  fact('the calls of a node need their fields and a volume', async (t) => {
    const [stage, publish] = [stageArgs('v'), publishArgs('v', target)];
    const bad: [CsiMethod, object][] = [
      ['Node.NodePublishVolume', { ...publish, volumeId: '' }],
      ['Node.NodePublishVolume', { ...publish, targetPath: '' }],
      ['Node.NodePublishVolume', { ...publish, volumeCapability: null }],
      ['Node.NodeUnpublishVolume', { volumeId: '', targetPath: target }],
      ['Node.NodeUnpublishVolume', { volumeId: 'v', targetPath: '' }],
      ['Node.NodeGetVolumeStats', { volumeId: '', volumePath: '/', stagingTargetPath: '' }],
      ['Node.NodeGetVolumeStats', { volumeId: 'v', volumePath: '', stagingTargetPath: '' }],
    ];
    if (stages)
      bad.push(
        ['Node.NodeStageVolume', { ...stage, volumeId: '' }],
        ['Node.NodeStageVolume', { ...stage, stagingTargetPath: '' }],
        ['Node.NodeStageVolume', { ...stage, volumeCapability: null }],
        ['Node.NodeUnstageVolume', { volumeId: '', stagingTargetPath: staging }],
        ['Node.NodeUnstageVolume', { volumeId: 'v', stagingTargetPath: '' }],
      );
    for (const [method, request] of bad) await refuses(t, method, request as never, 'INVALID_ARGUMENT');
    await refuses(t, 'Node.NodePublishVolume', publish, 'NOT_FOUND');
    const nowhere = { volumeId: 'v', volumePath: '/', stagingTargetPath: '' };
    await refuses(t, 'Node.NodeGetVolumeStats', nowhere, 'NOT_FOUND');
  });
  fact('what is written to a volume is there when it is published again; each step may be repeated', async (t) => {
    const { volumeId, capacityBytes } = await create('data');
    mkdirSync(join(dir, 'targets'), { recursive: true });
    mkdirSync(staging, { recursive: true });
    for (const round of [1, 2]) {
      for (let i = 0; stages && i < 2; i++) await call('Node.NodeStageVolume', stageArgs(volumeId));
      for (let i = 0; i < 2; i++) await call('Node.NodePublishVolume', publishArgs(volumeId, target));
      if (access === 'mount') {
        if (round === 2) t.equal(readFileSync(join(target, 'row'), 'utf8'), 'kept');
        writeFileSync(join(target, 'row'), 'kept');
        const ask = { volumeId, volumePath: target, stagingTargetPath: '' };
        const { usage } = await call('Node.NodeGetVolumeStats', ask);
        const total = usage.find(({ unit }) => unit === 'BYTES')?.total ?? 0;
        const least = round === 2 && controller.has('EXPAND_VOLUME') && !growsMounted ? capacityBytes * 1.4 : 1;
        t.ok(total >= least, `there are ${total} bytes, at least ${least}`);
      }
      await growFact(t, world, { volumeId, target, wantedBytes: capacityBytes * 2 * round });
      for (let i = 0; i < 2; i++) await call('Node.NodeUnpublishVolume', { volumeId, targetPath: target });
      t.notOk(existsSync(target), 'the target is gone');
      for (let i = 0; stages && i < 2; i++) await unstage(volumeId);
      t.equal(await mountAt(staging), undefined, 'nothing is left at the staging path');
    }
    await remove(volumeId);
  });
  fact(
    'a volume published read-only cannot be written',
    async (t) => {
      const { volumeId } = await create('read-only');
      mkdirSync(staging, { recursive: true });
      if (stages) await call('Node.NodeStageVolume', stageArgs(volumeId));
      await call('Node.NodePublishVolume', { ...publishArgs(volumeId, target), readonly: true });
      t.throws(() => writeFileSync(join(target, 'x'), ''), { code: 'EROFS' });
      await call('Node.NodeUnpublishVolume', { volumeId, targetPath: target });
      if (stages) await unstage(volumeId);
      await remove(volumeId);
    },
    access === 'mount',
  );
}

async function growFact(
  t: Test,
  { call, refuses, controller, node, capability, growsMounted }: World,
  { volumeId, target, wantedBytes }: { volumeId: string; target: string; wantedBytes: number },
): Promise<void> {
  if (!controller.has('EXPAND_VOLUME') || !node.has('EXPAND_VOLUME')) return;
  const capacityRange = { requiredBytes: wantedBytes, limitBytes: 0 };
  const more = { volumeId, capacityRange, secrets: {}, volumeCapability: capability };
  const { nodeExpansionRequired } = await call('Controller.ControllerExpandVolume', more);
  if (!nodeExpansionRequired) return;
  const ask = { ...more, volumePath: target, stagingTargetPath: '' };
  if (!growsMounted) {
    await refuses(t, 'Node.NodeExpandVolume', ask, 'FAILED_PRECONDITION');
    return;
  }
  const { capacityBytes } = await call('Node.NodeExpandVolume', ask);
  t.ok(capacityBytes >= wantedBytes);
  if (!capability.mount) return;
  const { usage } = await call('Node.NodeGetVolumeStats', { volumeId, volumePath: target, stagingTargetPath: '' });
  const total = usage.find(({ unit }) => unit === 'BYTES')?.total ?? 0;
  t.ok(total > wantedBytes * 0.7, `the file system has grown while in use (${total} of ${wantedBytes})`);
}
