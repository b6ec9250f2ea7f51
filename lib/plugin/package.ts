import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { isAbsolute, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ApmPlugin, StrategyPlugin, TargetPlugin } from './sdk/autoscaler.js';
import type { DevicePlugin } from './sdk/device.js';
import type { DriverPlugin } from './sdk/driver.js';

/** What the default export of a package may be, by its `kind`. */
interface PackagePlugins {
  driver: DriverPlugin;
  device: DevicePlugin;
  apm: ApmPlugin;
  strategy: StrategyPlugin;
  target: TargetPlugin;
}

export type PluginKind = keyof PackagePlugins;
export type PackagePlugin = PackagePlugins[PluginKind];

const KINDS: readonly string[] = ['driver', 'device', 'apm', 'strategy', 'target'] satisfies PluginKind[];

/**
 * Loads a plugin that is written for this program: `specifier` is the name of an npm package (looked for from the plugin
 * directory upwards, then beside this program), or a path (one that is not absolute lies in the plugin directory). Throws an
 * error for the user when there is none, or when its default export is no plugin.
 */
export async function loadPackage(specifier: string, pluginDir: string | null): Promise<PackagePlugin> {
  const file = findEntry(specifier, pluginDir);
  let module: { default?: unknown };
  try {
    module = await import(pathToFileURL(file).href);
  } catch (error) {
    const isTypeScript =
      (error as NodeJS.ErrnoException).code === 'ERR_UNKNOWN_FILE_EXTENSION' && /\.[cm]?ts$/.test(file);
    const why = isTypeScript
      ? `Node.js ${process.versions.node} reads no TypeScript: compile it with tsc, or run the agent with Node.js 22.18 or newer`
      : (error as Error).message;
    throw new Error(`package ${specifier} (${file}) cannot be loaded: ${why}`);
  }
  const plugin = module.default as Partial<PackagePlugin> | undefined;
  const isPlugin =
    typeof plugin?.name === 'string' &&
    typeof plugin.create === 'function' &&
    typeof plugin.configProblems === 'function' &&
    typeof plugin.kind === 'string' &&
    KINDS.includes(plugin.kind);
  if (!isPlugin) {
    throw new Error(
      `package ${specifier} (${file}) has no plugin as its default export: it must have name, kind (${KINDS.join(', ')}), configProblems and create`,
    );
  }
  return plugin as PackagePlugin;
}

function findEntry(specifier: string, pluginDir: string | null): string {
  const isPath = isAbsolute(specifier) || specifier.startsWith('.');
  if (isPath) {
    if (!isAbsolute(specifier) && pluginDir === null) {
      throw new Error(`package ${specifier}: a path that is not absolute lies in plugin_dir, and none is set`);
    }
    const path = resolve(pluginDir ?? '/', specifier);
    const file = existsSync(join(path, 'package.json')) ? join(path, entryOf(path)) : path;
    if (existsSync(file)) return file;
    throw new Error(`package ${specifier}: ${file} does not exist`);
  }
  const from = [...(pluginDir === null ? [] : [join(pluginDir, 'plugin.js')]), import.meta.url];
  for (const place of from) {
    for (const folder of createRequire(place).resolve.paths(specifier) ?? []) {
      const path = join(folder, specifier);
      if (existsSync(join(path, 'package.json'))) return join(path, entryOf(path));
    }
  }
  const where = pluginDir === null ? 'set plugin_dir and install it there' : `npm install it in ${pluginDir}`;
  throw new Error(`package ${specifier} is not installed: ${where}`);
}

/** The file that `import` of a package's folder gives: "exports", then "main". */
function entryOf(folder: string): string {
  const { exports, main } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  let found = exports?.['.'] ?? exports;
  while (typeof found === 'object' && found !== null && !Array.isArray(found)) {
    found = found.import ?? found.node ?? found.default;
  }
  return typeof found === 'string' ? found : typeof main === 'string' ? main : 'index.js';
}
