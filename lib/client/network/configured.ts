import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { err } from '../../util/result.js';
import { type NetworkList, parseNetworkList } from './conflist.js';

/** No configuration is as long. */
const FILE_MAX = 1024 * 1024;

/** Files of network configurations, in the order in which they are looked at. */
async function configFiles(dir: string): Promise<string[]> {
  const names = await readdir(dir).catch(() => []);
  return names.filter((name) => /\.(conflist|conf|json)$/.test(name)).sort();
}

/** The networks in a directory by name; of two with one name the first counts. `problems` tells of files that are no good. */
export async function readNetworks(dir: string): Promise<{ networks: Map<string, NetworkList>; problems: string[] }> {
  const networks = new Map<string, NetworkList>();
  const problems: string[] = [];
  for (const name of await configFiles(dir)) {
    const file = join(dir, name);
    const size = (await stat(file).catch(() => null))?.size ?? 0;
    const parsed =
      size > FILE_MAX
        ? err(`is longer than ${FILE_MAX} bytes`)
        : parseNetworkList(await readFile(file, 'utf8').catch(() => ''));
    if (!parsed.ok) problems.push(`${file} ${parsed.error}`);
    else if (networks.has(parsed.value.name))
      problems.push(`${file}: the network "${parsed.value.name}" is there twice`);
    else networks.set(parsed.value.name, parsed.value);
  }
  return { networks, problems };
}

/** The network of that name; throws an error that says what is there instead. */
export async function findNetwork(dir: string, name: string): Promise<NetworkList> {
  const { networks, problems } = await readNetworks(dir);
  const found = networks.get(name);
  if (found) return found;
  const hint = problems.length > 0 ? ` (${problems.join('; ')})` : '';
  throw new Error(`no CNI network "${name}" in ${dir}${hint}`);
}
