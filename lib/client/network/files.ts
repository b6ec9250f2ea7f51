import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { recordDir } from './record.js';

// What tasks with a root of their own see as /etc/hosts and /etc/resolv.conf in a namespace of their own.

export interface Resolver {
  servers: readonly string[];
  searches: readonly string[];
  options: readonly string[];
}

/** The text of /etc/hosts for a group at `addresses`. */
export function hostsText(hostname: string, addresses: readonly string[]): string {
  const lines = [
    '127.0.0.1 localhost',
    '::1 localhost ip6-localhost ip6-loopback',
    'ff02::1 ip6-allnodes',
    'ff02::2 ip6-allrouters',
  ];
  const names = hostname.includes('.') ? `${hostname} ${hostname.split('.')[0]}` : hostname;
  if (hostname !== '') lines.push(...addresses.map((address) => `${address} ${names}`));
  return `${lines.join('\n')}\n`;
}

/** The text of /etc/resolv.conf. */
export function resolvText({ servers, searches, options }: Resolver): string {
  const lines = servers.map((server) => `nameserver ${server}`);
  if (searches.length > 0) lines.push(`search ${searches.join(' ')}`);
  if (options.length > 0) lines.push(`options ${options.join(' ')}`);
  // What stands in a job stays in its line.
  return lines.map((line) => `${line.replace(/\s+/g, ' ')}\n`).join('');
}

/** Reads resolv.conf(5), without servers that only the host's own loopback reaches. */
export function parseResolv(text: string): Resolver {
  const found = { servers: [] as string[], searches: [] as string[], options: [] as string[] };
  for (const line of text.split('\n')) {
    const [key, ...values] = line.trim().split(/\s+/);
    if (key === 'nameserver' && values[0] && !isLoopback(values[0])) found.servers.push(values[0]);
    if (key === 'search' || key === 'domain') found.searches = values;
    if (key === 'options') found.options.push(...values);
  }
  return found;
}

function isLoopback(address: string): boolean {
  return address.startsWith('127.') || address === '::1' || address === '0.0.0.0';
}

/** The host's own resolver as a namespace can use it: behind a stub on loopback, those whom the stub asks. */
export async function hostResolver(): Promise<Resolver> {
  let last: Resolver = { servers: [], searches: [], options: [] };
  for (const file of ['/etc/resolv.conf', '/run/systemd/resolve/resolv.conf']) {
    const found = parseResolv(await readFile(file, 'utf8').catch(() => ''));
    if (found.servers.length > 0) return found;
    if (found.searches.length > 0) last = found;
  }
  return last;
}

/** Writes both files and gives their paths. What has the right text already is not touched: it is mounted into tasks. */
export async function writeNetworkFiles(
  allocId: string,
  texts: { hosts: string; resolv: string },
): Promise<{ hostsFile: string; resolvFile: string }> {
  const dir = recordDir(allocId);
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const files = { hostsFile: join(dir, 'hosts'), resolvFile: join(dir, 'resolv.conf') };
  for (const [file, text] of [
    [files.hostsFile, texts.hosts],
    [files.resolvFile, texts.resolv],
  ] as const) {
    if ((await readFile(file, 'utf8').catch(() => null)) !== text) await writeFile(file, text, { mode: 0o644 });
  }
  return files;
}
