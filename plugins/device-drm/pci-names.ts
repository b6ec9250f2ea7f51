import { readFile } from 'node:fs/promises';
import type { HostFiles } from '../../lib/plugin/sdk/host-files.js';

/** Where distributions keep the list of PCI ids. */
const LISTS = [
  '/usr/share/hwdata/pci.ids',
  '/usr/share/misc/pci.ids',
  '/run/current-system/sw/share/hwdata/pci.ids',
  '/usr/share/pci.ids',
];

/** Names of PCI devices ("1002:73bf") as the machine's list of PCI ids has them; what it does not have is left out. */
export async function pciNames(host: HostFiles, ids: readonly string[]): Promise<Map<string, string>> {
  for (const path of LISTS) {
    const text = await readFile(host.at(path), 'utf8').catch(() => null);
    if (text !== null) return namesIn(text, ids);
  }
  return new Map();
}

/** Vendors stand at the left edge, their devices behind a tab, subsystems behind two. */
export function namesIn(text: string, ids: readonly string[]): Map<string, string> {
  const wanted = new Set(ids);
  const vendors = new Set(ids.map((id) => id.slice(0, 4)));
  const names = new Map<string, string>();
  let vendor = '';
  for (const line of text.split('\n')) {
    if (line.startsWith('#') || line.startsWith('\t\t') || line === '') continue;
    if (!line.startsWith('\t')) {
      vendor = line.slice(0, 4).toLowerCase();
      // Behind the vendors come lists of classes.
      if (line.startsWith('C ')) break;
      continue;
    }
    if (!vendors.has(vendor)) continue;
    const id = `${vendor}:${line.slice(1, 5).toLowerCase()}`;
    if (wanted.has(id)) names.set(id, plainName(line.slice(5).trim()));
  }
  return names;
}

/** "Navi 21 [Radeon RX 6800/6800 XT]" is sold as what stands in brackets. */
function plainName(text: string): string {
  return /\[([^\]]+)\]$/.exec(text)?.[1] ?? text;
}
