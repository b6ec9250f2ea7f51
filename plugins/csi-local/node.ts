import { chmod, chown, mkdir, open, rm, rmdir, stat, statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { CsiError, type CsiMethods, type CsiTopology, type CsiVolumeUsage } from '../../lib/plugin/sdk/csi.js';
import { isReadOnlyMode, needCapability, needField, type Turns } from '../../lib/plugin/sdk/csi-checks.js';
import type { CsiHandlers } from '../../lib/plugin/sdk/csi-server.js';
import {
  bindMount,
  CommandError,
  listMounts,
  mountAt,
  remountReadOnly,
  runCommand,
  unmountAll,
} from '../../lib/plugin/sdk/mounts.js';
import { bindRoots } from './bind-roots.js';
import { conditionOf } from './condition.js';
import { attachLoop, detachLoop, growMounted, growUnmounted, loopsOf, makeFileSystem, reserve } from './image.js';
import { knownFs } from './parameters.js';
import type { Store, StoredVolume } from './store.js';

export interface NodeOptions {
  store: Store;
  turns: Turns;
  nodeId: string;
  topology: CsiTopology | null;
  /** 0 = as many as there is room for. */
  maxVolumes: number;
}

const CAPABILITIES = [
  'STAGE_UNSTAGE_VOLUME',
  'GET_VOLUME_STATS',
  'EXPAND_VOLUME',
  'VOLUME_CONDITION',
  'SINGLE_NODE_MULTI_WRITER',
];

type Needed = ReturnType<typeof needCapability>;

/** Attaches, formats, mounts and grows volumes on this machine. */
export function nodeHandlers(options: NodeOptions): CsiHandlers {
  const { store, turns, nodeId, topology, maxVolumes } = options;
  const needVolume = async (id: string): Promise<StoredVolume> => {
    const found = await store.get('volumes', id);
    if (!found) throw new CsiError('NOT_FOUND', `there is no volume "${id}"`);
    return found;
  };
  return {
    'Node.NodeGetInfo': async () => ({ nodeId, maxVolumesPerNode: maxVolumes, accessibleTopology: topology }),
    'Node.NodeGetCapabilities': async () => ({ capabilities: CAPABILITIES.map((type) => ({ rpc: { type } })) }),
    'Node.NodeStageVolume': (request) => {
      const target = needField(request.stagingTargetPath, 'staging_target_path');
      const wanted = needCapability(request.volumeCapability);
      return turns.take(needField(request.volumeId, 'volume_id'), async () => {
        await stage(store, await needVolume(request.volumeId), target, wanted);
        return {};
      });
    },
    'Node.NodeUnstageVolume': ({ volumeId, stagingTargetPath }) => {
      const target = needField(stagingTargetPath, 'staging_target_path');
      return turns.take(needField(volumeId, 'volume_id'), async () => {
        await unmountAll(target);
        const volume = await store.get('volumes', volumeId);
        if (volume?.kind === 'image') await detachUnused(store.dataPath('volumes', volumeId, volume));
        return {};
      });
    },
    'Node.NodePublishVolume': (request) => {
      const paths = {
        target: needField(request.targetPath, 'target_path'),
        staging: needField(request.stagingTargetPath, 'staging_target_path'),
      };
      const wanted = needCapability(request.volumeCapability);
      const readOnly = request.readonly || isReadOnlyMode(wanted.mode);
      return turns.take(needField(request.volumeId, 'volume_id'), async () => {
        await publish(store, await needVolume(request.volumeId), paths, { ...wanted, readOnly });
        return {};
      });
    },
    'Node.NodeUnpublishVolume': ({ volumeId, targetPath }) => {
      const target = needField(targetPath, 'target_path');
      return turns.take(needField(volumeId, 'volume_id'), async () => {
        await unmountAll(target);
        await removeTarget(target);
        return {};
      });
    },
    'Node.NodeGetVolumeStats': async ({ volumeId, volumePath }) => {
      needField(volumeId, 'volume_id');
      const path = needField(volumePath, 'volume_path');
      return statsOf(store, await needVolume(volumeId), path);
    },
    'Node.NodeExpandVolume': (request) => {
      const path = needField(request.volumePath, 'volume_path');
      return turns.take(needField(request.volumeId, 'volume_id'), async () =>
        expand(store, await needVolume(request.volumeId), path),
      );
    },
  };
}

async function stage(store: Store, volume: StoredVolume, target: string, wanted: Needed): Promise<void> {
  const source = store.dataPath('volumes', volume.id, volume);
  // Its record is there and its data is not: somebody has removed it, or its disk is not mounted. It may come back.
  if (!(await stat(source).catch(() => null)))
    throw new CsiError('INTERNAL', `volume "${volume.name}" has no data on this machine any more: ${source} is gone`);
  if (volume.kind === 'directory') {
    if (wanted.access === 'block') throw new CsiError('FAILED_PRECONDITION', 'a directory cannot be a block device');
    await mkdir(target, { recursive: true });
    if (!(await mountAt(target))) await bindMount(source, target);
    return;
  }
  // Who trims the file system gives back what was set aside. Where the disk has not so much any more, the data are needed all
  // the same: the volume's condition tells it.
  if (!volume.thin && !isReadOnlyMode(wanted.mode)) await reserve(source, volume.capacityBytes).catch(() => {});
  const loop = await attachLoop(source);
  if (wanted.access === 'block') return;
  try {
    await mountImage(store, volume, { loop, target }, wanted);
  } catch (error) {
    // Nobody would take it away again: what was not staged is not unstaged.
    if (!(await mountAt(target))) await detachUnused(source).catch(() => {});
    const { message } = await conditionOf(source, volume);
    if (message === '' || !(error instanceof CommandError)) throw error;
    throw new CsiError('RESOURCE_EXHAUSTED', `${message}: ${error.message}`);
  }
}

async function mountImage(
  store: Store,
  volume: StoredVolume,
  { loop, target }: { loop: string; target: string },
  wanted: Needed,
): Promise<void> {
  const readOnly = isReadOnlyMode(wanted.mode);
  const fsType = volume.fsType !== '' && wanted.fsType === '' ? volume.fsType : knownFs(wanted.fsType);
  if (volume.fsType !== '' && volume.fsType !== fsType)
    throw new CsiError(
      'FAILED_PRECONDITION',
      `volume "${volume.name}" is formatted as ${volume.fsType}, not ${fsType}`,
    );
  const mounted = await mountAt(target);
  if (mounted) {
    if (mounted.options.includes('ro') !== readOnly)
      throw new CsiError('ALREADY_EXISTS', `volume "${volume.name}" is staged at ${target} with another access mode`);
    return;
  }
  await mkdir(target, { recursive: true });
  // The kind is on record only when the file system is whole; until then it is made anew.
  const isNew = volume.fsType === '';
  if (isNew) await makeFileSystem(loop, fsType, volume);
  const isSmall = !isNew && volume.fsCapacityBytes < volume.capacityBytes;
  if (isSmall && !readOnly) await growUnmounted(loop, fsType);
  const fsCapacityBytes = readOnly && !isNew ? volume.fsCapacityBytes : volume.capacityBytes;
  const whole = { ...volume, fsType, fsCapacityBytes };
  if (isNew || isSmall) await store.update('volumes', whole);
  const flags = [...wanted.mountFlags, readOnly ? 'ro' : 'rw', ...(fsType === 'xfs' ? ['nouuid'] : [])];
  await runCommand('mount', ['-t', fsType, '-o', flags.join(','), '--', loop, target]);
  if (readOnly) return;
  await openRoot(whole, target);
  if (isSmall && fsType === 'xfs') await growMounted(store.dataPath('volumes', volume.id, volume), fsType);
}

/** The root of a fresh file system belongs to root: tasks of other users could not write. */
async function openRoot({ mode, uid, gid }: StoredVolume, root: string): Promise<void> {
  const found = await stat(root);
  const isFresh = found.uid === 0 && (found.mode & 0o7777) === 0o755;
  if (!isFresh) return;
  await chmod(root, Number.parseInt(mode, 8));
  if (uid >= 0 || gid >= 0) await chown(root, Math.max(uid, 0), Math.max(gid, 0));
}

async function publish(
  store: Store,
  volume: StoredVolume,
  { target, staging }: { target: string; staging: string },
  wanted: Needed & { readOnly: boolean },
): Promise<void> {
  const published = await mountAt(target);
  if (published) {
    const isReadOnly = published.options.includes('ro');
    if (isReadOnly && !wanted.readOnly)
      throw new CsiError('ALREADY_EXISTS', `volume "${volume.name}" is published at ${target} read-only`);
    // The plugin may have died between the two steps of a read-only mount.
    if (!isReadOnly && wanted.readOnly) await remountReadOnly(target);
    return;
  }
  if (wanted.access === 'block') {
    const [loop] = await loopsOf(store.dataPath('volumes', volume.id, volume));
    if (loop === undefined) throw new CsiError('FAILED_PRECONDITION', `volume "${volume.name}" is not staged`);
    await mkdir(dirname(target), { recursive: true });
    await (await open(target, 'a', 0o600)).close();
    await bindMount(loop, target, wanted);
    return;
  }
  if (!(await mountAt(staging)))
    throw new CsiError('FAILED_PRECONDITION', `volume "${volume.name}" is not staged at ${staging}`);
  await mkdir(target, { recursive: true });
  await bindMount(staging, target, wanted);
}

/** A volume staged in two ways (read-only and not) shares its loop device: the last one takes it away. */
async function detachUnused(image: string): Promise<void> {
  const mounts = await listMounts();
  for (const loop of await loopsOf(image)) {
    const isUsed = mounts.some(({ source }) => source === loop) || (await bindRoots(loop)).length > 0;
    if (!isUsed) await detachLoop(loop);
  }
}

/** The target is the plugin's: it goes with the volume. A directory that holds files is left, for nothing here made them. */
async function removeTarget(target: string): Promise<void> {
  const found = await stat(target).catch(() => null);
  if (!found) return;
  if (found.isDirectory()) await rmdir(target);
  else await rm(target, { force: true });
}

async function statsOf(
  store: Store,
  volume: StoredVolume,
  path: string,
): Promise<CsiMethods['Node.NodeGetVolumeStats'][1]> {
  const found = await stat(path).catch(() => null);
  if (!found) throw new CsiError('NOT_FOUND', `nothing is at ${path}`);
  const volumeCondition = await conditionOf(store.dataPath('volumes', volume.id, volume), volume);
  if (!found.isDirectory()) {
    const total = volume.capacityBytes;
    return { usage: [{ unit: 'BYTES', total, used: 0, available: 0 }], volumeCondition };
  }
  const { blocks, bfree, bavail, bsize, files, ffree } = await statfs(path);
  const usage: CsiVolumeUsage[] = [
    { unit: 'BYTES', total: blocks * bsize, used: (blocks - bfree) * bsize, available: bavail * bsize },
    { unit: 'INODES', total: files, used: files - ffree, available: ffree },
  ];
  return { usage, volumeCondition };
}

async function expand(store: Store, volume: StoredVolume, path: string): Promise<{ capacityBytes: number }> {
  const found = await stat(path).catch(() => null);
  if (!found) throw new CsiError('NOT_FOUND', `nothing is at ${path}`);
  if (volume.kind === 'image') {
    await growMounted(store.dataPath('volumes', volume.id, volume), volume.fsType);
    await store.update('volumes', { ...volume, fsCapacityBytes: volume.capacityBytes });
  }
  return { capacityBytes: volume.capacityBytes };
}
