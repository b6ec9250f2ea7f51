import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import type { Millis } from '../../util/clock.js';
import { isObject, type NetworkList, type PluginConfig } from './conflist.js';
import { runProgram } from './program.js';
import type { CniResult, PortMapping } from './result.js';

// Calls CNI plugins as the specification's execution protocol says: what to do in the environment, the configuration on
// standard input, a result or an error as JSON on standard output.

/** One container's place in a network. */
export interface Attachment {
  containerId: string;
  /** '' for DEL when the namespace is gone. */
  netnsPath: string;
  ifName: string;
  /** For CNI_ARGS. */
  args: Record<string, string>;
  portMappings: PortMapping[];
  /** The addresses that it should have, with their prefixes, for plugins that can be asked for several ("ips"). */
  ips?: readonly string[];
}

/** A plugin that failed, or could not be called. */
export class CniError extends Error {
  constructor(plugin: string, message: string) {
    super(`CNI plugin "${plugin}": ${message}`);
    this.name = 'CniError';
  }
}

/** A plugin may have to wait for the lock of iptables behind others. */
const PLUGIN_TIMEOUT_MS: Millis = 60_000;

/** Calls plugins that lie in some directories. */
export class CniRuntime {
  readonly #path: readonly string[];
  readonly #timeoutMs: Millis;

  /** `path`: the directories with the plugins, in the order in which they are searched. `timeoutMs`: of each call. */
  constructor(path: readonly string[], timeoutMs = PLUGIN_TIMEOUT_MS) {
    this.#path = path;
    this.#timeoutMs = timeoutMs;
  }

  /** Attaches a container; what was done until a plugin failed is undone. Throws CniError. */
  async add(list: NetworkList, at: Attachment): Promise<CniResult> {
    let result: CniResult | null = null;
    try {
      for (const plugin of list.plugins) result = (await this.#call('ADD', list, plugin, at, result)) ?? result;
    } catch (error) {
      // By what there is of a result: rules for its addresses are found by them alone.
      await this.remove(list, at, result).catch(() => {});
      throw error;
    }
    return result ?? {};
  }

  /** Whether it is still attached as `result` says: the first complaint, or null. A list that cannot be asked has none. */
  async check(list: NetworkList, at: Attachment, result: CniResult): Promise<CniError | null> {
    if (list.disableCheck || isBefore(list.cniVersion, '0.4.0')) return null;
    try {
      for (const plugin of list.plugins) await this.#call('CHECK', list, plugin, at, result);
      return null;
    } catch (error) {
      if (error instanceof CniError) return error;
      throw error;
    }
  }

  /** Calls ADD of some of the list's plugins again, which must bear that: `firewall` and `portmap` put back what is missing. */
  async addAgain(list: NetworkList, types: readonly string[], at: Attachment, result: CniResult): Promise<void> {
    for (const plugin of list.plugins.filter(({ type }) => types.includes(type)))
      await this.#call('ADD', list, plugin, at, result);
  }

  /** Detaches it, from the last plugin to the first; all are called, then the first failure is thrown. */
  async remove(list: NetworkList, at: Attachment, result: CniResult | null): Promise<void> {
    let failure: unknown;
    for (const plugin of [...list.plugins].reverse()) {
      await this.#call('DEL', list, plugin, at, result).catch((error: unknown) => {
        failure ??= error;
      });
    }
    if (failure !== undefined) throw failure;
  }

  async #call(
    command: 'ADD' | 'CHECK' | 'DEL',
    list: NetworkList,
    plugin: PluginConfig,
    at: Attachment,
    prevResult: CniResult | null,
  ): Promise<CniResult | null> {
    const file = await this.#find(plugin.type);
    const env = {
      PATH: process.env['PATH'] ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      CNI_COMMAND: command,
      CNI_CONTAINERID: at.containerId,
      CNI_NETNS: at.netnsPath,
      CNI_IFNAME: at.ifName,
      CNI_ARGS: Object.entries({ IgnoreUnknown: '1', ...at.args })
        .map(([key, value]) => `${key}=${value}`)
        .join(';'),
      CNI_PATH: this.#path.join(':'),
    };
    const input = JSON.stringify(pluginInput(list, plugin, at, prevResult));
    const run = await runProgram(file, [], { timeoutMs: this.#timeoutMs, input, env }).catch((error: Error) => {
      throw new CniError(plugin.type, error.message);
    });
    if (run.code === 0) return parseResult(plugin.type, run.out);
    throw failureOf(plugin.type, command, run);
  }

  async #find(type: string): Promise<string> {
    for (const dir of this.#path) {
      const file = join(dir, type);
      if (await isExecutable(file)) return file;
    }
    throw new CniError(
      type,
      `is not installed in ${this.#path.join(', ')}; install it, or say where it is in client { cni_path }`,
    );
  }
}

/** What a plugin reads: its own part of the list, with the network's name and version and what it can make use of. */
export function pluginInput(
  list: NetworkList,
  plugin: PluginConfig,
  at: Pick<Attachment, 'portMappings' | 'ips'>,
  prevResult: CniResult | null,
): Record<string, unknown> {
  const { capabilities, ...rest } = plugin;
  const able = isObject(capabilities) ? capabilities : {};
  const runtimeConfig = {
    ...(able['portMappings'] === true ? { portMappings: at.portMappings } : {}),
    ...(able['ips'] === true && at.ips ? { ips: at.ips } : {}),
  };
  const runtime = Object.keys(runtimeConfig).length > 0 ? { runtimeConfig } : {};
  const before = prevResult ? { prevResult: { ...prevResult, cniVersion: list.cniVersion } } : {};
  return { ...rest, cniVersion: list.cniVersion, name: list.name, ...runtime, ...before };
}

/** Compares versions such as "0.4.0". */
export function isBefore(version: string, other: string): boolean {
  const [a, b] = [version, other].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function parseResult(plugin: string, text: string): CniResult | null {
  if (text.trim() === '') return null;
  const value = parseObject(text);
  if (!value) throw new CniError(plugin, `answered with what is no JSON object: ${text.slice(0, 200)}`);
  return value;
}

function failureOf(plugin: string, command: string, run: { code: number | null; out: string; err: string }): CniError {
  const said = parseObject(run.out);
  const parts = [said?.['msg'], said?.['details']].filter((part) => typeof part === 'string' && part !== '');
  const text =
    parts.length > 0 ? parts.join(': ') : run.err.trim() || `${command} ended with ${run.code ?? 'a signal'}`;
  const code = typeof said?.['code'] === 'number' ? ` (code ${said['code']})` : '';
  return new CniError(plugin, text.slice(0, 1000) + code);
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
