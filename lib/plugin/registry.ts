import { join } from 'node:path';
import { nearest } from '../util/nearest.js';
import type { DevicePlugin, DeviceProvider } from './sdk/device.js';
import type { ConfigProblem, Driver, DriverOptions, DriverPlugin } from './sdk/driver.js';

interface Bundled<P> {
  load: () => Promise<P>;
  /** 'on': offered unless the agent's config says `enabled = false`; 'off': only when it says `enabled = true`. */
  unlessSaid: 'on' | 'off';
}

// The one place where lib/ knows of plugins/: by import() alone, so that a driver nobody uses is never loaded.
const BUNDLED: Record<string, Bundled<DriverPlugin>> = {
  docker: { load: async () => (await import('../../plugins/driver-docker/index.js')).default, unlessSaid: 'on' },
  exec: { load: async () => (await import('../../plugins/driver-exec/index.js')).default, unlessSaid: 'on' },
  mock_driver: { load: async () => (await import('../../plugins/driver-mock/index.js')).default, unlessSaid: 'off' },
  podman: { load: async () => (await import('../../plugins/driver-podman/index.js')).default, unlessSaid: 'on' },
  raw_exec: { load: async () => (await import('../../plugins/driver-raw-exec/index.js')).default, unlessSaid: 'off' },
};

// A provider looks cheaply whether its hardware is there, and loads what reads it only then.
const BUNDLED_DEVICES: Record<string, Bundled<DevicePlugin>> = {
  drm: { load: async () => (await import('../../plugins/device-drm/index.js')).default, unlessSaid: 'on' },
  nvidia: { load: async () => (await import('../../plugins/device-nvidia/index.js')).default, unlessSaid: 'on' },
  usb: { load: async () => (await import('../../plugins/device-usb/index.js')).default, unlessSaid: 'on' },
};

/** The names of all drivers that come with the program, sorted. */
export const DRIVER_NAMES: readonly string[] = Object.keys(BUNDLED).sort();

/** The agent's `plugin "NAME" { config { … } }` blocks by name. */
export type PluginConfigs = Record<string, Record<string, unknown>>;

export interface PluginSetOptions {
  pluginConfig: PluginConfigs;
  /** Plugins to offer although their config does not say so (`agent -dev` enables raw_exec). */
  enable?: readonly string[];
  /** Each plugin gets a directory of its name in here, made when the plugin is first asked for. */
  stateDir: string;
  log: (plugin: string) => DriverOptions['log'];
}

/** The plugins of one kind that an agent offers. */
export interface PluginSet<T> {
  /** Names of the enabled ones, sorted. */
  readonly names: readonly string[];
  /** Names of the bundled ones that are not enabled, with what to write to enable them. */
  readonly disabled: Readonly<Record<string, string>>;
  /** Loads it the first time it is asked for; undefined when it is unknown or not enabled. */
  get(name: string): Promise<T | undefined>;
  /** Closes those that were loaded; tasks go on running. */
  close(): Promise<void>;
}

export type DriverSet = PluginSet<Driver>;
export type DeviceSet = PluginSet<DeviceProvider>;

/** What is wrong with the agent's plugin blocks; paths are `docker.auth.config` and the like. Loads the plugins named. */
export async function pluginConfigProblems(pluginConfig: PluginConfigs): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  for (const [name, config] of Object.entries(pluginConfig)) {
    const bundled = BUNDLED[name] ?? BUNDLED_DEVICES[name];
    if (!bundled) {
      const near = nearest(name, [...DRIVER_NAMES, ...Object.keys(BUNDLED_DEVICES)]);
      problems.push({ path: name, message: `is no plugin that exists${near ? `; did you mean "${near}"?` : ''}` });
      continue;
    }
    const found = (await bundled.load()).configProblems(config);
    problems.push(...found.map(({ path, message }) => ({ path: `${name}.${path}`, message })));
  }
  return problems;
}

/** Makes the set of drivers an agent offers; nothing is loaded yet. */
export function createDrivers(options: PluginSetOptions): DriverSet {
  return createSet(BUNDLED, options);
}

/** Makes the set of device providers an agent offers; nothing is loaded yet. */
export function createDevices(options: PluginSetOptions): DeviceSet {
  return createSet(BUNDLED_DEVICES, options);
}

function createSet<T extends { close(): Promise<void> }>(
  bundled: Record<string, Bundled<{ create(options: DriverOptions): T }>>,
  options: PluginSetOptions,
): PluginSet<T> {
  const disabled: Record<string, string> = {};
  const names = Object.keys(bundled)
    .sort()
    .filter((name) => {
      if (isEnabled(name, bundled[name]?.unlessSaid, options)) return true;
      disabled[name] =
        `${name} is not enabled; write plugin "${name}" { config { enabled = true } } in the agent's config`;
      return false;
    });
  const opened = new Map<string, Promise<T>>();
  const open = async (name: string): Promise<T> => {
    const plugin = await (bundled[name] as Bundled<{ create(options: DriverOptions): T }>).load();
    const config = { ...options.pluginConfig[name], enabled: true };
    return plugin.create({ config, stateDir: join(options.stateDir, name), log: options.log(name) });
  };
  return {
    names,
    disabled,
    async get(name) {
      if (!names.includes(name)) return undefined;
      const known = opened.get(name) ?? open(name);
      opened.set(name, known);
      // One that failed to load is tried again when it is next asked for.
      known.catch(() => opened.delete(name));
      return known;
    },
    async close() {
      for (const one of [...opened.values()]) await (await one).close();
    },
  };
}

function isEnabled(name: string, unlessSaid: 'on' | 'off' | undefined, options: PluginSetOptions): boolean {
  const said = options.pluginConfig[name]?.['enabled'];
  if (said === false || said === 'false') return false;
  return said === true || said === 'true' || options.enable?.includes(name) === true || unlessSaid === 'on';
}
