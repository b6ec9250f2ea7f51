import { join } from 'node:path';
import { nearest } from '../util/nearest.js';
import type { Apm, ApmPlugin, Strategy, StrategyPlugin, Target, TargetPlugin } from './sdk/autoscaler.js';
import type { ConfigProblem, DriverOptions } from './sdk/driver.js';

type Loaders<P> = Record<string, () => Promise<P>>;

// As in registry.ts: by import() alone, so that a plugin which nobody uses is never loaded.
const APMS: Loaders<ApmPlugin> = {};
const STRATEGIES: Loaders<StrategyPlugin> = {};
const TARGETS: Loaders<TargetPlugin> = {};

/** An `apm`, `strategy` or `target` block: the plugin `driver` under the name of the block. */
export interface ScalerBlock {
  /** A bundled plugin, or a file in the plugin directory. */
  driver: string;
  args: string[];
  config: Record<string, unknown>;
}

/** The blocks of one kind, by name. A bundled plugin needs none. */
export type ScalerBlocks = Record<string, ScalerBlock>;

export interface ScalerSetOptions {
  apm: ScalerBlocks;
  strategy: ScalerBlocks;
  target: ScalerBlocks;
  /** Each plugin gets a directory of its name in here. */
  stateDir: string;
  log: (plugin: string) => DriverOptions['log'];
}

/** The plugins of an autoscaler, each loaded when it is first asked for. */
export interface ScalerSet {
  /** Throws an error for the user when there is no such plugin; it names the nearest one. */
  apm(name: string): Promise<Apm>;
  strategy(name: string): Promise<Strategy>;
  target(name: string): Promise<Target>;
  close(): Promise<void>;
}

/** What is wrong with the blocks; paths are `apm.prometheus.address` and the like. Loads the plugins named. */
export async function scalerProblems(
  options: Pick<ScalerSetOptions, 'apm' | 'strategy' | 'target'>,
): Promise<ConfigProblem[]> {
  const problems: ConfigProblem[] = [];
  for (const { kind, loaders, blocks } of kinds(options)) {
    for (const [name, { driver, config }] of Object.entries(blocks)) {
      const load = loaders[driver];
      if (!load) problems.push({ path: `${kind}.${name}`, message: unknown(driver, kind, Object.keys(loaders)) });
      else {
        const found = (await load()).configProblems(config);
        problems.push(...found.map(({ path, message }) => ({ path: `${kind}.${name}.${path}`, message })));
      }
    }
  }
  return problems;
}

/** Makes the set; nothing is loaded yet. */
export function createScalers(options: ScalerSetOptions): ScalerSet {
  const opened = new Map<string, Promise<{ close(): Promise<void> }>>();
  const get = <T extends { close(): Promise<void> }>(
    kind: 'apm' | 'strategy' | 'target',
    loaders: Loaders<{ create(options: DriverOptions): T }>,
    name: string,
  ): Promise<T> => {
    const key = `${kind}/${name}`;
    const open = async (): Promise<T> => {
      const block = Object.hasOwn(options[kind], name) ? options[kind][name] : undefined;
      const driver = block?.driver ?? name;
      const load = loaders[driver];
      if (!load) throw new Error(unknown(driver, kind, Object.keys(loaders)));
      const plugin = await load();
      const stateDir = join(options.stateDir, kind, name);
      return plugin.create({ config: block?.config ?? {}, stateDir, log: options.log(`${kind}.${name}`) });
    };
    const known = (opened.get(key) as Promise<T> | undefined) ?? open();
    opened.set(key, known);
    // One that failed to load is tried again when it is next asked for.
    known.catch(() => opened.delete(key));
    return known;
  };
  return {
    apm: (name) => get('apm', APMS, name),
    strategy: (name) => get('strategy', STRATEGIES, name),
    target: (name) => get('target', TARGETS, name),
    async close() {
      for (const one of [...opened.values()]) await (await one.catch(() => undefined))?.close();
    },
  };
}

function kinds(options: Pick<ScalerSetOptions, 'apm' | 'strategy' | 'target'>) {
  return [
    { kind: 'apm', loaders: APMS, blocks: options.apm },
    { kind: 'strategy', loaders: STRATEGIES, blocks: options.strategy },
    { kind: 'target', loaders: TARGETS, blocks: options.target },
  ];
}

function unknown(driver: string, kind: string, known: string[]): string {
  const near = nearest(driver, known);
  return `there is no ${kind} plugin "${driver}"${near ? `; did you mean "${near}"?` : ''}`;
}
