import { secretPluginVersions } from '../secrets/plugins.js';
import type { Facts, Fingerprint } from './fact.js';

const attribute = (name: string): string => `plugins.secrets.${name}.version`;

/** The provider that every node has: variables, read from the servers. */
export const secretsFingerprint: Fingerprint = {
  name: 'secrets',
  periodMs: null,
  run: async () => ({ attributes: { [attribute('nomad')]: '1.0.0' } }),
};

/** Who else keeps secrets for tasks here: one attribute for each executable that answers. */
export const secretPluginsFingerprint: Fingerprint = {
  name: 'secret_plugins',
  periodMs: 60_000,
  slow: true,
  async run({ config }): Promise<Facts> {
    const versions = await secretPluginVersions(config.commonPluginDir);
    const found = Object.entries(versions).filter(([name]) => name !== 'nomad');
    return { attributes: Object.fromEntries(found.map(([name, version]) => [attribute(name), version])) };
  },
};
