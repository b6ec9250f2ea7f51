import { mkdir, rmdir, stat, statfs } from 'node:fs/promises';
import { CsiError } from '../../lib/plugin/sdk/csi.js';
import { isReadOnlyMode, needCapability, needField, type Turns } from '../../lib/plugin/sdk/csi-checks.js';
import type { CsiHandlers } from '../../lib/plugin/sdk/csi-server.js';
import { mountAt } from '../../lib/plugin/sdk/mounts.js';
import { mountNfs, unmountNfs } from './exports.js';
import { parseVolumeId } from './place.js';

export interface NodeOptions {
  turns: Turns;
  nodeId: string;
  /** Options of every mount. */
  mountOptions: readonly string[];
}

const CAPABILITIES = ['GET_VOLUME_STATS', 'SINGLE_NODE_MULTI_WRITER'];

/** Mounts volumes on this machine. */
export function nodeHandlers({ turns, nodeId, mountOptions }: NodeOptions): CsiHandlers {
  return {
    'Node.NodeGetInfo': async () => ({ nodeId, maxVolumesPerNode: 0, accessibleTopology: null }),
    'Node.NodeGetCapabilities': async () => ({ capabilities: CAPABILITIES.map((type) => ({ rpc: { type } })) }),
    'Node.NodePublishVolume': (request) => {
      const volumeId = needField(request.volumeId, 'volume_id');
      const target = needField(request.targetPath, 'target_path');
      const wanted = needCapability(request.volumeCapability);
      if (wanted.access === 'block') throw new CsiError('INVALID_ARGUMENT', 'NFS has no block devices');
      const place = parseVolumeId(volumeId);
      if (!place) throw new CsiError('NOT_FOUND', `there is no volume "${volumeId}"`);
      const readOnly = request.readonly || isReadOnlyMode(wanted.mode);
      return turns.take(target, async () => {
        const mounted = await mountAt(target);
        if (mounted) {
          if (mounted.options.includes('ro') === readOnly) return {};
          throw new CsiError('ALREADY_EXISTS', `volume "${volumeId}" is published at ${target} in another access mode`);
        }
        await mkdir(target, { recursive: true });
        try {
          await mountNfs(place, target, [...mountOptions, ...wanted.mountFlags, readOnly ? 'ro' : 'rw']);
        } catch (error) {
          await rmdir(target).catch(() => {});
          throw error;
        }
        return {};
      });
    },
    'Node.NodeUnpublishVolume': ({ volumeId, targetPath }) => {
      needField(volumeId, 'volume_id');
      const target = needField(targetPath, 'target_path');
      return turns.take(target, async () => {
        await unmountNfs(target);
        await rmdir(target).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'ENOENT') throw error;
        });
        return {};
      });
    },
    'Node.NodeGetVolumeStats': async ({ volumeId, volumePath }) => {
      const place = parseVolumeId(needField(volumeId, 'volume_id'));
      const path = needField(volumePath, 'volume_path');
      const found = await stat(path).catch(() => null);
      if (!place || !found) throw new CsiError('NOT_FOUND', `volume "${volumeId}" is not at ${path}`);
      const { blocks, bfree, bavail, bsize, files, ffree } = await statfs(path);
      return {
        usage: [
          { unit: 'BYTES', total: blocks * bsize, used: (blocks - bfree) * bsize, available: bavail * bsize },
          { unit: 'INODES', total: files, used: files - ffree, available: ffree },
        ],
        volumeCondition: null,
      };
    },
  };
}
