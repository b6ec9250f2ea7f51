import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NOMAD_PLUGIN } from '../go-plugin/handshake.js';
import { FOREIGN_PLUGIN } from '../go-plugin/launch.js';
import { messageOf, type PluginInstance, PluginSupervisor } from '../go-plugin/supervise.js';
import type { PluginBlock } from '../plugin-block.js';
import { findCgroups } from '../sdk/cgroup-tree.js';
import type { DeviceProvider } from '../sdk/device.js';
import type { Driver, DriverOptions } from '../sdk/driver.js';
import { brokenDriver } from './broken.js';
import { ExternalDevices } from './device.js';
import { ExternalDriver } from './driver.js';
import { fingerprintOf, type PluginFile, scanPluginDir } from './files.js';
import { LogCollector } from './log-collector.js';
import { type PluginFacts, setUpNomadPlugin } from './nomad-plugin.js';
import { TaskCgroups } from './task-cgroups.js';

export interface ExternalPluginOptions {
  /** Null: there are no programs to look for. */
  pluginDir: string | null;
  blocks: Readonly<Record<string, PluginBlock>>;
  /** Each plugin gets a directory of its name in here. */
  stateDir: string;
  log: (plugin: string) => DriverOptions['log'];
  /** A driver that runs programs under a supervisor which outlives the agent: it runs the readers of tasks' output. */
  openReader: (options: DriverOptions) => Promise<Driver>;
}

/** The drivers and devices that are programs of the plugin directory, by the names they give themselves. */
export interface ExternalPlugins {
  drivers: Record<string, Driver>;
  devices: Record<string, DeviceProvider>;
}

const START_MS = 10_000;
/** A plugin that has not said yet who it is has this long; the agent starts no later for it than that. */
const IDENTIFY_MS = 5_000;
/** One that was never seen before: small machines take long to read a large program for the first time. */
const FIRST_IDENTIFY_MS = 20_000;

/**
 * Starts every program of the plugin directory, all at the same time. Never fails: what cannot be used is told in the log and
 * stands in the list of drivers as unhealthy, under the name of its file.
 */
export async function openExternalPlugins(options: ExternalPluginOptions): Promise<ExternalPlugins> {
  const found: ExternalPlugins = { drivers: {}, devices: {} };
  if (options.pluginDir === null) return found;
  const scanned = scanPluginDir(options.pluginDir);
  if (!scanned.ok) {
    options.log('plugins')('warn', scanned.error);
    return found;
  }
  for (const { name, why, isMeant } of scanned.value.refused) {
    const message = `plugin ${join(options.pluginDir, name)} ${why}`;
    options.log(name)('warn', message);
    if (isMeant || options.blocks[name])
      found.drivers[name] = brokenDriver(
        name,
        () => message,
        async () => {},
      );
  }
  const programs = scanned.value.files.filter(({ name }) => (options.blocks[name]?.package ?? null) === null);
  const opened = await Promise.all(programs.map((file) => openPlugin(file, options)));
  for (const [i, plugin] of opened.entries()) {
    if (!plugin) continue;
    const set: Record<string, unknown> = plugin instanceof ExternalDevices ? found.devices : found.drivers;
    if (Object.hasOwn(set, plugin.name)) {
      const { name } = programs[i] as PluginFile;
      options.log(name)('error', `another file of plugin_dir is "${plugin.name}" already; this one is not used`);
      await plugin.close();
    } else set[plugin.name] = plugin;
  }
  return found;
}

/** Undefined for a plugin of something else, such as the autoscaler: its directory may be the same. */
async function openPlugin(
  file: PluginFile,
  options: ExternalPluginOptions,
): Promise<Driver | ExternalDevices | undefined> {
  const { name, path } = file;
  const block = options.blocks[name];
  const stateDir = join(options.stateDir, name);
  const log = options.log(name);
  const patienceMs = existsSync(stateDir) ? IDENTIFY_MS : FIRST_IDENTIFY_MS;
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  // First of all: between the moment the plugin is up and that in which somebody hears of it nothing may be waited for.
  const collector = await openCollector(stateDir, options, log);
  const fingerprint = fingerprintOf(path, block?.args ?? [], block?.config ?? null);
  const kept = readFacts(stateDir, fingerprint);
  let onUp: ((instance: PluginInstance<PluginFacts>) => Promise<void>) | undefined;
  const supervisor = new PluginSupervisor<PluginFacts>({
    program: {
      name,
      path,
      args: block?.args ?? [],
      handshake: NOMAD_PLUGIN,
      stateDir,
      fingerprint,
      startTimeoutMs: START_MS,
      // A device plugin may tell only what has changed since it was first asked (as Nomad's SDK shows it): Nomad takes none up.
      takesUp: kept?.kind !== 'device',
      log,
    },
    setUp: (connection) => setUpNomadPlugin(connection, block ?? null),
    onUp: async (instance) => {
      keepFacts(stateDir, fingerprint, instance.facts);
      await onUp?.(instance);
    },
  });
  const instance = kept ? undefined : await supervisor.instance(patienceMs).catch(() => undefined);
  const facts = kept ?? instance?.facts;
  if (!facts && supervisor.problem?.endsWith(FOREIGN_PLUGIN)) {
    log('info', `${name} ${FOREIGN_PLUGIN}, and not used here`);
    await supervisor.close('end');
    return undefined;
  }
  if (!facts)
    return brokenDriver(
      name,
      () => brokenText(name, supervisor),
      () => supervisor.close('end'),
    );
  const plugin =
    facts.kind === 'driver'
      ? new ExternalDriver({ facts, supervisor, stateDir, log, collector, cgroups: taskCgroups(log) })
      : new ExternalDevices(facts, supervisor);
  onUp = (next) => plugin.onUp(next);
  if (instance) await plugin.onUp(instance).catch((error: unknown) => log('error', messageOf(error)));
  return plugin;
}

function taskCgroups(log: DriverOptions['log']): TaskCgroups {
  // As Nomad's executor, which looks for none where it may change none.
  const mayMake = process.platform === 'linux' && process.getuid?.() === 0;
  return new TaskCgroups(mayMake ? findCgroups() : undefined, log);
}

async function openCollector(
  stateDir: string,
  options: ExternalPluginOptions,
  log: DriverOptions['log'],
): Promise<LogCollector> {
  const pipesDir = join(stateDir, 'pipes');
  mkdirSync(pipesDir, { recursive: true, mode: 0o700 });
  return new LogCollector(
    await options.openReader({ config: { enabled: true }, stateDir: join(stateDir, 'readers'), log }),
    pipesDir,
  );
}

function brokenText(name: string, supervisor: PluginSupervisor<PluginFacts>): string {
  const { facts } = supervisor;
  if (facts)
    return `plugin ${name} was slow to start: it is ${facts.kind} "${facts.name}"; restart the agent to use it`;
  return supervisor.problem ?? `plugin ${name} does not say who it is`;
}

// Who a plugin is, is kept: the agent then knows its drivers at once, however long the plugin takes to start.

function keepFacts(stateDir: string, fingerprint: string, facts: PluginFacts): void {
  writeFileSync(join(stateDir, 'facts.json'), JSON.stringify({ version: 2, fingerprint, facts }), { mode: 0o600 });
}

function readFacts(stateDir: string, fingerprint: string): PluginFacts | undefined {
  try {
    const kept = JSON.parse(readFileSync(join(stateDir, 'facts.json'), 'utf8'));
    return kept.version === 2 && kept.fingerprint === fingerprint ? kept.facts : undefined;
  } catch {
    return undefined;
  }
}
