import { readdir, readFile, readlink } from 'node:fs/promises';
import type { AllocatedPort } from '../../structs/resources.js';

// Who listens on this machine, by what the kernel says: programs that know nothing of the scheduler take ports, too. A port that is
// mapped to a group takes them away from such a program; a task that shares the node's network cannot have them.

const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'];
const LISTENING = '0A';

/** A socket that listens. */
export interface Listener {
  port: number;
  /** Hexadecimal, as the kernel writes it. */
  address: string;
  inode: string;
}

/** The listeners of a table of the kernel. */
export function parseListeners(table: string): Listener[] {
  return table.split('\n').flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    const [address = '', port = ''] = local.split(':');
    return state === LISTENING ? [{ port: Number.parseInt(port, 16), address, inode }] : [];
  });
}

/** Whether a port mapped at `hostIp` is heard by the listener. */
export function isAt({ address }: Listener, hostIp: string): boolean {
  const isAny = /^0+$/.test(address);
  if (isAny || hostIp === '' || hostIp === '0.0.0.0' || hostIp === '::') return true;
  // The kernel writes an IPv4 address as one number in the machine's order of bytes; in the other table it is the end of one.
  const bytes = hostIp.split('.').map(Number);
  if (bytes.length !== 4) return false;
  const little = [...bytes].reverse().map((byte) => byte.toString(16).padStart(2, '0'));
  return address.toUpperCase().endsWith(little.join('').toUpperCase());
}

/** Which of the ports another program listens at, in words; a table that cannot be read says nothing. */
export async function takenPorts(ports: readonly AllocatedPort[]): Promise<string[]> {
  if (ports.length === 0) return [];
  const tables = await Promise.all(TABLES.map((path) => readFile(path, 'latin1').catch(() => '')));
  const listeners = tables.flatMap(parseListeners);
  const told: string[] = [];
  for (const { Label, Value, HostIP } of ports) {
    const found = listeners.find((listener) => listener.port === Value && isAt(listener, HostIP));
    if (found) told.push(`port ${Value} ("${Label}") is in use on this node by ${await ownerOf(found.inode)}`);
  }
  return told;
}

/** The program that has the socket open. */
async function ownerOf(inode: string): Promise<string> {
  const wanted = `socket:[${inode}]`;
  for (const pid of (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      if ((await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')) !== wanted) continue;
      const name = await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '');
      return `${name.trim() || 'a program'} (process ${pid})`;
    }
  }
  return 'another program';
}
