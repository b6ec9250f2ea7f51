import type { DockerConfig, DockerOptions } from './config.js';
import type { EngineFacts } from './facts.js';

// Who keeps a task's output, and what a person is told of it.

type Logging = Pick<DockerConfig, 'logging'>;

/** Output is read from the engine, so that it survives the agent: the engine keeps enough of it for a long restart. */
export function logConfig(config: Logging, options: DockerOptions): { Type: string; Config: Record<string, string> } {
  const given = config.logging ?? options.logging;
  const type = given?.driver || given?.type || '';
  if (type !== '' || Object.keys(given?.config ?? {}).length > 0) {
    return { Type: type || 'json-file', Config: given?.config ?? {} };
  }
  return { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '2' } };
}

/** Why a task's output is not to be read; '' = it is, as far as is known before it runs. */
export function whyNoOutput(config: Logging, options: DockerOptions, driver: string): string {
  if (options.disable_log_collection) {
    return `the agent copies no output: plugin "${driver}" says disable_log_collection = true`;
  }
  if (logConfig(config, options).Type !== 'none') return '';
  return config.logging
    ? 'its config says logging { type = "none" }'
    : `plugin "${driver}" of the agent says logging { type = "none" }`;
}

/** What a task's start may have to wait for: an engine looks some 15 s for plugins that it does not know. */
export function unknownDrivers(
  config: Pick<DockerConfig, 'logging' | 'volume_driver' | 'mount' | 'mounts'>,
  options: DockerOptions,
  facts: Pick<EngineFacts, 'logDrivers' | 'volumeDrivers'>,
): string[] {
  const { Type } = logConfig(config, options);
  const volumes = [...config.mount, ...config.mounts].map((one) => one.volume_options?.driver_config?.name ?? '');
  return [
    ...lookedFor('logging driver', [Type], ['none', ...facts.logDrivers], facts.logDrivers),
    ...lookedFor('volume driver', [config.volume_driver, ...volumes], facts.volumeDrivers, facts.volumeDrivers),
  ];
}

function lookedFor(what: string, names: string[], known: readonly string[], has: readonly string[]): string[] {
  if (has.length === 0) return [];
  return names
    .filter((name) => name !== '' && !known.includes(name))
    .map(
      (name) => `${what} "${name}" is none of the engine's own (${has.join(', ')}): it looks for a plugin, up to 15 s`,
    );
}
