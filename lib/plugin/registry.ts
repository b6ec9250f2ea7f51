import { join } from 'node:path';
import { nearest } from '../util/nearest.js';
import type { ConfigProblem, Driver, DriverOptions, DriverPlugin } from './sdk/driver.js';

interface Bundled {
  load: () => Promise<DriverPlugin>;
  /** 'on': offered unless the agent's config says `enabled = false`; 'off': only when it says `enabled = true`. */
  unlessSaid: 'on' | 'off';
}

// The one place where lib/ knows of plugins/: by import() alone, so that a driver nobody uses is never loaded.
const BUNDLED: Record<string, Bundled> = {
  docker: { load: async () => (await import('../../plugins/driver-docker/index.js')).default, unlessSaid: 'on' },
  mock_driver: { load: async () => (await import('../../plugins/driver-mock/index.js')).default, unlessSaid: 'off' },
  raw_exec: { load: async () => (await import('../../plugins/driver-raw-exec/index.js')).default, unlessSaid: 'off' },
};

/** The names of all drivers that come with the program, sorted. */
export const DRIVER_NAMES: readonly string[] = Object.keys(BUNDLED).sort();

/** The agent's `plugin "NAME" { config { … } }` blocks by name. */
export type PluginConfigs = Record<string, Record<string, unknown>>;

export interface DriverSetOptions {
  pluginConfig: PluginConfigs;
  /** Drivers to offer although their config does not say so (`agent -dev` enables raw_exec). */
  enable?: readonly string[];
  /** Each driver gets a directory of its name in here, made when the driver is first asked for. */
  stateDir: string;
  log: (driver: string) => DriverOptions['log'];
}

/** The drivers an agent offers. */
export interface DriverSet {
  /** Names of the enabled drivers, sorted. */
  readonly names: readonly string[];
  /** Names of the bundled drivers that are not enabled, with what to write to enable them. */
  readonly disabled: Readonly<Record<string, string>>;
  /** Loads the driver the first time it is asked for; undefined when it is unknown or not enabled. */
  get(name: string): Promise<Driver | undefined>;
  /** Closes the drivers that were loaded; tasks go on running. */
  close(): Promise<void>;
}

/** What is wrong with the agent's plugin blocks; paths are `docker.auth.config` and the like. Loads the plugins named. */
export async function pluginConfigProblems(pluginConfig: PluginConfigs): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  for (const [name, config] of Object.entries(pluginConfig)) {
    const bundled = BUNDLED[name];
    if (!bundled) {
      const near = nearest(name, DRIVER_NAMES);
      problems.push({ path: name, message: `is no plugin that exists${near ? `; did you mean "${near}"?` : ''}` });
      continue;
    }
    const found = (await bundled.load()).configProblems(config);
    problems.push(...found.map(({ path, message }) => ({ path: `${name}.${path}`, message })));
  }
  return problems;
}

/** Makes the set of drivers an agent offers; nothing is loaded yet. */
export function createDrivers(options: DriverSetOptions): DriverSet {
  const disabled: Record<string, string> = {};
  const names = DRIVER_NAMES.filter((name) => {
    if (isEnabled(name, options)) return true;
    disabled[name] =
      `${name} is not enabled; write plugin "${name}" { config { enabled = true } } in the agent's config`;
    return false;
  });
  const drivers = new Map<string, Promise<Driver>>();
  const open = async (name: string): Promise<Driver> => {
    const plugin = await (BUNDLED[name] as Bundled).load();
    const config = { ...options.pluginConfig[name], enabled: true };
    return plugin.create({ config, stateDir: join(options.stateDir, name), log: options.log(name) });
  };
  return {
    names,
    disabled,
    async get(name) {
      if (!names.includes(name)) return undefined;
      const known = drivers.get(name) ?? open(name);
      drivers.set(name, known);
      // A driver that failed to load is tried again when it is next asked for.
      known.catch(() => drivers.delete(name));
      return known;
    },
    async close() {
      for (const driver of [...drivers.values()]) await (await driver).close();
    },
  };
}

function isEnabled(name: string, options: DriverSetOptions): boolean {
  const said = options.pluginConfig[name]?.['enabled'];
  if (said === false || said === 'false') return false;
  return (
    said === true || said === 'true' || options.enable?.includes(name) === true || BUNDLED[name]?.unlessSaid === 'on'
  );
}
