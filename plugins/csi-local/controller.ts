import { chmod, chown, mkdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CsiContentSource,
  CsiError,
  type CsiMethods,
  type CsiSnapshot,
  type CsiTopology,
  type CsiVolume,
} from '../../lib/plugin/sdk/csi.js';
import {
  fitsRange,
  needCapabilities,
  needField,
  needName,
  pageOf,
  readRange,
  type Turns,
} from '../../lib/plugin/sdk/csi-checks.js';
import type { CsiHandlers } from '../../lib/plugin/sdk/csi-server.js';
import { bindRoots } from './bind-roots.js';
import { type Condition, conditionOf } from './condition.js';
import { copyData, copyImage, growImage, loopsOf, makeImage } from './image.js';
import { readWish, roundUp, type Wish } from './parameters.js';
import type { Store, StoredSnapshot, StoredVolume } from './store.js';

export interface ControllerOptions {
  store: Store;
  turns: Turns;
  /** From where volumes can be reached; null = from every node. */
  topology: CsiTopology | null;
  now: () => number;
}

const CAPABILITIES = [
  'CREATE_DELETE_VOLUME',
  'LIST_VOLUMES',
  'GET_CAPACITY',
  'CREATE_DELETE_SNAPSHOT',
  'LIST_SNAPSHOTS',
  'CLONE_VOLUME',
  'EXPAND_VOLUME',
  'GET_VOLUME',
  'VOLUME_CONDITION',
  'SINGLE_NODE_MULTI_WRITER',
];

/** Makes, copies, lists and removes volumes and snapshots. */
export function controllerHandlers(options: ControllerOptions): CsiHandlers {
  const { store, turns } = options;
  const needVolume = async (id: string): Promise<StoredVolume> => {
    const found = await store.get('volumes', needField(id, 'volume_id'));
    if (!found) throw new CsiError('NOT_FOUND', `there is no volume "${id}"`);
    return found;
  };
  return {
    'Controller.ControllerGetCapabilities': async () => ({
      capabilities: CAPABILITIES.map((type) => ({ rpc: { type } })),
    }),
    'Controller.CreateVolume': (request) =>
      turns.take(store.idOf('vol', request.name), async () => ({ volume: await createVolume(options, request) })),
    'Controller.DeleteVolume': ({ volumeId }) =>
      turns.take(needField(volumeId, 'volume_id'), async () => {
        const volume = await store.get('volumes', volumeId);
        if (volume) await deleteVolume(store, volume);
        else refuseElsewhere(store, volumeId);
        return {};
      }),
    'Controller.ValidateVolumeCapabilities': async (request) => {
      const volume = await needVolume(request.volumeId);
      const asked = needCapabilities(request.volumeCapabilities);
      const refused = volume.kind === 'directory' && asked.some(({ access }) => access === 'block');
      if (refused) return { confirmed: null, message: 'a directory cannot be a block device' };
      const { volumeContext, volumeCapabilities, parameters } = request;
      return { confirmed: { volumeContext, volumeCapabilities, parameters }, message: '' };
    },
    'Controller.ListVolumes': async ({ maxEntries, startingToken }) => {
      const page = pageOf(await store.list('volumes'), { key: ({ id }) => id, maxEntries, startingToken });
      const entries = await Promise.all(
        page.items.map(async (item) => ({ volume: tellVolume(options, item), status: await statusOf(store, item) })),
      );
      return { entries, nextToken: page.nextToken };
    },
    'Controller.ControllerGetVolume': async ({ volumeId }) => {
      const volume = await needVolume(volumeId);
      return { volume: tellVolume(options, volume), status: await statusOf(store, volume) };
    },
    'Controller.GetCapacity': async ({ accessibleTopology }) => {
      if (!isHere(options.topology, accessibleTopology)) return { availableCapacity: 0, maximumVolumeSize: null };
      const free = await freeBytes(store.root);
      return { availableCapacity: free, maximumVolumeSize: { value: free } };
    },
    'Controller.CreateSnapshot': (request) =>
      turns.take(store.idOf('snap', request.name), async () => ({ snapshot: await createSnapshot(options, request) })),
    'Controller.DeleteSnapshot': ({ snapshotId }) =>
      turns.take(needField(snapshotId, 'snapshot_id'), async () => {
        if (await store.get('snapshots', snapshotId)) await store.remove('snapshots', snapshotId);
        else refuseElsewhere(store, snapshotId);
        return {};
      }),
    'Controller.ListSnapshots': async ({ maxEntries, startingToken, snapshotId, sourceVolumeId }) => {
      const all = (await store.list('snapshots')).filter(
        (item) =>
          (snapshotId === '' || item.id === snapshotId) &&
          (sourceVolumeId === '' || item.sourceVolumeId === sourceVolumeId),
      );
      const page = pageOf(all, { key: ({ id }) => id, maxEntries, startingToken });
      return { entries: page.items.map((item) => ({ snapshot: tellSnapshot(item) })), nextToken: page.nextToken };
    },
    'Controller.ControllerExpandVolume': (request) =>
      turns.take(needField(request.volumeId, 'volume_id'), async () => {
        if (!request.capacityRange) throw new CsiError('INVALID_ARGUMENT', 'capacity_range is missing');
        return expandVolume(store, await needVolume(request.volumeId), request);
      }),
  };
}

