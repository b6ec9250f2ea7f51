import { join } from 'node:path';
import type { Millis } from '../../util/clock.js';
import { err, ok, type Result } from '../../util/result.js';
import { listExecutables, type PluginAnswer, runPluginProgram } from '../plugin-program.js';

// Who else than the servers keeps secrets: executables in common_plugin_dir/secrets that speak Nomad's protocol. The operation
// is the first argument and in CPI_OPERATION; `fetch` has the path as its second; the answer is JSON on stdout.

const TIMEOUT_MS: Millis = 60_000;
const FINGERPRINT_TIMEOUT_MS: Millis = 10_000;

/** Where they lie. */
const dirOf = (commonPluginDir: string): string => join(commonPluginDir, 'secrets');

/** The versions of the plugins of this node by name; one that does not say its own is none. */
export async function secretPluginVersions(commonPluginDir: string): Promise<Record<string, string>> {
  const dir = dirOf(commonPluginDir);
  const asked = (await listExecutables(dir)).map(async (name): Promise<[string, string][]> => {
    const { answer, problem } = await runPluginProgram(join(dir, name), {
      args: ['fingerprint'],
      env: { CPI_OPERATION: 'fingerprint' },
      timeoutMs: FINGERPRINT_TIMEOUT_MS,
    });
    const version = answer?.['version'];
    const isOne = problem === null && answer?.['type'] === 'secrets' && typeof version === 'string' && version !== '';
    return isOne ? [[name, version]] : [];
  });
  return Object.fromEntries((await Promise.all(asked)).flat());
}

export interface SecretAsk {
  plugin: string;
  path: string;
  env: Readonly<Record<string, string>>;
  signal: AbortSignal;
}

/** Asks a plugin for what lies at a path: texts by key. What is told of a failure holds nothing that it was given in `env`. */
export async function fetchFromPlugin(
  commonPluginDir: string,
  { plugin, path, env, signal }: SecretAsk,
): Promise<Result<Record<string, string>, string>> {
  const dir = dirOf(commonPluginDir);
  const known = await listExecutables(dir);
  if (!known.includes(plugin)) {
    const has = known.length === 0 ? 'there is none' : `there are ${known.join(', ')}`;
    return err(`plugin "${plugin}" is not in ${dir}: ${has}`);
  }
  const call = { args: ['fetch', path], env: { ...env, CPI_OPERATION: 'fetch' }, timeoutMs: TIMEOUT_MS, signal };
  const said = await runPluginProgram(join(dir, plugin), call);
  const read = readAnswer(said);
  return read.ok ? read : err(`plugin "${plugin}": ${hideValues(read.error, Object.values(env))}`);
}

function readAnswer({ answer, problem, stderr }: PluginAnswer): Result<Record<string, string>, string> {
  const error = answer?.['error'];
  if (typeof error === 'string' && error !== '') return err(error);
  const last = stderr.trim().slice(-300);
  if (problem !== null) return err(last === '' ? problem : `${problem}: ${last}`);
  const result = answer?.['result'] ?? {};
  // Never a word of what it printed: that may be the secret.
  if (!answer || typeof result !== 'object' || Array.isArray(result)) return err('its answer is no JSON with "result"');
  for (const [key, value] of Object.entries(result as object)) {
    if (typeof value !== 'string') return err(`"result" has a ${typeof value} under ${JSON.stringify(key)}, no string`);
  }
  return ok(result as Record<string, string>);
}

/** Shorter ones are parts of ordinary words. */
const HIDDEN_LENGTH_MIN = 4;

/** The text with `***` wherever one of the values stands, also as JSON or Go would quote it. */
export function hideValues(text: string, values: readonly string[]): string {
  const forms = values.flatMap((value) => [value, JSON.stringify(value).slice(1, -1)]);
  return [...new Set(forms)]
    .filter((form) => form.length >= HIDDEN_LENGTH_MIN)
    .sort((a, b) => b.length - a.length)
    .reduce((hidden, form) => hidden.replaceAll(form, '***'), text);
}
