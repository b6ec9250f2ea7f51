import { chmod } from 'node:fs/promises';
import { emptyDirectory } from '../../plugin/sdk/remove-tree.js';
import type { CsiDataMount, CsiDataPlace } from '../../structs/rpc-volume-data.js';
import { toCsiCapability } from '../csi/capability.js';
import { toMeshError } from '../csi/errors.js';
import type { CsiMounts, CsiPlace } from '../csi/mounts.js';
import { syncDisk } from './swap.js';

/** Mounts volumes for the sake of their data; each is one that nobody else knows. */
export class CsiData {
  readonly #mounts: CsiMounts;

  constructor(mounts: CsiMounts) {
    this.#mounts = mounts;
  }

  /**
   * Does something with what is in a volume, and has nothing of it mounted afterwards. Whoever was killed meanwhile is asked again, or
   * to unmount it. Throws what the plugin says.
   */
  async within<T>(mount: CsiDataMount, use: (path: string) => Promise<T>): Promise<T> {
    const place = placeOf(mount);
    try {
      const { FSType, MountFlags, AccessMode } = mount;
      await this.#mounts.mount({
        ...place,
        capability: toCsiCapability({ AccessMode, AttachmentMode: 'file-system' }, { FSType, MountFlags }),
        publishContext: mount.PublishContext,
        volumeContext: mount.VolumeContext ?? {},
        secrets: mount.Secrets ?? {},
      });
    } catch (error) {
      throw toMeshError(error);
    }
    try {
      return await use(this.#mounts.targetOf(place));
    } finally {
      // Where that cannot be done now, servers ask for it again until it is.
      await this.unmount(mount).catch(() => {});
    }
  }

  /** Has the volume filled, which is emptied first: what an earlier attempt wrote is of no use. */
  fill(mount: CsiDataMount, write: (path: string) => Promise<void>): Promise<void> {
    return this.within(mount, async (path) => {
      // Nobody else is to enter before all of it is there.
      await chmod(path, 0o700);
      await emptyDirectory(Buffer.from(path));
      await write(path);
      await syncDisk(path);
    });
  }

  /** What is not mounted is well. */
  async unmount(place: CsiDataPlace): Promise<void> {
    await this.#mounts
      .unmount(placeOf(place), () => {})
      .catch((error: unknown) => {
        throw toMeshError(error);
      });
  }
}

function placeOf({ ID, PluginID, ExternalID, AccessMode }: CsiDataPlace): CsiPlace {
  return {
    allocId: ID,
    pluginId: PluginID,
    externalId: ExternalID,
    namespace: 'volume-data',
    volumeId: ID,
    readOnly: false,
    attachmentMode: 'file-system',
    accessMode: AccessMode,
  };
}
