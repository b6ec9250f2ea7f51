import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { nearest } from '../util/nearest.js';
import { err, ok, type Result } from '../util/result.js';
import { checkPluginFile } from './external/files.js';
import type { Apm, ApmPlugin, ScalerRpc, Strategy, StrategyPlugin, Target, TargetPlugin } from './sdk/autoscaler.js';
import type { ConfigProblem, DriverOptions } from './sdk/driver.js';

type Loaders<P> = Record<string, () => Promise<P>>;
type ScalerKind = 'apm' | 'strategy' | 'target';
type ScalerPlugin = ApmPlugin | StrategyPlugin | TargetPlugin;
type AnyScaler = Apm | Strategy | Target;

// As in registry.ts: by import() alone, so that a plugin which nobody uses is never loaded.
const BUNDLED: { apm: Loaders<ApmPlugin>; strategy: Loaders<StrategyPlugin>; target: Loaders<TargetPlugin> } = {
  apm: {
    'nomad-apm': async () => (await import('../../plugins/apm-mesh/index.js')).default,
    prometheus: async () => (await import('../../plugins/apm-prometheus/index.js')).default,
  },
  strategy: {
    'fixed-value': async () => (await import('../../plugins/strategy-fixed-value/index.js')).default,
    'pass-through': async () => (await import('../../plugins/strategy-pass-through/index.js')).default,
    'target-value': async () => (await import('../../plugins/strategy-target-value/index.js')).default,
    threshold: async () => (await import('../../plugins/strategy-threshold/index.js')).default,
  },
  target: {
    'nomad-target': async () => (await import('../../plugins/target-group/index.js')).default,
    nodes: async () => (await import('../../plugins/target-nodes/index.js')).default,
    power: async () => (await import('../../plugins/target-power/index.js')).default,
  },
};

/** An `apm`, `strategy` or `target` block: the plugin `driver` under the name of the block. */
export interface ScalerBlock {
  /** A bundled plugin, or a file in the plugin directory. */
  driver: string;
  args: string[];
  config: Record<string, unknown>;
  /** A package or a path, of a plugin written for this program: it goes before `driver`. */
  package: string | null;
}

/** The blocks of one kind, by name. A bundled plugin needs none. */
export type ScalerBlocks = Record<string, ScalerBlock>;

export interface ScalerSetOptions {
  apm: ScalerBlocks;
  strategy: ScalerBlocks;
  target: ScalerBlocks;
  /** How bundled plugins ask the servers. */
  rpc: ScalerRpc;
  /** What plugins that are programs are told of the servers, as Nomad's autoscaler tells them: `nomad_address` and the like. */
  nomad?: () => Record<string, string>;
  /** Where plugins that are programs lie; null: there are none. */
  pluginDir: string | null;
  /** Each plugin gets a directory of its name in here. */
  stateDir: string;
  log: (plugin: string) => DriverOptions['log'];
}

/** Why there is no plugin of this name that a policy may name; undefined when there is one. Nothing is loaded or started. */
export function scalerProblem(
  options: Pick<ScalerSetOptions, ScalerKind | 'pluginDir'>,
  kind: ScalerKind,
  name: string,
): string | undefined {
  const found = find(kind, blockOf(options, kind, name), options);
  return found.ok ? undefined : found.error;
}

/** The plugins of an autoscaler, each loaded when it is first asked for. */
export interface ScalerSet {
  /** What is in the way of a plugin that a policy names; undefined: nothing. Looks, and loads nothing. */
  problem(kind: ScalerKind, name: string): string | undefined;
  /** Throws an error for the user when there is no such plugin; it names the nearest one. */
  apm(name: string): Promise<Apm>;
  strategy(name: string): Promise<Strategy>;
  target(name: string): Promise<Target>;
  close(): Promise<void>;
}

/** What is wrong with the blocks; paths are `apm.prometheus.address` and the like. Loads the plugins named, and starts none. */
export async function scalerProblems(
  options: Pick<ScalerSetOptions, ScalerKind | 'pluginDir'>,
): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  for (const kind of ['apm', 'strategy', 'target'] as const) {
    for (const [name, block] of Object.entries(options[kind])) {
      const found = find(kind, block, options);
      try {
        if (!found.ok) throw new Error(found.error);
        if (!('load' in found.value)) continue;
        const wrong = (await found.value.load()).configProblems(block.config);
        problems.push(...wrong.map(({ path, message }) => ({ path: `${kind}.${name}.${path}`, message })));
      } catch (error) {
        problems.push({ path: `${kind}.${name}`, message: (error as Error).message });
      }
    }
  }
  return problems;
}

