import { findHostVolumePlugin } from '../host-volumes/plugin.js';
import { listExecutables } from '../plugin-program.js';
import type { Facts, Fingerprint } from './fact.js';

/** Who can make host volumes here: `plugins.host_volume.version.mkdir` and one for each executable that answers. */
export const hostVolumePluginsFingerprint: Fingerprint = {
  name: 'host_volume_plugins',
  periodMs: 60_000,
  onReload: true,
  async run({ config }): Promise<Facts> {
    const dirs = { volumesDir: config.hostVolumesDir, pluginDir: config.hostVolumePluginDir };
    const attributes: Record<string, string> = {};
    const warnings: string[] = [];
    const ask = async (id: string): Promise<void> => {
      try {
        const version = await (await findHostVolumePlugin(id, dirs)).fingerprint();
        attributes[`plugins.host_volume.version.${id}`] = version;
      } catch (error) {
        // One that cannot say its version cannot make volumes either.
        warnings.push(error instanceof Error ? error.message : String(error));
      }
    };
    // At once: one that hangs holds nobody up for longer than its own time.
    await Promise.all(['mkdir', ...(await listExecutables(dirs.pluginDir))].map(ask));
    return { attributes, warnings };
  },
};
