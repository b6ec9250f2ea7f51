import type { Facts, Fingerprint } from './fact.js';

/** The Nomad whose behaviour this client has: job files constrain on it. */
export const NOMAD_COMPAT_VERSION = '1.10.5';

export const versionFingerprint: Fingerprint = {
  name: 'version',
  periodMs: null,
  async run({ version, httpAddr, config }): Promise<Facts> {
    return {
      attributes: {
        'nomad.version': NOMAD_COMPAT_VERSION,
        'nomad.revision': '',
        // Services of the provider "nomad": what jobs that use it ask for.
        'nomad.service_discovery': String(config.serviceDiscovery),
        'nomad.advertise.address': httpAddr,
        'meshnomad.version': version,
      },
    };
  },
};
