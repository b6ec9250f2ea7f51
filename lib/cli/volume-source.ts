import { readFileSync } from 'node:fs';
import { parseVolume, type VolumeFile } from '../jobspec/volume-file.js';
import { type ApiClient, ApiError } from './api.js';
import { UsageError } from './command.js';
import { findVolume } from './find-volume.js';

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

/** `-id` of `volume create` and `volume register`: which host volume the file is about, when it does not say. */
export const ID_FLAG = {
  id: { type: 'string', value: 'id', help: 'Host volumes only: change the one with this id, or the beginning of it.' },
} as const;

/** The volume of a file as `-id` names it. Throws UsageError for a CSI volume, ApiError when there is not one of that id. */
export async function withId(api: ApiClient, file: VolumeFile, id: string | undefined): Promise<VolumeFile> {
  if (id === undefined) return file;
  if (file.type !== 'host') throw new UsageError('-id is for host volumes: the file of a CSI volume names its id');
  const found = await findVolume(api, { type: 'host', id });
  return { type: 'host', volume: { ...file.volume, ID: found.id } };
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
