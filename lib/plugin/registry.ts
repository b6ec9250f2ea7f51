import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { nearest } from '../util/nearest.js';
import type { PackagePlugin } from './package.js';
import { type PluginBlock, placeOf } from './plugin-block.js';
import type { DevicePlugin, DeviceProvider } from './sdk/device.js';
import type { ConfigProblem, Driver, DriverOptions, DriverPlugin } from './sdk/driver.js';

interface Bundled<P> {
  load: () => Promise<P>;
  /** 'on': offered unless the agent's config says `enabled = false`; 'off': only when it says `enabled = true`. */
  unlessSaid: 'on' | 'off';
}

/** Reads a task's config as the driver does; it brings nothing of the driver along. */
type DecodeTask = (config: Record<string, unknown>) => { config: unknown } | { problems: ConfigProblem[] };

// The one place where lib/ knows of plugins/: by import() alone, so that a driver nobody uses is never loaded.
const loadRawExec = async (): Promise<DriverPlugin> => (await import('../../plugins/driver-raw-exec/index.js')).default;
const BUNDLED: Record<string, Bundled<DriverPlugin>> = {
  docker: { load: async () => (await import('../../plugins/driver-docker/index.js')).default, unlessSaid: 'on' },
  exec: { load: async () => (await import('../../plugins/driver-exec/index.js')).default, unlessSaid: 'on' },
  mock_driver: { load: async () => (await import('../../plugins/driver-mock/index.js')).default, unlessSaid: 'off' },
  podman: { load: async () => (await import('../../plugins/driver-podman/index.js')).default, unlessSaid: 'on' },
  raw_exec: { load: loadRawExec, unlessSaid: 'off' },
};

// A provider looks cheaply whether its hardware is there, and loads what reads it only then.
const BUNDLED_DEVICES: Record<string, Bundled<DevicePlugin>> = {
  drm: { load: async () => (await import('../../plugins/device-drm/index.js')).default, unlessSaid: 'on' },
  nvidia: { load: async () => (await import('../../plugins/device-nvidia/index.js')).default, unlessSaid: 'on' },
  usb: { load: async () => (await import('../../plugins/device-usb/index.js')).default, unlessSaid: 'on' },
};

const TASK_CONFIGS: Record<string, () => Promise<DecodeTask>> = {
  docker: async () => (await import('../../plugins/driver-docker/config.js')).decodeTask,
  exec: async () => (await import('../../plugins/driver-exec/config.js')).decodeTask,
  mock_driver: async () => (await import('../../plugins/driver-mock/config.js')).decodeTask,
  podman: async () => (await import('../../plugins/driver-podman/config.js')).decodePodman,
  raw_exec: async () => (await import('../../plugins/driver-raw-exec/config.js')).decodeTask,
};

/**
 * What is wrong with a task's config by the bundled driver of that name, as far as it is known before its node has put values
 * into its texts.
 */
