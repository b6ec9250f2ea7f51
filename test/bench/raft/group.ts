import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '../../support/mesh-agent.js';
import { Machine } from '../../support/mesh-machines.js';
import { openTestnet } from '../../support/testnet.js';
import { benchJob, Caller, until } from '../measure.js';

const FORM_LIMIT_MS = 120_000;

/** An agent that serves, runs nothing, and takes as many connections as the bench wants. */
export const SERVER_CONFIG = [
  'log_level = "WARN"',
  'limits {\n  http_max_conns_per_client = 0\n}',
  'client {\n  enabled = false\n}',
  'server {\n  enabled = true\n}',
].join('\n');

/** Servers in processes of their own that agree on writes. */
export interface BenchGroup {
  readonly addresses: readonly string[];
  pid(at: number): number;
  /** Which of them leads; undefined while none is known to all that are asked. */
  leader(among: readonly number[]): Promise<number | undefined>;
  /** One write, different each time: method, path and body. */
  write(): [string, string, string];
  kill(at: number): Promise<void>;
  restart(at: number): Promise<void>;
  close(): Promise<void>;
}

/** Agents that were invited into one mesh, over links on loopback; resolves when all vote. */
export async function meshGroup(size: number): Promise<BenchGroup> {
  const testnet = await openTestnet();
  const machines: Machine[] = [];
  for (let i = 0; i < size; i++) machines.push(await Machine.make({ testnet, name: `s${i}`, config: SERVER_CONFIG }));
  const close = async (): Promise<void> => {
    await Promise.all(machines.map((machine) => machine.dispose()));
    await testnet.close();
  };
  try {
    const [first, ...others] = machines as [Machine, ...Machine[]];
    await first.start('init', '-name=bench');
    for (const other of others) await other.start('join', await first.invite('-role=server'));
    await until(
      `${size} voters`,
      async () => {
        const { Servers } = await first.get<{ Servers: { Voter: boolean }[] }>('/v1/operator/raft/configuration');
        return Servers.filter(({ Voter }) => Voter).length === size || undefined;
      },
      FORM_LIMIT_MS,
    );
  } catch (error) {
    await close();
    throw error;
  }
  let next = 0;
  return {
    addresses: machines.map(({ address }) => address),
    pid: (at) => (machines[at] as Machine).pid,
    leader: (among) =>
      agreed(among, async (at) => {
        const machine = machines[at] as Machine;
        const { Servers } = await machine.get<{ Servers: { Node: string; Leader: boolean }[] }>(
          '/v1/operator/raft/configuration?stale',
        );
        return machines.findIndex(({ name }) => Servers.some(({ Node, Leader }) => Leader && Node === name));
      }),
    write: () => ['PUT', '/v1/jobs', benchJob(`bench-${next++}`, { count: 0 })],
    kill: async (at) => void (await machines[at]?.end('SIGKILL')),
    restart: async (at) => void (await machines[at]?.start('up')),
    close,
  };
}

export function hasEtcd(): boolean {
  return spawnSync('etcd', ['--version']).status === 0;
}

/** The same of etcd, by its JSON gateway: the same client, and about as many bytes a write. */
export async function etcdGroup(size: number): Promise<BenchGroup> {
  const folder = mkdtempSync(join(tmpdir(), 'meshnomad-bench-etcd-'));
  const ports = await Promise.all(
    Array.from({ length: size }, async () => [await freePort(), await freePort()] as const),
  );
  const cluster = ports.map(([, peer], i) => `s${i}=http://127.0.0.1:${peer}`).join(',');
  const children: ChildProcess[] = [];
  const start = (at: number): void => {
    const [client, peer] = ports[at] as readonly [number, number];
    const url = `http://127.0.0.1:${client}`;
    const peerUrl = `http://127.0.0.1:${peer}`;
    const flags: Record<string, string> = {
      name: `s${at}`,
      'data-dir': join(folder, String(at)),
      'listen-client-urls': url,
      'advertise-client-urls': url,
      'listen-peer-urls': peerUrl,
      'initial-advertise-peer-urls': peerUrl,
      'initial-cluster': cluster,
      'log-level': 'error',
    };
    const args = Object.entries(flags).map(([key, value]) => `--${key}=${value}`);
    children[at] = spawn('etcd', args, { stdio: 'ignore' });
  };
  for (let i = 0; i < size; i++) start(i);
  const addresses = ports.map(([client]) => `http://127.0.0.1:${client}`);
  const kill = async (at: number): Promise<void> => {
    const child = children[at] as ChildProcess;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  const base64 = (text: string): string => Buffer.from(text).toString('base64');
  const value = base64(benchJob('bench', { count: 0 }));
  let next = 0;
  const group: BenchGroup = {
    addresses,
    pid: (at) => children[at]?.pid ?? -1,
    async leader(among) {
      const ids = await Promise.all(among.map((at) => etcdStatus(addresses[at] as string)));
      const leader = ids[0]?.leader;
      const at = among[ids.findIndex(({ own }) => own === leader)];
      return ids.every((one) => one.leader === leader) ? at : undefined;
    },
    write: () => ['POST', '/v3/kv/put', JSON.stringify({ key: base64(`bench-${next++}`), value })],
    kill,
    restart: async (at) => start(at),
    async close() {
      await Promise.all(children.map((_, at) => kill(at)));
      rmSync(folder, { recursive: true, force: true });
    },
  };
  await until('etcd', async () => group.leader(addresses.map((_, at) => at)));
  return group;
}

async function etcdStatus(address: string): Promise<{ own: string; leader: string }> {
  const response = await fetch(`${address}/v3/maintenance/status`, { method: 'POST', body: '{}' });
  const status = (await response.json()) as { leader: string; header: { member_id: string } };
  return { own: status.header.member_id, leader: status.leader };
}

/** What all of them say, if they say the same. */
async function agreed(among: readonly number[], ask: (at: number) => Promise<number>): Promise<number | undefined> {
  const said = await Promise.all(among.map((at) => ask(at).catch(() => -1)));
  return said[0] !== -1 && said.every((one) => one === said[0]) ? said[0] : undefined;
}

/** A new write to each server so often: one that a leaderless server holds does not hide the first that works. */
const WRITE_EVERY_MS = 50;

/** Sends writes to all servers without end until told to stop. */
export class Writers {
  readonly #callers: Caller[];
  readonly #timer: NodeJS.Timeout;

  constructor(group: BenchGroup, onWritten: () => void) {
    this.#callers = group.addresses.map((address) => new Caller(address, 256));
    this.#timer = setInterval(() => {
      for (const caller of this.#callers) {
        caller.send(...group.write()).then(
          ({ status }) => status === 200 && onWritten(),
          () => {},
        );
      }
    }, WRITE_EVERY_MS);
  }

  stop(): void {
    clearInterval(this.#timer);
    for (const caller of this.#callers) caller.close();
  }
}