/** Makes the set; nothing is loaded yet. */
export function createScalers(options: ScalerSetOptions): ScalerSet {
  const opened = new Map<string, Promise<AnyScaler>>();
  const open = async (kind: ScalerKind, name: string): Promise<AnyScaler> => {
    const block = blockOf(options, kind, name);
    const { driver, args } = block;
    const found = find(kind, block, options);
    if (!found.ok) throw new Error(found.error);
    const given = {
      config: block.config,
      stateDir: join(options.stateDir, kind, name),
      log: options.log(`${kind}.${name}`),
      rpc: options.rpc,
    };
    if ('load' in found.value) return (await found.value.load()).create(given);
    const { openExternalScaler } = await import('./external/scaler.js');
    const inherits = String(block.config['nomad_config_inherit'] ?? true) !== 'false';
    const config = { ...(inherits ? options.nomad?.() : {}), ...block.config };
    return openExternalScaler({ kind, driver, path: found.value.path, args, ...given, config });
  };
  const get = (kind: ScalerKind, name: string): Promise<AnyScaler> => {
    const key = `${kind}/${name}`;
    const known = opened.get(key) ?? open(kind, name);
    opened.set(key, known);
    // One that failed to load is tried again when it is next asked for.
    known.catch(() => opened.delete(key));
    return known;
  };
  return {
    problem: (kind, name) => scalerProblem(options, kind, name),
    apm: (name) => get('apm', name) as Promise<Apm>,
    strategy: (name) => get('strategy', name) as Promise<Strategy>,
    target: (name) => get('target', name) as Promise<Target>,
    async close() {
      for (const one of [...opened.values()]) await (await one.catch(() => undefined))?.close();
    },
  };
}

function blockOf(options: Pick<ScalerSetOptions, ScalerKind>, kind: ScalerKind, name: string): ScalerBlock {
  const known = Object.hasOwn(options[kind], name) ? options[kind][name] : undefined;
  return known ?? { driver: name, args: [], config: {}, package: null };
}

/** A bundled plugin goes before a program of the same name. */
function find(
  kind: ScalerKind,
  { driver, package: specifier }: ScalerBlock,
  options: Pick<ScalerSetOptions, ScalerKind | 'pluginDir'>,
): Result<{ load: () => Promise<ScalerPlugin> } | { path: string }, string> {
  const { pluginDir } = options;
  if (specifier !== null) return ok({ load: () => loadScaler(kind, specifier, pluginDir) });
  const bundled = BUNDLED[kind];
  const load = Object.hasOwn(bundled, driver) ? bundled[driver] : undefined;
  if (load) return ok({ load });
  if (pluginDir === null || !/^[\w.-]+$/.test(driver) || !existsSync(join(pluginDir, driver))) {
    const known = [...new Set([...Object.keys(bundled), ...Object.keys(options[kind])])].sort();
    // Some write the name of its folder: target-nodes.
    const near = nearest(driver.replace(`${kind}-`, ''), known) ?? nearest(driver, known);
    const where = pluginDir === null ? ', and no plugin_dir is set' : `, and no file of this name in ${pluginDir}`;
    const hint = near === undefined ? `; there are ${known.join(', ')}` : `; did you mean "${near}"?`;
    return err(`there is no ${kind} plugin "${driver}"${where}${hint}`);
  }
  const checked = checkPluginFile(join(pluginDir, driver));
  return checked.ok ? ok({ path: checked.value }) : err(`plugin ${join(pluginDir, driver)} ${checked.error}`);
}

async function loadScaler(kind: ScalerKind, specifier: string, pluginDir: string | null): Promise<ScalerPlugin> {
  const { loadPackage } = await import('./package.js');
  const plugin = await loadPackage(specifier, pluginDir);
  if (plugin.kind === 'apm' || plugin.kind === 'strategy' || plugin.kind === 'target') {
    if (plugin.kind === kind) return plugin;
  }
  throw new Error(`package ${specifier} is a plugin of kind ${plugin.kind}, not ${kind}`);
}
