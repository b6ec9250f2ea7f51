import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What makes a machine fit to hold the state; null = nobody can tell. */
export interface MachineTraits {
  /** Its way out is a cable. */
  readonly wired: boolean | null;
  /** It is not on battery. */
  readonly mains: boolean | null;
}

/** As the kernel says it now, below `root` (for tests). */
export function machineTraits(root = '/'): MachineTraits {
  return { wired: isWired(root), mains: hasMains(root) };
}

function isWired(root: string): boolean | null {
  const route = read(join(root, 'proc/net/route'))
    ?.split('\n')
    .map((line) => line.split('\t'))
    .find((fields) => fields[1] === '00000000');
  const name = route?.[0];
  if (name === undefined) return null;
  const folder = join(root, 'sys/class/net', name);
  return !existsSync(join(folder, 'wireless')) && !existsSync(join(folder, 'phy80211'));
}

function hasMains(root: string): boolean | null {
  const folder = join(root, 'sys/class/power_supply');
  const supplies = (existsSync(folder) ? readdirSync(folder) : []).map((name) => {
    const fact = (key: string): string => read(join(folder, name, key))?.trim() ?? '';
    return { type: fact('type'), online: fact('online'), status: fact('status'), scope: fact('scope') };
  });
  const mains = supplies.filter(({ type }) => type === 'Mains');
  if (mains.length > 0) return mains.some(({ online }) => online === '1');
  // Batteries of mice and keyboards say nothing about the machine.
  const batteries = supplies.filter(({ type, scope }) => type === 'Battery' && scope !== 'Device');
  return batteries.length > 0 ? batteries.every(({ status }) => status !== 'Discharging') : null;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
