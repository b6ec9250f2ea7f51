import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type ExternalPlugins, openExternalPlugins } from '../../lib/plugin/external/open.js';
import type { Driver, DriverOptions } from '../../lib/plugin/sdk/driver.js';
import rawExec from '../../plugins/driver-raw-exec/index.js';

/** Opens what lies in a plugin directory, as an agent does. */
export async function openPluginDir(options: {
  dir: string;
  stateDir: string;
  config?: Record<string, unknown>;
  log?: DriverOptions['log'];
}): Promise<ExternalPlugins> {
  mkdirSync(options.stateDir, { recursive: true });
  const { config = {} } = options;
  return openExternalPlugins({
    pluginDir: options.dir,
    blocks: new Proxy({}, { get: () => ({ args: [], config, package: null }) }),
    stateDir: join(options.stateDir, 'plugins'),
    log: () => options.log ?? (() => {}),
    openReader: async (given) => rawExec.create(given) as Driver,
  });
}

/** Closes what was opened; what runs goes on. */
export async function closePlugins({ drivers, devices }: ExternalPlugins): Promise<void> {
  for (const one of [...Object.values(drivers), ...Object.values(devices)]) await one.close();
}
