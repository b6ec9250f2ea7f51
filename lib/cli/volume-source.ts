import { readFileSync } from 'node:fs';
import { parseVolume, type VolumeFile } from '../jobspec/volume-file.js';
import { ApiError } from './api.js';
import { UsageError } from './command.js';

/** The volume of a file, or of standard input for "-". */
export function readVolumeFile(path: string): VolumeFile {
  let source: string;
  try {
    source = readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new ApiError(0, `cannot read ${path}: ${(error as Error).message}`);
  }
  const parsed = parseVolume(source, path === '-' ? 'stdin' : path);
  if (!parsed.ok) throw new ApiError(0, `Error parsing volume specification:\n${parsed.error}`);
  return parsed.value;
}

/** `key=value` as flags give it, several times. */
export function pairsOf(list: readonly string[], flag: string): Record<string, string> | null {
  if (list.length === 0) return null;
  const pairs = list.map((pair): [string, string] => {
    const equals = pair.indexOf('=');
    if (equals <= 0) throw new UsageError(`-${flag} must be key=value`);
    return [pair.slice(0, equals), pair.slice(equals + 1)];
  });
  return Object.fromEntries(pairs);
}

/** Secrets for one call as the header that carries them. */
export function secretsHeader(secrets: Record<string, string> | null): Record<string, string> {
  if (!secrets) return {};
  const value = Object.entries(secrets)
    .map(([key, secret]) => `${key}=${secret}`)
    .join(',');
  return { 'X-Nomad-CSI-Secrets': value };
}
