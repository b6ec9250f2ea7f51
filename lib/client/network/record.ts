import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BridgeSettings, isObject, type NetworkList } from './conflist.js';
import type { CniResult, PortMapping } from './result.js';

// What was made for an allocation's network, written down before it is made. The records lie on a tmpfs: they go with
// the machine's restart, as namespaces, interfaces and firewall rules do, and outlive the agent and its data directory.

const RECORDS_DIR = '/run/meshnomad/networks';
const VERSION = 1;

/** Who made the namespace. */
export type RecordedNamespace =
  | { kind: 'own'; name: string; path: string; inode: number | null }
  | { kind: 'driver'; driver: string; path: string; inode: number | null; labels: Record<string, string> };

export interface NetworkRecord {
  /** The agent whose it is: its state directory, or `pid:N` of one that keeps nothing. */
  owner: string;
  allocId: string;
  mode: string;
  namespace: RecordedNamespace;
  /** As it was when the plugins were called: they must be called with the same again. Null: no plugins (mode "none"). */
  list: NetworkList | null;
  /** What the list was made from; null with other modes than "bridge". */
  bridge: BridgeSettings | null;
  ifName: string;
  args: Record<string, string>;
  portMappings: PortMapping[];
  /** With mode "cni/NAME": the rules that were there once it was attached, in the words of `iptables-save`. */
  rules: string[];
  /** Null: the plugins have not answered yet. */
  result: CniResult | null;
}

/** Where the files of an allocation's network lie. */
export function recordDir(allocId: string): string {
  return join(RECORDS_DIR, allocId);
}

/** Null when there is none, or what is there is not one of ours. */
export async function readRecord(allocId: string): Promise<NetworkRecord | null> {
  const text = await readFile(join(recordDir(allocId), 'record.json'), 'utf8').catch(() => null);
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (!isObject(value) || value['version'] !== VERSION) return null;
    // An agent of an earlier build wrote down no rules.
    return { rules: [], ...value } as unknown as NetworkRecord;
  } catch {
    return null;
  }
}

export async function writeRecord(record: NetworkRecord): Promise<void> {
  const dir = recordDir(record.allocId);
  await mkdir(dir, { recursive: true, mode: 0o755 });
  // Under another name first: what has the name is whole.
  const fresh = join(dir, 'record.json.new');
  await writeFile(fresh, JSON.stringify({ version: VERSION, ...record }), { mode: 0o600 });
  await rename(fresh, join(dir, 'record.json'));
}

export async function removeRecord(allocId: string): Promise<void> {
  await rm(recordDir(allocId), { recursive: true, force: true });
}

/** The records of all agents of this machine. */
export async function listRecords(): Promise<NetworkRecord[]> {
  const ids = await readdir(RECORDS_DIR).catch(() => []);
  const found = await Promise.all(ids.map(readRecord));
  return found.filter((record) => record !== null);
}

/** The name under which an agent's records go. */
export function ownerName(stateDir: string | null): string {
  return stateDir ?? `pid:${process.pid}`;
}

/** Whether nobody else looks after the record: it is `owner`'s own, or its agent kept nothing and has ended. */
export function isOrphanOf(record: NetworkRecord, owner: string): boolean {
  if (record.owner === owner) return true;
  const pid = /^pid:(\d+)$/.exec(record.owner)?.[1];
  return pid !== undefined && !isAlive(Number(pid));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
