import { rename, stat } from 'node:fs/promises';
import { MeshError } from '../../structs/errors.js';
import type { RestoredVolume } from '../../structs/rpc-volume-data.js';
import type { HostVolumes } from '../host-volumes/host-volumes.js';
import { commitSwap, endSwap, type Left, prepareSwap, type Swap, swapOf, undoSwap } from './swap.js';

export interface VolumeRestore {
  readonly id: string;
  readonly volume: RestoredVolume;
  readonly nodeId: string;
  readonly volumes: HostVolumes;
  /** Writes the data into an empty directory. */
  readonly write: (into: string) => Promise<void>;
  /** Is told of what was there before and cannot be removed. */
  readonly left: Left;
}

/**
 * Brings a volume to this node, or exchanges the data of one that is here. Until all of it is written nothing is seen of it, and
 * then all of it is.
 */
export async function restoreVolume(restore: VolumeRestore): Promise<{ HostPath: string; CapacityBytes: number }> {
  const { volume, volumes } = restore;
  return volume.Replaces ? replace(restore, volumes) : bring(restore, volumes);
}

async function replace({ id, volume, volumes, write, left }: VolumeRestore, known: HostVolumes) {
  const path = known.pathOf(volume);
  if (path === undefined) throw new MeshError('E_NOT_FOUND', `this node has no host volume "${volume.Name}"`);
  const free = (): void => {
    if (volumes.isUsed(path)) {
      throw new MeshError('E_CONFLICT', `an allocation on this node uses host volume "${volume.Name}": stop it first`);
    }
  };
  free();
  await exchange(swapOf(path, id), { write, left, check: free });
  await volumes.look();
  return { HostPath: path, CapacityBytes: 0 };
}

/** A volume that this node does not have, or had before it was taken elsewhere. */
async function bring({ id, volume, nodeId, write, left }: VolumeRestore, volumes: HostVolumes) {
  const { ID, Name, Namespace, PluginID, NodePool, Parameters, CapacityMinBytes, CapacityMaxBytes } = volume;
  const order = { ID, Name, Namespace, NodeID: nodeId, NodePool, Parameters, CapacityMinBytes, CapacityMaxBytes };
  volumes.refuseName(Name, ID);
  const made = await (await volumes.plugin(PluginID)).create({ ...order, HostPath: '' });
  try {
    await exchange(swapOf(made.path, id), { write, left, check: () => {} });
  } catch (error) {
    // A later attempt makes it again.
    if (volumes.pathOf({ ID, Name }) === undefined) {
      await (await volumes.plugin(PluginID)).remove({ ...order, HostPath: made.path }).catch(() => {});
    }
    throw error;
  }
  await volumes.adopt({ ...order, HostPath: made.path }, PluginID);
  return { HostPath: made.path, CapacityBytes: made.bytes };
}

async function exchange(
  swap: Swap,
  { write, check, left }: Pick<VolumeRestore, 'write' | 'left'> & { check: () => void },
): Promise<void> {
  if ((await prepareSwap(swap)) === 'empty') {
    try {
      await write(swap.staging);
      check();
      await commitSwap(swap);
    } catch (error) {
      await undoSwap(swap);
      throw error;
    }
  }
  await endSwap(swap, left);
}

/** Forgets a volume that is elsewhere now: its directory goes, or is put aside under another name. */
export async function retireVolume(
  volumes: HostVolumes,
  { id, volumeId, path, keep }: { id: string; volumeId: string; path: string; keep: boolean },
): Promise<void> {
  if (volumes.isUsed(path)) {
    throw new MeshError('E_CONFLICT', `an allocation on this node still uses ${path}`);
  }
  const isThere = (await stat(path).catch(() => null)) !== null;
  if (keep && isThere) {
    await rename(path, `${path}.left-${id.slice(0, 8)}`);
    await volumes.forget(volumeId, { remove: false });
  } else await volumes.forget(volumeId, { remove: true });
}