async function createVolume(
  options: ControllerOptions,
  request: CsiMethods['Controller.CreateVolume'][0],
): Promise<CsiVolume> {
  const { store } = options;
  const name = needName(request.name);
  const capabilities = needCapabilities(request.volumeCapabilities);
  const range = readRange(request.capacityRange);
  const id = store.idOf('vol', name);
  const known = await store.get('volumes', id);
  if (known) {
    if (!fitsRange(known.capacityBytes, range) || !sameSource(known.source, request.volumeContentSource))
      throw new CsiError('ALREADY_EXISTS', `volume "${name}" exists with another size or source`);
    return tellVolume(options, known);
  }
  checkTopology(options.topology, request.accessibilityRequirements?.requisite ?? []);
  const origin = await findOrigin(store, request.volumeContentSource);
  const asked = readWish(request.parameters, capabilities, range);
  const wish = origin ? wishOfCopy(asked, origin.volume, range, request.parameters) : asked;
  const volume: StoredVolume = {
    ...wish,
    id,
    name,
    source: origin?.source ?? null,
    fsType: origin?.volume.fsType ?? '',
    fsCapacityBytes: origin?.volume.fsCapacityBytes ?? 0,
  };
  await checkRoom(store, volume);
  await store.create('volumes', volume, (dir) => fillVolume(dir, volume, origin?.path ?? null));
  return tellVolume(options, volume);
}

interface Origin {
  volume: StoredVolume;
  path: string;
  source: NonNullable<StoredVolume['source']>;
}

async function findOrigin(store: Store, source: CsiContentSource | null): Promise<Origin | null> {
  if (source?.snapshot) {
    const { snapshotId } = source.snapshot;
    const found = await store.get('snapshots', snapshotId);
    if (!found) throw new CsiError('NOT_FOUND', `there is no snapshot "${snapshotId}"`);
    const path = store.dataPath('snapshots', snapshotId, found.volume);
    return { volume: found.volume, path, source: { snapshotId } };
  }
  if (!source?.volume) return null;
  const { volumeId } = source.volume;
  const volume = await store.get('volumes', volumeId);
  if (!volume) throw new CsiError('NOT_FOUND', `there is no volume "${volumeId}" to copy`);
  return { volume, path: store.dataPath('volumes', volumeId, volume), source: { volumeId } };
}

/** A copy is what its origin is, unless the parameters say otherwise, and no smaller. */
function wishOfCopy(
  asked: Wish,
  origin: StoredVolume,
  range: { requiredBytes: number; limitBytes: number },
  parameters: Record<string, string>,
): Wish {
  if (parameters['kind'] !== undefined && parameters['kind'] !== origin.kind)
    throw new CsiError('INVALID_ARGUMENT', `a copy of the ${origin.kind} "${origin.name}" cannot be of another kind`);
  if (range.limitBytes > 0 && range.limitBytes < origin.capacityBytes)
    throw new CsiError(
      'OUT_OF_RANGE',
      `the source has ${origin.capacityBytes} bytes, and ${range.limitBytes} are allowed`,
    );
  const size = Math.max(range.requiredBytes, origin.capacityBytes);
  const capacityBytes = origin.kind === 'image' ? roundUp(size, range.limitBytes) : size;
  const kept = Object.fromEntries(
    (['thin', 'mode', 'uid', 'gid'] as const)
      .filter((key) => parameters[key] === undefined)
      .map((key) => [key, origin[key]]),
  );
  return { ...asked, ...kept, kind: origin.kind, capacityBytes };
}

async function fillVolume(dir: string, volume: StoredVolume, origin: string | null): Promise<void> {
  if (volume.kind === 'image') {
    const image = join(dir, 'disk.img');
    if (origin === null) await makeImage(image, volume.capacityBytes, volume.thin);
    else {
      await copyImage(origin, image);
      await growImage(image, volume.capacityBytes, volume.thin);
    }
    return;
  }
  const data = join(dir, 'data');
  if (origin === null) await mkdir(data);
  else await copyData(origin, data);
  await chmod(data, Number.parseInt(volume.mode, 8));
  if (volume.uid >= 0 || volume.gid >= 0) await chown(data, Math.max(volume.uid, 0), Math.max(volume.gid, 0));
}

/** What another machine has is not deleted because it is not here. */
function refuseElsewhere(store: Store, id: string): void {
  if (store.isElsewhere(id))
    throw new CsiError('FAILED_PRECONDITION', `"${id}" lies on another machine: its own plugin must delete it`);
}

async function deleteVolume(store: Store, volume: StoredVolume): Promise<void> {
  const path = store.dataPath('volumes', volume.id, volume);
  const users = volume.kind === 'image' ? await loopsOf(path) : await bindRoots(path);
  if (users.length > 0)
    throw new CsiError('FAILED_PRECONDITION', `volume "${volume.name}" is in use on this machine: ${users.join(', ')}`);
  await store.remove('volumes', volume.id);
}