export async function taskConfigProblems(driver: string, config: Record<string, unknown>): Promise<ConfigProblem[]> {
  if (!Object.hasOwn(TASK_CONFIGS, driver)) return [];
  const decode = (await TASK_CONFIGS[driver]?.()) as DecodeTask;
  const decoded = decode(config);
  if ('config' in decoded) return [];
  const isOpen = (path: string): boolean => JSON.stringify(config[path.split(/[.[]/)[0] ?? ''] ?? '').includes('${');
  return decoded.problems.filter(({ path, isUnknownKey }) => isUnknownKey || !isOpen(path));
}

/** The names of all drivers that come with the program, sorted. */
export const DRIVER_NAMES: readonly string[] = Object.keys(BUNDLED).sort();

/** The agent's `plugin "NAME" { … }` blocks by name. */
export type PluginBlocks = Readonly<Record<string, PluginBlock>>;

export interface PluginSetOptions<T> {
  blocks: PluginBlocks;
  /** Plugins to offer although their config does not say so (`agent -dev` enables raw_exec). */
  enable?: readonly string[];
  /** Plugins from elsewhere, by name: they go before bundled ones. */
  others?: Readonly<Record<string, T>>;
  /** Each plugin gets a directory of its name in here, made when the plugin is first asked for. */
  stateDir: string;
  log: (plugin: string) => DriverOptions['log'];
}

/** `place`: "agent.hcl:12,5-9: ", '' = not known. */
export type PlacedProblem = ConfigProblem & { place: string };

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

/**
 * What is wrong with the agent's plugin blocks; paths are `docker.auth.config` and the like. Loads the plugins named, but starts
 * no program: what is wrong with the config of one is told when it is started.
 */
export async function pluginBlockProblems(blocks: PluginBlocks, pluginDir: string | null): Promise<PlacedProblem[]> {
  const problems: PlacedProblem[] = [];
  for (const [name, block] of Object.entries(blocks)) {
    const isFile = pluginDir !== null && /^[\w.-]+$/.test(name) && existsSync(join(pluginDir, name));
    const load =
      block.package === null ? (BUNDLED[name] ?? BUNDLED_DEVICES[name])?.load : packageLoader(block, pluginDir);
    if (!load && isFile) continue;
    if (!load) {
      const near = nearest(name, [...DRIVER_NAMES, ...Object.keys(BUNDLED_DEVICES), ...namesIn(pluginDir)]);
      const where =
        pluginDir === null ? ', and no plugin_dir is set' : `, and no file of this name lies in ${pluginDir}`;
      problems.push({
        path: name,
        message: `is no plugin that exists${where}${near ? `; did you mean "${near}"?` : ''}`,
        place: placeOf(block, ''),
      });
      continue;
    }
    try {
      const found = (await load()).configProblems(block.config);
      problems.push(
        ...found.map(({ path, message }) => ({ path: `${name}.${path}`, message, place: placeOf(block, path) })),
      );
    } catch (error) {
      if (block.package === null) throw error;
      problems.push({ path: name, message: (error as Error).message, place: placeOf(block, '') });
    }
  }
  return problems;
}

function namesIn(pluginDir: string | null): string[] {
  try {
    return pluginDir === null ? [] : readdirSync(pluginDir);
  } catch {
    return [];
  }
}

function packageLoader(block: PluginBlock, pluginDir: string | null): () => Promise<PackagePlugin> {
  return async () => {
    const { loadPackage } = await import('./package.js');
    return loadPackage(block.package ?? '', pluginDir);
  };
}

/** Plugins that are no part of this program. */
export interface OtherPlugins {
  drivers: Record<string, Driver>;
  devices: Record<string, DeviceProvider>;
}

/** Opens the programs of the plugin directory and the packages that blocks name. What cannot be used stands in for itself, unhealthy. */
export async function openOtherPlugins(options: {
  pluginDir: string | null;
  blocks: PluginBlocks;
  stateDir: string;
  log: (plugin: string) => DriverOptions['log'];
}): Promise<OtherPlugins> {
  const { pluginDir, blocks, stateDir, log } = options;
  const found: OtherPlugins = { drivers: {}, devices: {} };
  if (pluginDir !== null) {
    const { openExternalPlugins } = await import('./external/open.js');
    const openReader = async (given: DriverOptions): Promise<Driver> => (await loadRawExec()).create(given);
    Object.assign(found, await openExternalPlugins({ ...options, openReader }));
    for (const name of Object.keys(found.drivers).filter((name) => Object.hasOwn(BUNDLED, name))) {
      log(name)('info', `a program of plugin_dir is used in place of the bundled driver "${name}"`);
    }
  }
  for (const [name, block] of Object.entries(blocks)) {
    if (block.package === null) continue;
    const plugin = await packageLoader(block, pluginDir)();
    const given = { config: block.config, stateDir: join(stateDir, name), log: log(name) };
    if (plugin.kind === 'driver') found.drivers[plugin.name] = plugin.create(given) as Driver;
    else if (plugin.kind === 'device') found.devices[plugin.name] = plugin.create(given) as DeviceProvider;
    else
      log(name)('warn', `package ${block.package} is a plugin of the autoscaler (${plugin.kind}), and not used here`);
  }
  return found;
}

/** Makes the set of drivers an agent offers; nothing is loaded yet. */
export function createDrivers(options: PluginSetOptions<Driver>): DriverSet {
  return createSet(BUNDLED, options);
}

/** Makes the set of device providers an agent offers; nothing is loaded yet. */
export function createDevices(options: PluginSetOptions<DeviceProvider>): DeviceSet {
  return createSet(BUNDLED_DEVICES, options);
}

function createSet<T extends { close(): Promise<void> }>(
  bundled: Record<string, Bundled<{ create(options: DriverOptions): T }>>,
  options: PluginSetOptions<T>,
): PluginSet<T> {
  const disabled: Record<string, string> = {};
  const others = options.others ?? {};
  const names = [...new Set([...Object.keys(bundled), ...Object.keys(others)])].sort().filter((name) => {
    if (Object.hasOwn(others, name) || isEnabled(name, bundled[name]?.unlessSaid, options)) return true;
    disabled[name] =
      `${name} is not enabled; write enabled = true in the config block of plugin "${name}" in the agent's config`;
    return false;
  });
  const opened = new Map<string, Promise<T>>();
  const open = async (name: string): Promise<T> => {
    const other = others[name];
    if (other) return other;
    const plugin = await (bundled[name] as Bundled<{ create(options: DriverOptions): T }>).load();
    const config = { ...options.blocks[name]?.config, enabled: true };
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
      const loaded = await Promise.all(opened.values());
      for (const one of new Set([...loaded, ...Object.values(others)])) await one.close();
    },
  };
}

function isEnabled(
  name: string,
  unlessSaid: 'on' | 'off' | undefined,
  options: Pick<PluginSetOptions<unknown>, 'blocks' | 'enable'>,
): boolean {
  const said = options.blocks[name]?.config['enabled'];
  if (said === false || said === 'false') return false;
  return said === true || said === 'true' || options.enable?.includes(name) === true || unlessSaid === 'on';
}
