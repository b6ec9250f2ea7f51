import { findHostVolumePlugin } from '../host-volumes/plugin.js';
import { listExecutables } from '../plugin-program.js';
import type { Facts, Fingerprint } from './fact.js';

/** Who can make host volumes here: `plugins.host_volume.version.mkdir` and one for each executable that answers. */
export const hostVolumePluginsFingerprint: Fingerprint = {
  name: 'host_volume_plugins',
  periodMs: 60_000,
  async run({ config }): Promise<Facts> {
    const dirs = { volumesDir: config.hostVolumesDir, pluginDir: config.hostVolumePluginDir };
    const attributes: Record<string, string> = {};
    for (const id of ['mkdir', ...(await listExecutables(dirs.pluginDir))]) {
      // One that cannot say its version cannot make volumes either.
      const version = await (await findHostVolumePlugin(id, dirs)).fingerprint().catch(() => null);
      if (version !== null) attributes[`plugins.host_volume.version.${id}`] = version;
    }
    return { attributes };
  },
};