async function createSnapshot(
  { store, now }: ControllerOptions,
  request: CsiMethods['Controller.CreateSnapshot'][0],
): Promise<CsiSnapshot> {
  const sourceVolumeId = needField(request.sourceVolumeId, 'source_volume_id');
  const name = needName(request.name);
  const id = store.idOf('snap', name);
  const known = await store.get('snapshots', id);
  if (known) {
    if (known.sourceVolumeId !== sourceVolumeId)
      throw new CsiError('ALREADY_EXISTS', `snapshot "${name}" exists of another volume`);
    return tellSnapshot(known);
  }
  const volume = await store.get('volumes', sourceVolumeId);
  if (!volume) throw new CsiError('NOT_FOUND', `there is no volume "${sourceVolumeId}"`);
  const snapshot: StoredSnapshot = { id, name, sourceVolumeId, createdMs: now(), volume };
  const from = store.dataPath('volumes', volume.id, volume);
  await store.create('snapshots', snapshot, (dir) =>
    volume.kind === 'image' ? copyImage(from, join(dir, 'disk.img')) : copyData(from, join(dir, 'data')),
  );
  return tellSnapshot(snapshot);
}

async function expandVolume(
  store: Store,
  volume: StoredVolume,
  request: CsiMethods['Controller.ControllerExpandVolume'][0],
): Promise<{ capacityBytes: number; nodeExpansionRequired: boolean }> {
  const range = readRange(request.capacityRange);
  if (range.limitBytes > 0 && range.limitBytes < volume.capacityBytes)
    throw new CsiError('OUT_OF_RANGE', `volume "${volume.name}" has ${volume.capacityBytes} bytes and does not shrink`);
  const isImage = volume.kind === 'image';
  if (range.requiredBytes > volume.capacityBytes) {
    const capacityBytes = isImage ? roundUp(range.requiredBytes, range.limitBytes) : range.requiredBytes;
    const wanted = { ...volume, capacityBytes };
    await checkRoom(store, wanted, volume.capacityBytes);
    if (isImage) await growImage(store.dataPath('volumes', volume.id, volume), capacityBytes, volume.thin);
    await store.update('volumes', wanted);
    return { capacityBytes, nodeExpansionRequired: isImage };
  }
  return { capacityBytes: volume.capacityBytes, nodeExpansionRequired: isImage };
}

async function checkRoom(store: Store, volume: StoredVolume, hasBytes = 0): Promise<void> {
  const free = await freeBytes(store.root);
  const needed = volume.capacityBytes - hasBytes;
  if (volume.kind === 'image' && !volume.thin && needed > free)
    throw new CsiError('OUT_OF_RANGE', `${needed} bytes are needed and ${free} are free under ${store.root}`);
}

async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return bavail * bsize;
}

function sameSource(stored: StoredVolume['source'], asked: CsiContentSource | null): boolean {
  const snapshotId = asked?.snapshot?.snapshotId ?? '';
  const volumeId = asked?.volume?.volumeId ?? '';
  if (!stored) return snapshotId === '' && volumeId === '';
  return 'snapshotId' in stored ? stored.snapshotId === snapshotId : stored.volumeId === volumeId;
}

function isHere(mine: CsiTopology | null, asked: CsiTopology | null): boolean {
  if (!mine || !asked) return true;
  return Object.entries(asked.segments).every(([key, value]) => mine.segments[key] === value);
}

function checkTopology(mine: CsiTopology | null, requisite: readonly CsiTopology[]): void {
  if (requisite.length === 0 || requisite.some((topology) => isHere(mine, topology))) return;
  const here = JSON.stringify(mine?.segments ?? {});
  throw new CsiError(
    'RESOURCE_EXHAUSTED',
    `volumes made here can be reached from ${here} only, which is not asked for`,
  );
}

async function statusOf(
  store: Store,
  volume: StoredVolume,
): Promise<{ publishedNodeIds: string[]; volumeCondition: Condition }> {
  return {
    publishedNodeIds: [],
    volumeCondition: await conditionOf(store.dataPath('volumes', volume.id, volume), volume),
  };
}

function tellVolume({ topology }: ControllerOptions, volume: StoredVolume): CsiVolume {
  const { source } = volume;
  const contentSource = source && ('snapshotId' in source ? { snapshot: source } : { volume: source });
  return {
    capacityBytes: volume.capacityBytes,
    volumeId: volume.id,
    volumeContext: { kind: volume.kind, name: volume.name },
    contentSource,
    accessibleTopology: topology ? [topology] : [],
  };
}

function tellSnapshot({ id, sourceVolumeId, createdMs, volume }: StoredSnapshot): CsiSnapshot {
  return {
    sizeBytes: volume.capacityBytes,
    snapshotId: id,
    sourceVolumeId,
    creationTime: { seconds: Math.floor(createdMs / 1000), nanos: (createdMs % 1000) * 1e6 },
    readyToUse: true,
    groupSnapshotId: '',
  };
}
